"""Write a figure, the data behind it and what made it: the same bytes whenever the data are."""

import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from pydantic import BaseModel

from vzlib import results
from vzlib.paths import from_environment
from vzlib.plotting.digits import STEADY, deserved
from vzlib.plotting.style import STYLE, in_style
from vzlib.results import durable

# Times and versions would change the bytes without changing the figure.
NOT_WRITTEN = {
    "pdf": dict.fromkeys(("CreationDate", "ModDate", "Creator", "Producer")),
    "png": {"Software": None},
}
UNFINISHED = "unfinished"  # in the record of a figure while its files are written

Data = pd.DataFrame | Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Saved:
    """The pictures of a figure; as the last value of a notebook cell it shows the figure."""

    pdf: Path
    png: Path
    width: float

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.png.read_bytes(), {"width": round(self.width * STYLE["figure.dpi"])}


def folder() -> Path:
    """Where figures and tables go: $VZLIB_FIGURES, or figures/ in the store of results."""
    return from_environment("VZLIB_FIGURES", results.location() / "figures")


def save(figure: Figure, name: str, data: Data, settings: BaseModel) -> Saved:
    """Write `<name>.pdf`, `<name>.png` (300 dpi, fonts embedded as type 42) and the data as CSV.

    data: the tidy table that is drawn, written as `<name>.csv`; or several by name, written as
        `<name>-<part>.csv`.
    settings: those of the notebook, kept for the index of `folder()`.

    Each file appears by one rename, so a reader never sees half of it. Raises ValueError for a name
    that is no plain file name.
    """
    check(name)
    files = {}
    with in_style():  # parts of a figure, such as ticks, are only made when it is drawn
        for kind, metadata in NOT_WRITTEN.items():
            content = io.BytesIO()
            figure.savefig(content, format=kind, metadata=metadata)
            files[f"{name}.{kind}"] = content.getvalue()
    parts = {"": data} if isinstance(data, pd.DataFrame) else data
    for part, table in parts.items():
        files[f"{name}-{part}.csv" if part else f"{name}.csv"] = csv(table)
    publish(name, files, settings)
    place = folder()
    return Saved(place / f"{name}.pdf", place / f"{name}.png", float(figure.get_figwidth()))


def check(name: str) -> None:
    """Raises ValueError for a name that is no plain file name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"figure name {name!r}: use letters, digits, '_' and '-' only")


def csv(table: pd.DataFrame) -> bytes:
    """A table as CSV, without its index if that has no name."""
    rows = table if table.index.names == [None] else table.reset_index()
    text = deserved(rows).to_csv(index=False, float_format=f"%.{STEADY}g", lineterminator="\n")
    return text.encode()


def publish(
    name: str, files: Mapping[str, bytes], settings: BaseModel, **more: Any
) -> dict[str, Any]:
    """Write the files of a figure or table, and `<name>.json`, which says what made them.

    Raises ValueError, and writes nothing, if a file of that name is there that no record of ours
    names: it is somebody's own.
    """
    place = folder()
    path = place / f"{name}.json"
    before = record(path)
    ours = {path.name, *before["files"]} if before else set()
    foreign = [file for file in (*files, path.name) if os.path.lexists(place / file)]
    if foreign := sorted(set(foreign) - ours):
        raise ValueError(
            f"{place} holds a {' and a '.join(foreign)} that vzlib did not write; "
            "move it away, or choose another folder by VZLIB_FIGURES"
        )
    said = {
        "settings_class": type(settings).__name__,
        "settings": settings.model_dump(mode="json"),
        "files": list(files),
        **more,
    }
    # First a record that all of these files are ours: whoever is killed here may go on.
    _write(path, {**said, "files": sorted(ours.union(files) - {path.name}), UNFINISHED: True})
    for file, content in files.items():
        durable.write_whole(place / file, content)
    _write(path, said)
    return said


def _write(path: Path, said: Mapping[str, Any]) -> None:
    durable.write_whole(path, json.dumps(said, indent=1, ensure_ascii=False) + "\n")


def record(path: Path) -> dict[str, Any] | None:
    """What the `<name>.json` of a figure or table says; None if it is another file, or none."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    wanted = {"settings_class": str, "settings": dict, "files": list}
    if not isinstance(said, dict) or not all(
        isinstance(said.get(part), kind) for part, kind in wanted.items()
    ):
        return None
    return said if all(isinstance(file, str) for file in said["files"]) else None
