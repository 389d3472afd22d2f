"""VisionZip on a stock model: some methods of one instance, a processor that asks for fewer tokens.

Which methods, and what they do differently, is said by the model's family (`vzlib.models.host`).
They are layers over the instance's own (`vzlib.models.overrides`): copies and pickles of the model
are zipped too and run their own tower, and without the layers it is the stock model bit by bit.
Nothing is kept between calls.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from torch import Tensor

from vzlib.models.compiled_prefill import CompiledPrefill, compiled_prefill, undo_compiled_prefill
from vzlib.models.host import host_of
from vzlib.models.overrides import Layer, Override, found, put, take, take_all
from vzlib.models.processors import shorten, zip_processor
from vzlib.models.reduction import Reduction, recorded
from vzlib.models.zip_checks import budget_for
from vzlib.tokens import Budget, ZippedTokens, select_and_merge
from vzlib.tokens.evidence import Encoded
from vzlib.tokens.merging import MergeRule


@dataclass
class ZippedModel:
    """A zipped model with its processor; a context manager that gives back the model as it was.

    Entered again, it zips the model again.

    model: the very instance that was given, changed until `undo`.
    processor: a copy that puts `budget.total` placeholders per image, or None if none was given.
    budget, merge: what the model is zipped with.
    prefill: the compiled prefill, or None.
    """

    model: Any
    processor: Any
    budget: Budget
    merge: MergeRule
    prefill: CompiledPrefill | None
    _layers: list[tuple[Override, Layer]]

    def undo(self) -> None:
        """Give back the stock model, whoever zipped it last; twice is as good as once."""
        for override, _ in self._layers:
            take_all(override)
        if self.prefill is not None:
            self.prefill.undo()
        unzip_model(self.model)

    def __enter__(self) -> "ZippedModel":
        if any(layer not in override.layers for override, layer in self._layers):  # once undone
            layers = {override.name: layer for override, layer in self._layers}
            self._layers = _lay(self.model.base_model, layers)
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
        """Inputs made by the stock processor, with `budget.total` placeholders for each image.

        Texts come back padded on the left, so outputs must be cut at the new length. Raises
        ValueError if the placeholders are not those of whole images.
        """
        config = self.model.config
        return shorten(
            inputs,
            image_token_id=config.image_token_id,
            pad_token_id=self._padding(),
            old=host_of(self.model).stock_count(self.model.base_model),
            new=self.budget.total,
        )

    def _padding(self) -> int:
        """A token to pad with: the tokenizer's, the model's, or any that stands for no image."""
        tokenizer, config = getattr(self.processor, "tokenizer", None), self.model.config
        text = config.get_text_config()
        known = (getattr(tokenizer, "pad_token_id", None), text.pad_token_id, 0, 1)
        # None, and -1 in old configurations, are no tokens.
        tokens = [token for token in known if token is not None and token >= 0]
        return next(token for token in tokens if token != config.image_token_id)

    @contextmanager
    def record(self) -> Iterator[list[ZippedTokens]]:
        """Collect the ZippedTokens of every image batch that this thread encodes meanwhile.

        Indices count the CLS token where `budget.cls`, else they start at the first patch. While
        recording, tokens are checked for NaN on every device, which makes the host wait. Not seen
        by a compiled model.
        """
        with recorded(self.model.base_model) as seen:
            yield seen


def zip_model(
    model: Any,
    processor: Any = None,
    budget: Budget | None = None,
    *,
    retain: int | None = None,
    merge: MergeRule = "code",
    compile: bool = False,
) -> ZippedModel:
    """Apply VisionZip (Section 3 of the paper) to one LLaVA instance until `undo`.

    model: a stock LlavaForConditionalGeneration whose tower `encode` supports. Zipping a zipped
        model replaces its budget; nested `with` blocks restore the outer one.
    processor: its stock processor, which stays as it is; the copy returned asks for fewer tokens.
    budget: what to keep; with `cls=False` on an encoder with CLS, the CLS token still rates the
        patches but is not kept, as `Budget.all(576)` does to keep LLaVA's own 576 tokens.
    retain: tokens per image instead of a budget, split 54:10; CLS is kept if the encoder has one.
    merge: "code" as released, or "paper".
    compile: also compile the prefill, see `vzlib.models.compiled_prefill.compiled_prefill`.

    Raises ValueError for a model, tower, feature layer, processor or merge rule that is not
    supported, and BudgetError (a ValueError) for a budget this encoder cannot pay.
    """
    host, core = host_of(model), model.base_model
    tower = host.tower(core)
    host.layer(core)
    if merge not in get_args(MergeRule):
        raise ValueError(f"merge={merge!r} must be one of {get_args(MergeRule)}")
    budget = budget_for(tower, budget, retain)
    zipped_processor = None if processor is None else zip_processor(processor, budget.total)

    reduction = Reduction(budget, partial(_visionzip, budget, merge))
    layers = {name: partial(method, reduction) for name, method in host.METHODS.items()}
    laid = _lay(core, layers)
    prefill = compiled_prefill(model) if compile else None
    return ZippedModel(model, zipped_processor, budget, merge, prefill, laid)


def unzip_model(model: Any) -> Any:
    """Give back the stock model, its stock prefill too. Also undoes copies of a zipped one.

    What others changed, such as accelerate's hooks, stays. Returns the model.
    """
    for name in host_of(model).METHODS:
        take_all(found(model.base_model, name))
    undo_compiled_prefill(model)
    return model


def _lay(core: Any, layers: Mapping[str, Layer]) -> list[tuple[Override, Layer]]:
    return [(put(core, name, layer), layer) for name, layer in layers.items()]


def _visionzip(budget: Budget, merge: MergeRule, evidence: Encoded) -> ZippedTokens:
    return select_and_merge(*evidence, budget, merge)
