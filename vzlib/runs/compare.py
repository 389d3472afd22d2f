"""A new measurement beside the one that ships: which numbers and verdicts agree, which do not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from vzlib.plotting.digits import bounded
from vzlib.plotting.save import record

SAME, AGREES, MOVED = "same", "within both intervals", "moved"
OUTCOMES = (SAME, AGREES, MOVED)
# Of the interval's width, or of the value: less than the digits of a table show.
NEXT_TO_NOTHING = 1e-2, 1e-3
VERDICTS = "15_claims-verdicts.csv"
MACHINE = ["device"]  # columns that name the machine and not what was measured


def compare(new: Path, shipped: Path) -> pd.DataFrame:
    """Every value with an interval that both folders of figures have, of the same settings.

    A value is the "same" if it differs by next to nothing, "within both intervals" if each lies in
    the 95 % interval of the other, and "moved" otherwise.

    Columns: table (its file), quantity, those that tell its rows apart as one text (which), value,
    shipped, outcome.
    """
    found = []
    for name in _of_the_same_settings(new, shipped):
        now, before = (pd.read_csv(folder / name) for folder in (new, shipped))
        for quantity in _with_intervals(before):
            found += [(name, *row) for row in _rows(now, before, quantity)]
    columns = ["table", "quantity", "which", "value", "shipped", "outcome"]
    return pd.DataFrame(found, columns=columns)


def verdicts(new: Path, shipped: Path) -> pd.DataFrame:
    """Claims whose verdict is another one. Columns: claim, verdict, shipped; empty without both."""
    if not all((folder / VERDICTS).is_file() for folder in (new, shipped)):
        return pd.DataFrame(columns=["claim", "verdict", "shipped"])
    now, before = (
        pd.read_csv(folder / VERDICTS, index_col="claim")["verdict"] for folder in (new, shipped)
    )
    both = pd.concat([now, before.rename("shipped")], axis=1).dropna()
    return both[both["verdict"] != both["shipped"]].reset_index()


def told(new: Path, shipped: Path) -> str:
    """What agrees and what does not, as text; empty if nothing can be compared."""
    values = compare(new, shipped) if new.resolve() != shipped.resolve() else pd.DataFrame()
    if values.empty:
        return ""
    counts = pd.crosstab(values["table"], values["outcome"]).reindex(columns=OUTCOMES, fill_value=0)
    lines = ["beside what ships:", counts.to_markdown()]
    for row in values[values["outcome"] == MOVED].head(10).itertuples():
        lines.append(f"moved: {row.table}, {row.which}: {row.value:.4g}, shipped {row.shipped:.4g}")
    changed = verdicts(new, shipped)
    for row in changed.itertuples():
        lines.append(f"verdict changed: {row.claim}: {row.verdict}, shipped {row.shipped}")
    if changed.empty and (new / VERDICTS).is_file():
        lines.append("every verdict is the one that ships")
    return "\n".join(lines)


def _of_the_same_settings(new: Path, shipped: Path) -> Iterator[str]:
    for path in sorted(new.glob("*.json")):
        now, before = record(path), record(shipped / path.name)
        if now and before and now["settings"] == before["settings"]:
            for file in now["files"]:
                if file.endswith(".csv") and file in before["files"]:
                    yield file


def _with_intervals(table: pd.DataFrame) -> Iterator[str]:
    """Columns with their bounds beside them."""
    return (value for value, _, _ in bounded(list(table.columns)))


def _bounds(quantity: str) -> list[str]:
    return ["low", "high"] if quantity == "value" else [f"{quantity}_low", f"{quantity}_high"]


def _rows(
    now: pd.DataFrame, before: pd.DataFrame, quantity: str
) -> Iterator[tuple[str, str, float, float, str]]:
    """Each row of both tables that is about the same."""
    names = _naming(before)
    own = [quantity, *_bounds(quantity)]
    indexed = [table.set_index(names)[own] for table in (now, before)]
    if not all(table.index.is_unique for table in indexed):
        return
    both = pd.concat(indexed, axis=1, join="inner").dropna()
    for which, row in zip(both.index, both.to_numpy(float), strict=True):
        parts = which if isinstance(which, tuple) else (which,)
        outcome = _outcome(row[:3], row[3:])
        yield quantity, " ".join(map(str, parts)), float(row[0]), float(row[3]), outcome


def _naming(table: pd.DataFrame) -> list[str]:
    """The columns that tell rows apart: names and whole numbers, and others as far as needed."""
    measured = {"n", "units", "p", "holm", *MACHINE}
    for quantity in _with_intervals(table):
        measured |= {quantity, *_bounds(quantity)}
    columns = [column for column in table.columns if column not in measured]
    words = [column for column in columns if table[column].dtype.kind != "f"]
    for column in columns:
        if column not in words and (not words or table[words].duplicated().any()):
            words.append(column)
    return words


def _outcome(now: np.ndarray, before: np.ndarray) -> str:
    """now, before: [3], a value with its bounds."""
    width, size = before[2] - before[1], abs(before[0])
    if abs(now[0] - before[0]) <= max(NEXT_TO_NOTHING[0] * width, NEXT_TO_NOTHING[1] * size):
        return SAME
    inside = before[1] <= now[0] <= before[2] and now[1] <= before[0] <= now[2]
    return AGREES if inside else MOVED
