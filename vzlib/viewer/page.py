"""The page: what stands where, and which event changes what."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from vzlib.viewer import draw, events, pictures
from vzlib.viewer.asking import methods

INTRO = """<div class="intro"><h1>Which tokens of an image does an answer need?</h1>
<p>A vision encoder cuts an image into patches, one token each, and attends to few of them.
<b>VisionZip</b> keeps these, merges the others into a handful, and hands only those to the language
model. Choose an image, ask, move the budget, and see what is kept and what is lost.</p></div>"""
RETAIN = 64
CSS = Path(__file__).with_name("page.css")
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
    first = events.questions(pictures.example(events.FIRST))
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
                height=140,
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
                        list(events.BRUSHES), value="3 x 3", label="A click takes", elem_id="brush"
                    )
                    with gr.Row():
                        clear = gr.Button("None", size="sm", elem_id="clear")
                        take = gr.Button("Those of the method", size="sm", elem_id="take")
                        ask_hand = gr.Button(
                            "Ask with these", size="sm", variant="primary", elem_id="ask-hand"
                        )
                    of_hand = gr.HTML(events.HINT_HAND, elem_classes="said", elem_id="of-hand")

    asking = [state, picture, chosen, asked, way, other, retain, block, picked]
    told = [state, picture, attention, block, of_layer, kept, of_kept, second, kept_other,
            of_other, answers, notes, hand, picked, retain]  # fmt: skip
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    common: dict[str, Any] = {"fn": events.ask, "inputs": asking, "outputs": told, **MODEL,
                              "show_progress_on": answers}  # fmt: skip
    files: dict[str, Any] = {
        "fn": events.files,
        "inputs": [state, block],
        "outputs": [as_pdf, as_yaml],
    }
    attends: dict[str, Any] = {"inputs": [state, block], "outputs": [outgoing, of_patch], **MODEL}

    chosen_image = (
        gallery.select(events.example, None, [picture, asked], **hidden),
        file.upload(
            events.uploaded, file, [picture, asked], show_progress="hidden", api_name="upload"
        ),
        chosen.input(lambda: [], None, [picked], **hidden),  # patches of another grid
    )
    opened = [each.success(**common, api_visibility="private") for each in chosen_image]
    opened.append(blocks.load(**common, api_visibility="private"))
    for event in opened:
        event.success(events.brightest, **attends, **hidden).success(**files, **hidden)
    changes = [go.click, asked.input, way.input, other.input, retain.release]
    gr.on(changes, **common, api_name="answers", trigger_mode="always_last").success(
        **files, **hidden
    )

    block.input(
        events.layer, [state, block], [attention, of_layer], trigger_mode="always_last", **hidden
    )
    attention.select(events.attends, **attends, **hidden)
    kept.select(events.merged, [state], [kept, of_kept], **hidden)
    kept_other.select(events.merged_other, [state], [kept_other, of_other], **hidden)
    hands: dict[str, Any] = {"outputs": [picked, hand, of_hand], **hidden}
    hand.select(events.pick, [state, picked, brush], **hands)
    clear.click(events.none, [state], **hands)
    take.click(events.take, [state], **hands)
    ask_hand.click(
        events.by_hand,
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
