"""A copy of the code that a run uses, so that edits during the run change nothing in it."""

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from vzlib.paths import CHECKPOINTS, INSTALLED, PACKAGE, PAPER, SHIPPED
from vzlib.results import durable, provenance
from vzlib.runs.sweep import places

START = "from vzlib.__main__ import main\n\nraise SystemExit(main())\n"
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
    # Contents without modes: the copy of a checkout that can only be read is to be removed later.
    plain: Any = {"ignore": IGNORED, "copy_function": shutil.copyfile}
    shutil.copytree(PACKAGE, target / "vzlib", **plain)
    if not INSTALLED:  # else it is in the package, and so are checkpoints
        shutil.copytree(PAPER, target / PAPER.relative_to(SHIPPED), **plain)
    (target / "notebooks").mkdir()
    shutil.copyfile(notebook, target / "notebooks" / notebook.name)
    shutil.copyfile(SHIPPED / "Snakefile", target / "Snakefile")
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(folder.stat().st_mode | stat.S_IRWXU)  # copytree gives folders their modes
    # Python runs a folder by this file, and then imports from there, whatever the folder's name.
    (target / "__main__.py").write_text(START, encoding="utf-8")
    state = json.dumps(provenance.commit())
    (target / provenance.FROZEN).write_text(state, encoding="utf-8")
    if not INSTALLED:
        (target / CHECKPOINTS.name).symlink_to(CHECKPOINTS)


def remove_unused(run: Path, kept: Path) -> None:
    """Remove the copies of a sweep's earlier runs, except those that a job still uses.

    Such jobs are left from a coordinator that was killed, on this machine or in a cluster.
    """
    for copy in kept.parent.glob("[!.]*"):
        if copy != kept:
            with durable.try_lock(places.code_lock(run, copy)) as lock:
                if lock:
                    _make_writable(copy)  # earlier versions copied modes, too
                    durable.remove(copy, copy.with_name(f".{copy.name}"))


def _make_writable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(path.stat().st_mode | stat.S_IRWXU)
