"""The paper's tables and claims (arXiv 2412.04467), as transcribed in params/paper."""

import functools

import pandas as pd

from vzlib.parameters import nearest
from vzlib.paths import PAPER

# The tables with one row per method, budget and benchmark.
ACCURACY = (1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18)


def table(number: int) -> pd.DataFrame:
    """One table of the paper, tidy; params/paper/NOTES.md explains the columns.

    Raises:
        ValueError: the paper has no such table, or the tables are not here.
    """
    if not PAPER.is_dir():
        raise ValueError(
            f"the paper's tables ship with the repository, and {PAPER} is not there: work in a "
            "checkout of vzlib, installed with pip install -e"
        )
    found = list(PAPER.glob(f"table{number:02d}_*.csv")) if isinstance(number, int) else []
    if not found:
        raise ValueError(f"table {number!r} does not exist; allowed: 1 to 18")
    return pd.read_csv(found[0])


def claims() -> pd.DataFrame:
    """Every claim with its place, the quantity that decides it and the paper's value, by id."""
    return pd.read_csv(PAPER / "claims.csv", index_col="id", dtype=str, keep_default_na=False)


def contradictions() -> pd.DataFrame:
    """Where tables of the paper, or its text and its tables, disagree; as in NOTES.md."""
    return pd.read_csv(PAPER / "contradictions.csv", dtype=str, keep_default_na=False)


def exceptions() -> pd.DataFrame:
    """Where numbers of the paper do not follow from each other, by the check that fails."""
    return pd.read_csv(PAPER / "known_exceptions.csv", dtype=str, keep_default_na=False)


def score(
    model: str,
    method: str,
    retained: int,
    benchmark: str,
    *,
    tuned: bool = False,
    number: int | None = None,
) -> float:
    """What the paper reports for a method that keeps `retained` visual tokens.

    Args:
        model: such as "LLaVA-1.5-7B".
        method: such as "Vanilla", "FastV", "SparseVLM", "VisionZip".
        retained: visual tokens kept.
        benchmark: such as "GQA"; or "average", the mean percentage of vanilla.
        tuned: the row with the tuned projector (marked ‡ in the paper).
        number: the table to read, needed only where tables disagree.

    Returns:
        The score as printed; for "average" the percentage of vanilla.

    Raises:
        ValueError: there is no such row, or tables disagree about it.
    """
    rows = _rows()
    tuning = "yes" if tuned else "no"
    choice = {
        "model": model,
        "method": method,
        "tuned": tuning,
        "retained_tokens": retained,
        "benchmark": benchmark,
    }
    if number is not None:
        choice = {"table": number, **choice}
    for column, value in choice.items():
        allowed = rows[column].unique().tolist()
        rows = rows[rows[column] == value]
        if rows.empty:
            named = [str(one) for one in allowed]
            raise ValueError(
                f"the paper has no {column} {value!r}; {nearest(str(value), named)}"
                f"Allowed here: {', '.join(named)}"
            )
    column = "percent_of_vanilla" if benchmark == "average" else "score"
    values = rows.drop_duplicates(column)
    if len(values) > 1:
        seen = ", ".join(f"{row[column]} in table {row.table}" for _, row in values.iterrows())
        raise ValueError(f"the paper has {seen}; choose one with number=")
    return float(values[column].iloc[0])


@functools.cache
def _rows() -> pd.DataFrame:
    """All accuracy tables below each other, without the rows tuned on other data (Table 15)."""
    rows = pd.concat([table(number) for number in ACCURACY], ignore_index=True)
    return rows[rows["tuning_dataset"].fillna("LLaVA-1.5") == "LLaVA-1.5"]
