"""What is known within one call of a Qwen-VL: where the tokens of its images stand.

Positions are asked for by `generate` before images are encoded, and by `forward` after that. So
images are encoded when the first of both wants them, and what came of it waits for the other.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor

from vzlib.models.family import refuse_videos
from vzlib.models.packed_tower import shapes
from vzlib.models.positions import stretched
from vzlib.models.views import ByView

# Of a call: where the tokens of its images stand, and images that were encoded before their turn.
_call: ContextVar[dict[str, Any] | None] = ContextVar("call", default=None)


def known() -> dict[str, Any] | None:
    """What this call knows; None outside of one."""
    return _call.get()


def forward(
    reduction: ByView,
    below: Callable[..., Any],
    core: Any,
    *arguments: Any,
    mm_encoder_outputs: Any = None,
    **options: Any,
) -> Any:
    """The stock forward, in which the places of the tokens of its images are known."""
    with _calling() as call:
        if mm_encoder_outputs is not None:
            options["mm_encoder_outputs"] = mm_encoder_outputs
            if (given := mm_encoder_outputs.get("image")) is not None:
                call["places"] = getattr(given, "places", None)
        return below(core, *arguments, **options)


def generate(
    reduction: ByView, below: Callable[..., Any], model: Any, *arguments: Any, **options: Any
) -> Any:
    """The stock generate, which asks for positions before it encodes images."""
    with _calling():
        return below(model, *arguments, **options)


def rope_index(
    reduction: ByView,
    below: Callable[..., Any],
    core: Any,
    input_ids: Tensor,
    mm_token_type_ids: Tensor,
    image_grid_thw: Tensor | None = None,
    video_grid_thw: Tensor | None = None,
    *others: Any,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """Positions [3, B, S] that these tokens have in the prompt with all tokens of its images."""
    if video_grid_thw is not None:
        refuse_videos()
    found = (
        [] if image_grid_thw is None else shapes(core.config, {"image_grid_thw": image_grid_thw})
    )
    if all(map(reduction.budgeted.whole, found)):
        return below(core, input_ids, mm_token_type_ids, image_grid_thw, video_grid_thw, *others,
                     attention_mask=attention_mask, **options)  # fmt: skip
    full = stretched(
        input_ids,
        attention_mask,
        input_ids == core.config.image_token_id,
        [shape.stock for shape in found],
        places_of(core, options.get("pixel_values"), image_grid_thw),
    )
    positions, deltas = below(
        core,
        full.stretch(input_ids),
        full.stretch(mm_token_type_ids),
        image_grid_thw,
        video_grid_thw,
        *others,
        attention_mask=full.mask,
        **options,
    )
    chosen = positions.gather(2, full.columns.expand(3, -1, -1))
    longer = full.mask.sum(1, keepdim=True) - full.real.sum(1, keepdim=True)
    return chosen.masked_fill(~full.real, 0), deltas + longer


@contextmanager
def _calling() -> Iterator[dict[str, Any]]:
    call: dict[str, Any] = {}
    token = _call.set(call)
    try:
        yield call
    finally:
        _call.reset(token)


def places_of(core: Any, pixels: Tensor | None, grid: Tensor | None) -> list[Tensor]:
    """Where the tokens of this call's images stand; they are encoded now if they were not yet."""
    call = _call.get()
    if call is None:
        raise ValueError("positions of chosen tokens are known within forward and generate alone")
    if call.get("places") is None and pixels is not None:
        call["output"] = core.get_image_features(pixels, grid, return_dict=True)
        call["pixels"] = pixels
    places: list[Tensor] | None = call.get("places")
    if places is None:
        raise ValueError(
            "the places of these images' tokens are not known: pass pixel_values, or what "
            "get_image_features of the zipped model gave"
        )
    return places
