"""The measurements that ship with the repository, in measured/, in the store's own format.

Where the key is the same they are as good as those of one's own store. Where nothing may be
computed, as by `make figures`, they are found by what was measured (experiment, settings, weights
and data) whatever code measured it, in which numbers and on which device: a figure of a fresh clone
is then the one that is committed, on any machine. `outdated` tells which are of earlier code.
"""

import functools
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from vzlib.paths import MEASURED
from vzlib.results import durable, sources
from vzlib.results.entry import canonical, key_of, provenance_of, read

OFF = "VZLIB_SHIPPED"  # 0: what ships is measured again, not read
USED = "VZLIB_USED"  # a file to which every entry that is read is added, a folder a line


def find(ingredients: Mapping[str, Any], exactly: bool) -> pd.DataFrame | None:
    """The rows that ship for a point, if there are any.

    exactly: of this very code, device and dtype. Raises DamagedEntry for one that was altered.
    """
    folder = MEASURED / ingredients["experiment"] / key_of(ingredients)
    if not exactly and not folder.is_dir():
        folder = _by_content(MEASURED).get(_content(ingredients), folder)
    return read(folder) if folder.is_dir() else None


def values(experiment: str, setting: str) -> list[Any]:
    """The values of a setting among the entries of an experiment that ship."""
    records = map(provenance_of, sorted(MEASURED.glob(f"{experiment}/*/")))
    return list(dict.fromkeys(record["settings"].get(setting) for record in records))


def note(tables: Iterable[pd.DataFrame]) -> None:
    """Add the entries of tables to the file that $VZLIB_USED names, if it names one."""
    if file := os.environ.get(USED):
        with open(file, "a", encoding="utf-8") as out:
            out.write("".join(f"{table.attrs['folder']}\n" for table in tables))


def outdated() -> list[Path]:
    """The entries that ship and that the present code would not produce."""
    return [folder for folder in _entries(MEASURED) if not _is_of_this_code(folder)]


def publish(used: Iterable[Path]) -> int:
    """Let these entries, and no others, ship; returns how many they are.

    measured/ is made anew aside and takes the old one's place at the end.
    """
    aside, before = MEASURED.with_name(".measured.aside"), MEASURED.with_name(".measured.before")
    for left in (aside, before):
        shutil.rmtree(left, ignore_errors=True)
    chosen = dict.fromkeys(used)
    for folder in chosen:
        shutil.copytree(folder, aside / folder.parent.name / folder.name)
    if MEASURED.exists():
        MEASURED.rename(before)
    durable.publish(aside, MEASURED)
    shutil.rmtree(before, ignore_errors=True)
    _by_content.cache_clear()
    return len(chosen)


@functools.cache
def _by_content(root: Path) -> dict[str, Path]:
    return {_content(provenance_of(folder)): folder for folder in _entries(root)}


def _content(record: Mapping[str, Any]) -> str:
    """What was measured: behind the weights, a model's fingerprint says how they compute."""
    weights = (record["model"] or "").partition(" ")[0]
    return canonical([record["experiment"], record["settings"], weights, record["data"]])


def _entries(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.glob("*/*/")) if path.is_dir())


def _is_of_this_code(folder: Path) -> bool:
    record = provenance_of(folder)
    module = str(record["function"]).partition(":")[0]
    return record["source"] == sources.of_module(module, uses=frozenset(record["uses"]))
