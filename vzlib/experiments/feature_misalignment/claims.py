"""Claims C08 and C09: where do a subject's attention and the dominant tokens lie? Notebook 04."""

from typing import Any

import pandas as pd

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided
from vzlib.experiments.feature_misalignment.tell import read_block, summary
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval

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


def _decided(evidence: Evidence, claim: str, note: str = "") -> Finding:
    table: Any = verdicts(summary(evidence.rows(NOTEBOOK)))
    first, *others = table[table["claim"] == claim].itertuples()
    interval = Interval(first.value, first.low, first.high)
    more = [f"{row.quantity} {row.measured}, {row.verdict}" for row in others]
    return decided(verdict.above, 1, interval, unit=first.quantity, n=first.scenes, data="scenes",
                   note="; ".join([note, *more] if note else more))  # fmt: skip


def subject_attends_to_dominant(evidence: Evidence) -> Finding:
    return _decided(evidence, "C08")


def dominant_off_the_subject(evidence: Evidence) -> Finding:
    table = summary(evidence.rows(NOTEBOOK))
    place = table[(table["quantity"] == "place") & (table["target"] == "background")]
    row = place.sort_values("retained").iloc[0]
    note = f"{row['share']:.0f} % of the dominant tokens lie on background, which is "
    return _decided(evidence, "C09", f"{note}{row['expected']:.0f} % of a scene")


CLAIMS = {"C08": subject_attends_to_dominant, "C09": dominant_off_the_subject}
