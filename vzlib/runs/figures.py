"""The index of saved figures and tables: python -m vzlib.runs.figures writes it as README.md."""

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from vzlib.notebooks import analysis, command, find, title
from vzlib.parameters import settings_class
from vzlib.plotting.save import folder
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
    notebooks = {settings_class(analysis(path.stem)).__name__: path.stem for path in find()}
    found = []
    for path in sorted(place.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if "settings_class" in record:
            notebook = notebooks.get(record["settings_class"])
            caption = record.get("caption", "")
            found.append(Drawn(path.stem, record["files"], record["settings"], caption, notebook))
    return sorted(found, key=lambda one: (one.notebook or "", one.name))


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
    return "\n".join([*parts, *map(_benchmark, sorted(place.glob("bench_*.json")))])


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
    """The last run of `make bench` on one device."""
    record = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        {
            "what": row["what"],
            "value [95 %]": f"{row['value']} [{row['low']}, {row['high']}]" if row["value"] else "",
            "bar": row["bar"],
            "outcome": row["outcome"],
            "rounds": row["n"],
            "details": row["details"],
        }
        for row in record["rows"]
    ]
    threads, dtype = record["threads"], record["dtype"]
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    head = f"`make bench`, {threads} threads, {dtype}: [{path.name}]({path.name})"
    return f"## Benchmark: {record['device']}\n\n{head}\n\n{table}\n"


def main() -> int:
    """Write the index of the folder that figures go to."""
    place = folder()
    durable.write_whole(place / "README.md", page(place))
    print(f"{len(drawn(place))} figures and tables in {place / 'README.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
