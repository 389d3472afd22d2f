"""`vzlib.show`: in a notebook, what a zipped model keeps of an image, at any budget."""

import base64
import dataclasses
import importlib.util
import io
import sys
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from vzlib.evaluation.pictures import square
from vzlib.methods.before import Before
from vzlib.methods.inside.schedule import Inside
from vzlib.models.images import Source, open_image
from vzlib.models.load import Loaded
from vzlib.models.zipped import ZippedModel
from vzlib.plotting.style import in_style
from vzlib.viewer import draw, words
from vzlib.viewer.asking import Answered, ask
from vzlib.viewer.models import check
from vzlib.viewer.seeing import attends_to, block_read, received
from vzlib.viewer.shown import check_question

HINT = (
    "Black frames: stays as it is. One colour: merged into one token, at the white frame. Pale: "
    "left out. Click a patch."
)


@dataclass(frozen=True)
class Displayed:
    """What `show` gives: as the last value of a cell it is a widget, elsewhere a picture.

    widget: None without a kernel, or without anywidget.
    """

    figure: Figure
    answers: tuple[Answered, Answered]
    widget: Any = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        content = io.BytesIO()
        with in_style():
            self.figure.savefig(content, format="png", dpi=150)
        bundle = {"image/png": base64.b64encode(content.getvalue()).decode()}
        if self.widget is not None:
            data: Any = self.widget._repr_mimebundle_()
            bundle |= data[0] if isinstance(data, tuple) else data
        return bundle


def show(zipped: ZippedModel, image: Source, question: str = "what is there ?") -> Displayed:
    """What a zipped model keeps of an image and answers, beside all tokens.

    In a notebook with a kernel and anywidget there is a slider for the budget, and a click on a
    patch tells where its attention goes or what it merged with; elsewhere it is a picture. The
    model stays zipped as it is; only `zipped.tokens` is that of the last look.

    image: as of `vzlib.open_image`; its central square is shown.
    Raises ValueError for a model that was zipped without its processor, or that sees an image as
    several views, for an image that cannot be opened and for an empty question.
    """
    check(zipped.model)
    check_question(question)
    if zipped.processor is None:
        raise ValueError("show needs the processor: zip_model(model, processor, ...)")
    stock = Loaded(zipped.model, zipped.processor, type(zipped.model).__name__)
    pixels = square(np.asarray(open_image(image)))
    seen, block = received(stock, pixels)[block_read(stock) - 1], block_read(stock)
    method = free(zipped.method)
    every = ask(stock, pixels, question, "vanilla", stock.patches)
    now = ask(stock, pixels, question, method, zipped.retain)
    drawn = draw.figure(
        pixels, stock.grid, question, (f"attention, layer {block}", seen), (every, now)
    )
    if not _has_kernel():
        return Displayed(drawn, (every, now))
    from vzlib.viewer.cell import cell

    state = {"answered": now}

    def budget(retain: int) -> dict[str, Any]:
        try:
            state["answered"] = ask(stock, pixels, question, method, retain)
        except ValueError as error:
            return {"answers": escape(str(error))}
        return _kept(pixels, stock.grid, (every, state["answered"]))

    def click(which: str, patch: int) -> dict[str, Any]:
        if which == "attention":
            weights = attends_to(stock, pixels, block, patch)
            image = _png(partial(draw.outgoing, pixels, weights, patch))
            return {"attention": image, "of_attention": words.of_attention(weights, patch, block)}
        fates = state["answered"].fates
        assert fates is not None
        image = _png(partial(draw.together, pixels, fates, stock.grid, patch))
        return {"kept": image, "of_kept": words.of_patch(fates, patch, stock.grid)}

    values = {
        "grid": stock.grid,
        "most": stock.patches,
        "retain": round(now.average),
        "attention": _png(partial(draw.attention, pixels, seen)),
        "of_attention": f"Attention that patches receive in layer {block}. Click a patch.",
        **_kept(pixels, stock.grid, (every, now)),
    }
    return Displayed(drawn, (every, now), cell(values, budget, click))


def free(method: Before | Inside) -> Before | Inside:
    """A method without what followed from its budget, so that it can be given another."""
    fitted = {field.name: field.default for field in dataclasses.fields(method)
              if field.name in method.fitted}  # fmt: skip
    return dataclasses.replace(method, **fitted)


def _kept(image: np.ndarray, grid: int, answers: tuple[Answered, Answered]) -> dict[str, Any]:
    return {
        "kept": _png(partial(draw.kept, image, answers[1].fates, grid)),
        "of_kept": HINT,
        "answers": words.table(answers),
    }


def _png(drawn: draw.Draw) -> str:
    content = io.BytesIO()
    Image.fromarray(draw.panel(drawn)).save(content, format="png")
    return base64.b64encode(content.getvalue()).decode()


def _has_kernel() -> bool:
    """Whether somebody can answer a click: an IPython kernel, with what draws widgets."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel") and importlib.util.find_spec("anywidget") is not None
