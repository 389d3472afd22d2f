"""The page: what stands where, and what a click or a slider asks for. Computes nothing itself."""

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from vzlib.viewer import draw, pictures, settings, shown, words
from vzlib.viewer.asking import methods
from vzlib.viewer.pictures import Picture
from vzlib.viewer.shown import Shown

INTRO = """<div class="intro"><h1>Which tokens of an image does an answer need?</h1>
<p>A vision encoder cuts an image into patches, one token each, and attends to few of them.
<b>VisionZip</b> keeps these, merges the others into a handful, and hands only those to the language
model. Choose an image, ask, move the budget, and see what is kept and what is lost.</p></div>"""
FIRST = "rocket"
QUESTIONS = (  # about an image of which nothing is known
    "is there a rocket ?",
    "which animal is there ?",
    "which vehicle is there ?",
    "is there a red circle ?",
)
RETAIN = 64
CSS = Path(__file__).with_name("page.css")
HINT_KEPT = (
    "Framed in black: stays as it is. One colour: merged into one token, at the white frame. "
    "Pale: left out. Click a patch to see what it merged with."
)
HINT_HAND = "Click patches to pick them; a click on a picked one takes it back."
BRUSHES = {"1 patch": 1, "3 x 3": 3, "5 x 5": 5}
MODEL = {"concurrency_id": "model", "concurrency_limit": 1}  # one question at a time


def page(models: Sequence[str], model: str) -> gr.Blocks:
    """The page, for these models, the named one first. Nothing is loaded before it is opened."""
    with gr.Blocks(
        title="vzlib", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)
    ) as blocks:
        _lay_out(blocks, models, model)
    return blocks


def _lay_out(blocks: gr.Blocks, models: Sequence[str], model: str) -> None:
    names, ways = pictures.examples(), list(methods().items())
    first = _questions(pictures.example(FIRST))
    state = gr.State(None)
    picture = gr.State(None)
    picked = gr.State([])
    gr.HTML(INTRO)
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=290):
            gallery = gr.Gallery(
                [(draw.small(pictures.example(name).image, 96), name) for name in names],
                label="Images",
                columns=5,
                object_fit="cover",
                allow_preview=False,
                interactive=False,
                buttons=[],
                elem_id="examples",
            )
            file = gr.File(
                label=f"or one of your own, up to {pictures.MEGABYTES} MB",
                file_types=["image"],
                height=120,
                elem_id="file",
            )
            asked = gr.Dropdown(
                first,
                value=first[0],
                label="Question",
                info="choose one, or write your own",
                allow_custom_value=True,
                elem_id="question",
            )
            go = gr.Button("Ask", variant="primary", elem_id="ask")
            chosen = gr.Dropdown(list(models), value=model, label="Model", elem_id="model")
            way = gr.Dropdown(
                ways,
                value="visionzip",
                label="Method",
                info="or as in vispruner(important=0.3)",
                allow_custom_value=True,
                elem_id="method",
            )
            other = gr.Dropdown(
                [("nothing", ""), *ways],
                value="",
                label="Compare with",
                allow_custom_value=True,
                elem_id="other",
            )
            retain = gr.Slider(
                1, 576, RETAIN, step=1, label="Budget: visual tokens", elem_id="retain"
            )
            as_pdf = gr.DownloadButton("Picture as PDF", size="sm", elem_id="pdf")
            as_yaml = gr.DownloadButton("Settings for notebook 00", size="sm", elem_id="yaml")
        with gr.Column(scale=8):
            with gr.Row(equal_height=False):
                with gr.Column(min_width=200):
                    attention = _panel("Attention that patches receive", "attention")
                    block = gr.Slider(1, 12, 11, step=1, label="Layer", elem_id="layer")
                    of_layer = gr.HTML(elem_classes="said", elem_id="of-layer")
                with gr.Column(min_width=200):
                    kept = _panel("Tokens that stay", "kept")
                    of_kept = gr.HTML(elem_classes="said", elem_id="of-kept")
                with gr.Column(min_width=200, visible=False) as second:
                    kept_other = _panel("Tokens that stay", "kept-other")
                    of_other = gr.HTML(elem_classes="said", elem_id="of-other")
            answers = gr.HTML(elem_id="answers")
            notes = gr.HTML(elem_classes="said", elem_id="notes")
            with gr.Row(equal_height=False):
                with gr.Column(min_width=240):
                    gr.HTML('<h3 class="part">Where a patch attends</h3>')
                    outgoing = _panel("Its attention", "outgoing")
                    of_patch = gr.HTML(
                        "Click a patch in the picture of attention.",
                        elem_classes="said",
                        elem_id="of-patch",
                    )
                with gr.Column(min_width=240):
                    gr.HTML('<h3 class="part">Pick tokens by hand</h3>')
                    hand = _panel("Patches that are picked", "hand")
                    brush = gr.Radio(
                        list(BRUSHES), value="3 x 3", label="A click takes", elem_id="brush"
                    )
                    with gr.Row():
                        clear = gr.Button("None", size="sm", elem_id="clear")
                        take = gr.Button("Those of the method", size="sm", elem_id="take")
                        ask_hand = gr.Button(
                            "Ask with these", size="sm", variant="primary", elem_id="ask-hand"
                        )
                    of_hand = gr.HTML(HINT_HAND, elem_classes="said", elem_id="of-hand")

    asking = [state, picture, chosen, asked, way, other, retain, block, picked]
    told = [state, picture, attention, block, of_layer, kept, of_kept, second, kept_other, of_other, answers,
            notes, hand, picked, retain]  # fmt: skip
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    common: dict[str, Any] = {"fn": _ask, "inputs": asking, "outputs": told, **MODEL,
                              "show_progress_on": answers}  # fmt: skip
    files: dict[str, Any] = {"fn": _files, "inputs": [state, block], "outputs": [as_pdf, as_yaml]}
    attends: dict[str, Any] = {"inputs": [state, block], "outputs": [outgoing, of_patch], **MODEL}

    chosen_image = (
        gallery.select(_example, None, [picture, asked], **hidden),
        file.upload(_uploaded, file, [picture, asked], show_progress="hidden", api_name="upload"),
        chosen.input(lambda: [], None, [picked], **hidden),  # patches of another grid
    )
    opened = [each.success(**common, api_visibility="private") for each in chosen_image]
    opened.append(blocks.load(**common, api_visibility="private"))
    for event in opened:
        event.success(_brightest, **attends, **hidden).success(**files, **hidden)
    changes = [go.click, asked.input, way.input, other.input, retain.release]
    gr.on(changes, **common, api_name="ask", trigger_mode="always_last").success(**files, **hidden)

    block.input(_layer, [state, block], [attention, of_layer], trigger_mode="always_last", **hidden)
    attention.select(_attends, **attends, **hidden)
    kept.select(_merged, [state], [kept, of_kept], **hidden)
    kept_other.select(_merged_other, [state], [kept_other, of_other], **hidden)
    hands: dict[str, Any] = {"outputs": [picked, hand, of_hand], **hidden}
    hand.select(_pick, [state, picked, brush], **hands)
    clear.click(_none, [state], **hands)
    take.click(_take, [state], **hands)
    ask_hand.click(
        _by_hand,
        [state, asked, picked],
        [answers, of_hand],
        **MODEL,
        show_progress_on=answers,
        api_visibility="private",
    )


def _panel(label: str, name: str) -> gr.Image:
    return gr.Image(
        label=label,
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_classes="panel",
        elem_id=name,
    )


def _clear(function: Callable[..., Any]) -> Callable[..., Any]:
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


@_clear
def _example(event: gr.SelectData) -> tuple[Picture, Any]:
    return _opened(pictures.example(pictures.examples()[event.index]))


@_clear
def _uploaded(path: str | None) -> tuple[Picture, Any]:
    if path is None:
        raise ValueError("no file was given")
    return _opened(pictures.uploaded(path))


def _opened(picture: Picture) -> tuple[Picture, Any]:
    asked = _questions(picture)
    return picture, gr.update(choices=asked, value=asked[0])


def _questions(picture: Picture) -> list[str]:
    return [text for text, _ in picture.asked] or list(QUESTIONS)


@_clear
def _ask(
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
    now = shown.show(model, picture, question or "", ways, int(retain), state)
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


@_clear
def _layer(state: Shown | None, block: int) -> tuple[np.ndarray, str]:
    known = _known(state)
    weights = known.received[int(block) - 1]
    drawn = functools.partial(draw.attention, known.picture.image, weights)
    return draw.panel(drawn), words.of_layer(known, int(block))


@_clear
def _attends(state: Shown | None, block: int, event: gr.SelectData) -> tuple[np.ndarray, str]:
    known = _known(state)
    return _outgoing(known, block, _patch(event, known))


@_clear
def _brightest(state: Shown | None, block: int) -> tuple[np.ndarray, str]:
    known = _known(state)
    return _outgoing(known, block, int(known.received[int(block) - 1].argmax()))


def _outgoing(known: Shown, block: int, patch: int) -> tuple[np.ndarray, str]:
    weights = shown.attended(known, int(block), patch)
    drawn = functools.partial(draw.outgoing, known.picture.image, weights, patch)
    return draw.panel(drawn), words.of_attention(weights, patch, int(block))


@_clear
def _merged(state: Shown | None, event: gr.SelectData) -> tuple[np.ndarray, str]:
    return _went(state, 1, event)


@_clear
def _merged_other(state: Shown | None, event: gr.SelectData) -> tuple[np.ndarray, str]:
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


@_clear
def _pick(
    state: Shown | None, picked: list[int], brush: str, event: gr.SelectData
) -> tuple[list[int], np.ndarray, str]:
    known = _known(state)
    patch = _patch(event, known)
    return _hand(known, shown.toggled(picked, patch, BRUSHES[brush], known.grid))


@_clear
def _none(state: Shown | None) -> tuple[list[int], np.ndarray, str]:
    return _hand(_known(state), [], HINT_HAND)


@_clear
def _take(state: Shown | None) -> tuple[list[int], np.ndarray, str]:
    known = _known(state)
    fates = known.answers[1].fates
    assert fates is not None
    return _hand(known, np.flatnonzero(fates.stays).tolist())


@_clear
def _by_hand(state: Shown | None, question: str, picked: list[int]) -> tuple[str, str]:
    known = _known(state)
    answered = shown.by_hand(known, question or "", picked)
    truth = dict(known.picture.asked).get(question, "")
    # The other rows answer what was asked before.
    others = known.answers if question == known.question else ()
    said = f"With these {len(picked)}: {answered.text}"
    return words.table([*others, answered], truth), said


@_clear
def _files(state: Shown | None, block: int) -> tuple[str, str]:
    known = _known(state)
    folder = Path(tempfile.mkdtemp(prefix="vzlib-"))
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
