"""Claims C08 and C09: where do a subject's attention and the dominant tokens lie? Notebook 04.

Images of which the main subject is known decide, scenes stand in the note.
"""

from functools import partial
from typing import Any

import pandas as pd

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided
from vzlib.experiments.feature_misalignment import tell_subjects
from vzlib.experiments.feature_misalignment.tell import read_block, summary
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval, written

NOTEBOOK = "04_feature_misalignment"


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Claims C08 and C09 decided by the intervals. Columns: claim, quantity, measured, verdict,
    value, low, high, scenes.

    table: of `tell.summary`. The paper's effect is there if a ratio lies above 1.
    """
    chosen = table[(table["layer"] == read_block(table)) & (table["kind"] == "object")]
    smallest = chosen.loc[chosen["quantity"] == "place", "retained"].min()
    found = []
    token = "attention per dominant token / per token of the own object"
    place = "dominant tokens {} / expected by chance"
    for claim, quantity, target, what in (
        ("C08", "attention", "dominant/own", token),
        ("C09", "place", "background", place.format("on the background")),
        ("C09", "place", "periphery", place.format("near the border")),
    ):
        own = chosen[
            (chosen["quantity"] == quantity)
            & (chosen["target"] == target)
            & (chosen["retained"] == smallest)
        ]
        interval = Interval(*own[list(Interval._fields)].iloc[0])
        measured = f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
        number = int(own["scenes"].iloc[0])
        decision = verdict.above(interval, 1)
        found.append((claim, what, measured, decision, *interval, number))
    columns = ["claim", "quantity", "measured", "verdict", *Interval._fields, "scenes"]
    return pd.DataFrame(found, columns=columns)


def subject_verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Claims C08 and C09 on images whose subject is known, at the layer that is read.

    rows: of `measure_subjects`, by the rule that selects. C08: attention of the subject per
    dominant token off it over that per other token of its own, above 1; and what the subject loses
    by the most attended few over what it loses by others, at the last layer where they were
    replaced. C09: percent of the tokens of the smallest budget, and of the most attended few, on
    the background, less what chance gives: above 0 against the background's area, and against the
    masks of other images.

    Columns: claim, images, quantity, measured, verdict, value, low, high, threshold, n, units.
    """
    means, ratios = tell_subjects.summary(rows), tell_subjects.ratios(rows)
    place = means[means["read"] & (means["quantity"] == "place")]
    place = place[(place["target"] == "background") & (place["rule"] == place["rule"].iloc[0])]
    found: list[tuple[Any, ...]] = []
    for images, own in place.groupby("images", sort=False):
        at = ratios[ratios["images"] == images]
        looks = at[at["read"] & (at["what"] == "dominant/own")]
        replaced = at[at["what"] == "replaced"].sort_values("layer").tail(1)
        for row, what in (
            (looks, "attention per dominant token off the subject / per token of its own"),
            (replaced, "change of the subject without the most attended few / without others"),
        ):
            if len(row):
                found.append(("C08", images, what, 1, *_bounds(row.iloc[0])))
        few, budget = sorted(own["tokens"].unique())[:2]
        for count in (budget, few):
            for against in ("area", "others"):
                row = own[(own["tokens"] == count) & (own["against"] == against)].iloc[0]
                null = tell_subjects.NULLS[against]
                what = f"of the {count} most attended on background, %, less {null}"
                found.append(("C09", images, what, 0, *_bounds(row)))
    told = [
        (claim, images, what, written(interval), verdict.above(interval, threshold), *interval,
         threshold, n, units)
        for claim, images, what, threshold, interval, n, units in found
    ]  # fmt: skip
    columns = ["claim", "images", "quantity", "measured", "verdict", *Interval._fields]
    return pd.DataFrame(told, columns=[*columns, "threshold", "n", "units"])


def _bounds(row: Any) -> tuple[Interval, int, int]:
    interval = Interval(*(float(row[name]) for name in Interval._fields))
    return interval, int(row["n"]), int(row["units"])


def _decided(evidence: Evidence, claim: str) -> Finding:
    """By the first source of images and the first of what is asked of it; the rest is noted."""
    rows = evidence.rows(NOTEBOOK, module="measure_subjects")
    table: Any = subject_verdicts(rows)
    first, *others = table[table["claim"] == claim].itertuples()
    of_scenes: Any = verdicts(summary(evidence.rows(NOTEBOOK)))
    interval = Interval(first.value, first.low, first.high)
    told = [f"{row.images}, {row.quantity}: {row.measured}, {row.verdict}" for row in others]
    told += [f"scenes, {row.quantity}: {row.measured}, {row.verdict}"
             for row in of_scenes[of_scenes["claim"] == claim].itertuples()]  # fmt: skip
    return decided(verdict.above, first.threshold, interval, unit=first.quantity, n=first.n,
                   data=first.images, note="; ".join(told))  # fmt: skip


CLAIMS = {claim: partial(_decided, claim=claim) for claim in ("C08", "C09")}
