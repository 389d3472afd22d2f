"""Ask a model about an image, with all visual tokens or with those that a method leaves."""

from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from vzlib.efficiency.parts import milliseconds, watched
from vzlib.methods import registry
from vzlib.methods.before import Before
from vzlib.methods.inside.schedule import Inside
from vzlib.models.answer import answer
from vzlib.models.host import host_of
from vzlib.models.inside import Entered
from vzlib.models.load import Loaded
from vzlib.models.zip import zip_model
from vzlib.models.zipped import ZippedModel
from vzlib.tokens.evidence import Reduced
from vzlib.viewer.by_hand import ByHand
from vzlib.viewer.fates import Fates, of_entered, of_reduced

ALL = "all tokens"
WORDS = 16  # of an answer, at most


class Answered(NamedTuple):
    """An answer, and what it cost.

    way: how the tokens were chosen, as people say it. tokens: visual tokens in the prompt; average:
    in each layer of the language model. milliseconds: by part, as `vzlib.efficiency.parts` says.
    fates: of the patches; None where all tokens stay. split: of the tokens, in words.
    """

    way: str
    text: str
    tokens: int
    average: float
    milliseconds: dict[str, float]
    fates: Fates | None = None
    split: str = ""


def ask(
    stock: Loaded,
    image: np.ndarray,
    question: str,
    method: str | Before | Inside | None = None,
    retain: int | None = None,
) -> Answered:
    """The greedy answer, the model being zipped for this question alone.

    image: [P, P, 3] uint8. method, retain: as of `zip_model`; without a method all tokens stay.
    Raises ValueError for a method that there is not and a budget that cannot be spent.
    """
    zips: Any = nullcontext()
    if method is not None:
        zips = zip_model(stock.model, stock.processor, retain=retain, method=method)
    with zips as zipped:
        processor = stock.processor if zipped is None else zipped.processor
        with watched(stock.model) as marks:
            text = answer(
                stock.model, processor, Image.fromarray(image), question, max_new_tokens=WORDS
            )
        parts = milliseconds(marks)
        if zipped is None:
            largest = host_of(stock.model).largest(stock.model.config)
            assert largest is not None
            return Answered(ALL, text, largest.stock, float(largest.stock), parts)
        return _zipped(stock, zipped, text, parts)


def _zipped(stock: Loaded, zipped: ZippedModel, text: str, parts: dict[str, float]) -> Answered:
    method, made = zipped.method, zipped.tokens
    way = f"{len(method.patches)} by hand" if isinstance(method, ByHand) else method.label
    if isinstance(made, Entered):
        average = float(made.average[0])
        return Answered(
            way,
            text,
            int(made.counts[0, 0]),
            average,
            parts,
            of_entered(made, stock.patches),
            f"{average:.4g} in a layer on average",
        )
    layers = stock.model.config.get_text_config().num_hidden_layers
    assert isinstance(made, Reduced)
    fates = of_reduced(made, stock.has_cls, layers)
    return Answered(way, text, zipped.retain, float(zipped.retain), parts, fates, split(fates))


def split(fates: Fates) -> str:
    """Which tokens are handed on, in words: "CLS, 53 patches as they are, 10 merged from 522"."""
    groups, merged = len(set(fates.group[fates.group >= 0])), int((fates.group >= 0).sum())
    left = int((fates.token < 0).sum())
    stay = int(fates.stays.sum())
    parts = [
        "CLS" if fates.cls else "",
        f"{stay} {'patch as it is' if stay == 1 else 'patches as they are'}" if stay else "",
        f"{groups} merged from {merged}" if groups else "",
        f"{fates.of_all} of the whole image" if fates.of_all else "",
        f"{left} left out" if left else "",
    ]
    return ", ".join(filter(None, parts))


def unknown_words(processor: Any, question: str) -> list[str]:
    """The words of a question that a model's tokenizer has no token for."""
    tokenizer = processor.tokenizer
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return []
    return [
        word
        for word in dict.fromkeys(question.split())
        if unknown in tokenizer(word, add_special_tokens=False)["input_ids"]
    ]


def methods() -> dict[str, str]:
    """The methods that can be given a number of tokens, by what people call them."""
    own = [name for name, row in registry.METHODS.items() if row.compared is not None]
    return {registry.label_of(name): name for name in own}
