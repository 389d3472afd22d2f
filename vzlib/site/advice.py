"""What the measured table of methods says to someone who has to choose one."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from vzlib.methods import registry
from vzlib.statistics.intervals import Interval, written

CHANCE = 0.05  # adjusted p below which two methods are told apart
REFERENCE = "visionzip"


def advice(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    """The comparison of methods at each budget, and what it says, as Markdown.

    table: of notebook 06, a row per method and budget, with mean, percent of all tokens, the
    difference to VisionZip in points with its interval, and p (adjusted over the methods).
    settings: with which it was measured.

    Raises ValueError for a table without the column of a number that is told.
    """
    wanted = {"method", "budget", "label", "n", "mean", "low", "high", "percent", "difference", "p"}
    if lacking := sorted(wanted - set(table.columns)):
        raise ValueError(f"the table of methods has no column {', '.join(lacking)}")
    whole = table[table["method"] == "vanilla"]
    parts = [_measured(table, whole, settings)]
    for budget in sorted(table["budget"].unique(), reverse=True):
        own = table[(table["budget"] == budget) & (table["method"] != "vanilla")]
        if not own.empty:
            parts.append(f"## At {budget:g} tokens\n\n{_said(own)}\n\n{_shown(own)}")
    return "\n\n".join(parts)


def _measured(table: pd.DataFrame, whole: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    model, asked = settings.get("model"), settings.get("questions")
    counts = sorted(set(table["n"]))
    text = (
        f"Model: `{model}`. Questions: {asked}, {' to '.join(f'{n:g}' for n in counts)} for each "
        "method and budget. Accuracy in percent with 95 % intervals."
    )
    for row in whole.to_dict("records"):
        interval = written(Interval(row["mean"], row["low"], row["high"]))
        text += f" With all {row['budget']:g} tokens: {interval}."
    return text


def _said(own: pd.DataFrame) -> str:
    best = _highest(own)
    interval = written(Interval(best["mean"], best["low"], best["high"]))
    told = own[own["p"] < CHANCE]
    better = told[told["difference"] > 0]
    worse = told[told["difference"] < 0]
    lines = [
        f"- Highest mean: **{best['label']}**, {interval}, {best['percent']:.1f} % of all tokens'.",
        f"- Better than VisionZip beyond chance: {_names(better)}.",
        f"- Worse than VisionZip beyond chance: {_names(worse)}.",
    ]
    controls = own[own["method"].map(_family) == "control"]
    chosen = own[own["method"] == REFERENCE]
    if not controls.empty and not chosen.empty:
        best_control = _highest(controls)
        ahead = chosen["mean"].iloc[0] - best_control["mean"]
        lines.append(
            f"- VisionZip against the best control, {best_control['label']}: {ahead:+.1f} points"
            + (" (told apart)." if best_control["p"] < CHANCE else " (not told apart).")
        )
    return "\n".join(lines)


def _highest(rows: pd.DataFrame) -> dict[str, Any]:
    """The first of the rows with the highest mean."""
    ordered = rows.sort_values("mean", ascending=False, kind="stable")
    return {str(name): value for name, value in ordered.iloc[0].items()}


def _names(rows: pd.DataFrame) -> str:
    ordered = rows.sort_values("difference", ascending=False)
    return (
        ", ".join(f"{row.label} ({row.difference:+.1f})" for row in ordered.itertuples()) or "none"
    )


def _shown(own: pd.DataFrame) -> str:
    rows = list(_rows(own.sort_values("mean", ascending=False)))
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def _rows(own: pd.DataFrame) -> Iterator[dict[str, str]]:
    for row in own.to_dict("records"):
        difference = Interval(
            row["difference"], row.get("difference_low", 0), row.get("difference_high", 0)
        )
        yield {
            "method": row["label"],
            "chooses by": _family(row["method"]),
            "accuracy": written(Interval(row["mean"], row["low"], row["high"])),
            "% of all tokens": f"{row['percent']:.1f}",
            "to VisionZip, points": written(difference),
            "p (Holm)": "" if pd.isna(row["p"]) else f"{row['p']:.2g}",
        }


def _family(method: str) -> str:
    return registry.row(method).family
