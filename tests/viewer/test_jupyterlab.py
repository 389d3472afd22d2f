"""`vzlib.show` in a real JupyterLab in headless Chromium, on pico; run by `make test-viewer`."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from vzlib.paths import REPOSITORY
from vzlib.viewer.pictures import example

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="make test-viewer has playwright")
pytest.importorskip("jupyterlab", reason="the extra lab")

SHOWN = """\
import vzlib
loaded = vzlib.load("pico")
zipped = vzlib.zip_model(loaded.model, loaded.processor, retain=64)
vzlib.show(zipped, "scene.png", "{question}")
"""
PATIENCE = 120_000  # milliseconds, on a busy machine


@pytest.fixture
def lab(tmp_path):
    """The address of a notebook in JupyterLab, which runs where it is installed."""
    picture = example("scenes 5")
    Image.fromarray(picture.image).save(tmp_path / "scene.png")
    cell = new_code_cell(SHOWN.format(question=picture.asked[0][0]))
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)"}  # else it asks which
    notebook = new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "show.ipynb")
    python = Path(importlib.util.find_spec("jupyterlab").origin).parents[4] / "bin" / "python"
    own = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "RUNTIME", "DATA")}
    environment = {**os.environ, **own, "PYTHONPATH": str(REPOSITORY)}
    said = tmp_path / "said.txt"
    with said.open("w") as out:
        process = subprocess.Popen(
            [python, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
             f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url=None",
             "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
            cwd=tmp_path, env=environment, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            for _ in range(600):
                found = re.search(r"(http://127\.0\.0\.1:\d+)/lab\?token=(\w+)", said.read_text())
                if found or process.poll() is not None:
                    break
                time.sleep(0.2)
            assert found, said.read_text()
            yield f"{found[1]}/lab/tree/show.ipynb?token={found[2]}", tmp_path / "show.ipynb"
        finally:
            process.terminate()
            process.wait(20)


def test_the_widget_answers_to_clicks_and_leaves_a_picture_in_the_file(lab):
    address, file = lab
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1300})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator(".jp-Notebook .cm-content").first.click()
        page.locator(
            ".jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status=idle]"
        ).wait_for()
        page.keyboard.press("Shift+Enter")
        output = page.locator(".jp-Notebook .jp-OutputArea-output")
        slider = output.locator("input[type=range]")
        slider.wait_for()
        assert "64" in output.locator("table.answers").inner_text()
        kept = output.locator("img").nth(1)
        before = kept.get_attribute("src")
        box = kept.bounding_box()
        page.mouse.click(box["x"] + box["width"] * 5.5 / 24, box["y"] + box["height"] * 2.5 / 24)
        output.get_by_text("Row 3, column 6:").wait_for()
        assert kept.get_attribute("src") != before
        slider.focus()
        page.keyboard.press("End")
        output.get_by_text("576 patches as they are").wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("Control+s")
        saved: list = []
        for _ in range(100):
            with contextlib.suppress(json.JSONDecodeError):  # it is being written
                saved = json.loads(file.read_text(encoding="utf-8"))["cells"][0]["outputs"]
            if saved:
                break
            page.wait_for_timeout(200)
        browser.close()
    # Before it stands the progress of loading.
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(saved[-1]["data"])
