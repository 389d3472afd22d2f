"""What a click, a slider or a question of the page asks for, and what it changes there."""

import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from vzlib.viewer import draw, pictures, settings, shown, words
from vzlib.viewer.pictures import Picture
from vzlib.viewer.shown import Shown

FIRST = "rocket"
QUESTIONS = (  # about an image of which nothing is known
    "is there a rocket ?",
    "which animal is there ?",
    "which vehicle is there ?",
    "is there a red circle ?",
)
HINT_KEPT = (
    "Framed in black: stays as it is. One colour: merged into one token, at the white frame. "
    "Pale: left out. Click a patch to see what it merged with."
)
HINT_HAND = "Click patches to pick them; a click on a picked one takes it back."
BRUSHES = {"1 patch": 1, "3 x 3": 3, "5 x 5": 5}


def plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a person can mend is told in one sentence, and the page stays as it is."""

    @functools.wraps(function)
    def told(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except ValueError as error:
            raise gr.Error(str(error), duration=12, title="", print_exception=False) from error

    return told


def _known(state: Shown | None) -> Shown:
    if state is None:
        raise ValueError("nothing has been asked yet; press Ask")
    return state


@plainly
def example(event: gr.SelectData) -> tuple[Picture, Any]:
    return _opened(pictures.example(pictures.examples()[event.index]))


@plainly
def uploaded(path: str | None) -> tuple[Picture, Any]:
    if path is None:
        raise ValueError("no file was given")
    return _opened(pictures.uploaded(path))


def _opened(picture: Picture) -> tuple[Picture, Any]:
    asked = questions(picture)
    return picture, gr.update(choices=asked, value=asked[0])


def questions(picture: Picture) -> list[str]:
    return [text for text, _ in picture.asked] or list(QUESTIONS)


@plainly
def ask(
    state: Shown | None,
    picture: Picture | None,
    model: str,
    question: str | None,
    way: str,
    other: str,
    retain: int,
    block: int,
    picked: list[int],
) -> tuple[Any, ...]:
    picture = picture or pictures.example(FIRST)
    ways = [way, *([other] if other else [])]
    now = shown.show(model, picture, question or "", ways, int(retain or 0), state)
    same = state is not None and state.picture is picture and state.grid == now.grid
    if state is None or state.model != model:
        block = now.block
    picked = picked if same else []
    image, grid = picture.image, now.grid
    first, second = now.answers[1], now.answers[-1]
    return (
        now,
        picture,
        draw.panel(functools.partial(draw.attention, image, now.received[int(block) - 1])),
        gr.update(maximum=len(now.received), value=block),
        words.of_layer(now, int(block)),
        gr.update(
            value=draw.panel(functools.partial(draw.kept, image, first.fates, grid)),
            label=first.way,
        ),
        HINT_KEPT,
        gr.update(visible=bool(other)),
        gr.update(
            value=draw.panel(functools.partial(draw.kept, image, second.fates, grid))
            if other
            else None,
            label=second.way,
        ),
        HINT_KEPT,
        words.table(now.answers, dict(picture.asked).get(now.question, "")),
        words.notes(now),
        draw.panel(functools.partial(draw.picked, image, picked, grid)),
        picked,
        gr.update(maximum=grid * grid),
    )


@plainly
def layer(state: Shown | None, block: int) -> tuple[np.ndarray, str]:
    known = _known(state)
    weights = known.received[int(block) - 1]
    drawn = functools.partial(draw.attention, known.picture.image, weights)
    return draw.panel(drawn), words.of_layer(known, int(block))


@plainly
def attends(state: Shown | None, block: int, event: gr.SelectData) -> tuple[np.ndarray, str]:
    known = _known(state)
    return _outgoing(known, block, _patch(event, known))


@plainly
def brightest(state: Shown | None, block: int) -> tuple[np.ndarray, str]:
    known = _known(state)
    return _outgoing(known, block, int(known.received[int(block) - 1].argmax()))


def _outgoing(known: Shown, block: int, patch: int) -> tuple[np.ndarray, str]:
    weights = shown.attended(known, int(block), patch)
    drawn = functools.partial(draw.outgoing, known.picture.image, weights, patch)
    return draw.panel(drawn), words.of_attention(weights, patch, int(block))


@plainly
def merged(state: Shown | None, event: gr.SelectData) -> tuple[np.ndarray, str]:
    return _went(state, 1, event)


@plainly
def merged_other(state: Shown | None, event: gr.SelectData) -> tuple[np.ndarray, str]:
    return _went(state, 2, event)


def _patch(event: gr.SelectData, known: Shown) -> int:
    x, y = event.index
    return shown.patch_at(x, y, draw.SIDE, known.grid)


def _went(state: Shown | None, number: int, event: gr.SelectData) -> tuple[np.ndarray, str]:
    known = _known(state)
    fates = known.answers[number].fates
    assert fates is not None
    patch = _patch(event, known)
    drawn = functools.partial(draw.together, known.picture.image, fates, known.grid, patch)
    return draw.panel(drawn), words.of_patch(fates, patch, known.grid)


def _hand(known: Shown, picked: list[int], said: str = "") -> tuple[list[int], np.ndarray, str]:
    drawn = functools.partial(draw.picked, known.picture.image, picked, known.grid)
    return picked, draw.panel(drawn), said or f"{len(picked)} patches are picked."


@plainly
def pick(
    state: Shown | None, picked: list[int], brush: str, event: gr.SelectData
) -> tuple[list[int], np.ndarray, str]:
    known = _known(state)
    patch = _patch(event, known)
    return _hand(known, shown.toggled(picked, patch, BRUSHES[brush], known.grid))


@plainly
def none(state: Shown | None) -> tuple[list[int], np.ndarray, str]:
    return _hand(_known(state), [], HINT_HAND)


@plainly
def take(state: Shown | None) -> tuple[list[int], np.ndarray, str]:
    known = _known(state)
    fates = known.answers[1].fates
    assert fates is not None
    return _hand(known, np.flatnonzero(fates.stays).tolist())


@plainly
def by_hand(state: Shown | None, question: str, picked: list[int]) -> tuple[str, str]:
    known = _known(state)
    answered = shown.by_hand(known, question or "", picked)
    truth = dict(known.picture.asked).get(question, "")
    # The other rows answer what was asked before.
    others = known.answers if question == known.question else ()
    said = f"With these {len(picked)}: {answered.text}"
    return words.table([*others, answered], truth), said


@plainly
def files(state: Shown | None, block: int) -> tuple[str, str]:
    known = _known(state)
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
    attended = (f"attention, layer {block}", known.received[int(block) - 1])
    drawn = functools.partial(
        draw.figure, known.picture.image, known.grid, known.question, attended, known.answers
    )
    (folder / "vzlib.pdf").write_bytes(draw.pdf(drawn))
    values = settings.parameters(
        known.picture,
        known.model,
        known.ways[0],
        known.retain,
        known.question,
        known.answers[0].text,
    )
    text = settings.written(known.picture, known.ways[0], values)
    (folder / "settings.yaml").write_text(text, encoding="utf-8")
    return str(folder / "vzlib.pdf"), str(folder / "settings.yaml")
