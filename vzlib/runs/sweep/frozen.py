"""A copy of the code that a run uses, so that edits during the run change nothing in it."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from vzlib.paths import CHECKPOINTS, PAPER, REPOSITORY
from vzlib.results import durable, provenance
from vzlib.runs.sweep import places

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def freeze(notebook: Path, folder: Path) -> Path:
    """Copy vzlib, the paper's tables, Snakefile and `notebook` below `folder`, once per content.

    The copy is named by the hash of its files and appears by one rename. Checkpoints are linked:
    they are large, and a result names the one that made it.
    """
    aside = folder / f".{os.getpid()}"
    for left in folder.glob(".*"):  # by a coordinator that was killed
        shutil.rmtree(left)
    try:
        _copy(notebook, aside)
        digest = hashlib.sha256()
        for path in sorted(path for path in aside.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(aside)} {path.stat().st_size} ".encode())
            digest.update(path.read_bytes())
        copy = folder / digest.hexdigest()[:12]
        if not copy.exists():
            durable.publish(aside, copy)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # one copy is enough; half of one is of no use
    return copy


def _copy(notebook: Path, target: Path) -> None:
    shutil.copytree(REPOSITORY / "vzlib", target / "vzlib", ignore=IGNORED)
    shutil.copytree(PAPER, target / PAPER.relative_to(REPOSITORY), ignore=IGNORED)
    (target / "notebooks").mkdir()
    shutil.copy(notebook, target / "notebooks")
    shutil.copy(REPOSITORY / "Snakefile", target)
    state = json.dumps(provenance.commit())
    (target / provenance.FROZEN).write_text(state, encoding="utf-8")
    (target / CHECKPOINTS.name).symlink_to(CHECKPOINTS)


def remove_unused(run: Path, kept: Path) -> None:
    """Remove the copies of a sweep's earlier runs, except those that a job still uses.

    Such jobs are left from a coordinator that was killed, on this machine or in a cluster.
    """
    for copy in kept.parent.glob("[!.]*"):
        if copy != kept:
            with durable.try_lock(places.code_lock(run, copy)) as lock:
                if lock:
                    durable.remove(copy, copy.with_name(f".{copy.name}"))
