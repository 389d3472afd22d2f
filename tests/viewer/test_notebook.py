"""`vzlib.show`: a picture anywhere, a widget that answers where there is a kernel."""

import base64
import io

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

import vzlib
from tests import tiny
from vzlib.methods.fastv import FastV
from vzlib.viewer.notebook import free, show

QUESTION = "what is left in image ?"


@pytest.fixture(scope="module")
def model():
    return tiny.llava(image_size=48)


def test_without_a_kernel_it_is_a_picture_and_the_model_stays_zipped(model):
    image = Image.new("RGB", (80, 50), "red")
    with vzlib.zip_model(*model, retain=20, method="divprune") as zipped:
        displayed = vzlib.show(zipped, image, QUESTION)
        assert displayed.widget is None
        bundle = displayed._repr_mimebundle_()
        assert list(bundle) == ["image/png"]
        drawn = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
        assert drawn.size[0] > 900
        every, few = displayed.answers
        assert (every.tokens, few.tokens) == (36, 20)
        assert int(few.fates.stays.sum()) == 20 and every.fates.stays.all()
        inputs = zipped.processor(images=image, text="<image> what", return_tensors="pt")
        assert int((inputs["input_ids"] == model[0].config.image_token_id).sum()) == 20
        zipped.model(**inputs)
        assert zipped.tokens.places.shape == (1, 20)
    stock = vzlib.answer(*model, image.crop((15, 0, 65, 50)), QUESTION, max_new_tokens=16)
    assert stock == every.text


def test_what_cannot_be_shown_is_said(model):
    image = np.zeros((9, 9, 3), np.uint8)
    with vzlib.zip_model(model[0], retain=20) as zipped:
        with pytest.raises(ValueError, match="needs the processor"):
            show(zipped, image)
        with pytest.raises(ValueError, match="no question"):
            show(zipped, image, "")


def test_a_method_inside_is_freed_of_its_budget():
    fitted = FastV().for_average(30, 6, 36).method
    assert free(fitted) == FastV() != fitted


@pytest.mark.slow
def test_in_a_kernel_slider_and_clicks_change_what_is_seen(tmp_path):
    """A notebook is executed, its widget moved and clicked as the browser would."""
    cells = [
        "import numpy as np, vzlib\n"
        "from tests import tiny\n"
        "image = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)\n"
        "zipped = vzlib.zip_model(*tiny.llava(image_size=48), retain=20)",
        f"shown = vzlib.show(zipped, image, {QUESTION!r})\nshown",
        "cell = shown.widget\n"
        "before = cell.kept, cell.attention\n"
        "cell.retain = 9\n"
        "assert cell.kept != before[0] and '>9<small>' in cell.answers\n"
        "cell.clicked = ['kept', 14]\n"
        "assert 'Row 3, column 3' in cell.of_kept\n"
        "cell.clicked = ['attention', 14]\n"
        "assert cell.attention != before[1] and 'Row 3, column 3' in cell.of_attention\n"
        "cell.retain = 36\n"
        "assert zipped.retain == 20\n"
        "print(cell.answers.count('<tr>'))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    done = NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (shown,) = done.cells[1].outputs
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(shown.data)
    assert done.cells[2].outputs[0].text.strip() == "3"
    state = done.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    assert any("attention" in each["state"] for each in state.values())
