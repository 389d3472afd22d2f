"""Table 5: does a text-guided selector lose with the tokens that the encoder attends to (Ex1), and
gain if it is offered nothing else (Ex2)?

Besides the paper's three conditions, as many random patches are removed or offered, which tells
which tokens from how many; and of every token that is kept it is known where it came from.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from vzlib import paper, results
from vzlib.experiments import intervals, questions, verdict
from vzlib.experiments.checkpoint import configuration, identity
from vzlib.experiments.comparison import (
    MEAN,
    QUESTION,
    holm,
    paired_difference,
    percent_of,
    summary,
)
from vzlib.experiments.intervals import Interval
from vzlib.experiments.settings import MisalignmentAblation

CONDITIONS = ("baseline", "ex1", "ex1 random", "ex2", "ex2 zipped", "ex2 random")
ALONE = "nothing"  # instead of a selector: reductions before the language model alone
BEFORE = ("visionzip", "random")
COMPARISONS = (
    ("ex1", "baseline"),
    ("ex1 random", "baseline"),
    ("ex1", "ex1 random"),
    ("ex2", "baseline"),
    ("ex2 zipped", "baseline"),
    ("ex2 random", "baseline"),
    ("ex2", "ex2 random"),
)
PUBLISHED = 576  # patches that the counts of the settings are for


def counts(settings: MisalignmentAblation) -> dict[str, int]:
    """Patches removed, offered and kept on this model.

    Raises ValueError if they do not fit, or if a selector does not fit the language model; loads
    no weights.
    """
    from vzlib.baselines.in_llm.schedule import PUBLISHED as shape
    from vzlib.baselines.in_llm.schedule import scaled_count
    from vzlib.experiments.misalignment_conditions import inside

    whole = _shape(settings.model)
    chosen = {
        name: scaled_count(getattr(settings, name), shape, whole.visual)
        for name in ("removed", "offered", "kept")
    }
    for selector in settings.selectors:
        inside(selector, chosen["kept"], whole.visual, whole)
    return chosen


def measure(settings: MisalignmentAblation) -> pd.DataFrame:
    """Every question under every condition, stored seed by seed, so that a kill loses one at most.

    Columns: way, selector ("nothing" for reductions before the language model alone), condition,
    seed, those of `vzlib.experiments.evaluation.evaluate`, by_layer (visual tokens that enter each
    layer), dominant (percent of the kept tokens that are among the `kept` patches which the encoder
    attends to most), chance (the same among all that were offered), covered (percent of the objects
    asked about of which a kept token covers a patch; missing where no object is known).

    What draws nothing runs with the first seed alone. Raises ValueError for a model or questions
    that there are not, and as `counts` does, before a model is loaded.
    """
    questions.check(settings.questions)
    chosen = counts(settings)
    tables = []
    for number, seed in enumerate(dict.fromkeys(settings.seeds)):
        points = [
            {"selector": selector, "condition": condition, "seed": seed, **chosen}
            | {"questions": settings.questions, "each": settings.each}
            for selector, condition in _ways(settings)
            if number == 0 or selector == "sparsevlm" or condition.endswith("random")
        ]
        found = results.compute_each(
            "misalignment_ablation",
            points,
            partial(_measure, settings.model),
            model_fingerprint=identity(settings.model),
            data_version=questions.version(settings.questions),
        )
        for point, table in zip(points, found, strict=True):
            named = {name: point[name] for name in ("selector", "condition", "seed")}
            way = _name(point["selector"], point["condition"])
            tables.append(results.predictions(table).assign(way=way, **named))
    return pd.concat(tables, ignore_index=True)


def _ways(settings: MisalignmentAblation) -> list[tuple[str, str]]:
    """Selector and condition, those with the same condition beside each other."""
    selectors = dict.fromkeys(settings.selectors)
    ways = [(selector, condition) for condition in CONDITIONS for selector in selectors]
    return [*ways, *((ALONE, condition) for condition in BEFORE)]


def _name(selector: str, condition: str) -> str:
    return f"{selector}, {condition}"


def _shape(model: str) -> Any:
    from vzlib.baselines.in_llm import Shape

    config = configuration(model)
    vision = config.vision_config
    side = vision.image_size // vision.patch_size
    return Shape(config.get_text_config().num_hidden_layers, side**2)


def _measure(model: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Points of one seed."""
    from vzlib.experiments.evaluation import Way, cls_token, judged
    from vzlib.experiments.misalignment_conditions import inside, offer
    from vzlib.experiments.tower import loaded_model

    loaded, whole = loaded_model(model), _shape(model)
    cls, first = cls_token(loaded), points[0]
    sizes = {name: first[name] for name in ("removed", "offered", "kept")}
    left = {"ex1": whole.visual - first["removed"], "ex2": first["offered"]}
    offers = {
        condition: offer(condition, cls=cls, **sizes)
        for condition in dict.fromkeys(point["condition"] for point in points)
    }
    ways = []
    for point in points:
        selector, condition = point["selector"], point["condition"]
        given = left.get(condition.split()[0], whole.visual)
        method = None if selector == ALONE else inside(selector, first["kept"], given, whole)
        ways.append(Way(_name(selector, condition), offers[condition], method))
    found: list[list[Any]] = [[] for _ in points]
    asked = questions.read(first["questions"], first["each"])
    for images, encoded, verdicts in judged(loaded, ways, asked, seed=first["seed"]):
        scores = encoded.scores[:, int(cls) :].cpu()
        ranked = scores.argsort(dim=1, descending=True, stable=True)
        for rows, way, by_image in zip(found, ways, verdicts, strict=True):
            for image, own in enumerate(by_image):
                dominant = ranked[image, : first["kept"]].numpy()
                patches = way.before.patches[image].numpy()
                rows += _rows(images[image], own, patches, dominant, whole.visual)
    columns = [
        *QUESTION, "answer", "score", "at_input", "average", "by_layer",
        "dominant", "chance", "covered",
    ]  # fmt: skip
    tables = [pd.DataFrame(rows, columns=columns) for rows in found]
    return [(summary(table.assign(way=""), "way"), table) for table in tables]


def _rows(
    asked: Any, verdicts: Sequence[Any], offered: np.ndarray, dominant: np.ndarray, patches: int
) -> Iterator[tuple[Any, ...]]:
    """A row per question about one image.

    offered: `[K]` patch of each token at the input, -1 for none. dominant: the most attended ones.
    """
    chance = 100 * np.isin(offered[offered >= 0], dominant).mean()
    for question, one in zip(asked.questions, verdicts, strict=True):
        kept = offered if one.places is None else offered[one.places[-1].cpu().numpy()]
        kept = kept[kept >= 0]
        yield (
            question.task,
            asked.name,
            question.text,
            question.answers[0],
            one.score,
            one.counts[0],
            sum(one.counts) / len(one.counts),
            "/".join(map(str, one.counts)),
            100 * np.isin(kept, dominant).mean(),
            chance,
            _covered(asked, question, kept, patches),
        )


def _covered(asked: Any, question: Any, kept: np.ndarray, patches: int) -> float:
    if asked.scene is None or not question.objects:
        return float("nan")
    size = asked.scene.image.shape[0] // round(patches**0.5)
    masks = (asked.scene.object_patches(number, size) for number in question.objects)
    return 100 * float(np.mean([mask.ravel()[kept].any() for mask in masks]))


def conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """What every way got and how it did, as in Table 5.

    rows: of `measure`. Columns: selector, condition, at_input, average, by_layer, n, one per task
    and mean (accuracy in percent), low and high (of the mean), majority (always the commonest
    answer), dominant, chance.
    """
    found = []
    for (selector, condition), own in rows.groupby(["selector", "condition"], sort=False):
        score = summary(own).set_index("task")
        found.append(
            {
                "selector": selector,
                "condition": condition,
                "at_input": own["at_input"].mean(),
                "average": own["average"].mean(),
                "by_layer": own["by_layer"].mode().iloc[0],
                "n": len(own.drop_duplicates(QUESTION)),
                **score["value"].to_dict(),
                **score.loc[MEAN, ["low", "high", "majority"]].to_dict(),
            }
        )
    return pd.DataFrame(found)


def effects(rows: pd.DataFrame) -> pd.DataFrame:
    """Paired differences between conditions, per task and as the mean over tasks.

    rows: of `measure`. Columns: selector, one, other, task, value (percentage points by which `one`
    is better), low, high (95 %, images as units), p, n (questions), percent (of the other's
    accuracy) with percent_low and percent_high (missing where the other has no right answer), holm
    (p corrected over all comparisons of means, or over all within tasks).
    """
    found = []
    for selector in rows.loc[rows["selector"] != ALONE, "selector"].unique():
        own = rows[rows["selector"] == selector]
        for task in (*own["task"].unique(), MEAN):
            chosen = own if task == MEAN else own[own["task"] == task]
            for pair in COMPARISONS:
                gain = paired_difference(chosen, *pair, by="condition")
                percent = _percent(chosen, *pair)
                found.append((selector, *pair, task, *gain, *percent))
    columns = [
        "selector", "one", "other", "task", "value", "low", "high", "p", "n",
        "percent", "percent_low", "percent_high",
    ]  # fmt: skip
    table = pd.DataFrame(found, columns=columns)
    of_means = table["task"] == MEAN
    for family in (of_means, ~of_means):
        table.loc[family, "holm"] = holm(table.loc[family, "p"].to_numpy())
    return table


def _percent(rows: pd.DataFrame, one: str, other: str) -> Interval:
    """By how many percent `one` is better, mean over tasks."""
    reference = rows[rows["condition"] == other].groupby("task")["score"].sum()
    if not reference.all():
        return Interval(*[float("nan")] * 3)
    return Interval(*(part - 100 for part in percent_of(rows, one, other, "condition")))


def overlap(rows: pd.DataFrame) -> pd.DataFrame:
    """How many of the kept tokens the encoder calls dominant, against chance.

    rows: of `measure`. Columns: selector, condition, share and chance (percent of the kept and of
    the offered tokens), value (share / chance) with its 95 % interval low, high over images, n
    (images).
    """
    found = []
    for key, own in rows.groupby(["selector", "condition"], sort=False):
        by_image = own.groupby("image")[["dominant", "chance"]].mean()
        share, chance = (by_image[name].to_numpy() for name in ("dominant", "chance"))
        ratio = intervals.ratio(share, chance)
        found.append((*key, share.mean(), chance.mean(), *ratio, len(by_image)))
    columns = ["selector", "condition", "share", "chance", *Interval._fields, "n"]
    return pd.DataFrame(found, columns=columns)


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """How often a kept token covers a thing that the question is about, in percent.

    rows: of `measure`. Columns: selector, condition, task, value, low, high (95 % over images), n
    (questions that are about something). Empty where no scene is known.
    """
    known = rows.dropna(subset="covered")
    whole = pd.concat([known, known.assign(task=MEAN)])
    found = []
    for key, own in whole.groupby(["selector", "condition", "task"], sort=False):
        # A question asked with several seeds counts once; the mean weighs every question alike.
        each = own.groupby(["image", "question"])["covered"].mean().reset_index()
        interval = intervals.mean_over(each["covered"].to_numpy(), each["image"].to_numpy(str))
        found.append((*key, *interval, len(each)))
    return pd.DataFrame(found, columns=["selector", "condition", "task", *Interval._fields, "n"])


def verdicts(table: pd.DataFrame, ex2: str = "dominant") -> pd.DataFrame:
    """Is the paper's effect there? From the intervals of `effects`, mean over tasks.

    ex2: as in the settings. Columns: selector, experiment, paper (percent, of the paper), verdict
    (is the effect of the paper's sign?), which (is it that of these tokens, beyond as many random
    ones?), sentence.
    """
    published = paper.table(5).set_index("experiment")["change_percent"]
    means = table[table["task"] == MEAN].set_index(["selector", "one", "other"])
    found = []
    for selector in table["selector"].unique():
        for experiment, condition in (
            ("Ex1", "ex1"),
            ("Ex2", "ex2" if ex2 == "dominant" else "ex2 zipped"),
        ):
            claimed = float(published[experiment])
            effect = means.loc[(selector, condition, "baseline")]
            control = means.loc[(selector, condition.split()[0], f"{condition.split()[0]} random")]
            found.append(
                (
                    selector,
                    experiment,
                    claimed,
                    _sign(effect, claimed),
                    _sign(control, claimed),
                    f"{experiment} with {selector}: {_told(effect)}; the paper has {claimed:+.1f} %"
                    f" on TextVQA: {_sign(effect, claimed)}. Against as many random tokens: "
                    f"{_told(control)}: {_sign(control, claimed)}.",
                )
            )
    columns = ["selector", "experiment", "paper", "verdict", "which", "sentence"]
    return pd.DataFrame(found, columns=columns)


def _sign(effect: pd.Series, claimed: float) -> str:
    bounds = [np.sign(claimed) * effect[name] for name in ("value", "low", "high")]
    return verdict.above(Interval(bounds[0], min(bounds), max(bounds)), 0)


def _told(effect: pd.Series) -> str:
    return (
        f"{effect['value']:+.1f} points [{effect['low']:+.1f}, {effect['high']:+.1f}], "
        f"{effect['percent']:+.1f} %, Holm p = {effect['holm']:.2g}, n = {effect['n']}"
    )
