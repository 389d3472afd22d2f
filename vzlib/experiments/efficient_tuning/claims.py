"""Claims C23, C27, C46 and C47: tuning the projector alone. Put to notebook 09."""

from functools import partial

from vzlib import paper
from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import PERCENT, Finding, decided, not_measurable
from vzlib.experiments.efficient_tuning import tell
from vzlib.models.checkpoint import configuration
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval, mean, written
from vzlib.statistics.several import largest

NOTEBOOK = "09_efficient_tuning"
ALL_OF_NEXT = 2880  # visual tokens of LLaVA-NeXT
NEXT = (
    ".venv/bin/vzlib reproduce 09 --scale paper -p model llava-hf/llava-1.5-7b-hf; of LLaVA-NeXT "
    "itself the projector is tuned by vzlib.training.tuning.train_parts"
)


def kept(budget: int, claim: str, evidence: Evidence) -> Finding:
    """C23, C27: what is kept of the accuracy with all tokens, after tuning."""
    least = float(str(paper.claims().loc[claim, "paper_value"]))
    rows = evidence.rows(NOTEBOOK, budgets=(budget,), others=())
    row = tell.gains(rows).iloc[0]
    gain = written(Interval(row["value"], row["low"], row["high"]))
    note = f"tuning gains {gain} points over the same tokens untuned"
    if claim == "C23":
        said = row["paper_after"] - row["paper_before"]
        note += f"; the paper's {said:+.1f} points of its percentage"
    interval = Interval(row["kept"], row["kept_low"], row["kept_high"])
    return decided(verdict.reaches, least, interval, unit=PERCENT, n=int(row["n"]),
                   data="questions", note=note)  # fmt: skip


def kept_of_next(evidence: Evidence) -> Finding:
    """C27: the share of tokens that 160 are of LLaVA-NeXT's 2880, on the model that is here."""
    vision = configuration(evidence.chosen.model).vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    budget = round(160 / ALL_OF_NEXT * patches)
    if budget not in evidence.settings(NOTEBOOK).budgets:
        return not_measurable(f"needs a budget of {budget} tokens, the share that 160 of 2880 are")
    one = kept(budget, "C27", evidence)
    return one._replace(
        note=f"{budget} of {patches} tokens, the share that 160 are of 2880; {one.note}",
        command=NEXT if one.verdict == verdict.NOT_MEASURABLE else "",
    )


def data_matters_little(evidence: Evidence) -> Finding:
    """C46: by how much the data that match are better to tune on, at the budget where it is most.

    Other data are those of the other deck, as far as they stand in words that the model knows.
    """
    settings = evidence.settings(NOTEBOOK)
    table = tell.matching(evidence.rows(NOTEBOOK), settings.questions)
    if table.empty:
        return not_measurable("no other data were tuned on; see others of notebook 09")
    gains = {
        f"{row['other']} at {row['budget']} tokens": Interval(row["value"], row["low"], row["high"])
        for _, row in table.iterrows()
    }
    where, interval = largest(gains)
    most = float(str(paper.claims().loc["C46", "paper_value"]).lstrip("<"))
    told = "; ".join(f"over {name} {written(gain)}" for name, gain in gains.items())
    note = f"largest over {where}, with an interval for all together; {told}"
    return decided(verdict.below, most, interval, unit="points of accuracy",
                   n=int(table["n"].iloc[0]), data="questions", note=note)  # fmt: skip


def takes_minutes(evidence: Evidence, budget: int = 64) -> Finding:
    """C47: minutes of processor time that tuning for 64 tokens takes, from the times of its steps.

    The clock of the wall tells what else a machine did; of a device that works behind the
    processor's back it is the one that counts, and is in the note.
    """
    rows = evidence.rows(NOTEBOOK, "tune", budgets=(budget,), others=())
    steps = rows["cpu_seconds"].diff().dropna().to_numpy()
    if len(steps) < 2:
        return not_measurable("a tuning of so few steps tells no time")
    minutes = Interval(*(bound * len(rows) / 60 for bound in mean(steps)))
    one = tell.times(rows).iloc[0]
    note = (
        f"{one['images']} images, {one['questions']} questions, products in {one['dtype']}; the "
        f"tower looked before, and {one['minutes']:.1f} minutes passed on the clock; the paper's "
        "are of 8 A800 and a model a thousand times as large"
    )
    most = float(str(paper.claims().loc["C47", "paper_value"]))
    return decided(verdict.below, most, minutes, unit="minutes of one processor core",
                   n=len(rows), data="steps", note=note)  # fmt: skip


CLAIMS = {
    "C23": partial(kept, 64, "C23"),
    "C27": kept_of_next,
    "C46": data_matters_little,
    "C47": takes_minutes,
}
