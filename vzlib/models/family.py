"""What families have in common, said once; the module of a family names what it takes over."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from vzlib.models.shape import Shape

# Functions that take the place of methods, by the names of these: see `host.Host`.
Methods = Mapping[str, Callable[..., Any]]


def projector(core: Any) -> nn.Module:
    found: nn.Module = core.multi_modal_projector
    return found


def no_largest(config: Any) -> Shape | None:
    """Of a family whose images, or clips, may have any number of views or any size."""
    return None


def no_clips(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    """Of a family that is shown images alone. Raises ValueError for a video."""
    if inputs.get("pixel_values_videos") is not None or inputs.get("video_grid_thw") is not None:
        refuse_videos()
    return []


def refuse_videos(*_: Any, **options: Any) -> None:
    raise ValueError(
        "videos are not reduced in this family, only images; zip a model of LLaVA-OneVision or "
        "Video-LLaVA, or call this one as it is, behind undo"
    )


def in_stock_form(make: Callable[..., Any]) -> Callable[..., Any]:
    """A method that returns what the stock one returns: an output, or a tuple if that is asked for.

    make: called with the reduction, the stock method, which needs no arguments as it is given those
    of the caller, the core, and what the caller passed, but for `return_dict`.
    """

    @functools.wraps(make)
    def method(
        reduction: Any, below: Callable[..., Any], core: Any, *arguments: Any,
        return_dict: bool | None = None, **options: Any,
    ) -> Any:  # fmt: skip
        stock = functools.partial(below, core, *arguments, return_dict=True, **options)
        output = make(reduction, stock, core, *arguments, **options)
        as_output = core.config.return_dict if return_dict is None else return_dict
        return output if as_output else output.to_tuple()

    return method


def placeholder_mask(
    reduction: Any,
    below: Callable[..., Any],
    core: Any,
    input_ids: Tensor | None,
    inputs_embeds: Tensor,
    image_features: Tensor | None = None,
    **others: Any,
) -> Any:
    """The stock mask, or a ValueError that says what is amiss."""
    try:
        return below(core, input_ids, inputs_embeds, image_features, **others)
    except (ValueError, RuntimeError) as error:  # its message counts numbers, not tokens
        kind, features = "image", image_features
        if features is None:
            kind, features = "video", others.get("video_features")
        if input_ids is None or features is None:
            raise
        placeholders = int((input_ids == getattr(core.config, f"{kind}_token_id")).sum())
        tokens = features.numel() // features.shape[-1]
        if placeholders == tokens:  # something else is amiss
            raise
        raise ValueError(
            f"{placeholders} {kind} placeholders in the text, but {tokens} visual tokens "
            f"({reduction.said(tokens)}); make the text with the zipped processor, or pass it "
            "through shorten"
        ) from error
