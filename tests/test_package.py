"""The built package works without the repository: another folder, no source tree on the path."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vzlib.paths import REPOSITORY
from vzlib.scenes import ask, make

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """An environment with vzlib installed from its wheel, which borrows the other packages."""
    place = tmp_path_factory.mktemp("package")
    source = place / "source"  # what git keeps, so that no leftover of an earlier build gets in
    source.mkdir()
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, check=True,
    ).stdout.split(b"\0")  # fmt: skip
    for name in map(os.fsdecode, filter(None, files)):
        if (REPOSITORY / name).is_file() and not name.startswith("checkpoints/dino"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", place, source], check=True)
    environment = place / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    (wheel,) = place.glob("*.whl")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return environment / "bin" / "vzlib"


def run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ours = ("VZLIB_", "PYTHONPATH")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    environment |= {"HOME": str(cwd), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [installed, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_it_answers_in_another_folder(installed, tmp_path):
    scene = make(1, "test")
    Image.fromarray(np.asarray(scene.image)).save(tmp_path / "x.png")
    question = ask(scene)[0]
    said = run(installed, tmp_path, "ask", "pico", "--image", "x.png", question.text)
    assert said.returncode == 0, said.stderr
    told = dict(line.split(maxsplit=1) for line in said.stdout.splitlines()[-2:])
    assert told == {"question": question.text, "answer": question.answer}
    assert os.listdir(tmp_path) == ["x.png"]  # asking writes nothing


def test_it_knows_its_folders_and_refuses_a_model_that_it_has_not(installed, tmp_path):
    said = run(installed, tmp_path, "where").stdout
    package = next(installed.parents[1].glob("lib/python*/site-packages/vzlib"))
    assert f"notebooks   {package}/shipped/notebooks\n" in said
    assert f"results     {tmp_path}/.vzlib/results\n" in said
    assert str(REPOSITORY) not in said
    assert sum(1 for _ in (package / "shipped" / "measured").rglob("*.parquet")) > 50
    refused = run(installed, tmp_path, "ask", "dino")
    assert refused.returncode == 2
    assert refused.stderr.startswith("model 'dino' is in the repository of vzlib, not in the ins")
    assert "export VZLIB_HOME=" in refused.stderr
