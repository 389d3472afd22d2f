"""A copy of the code that a run uses, so that edits during the run change nothing in it."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from vzlib import durable, provenance
from vzlib.paths import CHECKPOINTS, PAPER, REPOSITORY

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def freeze(notebook: Path, folder: Path) -> Path:
    """Copy vzlib, the paper's tables, Snakefile and `notebook` below `folder`, once per content.

    The copy is named by the hash of its files and appears by one rename. Checkpoints are linked:
    they are large, and a result names the one that made it.
    """
    aside = folder / f".{os.getpid()}"
    for left in folder.glob(".*"):  # by a coordinator that was killed
        shutil.rmtree(left)
    shutil.copytree(REPOSITORY / "vzlib", aside / "vzlib", ignore=IGNORED)
    shutil.copytree(PAPER, aside / PAPER.relative_to(REPOSITORY), ignore=IGNORED)
    (aside / "notebooks").mkdir()
    shutil.copy(notebook, aside / "notebooks")
    shutil.copy(REPOSITORY / "Snakefile", aside)
    state = json.dumps(provenance.commit())
    (aside / provenance.FROZEN).write_text(state, encoding="utf-8")
    (aside / CHECKPOINTS.name).symlink_to(CHECKPOINTS)
    digest = hashlib.sha256()
    for path in sorted(path for path in aside.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(aside)} {path.stat().st_size} ".encode())
        digest.update(path.read_bytes())
    copy = folder / digest.hexdigest()[:12]
    if copy.exists():
        shutil.rmtree(aside)
    else:
        durable.publish(aside, copy)
    return copy
