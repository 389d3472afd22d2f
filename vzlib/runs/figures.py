"""The index of saved figures and tables, written as README.md beside them."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from vzlib.notebooks import analysis, command, find, title
from vzlib.parameters import settings_class
from vzlib.plotting.save import UNFINISHED, record
from vzlib.results import durable

HEAD = """# Figures and tables

Written by the notebooks, from measured rows: figures as PDF and PNG, tables as Markdown and LaTeX,
the data behind each as CSV. Where the data are the same, so is every byte. `make figures` redraws
all of it from stored results; the command beside each measures what the store lacks. This page is
written by `vzlib/runs/figures.py`.
"""
WIDTH = 420  # of a thumbnail, in pixels


class Drawn(NamedTuple):
    """A figure or a table that was saved.

    caption: of a table; empty for a figure. notebook: its stem; None if none has these settings.
    """

    name: str
    files: list[str]
    settings: dict[str, Any]
    caption: str
    notebook: str | None


def drawn(place: Path) -> list[Drawn]:
    """What was saved in a folder, by notebook and name."""
    records = {path.stem: record(path) for path in sorted(place.glob("*.json"))}
    said = {
        name: one
        for name, one in records.items()
        if one and UNFINISHED not in one and _all_there(place, one["files"])
    }
    if not said:
        return []
    notebooks = {settings_class(analysis(path.stem)).__name__: path.stem for path in find()}
    found = [
        Drawn(
            name,
            one["files"],
            one["settings"],
            str(one.get("caption", "")),
            notebooks.get(one["settings_class"]),
        )
        for name, one in said.items()
    ]
    return sorted(found, key=lambda one: (one.notebook or "", one.name))


def _all_there(place: Path, files: list[str]) -> bool:
    return all((place / file).is_file() for file in files)


def page(place: Path) -> str:
    """The index of a folder, as Markdown."""
    parts = [HEAD]
    for notebook, group in groupby(drawn(place), lambda one: one.notebook):
        parts.append(f"## {title(notebook) if notebook else 'Of no notebook'}\n")
        for settings, same in groupby(group, lambda one: one.settings):
            if notebook:
                parts.append(f"`{command(notebook, settings)}`\n")
            parts.append(_settings(settings))
            parts += [_entry(one) for one in same]
    return "\n".join([*parts, *filter(None, map(_benchmark, _benchmarks(place)))])


def _benchmarks(place: Path) -> list[Path]:
    return sorted(place.glob("bench_*.json"))


def _settings(settings: dict[str, Any]) -> str:
    pairs = (
        f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items()
    )
    return f"Settings: {'; '.join(pairs)}\n"


def _entry(one: Drawn) -> str:
    links = ", ".join(f"[{file}]({file})" for file in one.files)
    if one.caption:
        return f"**{one.name}**: {one.caption} {links}\n"
    picture = f'<a href="{one.name}.pdf"><img src="{one.name}.png" width="{WIDTH}"></a>'
    return f"**{one.name}**: {links}\n\n{picture}\n"


def _benchmark(path: Path) -> str:
    """The last run of `make bench` on one device; empty for a file that is none."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        threads, dtype, device = said["threads"], said["dtype"], said["device"]
        rows = [
            {
                "what": row["what"],
                "value [95 %]": f"{row['value']} [{row['low']}, {row['high']}]"
                if row["value"]
                else "",
                "bar": row["bar"],
                "outcome": row["outcome"],
                "rounds": row["n"],
                "details": row["details"],
            }
            for row in said["rows"]
        ]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ""
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    head = f"`make bench`, {threads} threads, {dtype}: [{path.name}]({path.name})"
    return f"## Benchmark: {device}\n\n{head}\n\n{table}\n"


def write_index(place: Path) -> Path | None:
    """Write the index of a folder; returns where, or None if nothing is drawn there.

    A README.md of somebody's own is left alone: then it is `figures.md`.

    Raises:
        ValueError: that is somebody's own, too.
    """
    if not drawn(place) and not any(map(_benchmark, _benchmarks(place))):
        return None
    for path in (place / "README.md", place / "figures.md"):
        if _is_ours(path):
            durable.write_whole(path, page(place))
            return path
    raise ValueError(f"{place} has a README.md and a figures.md of its own: no index is written")


def _is_ours(path: Path) -> bool:
    """Whether there is no such file, or it is an index that was written here."""
    try:
        head = path.read_text(encoding="utf-8")[: len(HEAD)]
    except FileNotFoundError:
        return not path.is_symlink()
    except (OSError, ValueError):
        return False
    return head.startswith(HEAD.splitlines()[0]) and "/figures.py`" in head
