"""Claims C01, C02 and C07: does attention fall on a few tokens? Put to notebook 01."""

from typing import Any

import numpy as np
import pandas as pd

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided, not_measurable
from vzlib.experiments.redundancy.settings import Redundancy
from vzlib.experiments.redundancy.tell import SHARE, held_by, summary, weights
from vzlib.statistics import intervals, verdict

NOTEBOOK = "01_redundancy"
MOST = 50.0  # percent


def verdicts(table: pd.DataFrame, settings: Redundancy) -> pd.DataFrame:
    """Claims C01 and C02 beside what `tell.summary` says, and whether they were found.

    C01 asks that most tokens (at least 50 %) receive less than `near_zero` of the largest weight,
    C02 that the dominant tokens hold almost all (at least 90 %) of the attention.

    Columns: claim, paper, images, rule, quantity, value, low, high, n (images), verdict, sentence.
    """
    near = f"tokens below {settings.near_zero:g} of the largest weight, %"
    asked = [("C01", "most weights close to zero", near, MOST)]
    asked += [("C02", "almost all attention", held_by(k), 100 * SHARE) for k in settings.dominant]
    found = []
    for (kind, rule), group in table.groupby(["images", "rule"], sort=False):
        by_quantity = group.set_index("quantity")
        for claim, paper, quantity, threshold in asked:
            bounds = by_quantity.loc[quantity, ["value", "low", "high"]]
            interval = intervals.Interval(*bounds.astype(float))
            decision = verdict.reaches(interval, threshold)
            n = int(by_quantity["n"][quantity])
            sentence = (
                f"{decision}: {interval.value:.1f} [{interval.low:.1f}, {interval.high:.1f}]; "
                f"asked for at least {threshold:.0f}"
            )
            found.append((claim, paper, kind, rule, quantity, *interval, n, decision, sentence))
    columns = ["claim", "paper", "images", "rule", "quantity", *intervals.Interval._fields, "n"]
    return pd.DataFrame(found, columns=[*columns, "verdict", "sentence"])


def _decided(evidence: Evidence, claim: str, threshold: float) -> Finding:
    """By the first kind of images, the rule that selects and the fewest dominant tokens."""
    settings = evidence.settings(NOTEBOOK)
    table: Any = verdicts(summary(evidence.rows(NOTEBOOK), settings), settings)
    rule = table["rule"].iloc[0]
    first, *others = table[(table["claim"] == claim) & (table["rule"] == rule)].itertuples()
    note = "; ".join(f"{row.images}, {row.quantity}: {row.sentence.partition(';')[0]}"
                     for row in others)  # fmt: skip
    interval = intervals.Interval(first.value, first.low, first.high)
    return decided(verdict.reaches, threshold, interval, unit=first.quantity, n=first.n,
                   data=first.images, note=note)  # fmt: skip


def near_zero(evidence: Evidence) -> Finding:
    return _decided(evidence, "C01", MOST)


def almost_all(evidence: Evidence) -> Finding:
    found = _decided(evidence, "C02", 100 * SHARE)
    return found._replace(note=f"attention alone, not information; {found.note}")


def cls_on_proxies(evidence: Evidence) -> Finding:
    """Does CLS attend to the proxies, those patches that all tokens attend to most on average?"""
    entries = list(weights(evidence.rows(NOTEBOOK)))
    kind = entries[0].images
    received = {entry.rule: entry for entry in entries if entry.images == kind}
    if "cls" not in received:
        return not_measurable("the tower has no CLS token")
    count = min(evidence.settings(NOTEBOOK).dominant)
    proxies = np.argsort(-received["mean"].patches, axis=1, kind="stable")[:, :count]
    cls = received["cls"]
    share = np.take_along_axis(cls.patches, proxies, axis=1).sum(1)
    interval = intervals.mean_over(share * cls.patches.shape[1] / count, cls.units)
    unit = f"times an even share, attention of CLS on the {count} patches most attended by all"
    note = "in the layer that is read, not by depth; and attention is not knowledge"
    return decided(verdict.above, 1, interval, unit=unit, n=len(share), data=kind, note=note)


CLAIMS = {"C01": near_zero, "C02": almost_all, "C07": cls_on_proxies}
