"""What the answers and the times say of training with fewer tokens; units are the seeds."""

import math
from typing import Any

import numpy as np
import pandas as pd

from vzlib import paper
from vzlib.experiments.training_stage.measure import STEPS
from vzlib.statistics import MEAN, verdict
from vzlib.statistics.comparison import paired_difference, percent_of, summary
from vzlib.statistics.intervals import NOTHING, Interval, mean, ratio, written

PAPER_MODEL = "LLaVA-1.5-7B"


def over_seeds(values: list[float]) -> Interval:
    """Mean over seeds with its 95 % interval; a single seed has none."""
    if len(values) < 2:
        return NOTHING._replace(value=values[0])
    return mean(np.array(values))


def scores(answers: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, mean over tasks, of every training at every budget that it was asked at.

    answers: of `measure.answers`. Columns: trained_with, same, budget, seeds, n (questions of a
    seed), value, low, high (over seeds), majority (percent right if always the commonest answer).
    """
    found = []
    for keys, own in answers.groupby(["trained_with", "same", "budget"], sort=False):
        table = summary(own, "seed")
        means = table[table["task"] == MEAN]
        interval = over_seeds(means["value"].tolist())
        counts = (len(means), int(means["n"].iloc[0]))
        found.append((*keys, *counts, *interval, float(means["majority"].iloc[0])))
    columns = ["trained_with", "same", "budget", "seeds", "n", *Interval._fields, "majority"]
    return pd.DataFrame(found, columns=columns)


def gains(answers: pd.DataFrame) -> pd.DataFrame:
    """What training with fewer tokens gains over using them at inference only.

    A row for each budget and for equally many steps or the same time. Columns: budget, same, seeds,
    n (questions of a seed), value, low, high (points over the training with all tokens, asked with
    as few; paired by question, mean over seeds), kept and inference with their bounds (percent of
    what the training with all tokens reaches with all of them), trained_with_paper and
    inference_paper (of LLaVA-1.5-7B, Tables 11 and 1), and verdict: whether the points are above
    zero.
    """
    everything = int(answers["trained_with"].max())
    whole = answers[answers["trained_with"] == everything]
    found = []
    for keys, own in answers[answers["trained_with"] != everything].groupby(
        ["trained_with", "same"], sort=False
    ):
        budget, same = int(str(keys[0])), str(keys[1])
        points, kept, inference = [], [], []
        for seed, answered in own.groupby("seed"):
            full = whole[whole["seed"] == seed]
            ways = {"trained": answered, "all": full[full["budget"] == everything],
                    "inference": full[full["budget"] == budget]}  # fmt: skip
            rows = pd.concat([one.assign(way=way) for way, one in ways.items()])
            gain = paired_difference(rows, "trained", "inference")
            points.append(gain.value)
            kept.append(percent_of(rows, "trained", "all").value)
            inference.append(percent_of(rows, "inference", "all").value)
        found.append(
            {
                "budget": budget,
                "same": same,
                "seeds": len(points),
                "n": gain.n,
                **over_seeds(points)._asdict(),
                "verdict": verdict.above(over_seeds(points), 0),
                **_bounds("kept", over_seeds(kept)),
                **_bounds("inference", over_seeds(inference)),
                "trained_with_paper": printed("VisionZip-Train", budget, 11),
                "inference_paper": printed("VisionZip", budget, 1),
            }
        )
    return pd.DataFrame(found)


def speed(courses: pd.DataFrame, memory: pd.DataFrame) -> pd.DataFrame:
    """How much less time and memory a step takes with fewer tokens.

    courses: of `measure.courses`; the n-th steps of the same seed are on the same images, and are
    paired. memory: of `measure.memory`.
    Columns: budget, n (pairs), milliseconds (median of a step), value, low, high (times as fast as
    with all tokens), mebibytes, less (percent of memory saved).
    """
    own = courses[courses["same"] == STEPS].sort_values(["trained_with", "seed", "step"])
    clock = "cpu_seconds" if own["device"].iloc[0] == "cpu" else "seconds"
    own = own.assign(taken=own.groupby(["trained_with", "seed"])[clock].diff())
    wide = own.pivot(index=["seed", "step"], columns="trained_with", values="taken").dropna()
    bytes_of = memory.set_index("trained_with")["bytes"]
    everything = max(wide.columns)
    found = []
    for budget in sorted(wide.columns, reverse=True):
        faster = ratio(wide[everything].to_numpy(), wide[budget].to_numpy())
        taken = 1000 * float(wide[budget].median())
        less = 100 * (1 - bytes_of[budget] / bytes_of[everything])
        found.append((budget, len(wide), taken, *faster, bytes_of[budget] / 2**20, less))
    columns = ["budget", "n", "milliseconds", *Interval._fields, "mebibytes", "less"]
    return pd.DataFrame(found, columns=columns)


def printed(method: str, budget: int, number: int) -> float:
    """Percent of vanilla in a table of the paper; NaN for a budget that is not in it."""
    try:
        tuned = method == "VisionZip-Train"
        return paper.score(PAPER_MODEL, method, budget, "average", tuned=tuned, number=number)
    except ValueError:
        return float("nan")


def paper_speed() -> tuple[float, float]:
    """Times as fast, and percent of memory saved, in Table 17: 640 of 2880 tokens."""
    rows: Any = paper.table(17).drop_duplicates("method").set_index("method")
    whole, zipped = rows.loc["Vanilla"], rows.loc["VisionZip-Train"]
    less = 100 * (1 - zipped["train_memory_mb"] / whole["train_memory_mb"])
    return float(whole["train_hours"] / zipped["train_hours"]), float(less)


def conclusion(gained: pd.DataFrame, quicker: pd.DataFrame) -> str:
    """A sentence for every budget and what was the same."""
    sentences, times = [], quicker.set_index("budget")
    rows: Any = gained.itertuples()
    for row in rows:
        points = written(Interval(row.value, row.low, row.high))
        kept = (
            f"the model keeps {row.kept:.1f} % of what all tokens reach, at inference only "
            f"{row.inference:.1f} %, a difference of {points} points"
        )
        if math.isnan(row.kept):  # a seed with all tokens knows too little to compare with
            kept = f"the model is {points} points better than with them at inference only"
        sentences.append(
            f"{row.budget} tokens, the same {row.same}: trained with them, {kept} over {row.seeds} "
            f"seeds; a step is {times.loc[row.budget, 'value']:.2f} times as fast."
        )
    return "\n".join(sentences)


def _bounds(name: str, interval: Interval) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), interval, strict=True))
