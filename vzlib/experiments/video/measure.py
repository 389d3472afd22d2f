"""Clips of eight frames and albums of four images, every method within the same tokens in all.

Methods before the language model spend a budget frame by frame, as in the paper's 8 x 17, or once
for the whole clip, where a frame has as many tokens as attention gives it. Those inside it spend it
as an average over layers; what a model of few layers cannot average is not measured.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from vzlib import results, scenes
from vzlib.experiments.video.settings import Video
from vzlib.methods import registry
from vzlib.models.checkpoint import configuration, keyed
from vzlib.models.tower_parts import family_of_config
from vzlib.scenes import clips

VANILLA = "vanilla"
BEFORE = (("visionzip", "evenly"), ("visionzip", "attention"), ("random", "evenly"),
          ("uniform", "evenly"))  # fmt: skip
FRAMES = {"clip": clips.FRAMES, "album": clips.IMAGES}


class Point(NamedTuple):
    """A way to spend a budget on clips or on albums.

    spread: how a budget is shared among frames, "inside" for an average over layers. spends: what
    it gets nearest to the budget; None if far from it.
    """

    kind: str
    method: str
    spread: str
    budget: int
    spends: float | None


def whole(model: str) -> int:
    """Tokens of one frame. Raises ValueError for a model that is no LLaVA of one view."""
    config: Any = configuration(model)
    if config.model_type != "llava":
        raise ValueError(
            f"video_model={model!r} is a {config.model_type}; allowed: a LLaVA that was trained on "
            "numbered frames, such as 'pico-video'"
        )
    vision = config.vision_config
    cls = config.vision_feature_select_strategy == "full" and family_of_config(vision).cls
    return (vision.image_size // vision.patch_size) ** 2 + int(cls)


def plan(settings: Video) -> list[Point]:
    """Every way at every budget, and what it can spend; loads no weights.

    Raises ValueError for a model that does not fit and a budget of all tokens or more.
    """
    one, layers = whole(settings.video_model), _layers(settings.video_model)
    points = []
    for kind, frames in FRAMES.items():
        every = frames * one
        if large := [budget for budget in settings.budgets if budget >= every]:
            raise ValueError(f"budgets={large} must be below {every}, all tokens of the {kind}")
        points.append(Point(kind, VANILLA, "evenly", every, float(every)))
        for budget in dict.fromkeys(settings.budgets):
            points += [Point(kind, *way, budget, float(budget)) for way in BEFORE]
            for name in dict.fromkeys(settings.inside):
                average = _fitted(name, budget, layers, every).average
                near = abs(average - budget) <= 0.05 * budget
                points.append(Point(kind, name, "inside", budget, average if near else None))
    return points


def measure(settings: Video) -> pd.DataFrame:
    """Every question under every way that can be measured, stored budget by budget.

    Columns: kind ("clip" or "album"), method, spread, budget, task, image (the clip's name),
    question, answer, score (1 if greedy decoding would give exactly the answer), average (visual
    tokens per layer).
    Raises ValueError as `plan` does, before a model is loaded.
    """
    points = [point for point in plan(settings) if point.spends is not None]
    known: dict[str, Any] = {
        **keyed(settings.video_model),
        "data_version": f"clips {clips.VERSION}, scenes {scenes.VERSION}",
        "about": {"model": settings.video_model},
    }
    counts = {"clip": settings.clips, "album": settings.albums}
    tables = []
    for kind, budget in dict.fromkeys((point.kind, point.budget) for point in points):
        own = [point for point in points if (point.kind, point.budget) == (kind, budget)]
        wanted = [
            point._asdict() | {"count": counts[kind], "each": settings.each, "seed": settings.seed}
            for point in own
        ]
        found = results.compute_each(
            "video", wanted, partial(_measure, settings.video_model), uses=_modules, **known
        )
        for point, table in zip(own, found, strict=True):
            named = {name: getattr(point, name) for name in ("kind", "method", "spread", "budget")}
            tables.append(results.predictions(table).assign(**named))
    return pd.concat(tables, ignore_index=True)


def _modules(point: Mapping[str, Any]) -> set[str]:
    """Whose code a point depends on besides this module's."""
    return {registry.row(str(point["method"])).module}


def _layers(model: str) -> int:
    config: Any = configuration(model)
    return int(config.get_text_config().num_hidden_layers)


def _fitted(name: str, budget: int, layers: int, visual: int) -> Any:
    """The schedule of a method whose layer average is nearest to a budget, and that average."""
    from vzlib.methods.inside.schedule import OutOfReach

    method: Any = registry.method(name, "inside")
    try:
        return method.for_average(budget, layers, visual)
    except OutOfReach as error:
        return error.nearest


def _measure(model: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Points of one kind."""
    from vzlib.experiments.video.inside import answered
    from vzlib.experiments.video.prompts import look, prefix
    from vzlib.models import load
    from vzlib.models.shared_prefix import answered_right

    loaded, first = load.loaded(model), points[0]
    kind, make = first["kind"], {"clip": clips.clip, "album": clips.album}[first["kind"]]
    visual, layers = FRAMES[kind] * whole(model), _layers(model)
    rows: list[list[Any]] = [[] for _ in points]
    for number in range(first["count"]):
        clip = make(number)
        asked = clips.ask(clip, first["each"])
        pairs = [(question.text, question.answer) for question in asked]
        encoded = look(loaded, clip)
        for own, point in zip(rows, points, strict=True):
            name, budget, seed = point["method"], point["budget"], point["seed"] + number
            inside = point["spread"] == "inside"
            method = None if inside or name == VANILLA else registry.method(name)
            shown = prefix(loaded, kind, encoded, method, budget, point["spread"], seed)
            if inside:
                schedule = _fitted(name, budget, layers, visual).method
                told = answered(loaded.model, loaded.processor, shown, pairs, schedule, seed)
                scores = [(float(one.right), one.average) for one in told]
            else:
                (right,) = answered_right(loaded.model, loaded.processor, shown.embeds, [pairs])
                scores = [(float(one), float(shown.visual.sum())) for one in right]
            own += [
                (q.task, f"{kind} {number}", q.text, q.answer, *score)
                for q, score in zip(asked, scores, strict=True)
            ]
    columns = ["task", "image", "question", "answer", "score", "average"]
    tables = [pd.DataFrame(own, columns=columns) for own in rows]
    return [(_summed(table), table) for table in tables]


def _summed(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each task: no interval, whose rule may change, and no key with it."""
    return (
        table.groupby("task", sort=False)
        .agg(n=("score", "size"), score=("score", "mean"), average=("average", "mean"))
        .reset_index()
    )
