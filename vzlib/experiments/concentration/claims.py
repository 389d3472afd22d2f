"""C14, S03, Q1, N1: what concentrates attention, which encoders allow the method. Notebook 17."""

from functools import partial
from typing import Any

from vzlib import notebooks
from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import PERCENT, Finding, decided, not_measurable
from vzlib.experiments.concentration import tell
from vzlib.experiments.concentration.names import (
    ADDED,
    BY_MEAN,
    LOGITS,
    RANDOM,
    SHIFTED,
    UNTRAINED,
    ZIPPED,
)
from vzlib.models.checkpoint import configuration
from vzlib.statistics import verdict
from vzlib.statistics.comparison import QUESTION
from vzlib.statistics.intervals import Interval, written

NOTEBOOK = "17_concentration"
LEAST = 90.0  # percent of vanilla, as S01 asks
PAPERS = ("clip_vision_model", "siglip_vision_model")  # encoders that the paper tried


def _answers(evidence: Evidence) -> Any:
    return evidence.rows(NOTEBOOK, module="measure_answers")


def _asked(rows: Any) -> int:
    return len(rows[QUESTION].drop_duplicates())


def without_cls(rule: verdict.Rule, evidence: Evidence) -> Finding:
    """What VisionZip keeps by Algorithm 3, where CLS neither rates nor stays, if there is one."""
    rows, retain = _answers(evidence), evidence.settings(NOTEBOOK).retain
    interval = tell.kept_by_mean(rows)
    if interval.value != interval.value:
        return not_measurable("in some task nothing is answered right with all tokens")
    better = tell.gain(rows, BY_MEAN, ZIPPED)
    note = (
        f"Algorithm 3, mean attention over all queries, with {retain} tokens; a CLS token, where "
        "the tower has one, neither rates nor stays; against the released method "
        f"{written(Interval(*better[:3]))} points"
    )
    return decided(rule, LEAST, interval, unit=PERCENT, n=_asked(rows), data="questions", note=note)


def trained(evidence: Evidence) -> Finding:
    """Q1: is it training that concentrates attention, or the architecture and its softmax?"""
    rows, settings = evidence.rows(NOTEBOOK), evidence.settings(NOTEBOOK)
    table = tell.attention(rows)
    fresh = tell.moved(table, UNTRAINED)
    interval = Interval(-fresh.value, -fresh.high, -fresh.low)
    named = [LOGITS.format(factor) for factor in settings.temperatures]
    points = tell.answered(_answers(evidence)).set_index(["condition", "method"])
    told = []
    for condition in (*named, ADDED, SHIFTED):
        change = tell.moved(table, condition)
        if (condition, ZIPPED) in points.index and change.value == change.value:
            row = points.loc[(condition, ZIPPED), ["change", "change_low", "change_high"]]
            told.append(f"{condition} {written(change)} and {written(Interval(*row))} points of "
                        f"accuracy with {settings.retain} tokens")  # fmt: skip
    note = f"changes of the tower at inference, in Gini: {'; '.join(told)}"
    n = int(table["n"].iloc[0])
    return decided(verdict.above, 0, interval, unit="Gini coefficient of the attention, trained "
                   "less untrained weights of the same architecture", n=n,
                   data=str(settings.images), note=note)  # fmt: skip


def other_encoders(evidence: Evidence) -> Finding:
    """N1: does choosing by attention help on an encoder that the paper did not try?"""
    tower: Any = configuration(evidence.chosen.model).vision_config
    if tower.model_type in PAPERS:
        command = notebooks.command(NOTEBOOK, {
            **evidence.settings(NOTEBOOK).model_dump(mode="json"),
            "model": "dino", "questions": "things",
        })  # fmt: skip
        return not_measurable("the encoder is of a kind that the paper tried", command)
    rows, retain = _answers(evidence), evidence.settings(NOTEBOOK).retain
    better = tell.gain(rows, ZIPPED, RANDOM)
    kept = tell.percent_kept(rows)
    note = f"{tower.model_type}; of the accuracy with all tokens it keeps {written(kept)} %"
    return decided(verdict.above, 0, Interval(*better[:3]), n=better.n, data="questions", note=note,
                   unit=f"points over as many random patches, {retain} tokens")  # fmt: skip


CLAIMS = {
    "C14": partial(without_cls, verdict.reaches),
    "S03": partial(without_cls, verdict.below),
    "Q1": trained,
    "N1": other_encoders,
}
