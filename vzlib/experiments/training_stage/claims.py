"""Claims C44 and C45: VisionZip in the training stage. Put to notebook 10."""

import math
from typing import Any

from vzlib import notebooks
from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import PERCENT, Finding, decided, not_measurable
from vzlib.experiments.training_stage import tell
from vzlib.experiments.training_stage.measure import STEPS
from vzlib.models.checkpoint import configuration
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval, written

NOTEBOOK = "10_training_stage"
OF_NEXT = 640 / 2880  # of LLaVA-NeXT's tokens, in Table 17
HALF = 2.0  # times as fast: "halves the training time"


def halves_the_time(evidence: Evidence) -> Finding:
    """C44: how many times as fast a step is with the share of tokens that the paper trained with.

    That it also beats using VisionZip at inference only is in the note, with a verdict of its own.
    """
    vision = configuration(evidence.chosen.model).vision_config
    budget = round(OF_NEXT * (vision.image_size // vision.patch_size) ** 2)
    if budget not in evidence.settings(NOTEBOOK).budgets:
        return not_measurable(f"needs a budget of {budget} tokens, the share that 640 of 2880 are")
    times = tell.speed(evidence.rows(NOTEBOOK, "courses"), evidence.rows(NOTEBOOK, "memory"))
    row = times[times["budget"] == budget].iloc[0]
    gain = _gain(evidence, budget)
    points = Interval(gain["value"], gain["low"], gain["high"])
    published, less = tell.paper_speed()
    note = (
        f"a step of training with {budget} tokens, the tower's look kept; the paper's whole "
        f"training {published:.2f} times and {less:.0f} % less memory, here {row['less']:.0f} %; "
        f"that it beats inference only: {verdict.above(points, 0)}, {written(points)} points over "
        f"{gain['seeds']} seeds of the same steps"
    )
    interval = Interval(*row[list(Interval._fields)].astype(float))
    return decided(verdict.reaches, HALF, interval, unit="times as fast", n=int(row["n"]),
                   data="pairs of steps", note=note)  # fmt: skip


def no_loss(evidence: Evidence, budget: int = 192) -> Finding:
    """C45: what the model trained with 192 tokens keeps of the one trained with all."""
    if budget not in evidence.settings(NOTEBOOK).budgets:
        return not_measurable(f"needs a budget of {budget} tokens")
    row = _gain(evidence, budget)
    interval = Interval(row["kept"], row["kept_low"], row["kept_high"])
    if math.isnan(interval.value):
        steps = evidence.settings(NOTEBOOK).steps
        full = notebooks.settings(NOTEBOOK, "full").model_dump(mode="json")
        return not_measurable(
            f"after {steps} steps what is left of the accuracy with all tokens has no interval",
            notebooks.command(NOTEBOOK, full),
        )
    note = f"the same steps, means over {row['seeds']} seeds; the paper's 100.6 is a gain"
    return decided(verdict.reaches, 100, interval, unit=PERCENT, n=int(row["seeds"]),
                   data="seeds", note=note)  # fmt: skip


def _gain(evidence: Evidence, budget: int) -> Any:
    """Of equally many steps, what `tell.gains` says of a budget."""
    table = tell.gains(evidence.rows(NOTEBOOK, "answers"))
    return table[(table["same"] == STEPS) & (table["budget"] == budget)].iloc[0]


CLAIMS = {"C44": halves_the_time, "C45": no_loss}
