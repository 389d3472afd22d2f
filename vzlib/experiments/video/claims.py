"""Claims C33, C34 and question Q4: clips and several images within a budget. Notebook 13.

Decided on pico-video, whatever the model of the ledger: no other that ships reads several images.
"""

import math

import pandas as pd

from vzlib import paper
from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import PERCENT, Finding, decided, not_measurable
from vzlib.experiments.video import tell
from vzlib.experiments.video.measure import VANILLA
from vzlib.statistics import verdict
from vzlib.statistics.comparison import QUESTION, paired_difference, percent_of
from vzlib.statistics.intervals import Interval, written

NOTEBOOK = "13_video"
BUDGET = 136  # 17 of each of 8 frames
LEAST_ANYWHERE = 90.0  # Sec. 3.2: more than 90 % are kept on every video benchmark
UNANSWERED = "in some task nothing is answered right with all tokens"


def keeps_clips(evidence: Evidence) -> Finding:
    """C33: 136 tokens against all, frame by frame as in the paper."""
    least = float(str(paper.claims().loc["C33", "paper_value"]))
    return _kept("clip", least, evidence)


def beats_sparsevlm(evidence: Evidence) -> Finding:
    """C34: at the smallest budget that SparseVLM can average on so few layers."""
    rows = tell.named(_rows(evidence, "clip"))
    budgets = sorted(rows.loc[rows["method"] == "sparsevlm", "budget"].unique())
    if not budgets:
        return not_measurable("the language model has too few layers for SparseVLM at any budget")
    budget = int(budgets[0])
    pair = tell.way("visionzip", "evenly", budget), tell.way("sparsevlm", "inside", budget)
    gain = paired_difference(rows, *pair)
    note = f"both at {budget} tokens per layer on average"
    if budget != BUDGET:
        note += f"; {BUDGET} cannot be averaged on so few layers, the first of which see all tokens"
    return decided(verdict.above, 0, Interval(*gain[:3]), unit="points of accuracy", n=gain.n,
                   data="questions", note=note, model=_model(evidence))  # fmt: skip


def keeps_albums(evidence: Evidence) -> Finding:
    """Q4: several images of one prompt, within as many tokens as a clip has."""
    one = _kept("album", LEAST_ANYWHERE, evidence)
    if one.verdict == verdict.NOT_MEASURABLE:
        return one
    rows = tell.named(_rows(evidence, "album"))
    lead = paired_difference(rows, _zipped(), tell.way("random", "evenly", BUDGET))
    clip = _kept("clip", LEAST_ANYWHERE, evidence).interval
    note = (
        f"{one.note}; {BUDGET} tokens in all; {written(Interval(*lead[:3]))} points over random "
        f"patches; of clips {written(clip)} % are kept"
    )
    return one._replace(note=note)


def _rows(evidence: Evidence, kind: str) -> pd.DataFrame:
    rows = evidence.rows(NOTEBOOK)
    return rows[rows["kind"] == kind]


def _model(evidence: Evidence) -> str:
    return str(evidence.settings(NOTEBOOK).video_model)


def _zipped() -> str:
    return tell.way("visionzip", "evenly", BUDGET)


def _kept(kind: str, least: float, evidence: Evidence) -> Finding:
    rows = tell.named(_rows(evidence, kind))
    if _zipped() not in set(rows["way"]):
        return not_measurable(f"{BUDGET} is not among the budgets that were measured")
    interval = percent_of(rows, _zipped(), VANILLA)
    if math.isnan(interval.value):
        return not_measurable(UNANSWERED)
    both = rows[rows["way"].isin([_zipped(), VANILLA])]
    whole = 100 * both.loc[both["way"] == VANILLA].groupby("task")["score"].mean().mean()
    note = f"of {whole:.0f} % right with all tokens; where that is little, what is kept says little"
    return decided(verdict.reaches, least, interval, unit=PERCENT,
                   n=len(both.drop_duplicates(QUESTION)), data="questions", note=note,
                   model=_model(evidence))  # fmt: skip


CLAIMS = {"C33": keeps_clips, "C34": beats_sparsevlm, "Q4": keeps_albums}
