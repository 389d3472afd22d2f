"""Claims C03 to C05: when does attention converge? Put to notebook 02."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding
from vzlib.experiments.attention_by_layer.measure import MEASURES
from vzlib.experiments.attention_by_layer.tell import by_image
from vzlib.statistics import intervals, verdict

NOTEBOOK = "02_attention_by_layer"
MEASURE = "gini"  # the one that decides
MIDDLE = 2 / 3  # of the layers: where the middle third ends
SUDDEN = 0.5  # part of the whole rise that one layer must bring to be called sudden


class Compared(NamedTuple):
    """How much more concentrated one layer is than another, and what follows."""

    verdict: str
    interval: intervals.Interval
    text: str


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Claims C03 to C05 by every measure, from differences between layers of the same images.

    C03 broad, then sudden: at the end of the middle third of the layers attention is more
        concentrated than in the first, and one layer up to there brings at least half of the rise
        from the first to the peak.
    C04 peak: no layer is as concentrated as the one that is read. If another one is more so, that
        is "not found": to come second is the opposite of nothing.
    C05 dispersed at the end: the last layer is less concentrated than the one that is read.

    Differences count towards concentration: + is more concentrated, also for entropy.
    Columns: claim, images, rule, measure, value, low, high, n (images), verdict, sentence.
    """
    found = []
    for (kind, rule, name), group in rows.groupby(["images", "rule", "measure"], sort=False):
        values, units, read = by_image(group)
        rising = values if MEASURES[str(name)] else -values
        for claim, (function, _) in RULES.items():
            decision, interval, text = function(rising, units, read)
            sentence = f"{decision}: {text}"
            found.append((claim, kind, rule, name, *interval, len(units), decision, sentence))
    columns = ["claim", "images", "rule", "measure", *intervals.Interval._fields, "n"]
    return pd.DataFrame(found, columns=[*columns, "verdict", "sentence"])


def _difference(values: np.ndarray, units: np.ndarray, one: int, other: int) -> Compared:
    interval = intervals.mean_over(values[:, one - 1] - values[:, other - 1], units)
    text = (
        f"layer {one} minus layer {other} {interval.value:+.3g} "
        f"[{interval.low:+.3g}, {interval.high:+.3g}]"
    )
    return Compared(verdict.above(interval, 0), interval, text)


def _sudden(values: np.ndarray, units: np.ndarray, read: int) -> Compared:
    middle = math.ceil(values.shape[1] * MIDDLE)
    found = _difference(values, units, middle, 1)
    if found.verdict != verdict.FOUND:
        return found
    means = values.mean(0)
    steps = np.diff(means[:middle])
    share = steps.max() / (means.max() - means[0])
    text = f"; layer {steps.argmax() + 2} alone brings {share:.0%} of the rise to the peak"
    decision = verdict.FOUND if share >= SUDDEN else verdict.NOT_FOUND
    return found._replace(verdict=decision, text=found.text + text)


def _peak(values: np.ndarray, units: np.ndarray, read: int) -> Compared:
    means = values.mean(0)
    others = means.copy()
    others[read - 1] = -np.inf
    rival = int(others.argmax()) + 1
    found = _difference(values, units, read, rival)
    peak = read if means[read - 1] >= others.max() else rival
    decision = verdict.NOT_FOUND if found.verdict == verdict.OPPOSITE else found.verdict
    text = f"the peak is layer {peak}, the layer read is {read}; {found.text}"
    return found._replace(verdict=decision, text=text)


def _dispersed(values: np.ndarray, units: np.ndarray, read: int) -> Compared:
    last = values.shape[1]
    if last == read:
        text = f"the last layer, {last}, is the one that is read"
        return Compared(verdict.NOT_MEASURABLE, intervals.NOTHING, text)
    return _difference(values, units, read, last)


# What decides, and in words.
RULES: dict[str, tuple[Callable[..., Compared], str]] = {
    "C03": (_sudden, f"whole interval above 0, and one layer brings {SUDDEN:.0%} of the rise"),
    "C04": (_peak, "whole interval above 0; below it is not found"),
    "C05": (_dispersed, "whole interval above 0"),
}


def conclusion(table: pd.DataFrame) -> str:
    """One sentence per kind of images on whether the profile follows the paper, from `verdicts`.

    By the measure that decides and by the rule with which the method selects.
    """
    rule = table["rule"].iloc[0]
    chosen = table[(table["measure"] == MEASURE) & (table["rule"] == rule)]
    sentences = []
    for kind, group in chosen.groupby("images", sort=False):
        by_claim = group.set_index("claim")["verdict"]
        found = (by_claim == verdict.FOUND).sum()
        outcome = {0: "not found", len(by_claim): "found"}.get(found, "found in part")
        sentences.append(
            f"On {kind} the paper's profile is {outcome}: sudden convergence by the middle layers "
            f"{by_claim['C03']}, peak at the layer that is read {by_claim['C04']}, "
            f"dispersion in the last layer {by_claim['C05']}."
        )
    return "\n".join(sentences)


def _decided(claim: str, evidence: Evidence) -> Finding:
    """By the first kind of images and the rule that selects."""
    table: Any = verdicts(evidence.rows(NOTEBOOK))
    own = table[(table["claim"] == claim) & (table["measure"] == MEASURE)]
    first, *others = own[own["rule"] == own["rule"].iloc[0]].itertuples()
    note = "; ".join([first.sentence, *(f"{row.images}, {row.sentence}" for row in others)])
    interval = intervals.Interval(first.value, first.low, first.high)
    unit = "Gini coefficient, difference of two layers"
    words = RULES[claim][1]
    return Finding(first.verdict, words, interval, unit, first.n, first.images, note)


CLAIMS = {claim: partial(_decided, claim) for claim in RULES}
