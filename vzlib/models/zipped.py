"""A model that is zipped: what it costs now, what became of its tokens, and how it is given back.

Between calls nothing is kept but what became of the last images, for `ZippedModel.tokens`.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vzlib.methods.before import Before
from vzlib.methods.inside.schedule import Fitted, Inside
from vzlib.models import inside
from vzlib.models.compiled_prefill import CompiledPrefill, undo_compiled_prefill
from vzlib.models.host import host_of
from vzlib.models.overrides import Layer, Override, found, put, take, take_all
from vzlib.models.processors import shorten
from vzlib.models.reduction import last_reduced, recorded
from vzlib.models.shape import Shape
from vzlib.models.views import Budgeted
from vzlib.tokens import Budget
from vzlib.tokens.evidence import Reduced


@dataclass
class ZippedModel:
    """A zipped model with its processor; a context manager that gives back the model as it was.

    Entered again, it zips the model again.

    model: the very instance that was given, changed until `undo`.
    processor: a copy that puts `retain` placeholders per image, or None if none was given.
    method: what the model is zipped with, and `retain` the visual tokens it leaves of an image; of
        a method inside the language model the layer average asked for, None if the prompt decides.
    budget: how VisionZip splits them, or the schedule of a method inside the language model and the
        layer average that it really has; None for others, and where views or prompts decide.
    prefill: the compiled prefill, or None.
    """

    model: Any
    processor: Any
    method: Before | Inside
    retain: Any
    budget: Budget | Fitted | None
    prefill: CompiledPrefill | None
    _layers: list[tuple[Override, Layer]]
    _budgeted: Budgeted | None = None

    @property
    def tokens(self) -> Reduced | list[Reduced | None] | inside.Entered | None:
        """What became of the tower's tokens in the last batch of images; None before any.

        Which stayed and where they stand, and which merged into which, as `Reduced` says. Where
        images have several views or sizes, one of each image, [1, ...]: token t of view v counts
        as v S + t if the tower gives S of a view; None is an image that was left as it is. With a
        method inside the language model, which tokens entered each layer. Not seen by a compiled
        model.
        """
        if isinstance(self.method, Inside):
            return inside.last_entered(self.model.base_model)
        return last_reduced(self.model.base_model)

    def undo(self) -> None:
        """Give back the stock model, whoever zipped it last; twice is as good as once."""
        for override, _ in self._layers:
            take_all(override)
        if self.prefill is not None:
            self.prefill.undo()
        unzip_model(self.model)

    def __enter__(self) -> "ZippedModel":
        if any(layer not in override.layers for override, layer in self._layers):  # once undone
            laid = [(put(each.module, each.name, layer), layer) for each, layer in self._layers]
            self._layers = laid
        if self.prefill is not None:
            self.prefill.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        # Not unzip_model: what an enclosing context had put there comes back.
        for override, layer in self._layers:
            take(override, layer, above=True)
        if self.prefill is not None:
            self.prefill.__exit__()

    def shorten(self, inputs: MutableMapping[str, Tensor]) -> dict[str, Tensor]:
        """Inputs made by the stock processor, with as many placeholders as an image now costs.

        Texts come back padded on the left, so outputs must be cut at the new length. Raises
        ValueError if the placeholders are not those of whole images.
        """
        if isinstance(self.method, Inside):  # whose prompts are the stock ones
            return dict(inputs)
        config, host, short = self.model.config, host_of(self.model), dict(inputs)
        kinds = {config.image_token_id: host.shapes}
        if (video := getattr(config, "video_token_id", None)) is not None:
            kinds[video] = host.clips
        for token, of_kind in kinds.items():
            shapes = of_kind(config, inputs)
            if host.TOLD is not None and of_kind == host.shapes:
                short[host.TOLD] = torch.tensor([shape.views for shape in shapes])
            short = shorten(
                short,
                image_token_id=token,
                pad_token_id=self._padding(),
                old=[row for shape in shapes for row in shape.rows],
                new=[row for shape in shapes for row in self._rows(shape)],
            )
        return short

    def cost(self, shape: Shape) -> int:
        """Tokens of an image of this shape at the language model's input."""
        return self.retain if self._budgeted is None else self._budgeted.cost(shape)

    def _rows(self, shape: Shape) -> tuple[int, ...]:
        return (self.retain,) if self._budgeted is None else self._budgeted.rows(shape)

    def _padding(self) -> int:
        """A token to pad with: the tokenizer's, the model's, or any that stands for no image."""
        tokenizer, config = getattr(self.processor, "tokenizer", None), self.model.config
        text = config.get_text_config()
        known = (getattr(tokenizer, "pad_token_id", None), text.pad_token_id, 0, 1)
        # None, and -1 in old configurations, are no tokens.
        tokens = [token for token in known if token is not None and token >= 0]
        visual = (config.image_token_id, getattr(config, "video_token_id", None))
        return next(token for token in tokens if token not in visual)

    @contextmanager
    def record(self) -> Iterator[list[Any]]:
        """Collect what becomes of every image batch that this thread encodes meanwhile.

        ZippedTokens, whose indices count the CLS token where it stays and else start at the first
        patch; or `Reduced`, where the model was zipped with a `method`. While
        recording, tokens are checked for NaN on every device, which makes the host wait. Not seen
        by a compiled model.
        """
        with recorded(self.model.base_model) as seen:
            yield seen


def unzip_model(model: Any) -> Any:
    """Give back the stock model, its stock prefill too. Also undoes copies of a zipped one.

    What others changed, such as accelerate's hooks, stays. Returns the model.
    """
    for name in (*host_of(model).METHODS, "forward", "get_placeholder_mask"):
        take_all(found(model.base_model, name))
    for name in ("forward", "generate"):
        take_all(found(model, name))
    undo_compiled_prefill(model)
    return model
