"""What a turn takes to its first word, with the cache kept and with fresh prefills."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.experiments.answers import identified
from vzlib.experiments.many_turns import dialogues, ways
from vzlib.experiments.many_turns.measure import plan
from vzlib.experiments.many_turns.settings import ManyTurns
from vzlib.methods import registry

KEPT, FRESH = "cache kept", "fresh prefill"
IMAGE = "image"  # tower, choice and projector, once for a dialogue


def measure(settings: ManyTurns, rounds: int = 4) -> pd.DataFrame:
    """Seconds of every turn of one dialogue, all ways taking turns in one run, stored.

    Columns: method, budget, cache (kept, or the prompt read anew for each question), round, stage
    ("image", "turn 1", ...), seconds. Raises ValueError as `measure.plan` does.
    """
    points = [point for point in plan(settings) if point["history"] == settings.history]
    return results.compute(
        "many_turns_speed",
        {"points": points, "history": settings.history, "rounds": rounds},
        partial(_measure, settings.model, settings.questions),
        uses=sorted({registry.row(point["method"]).module for point in points}),
        **identified(settings),
    )


def _measure(model: str, source: str, chosen: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.efficiency import timing
    from vzlib.models import load

    loaded = load.loaded(model)
    points, turns = chosen["points"], chosen["points"][0]["turns"]
    asked = dialogues.read(source, 2, turns)[0]
    variants = {
        f"{number} {cache}": partial(_variant, loaded, asked, point, chosen["history"], cache)
        for number, point in enumerate(points)
        for cache in (KEPT, FRESH)
    }
    times = timing.measure(
        variants,
        loaded.model.device,
        repetitions=chosen["rounds"],
        warm_up=1,
        progress="rounds",
        apart=True,
    )
    number, cache = times.pop("variant").str.split(" ", n=1, expand=True).to_numpy().T
    own = [points[int(one)] for one in number]
    times.insert(0, "method", [point["method"] for point in own])
    times.insert(1, "budget", [point["budget"] for point in own])
    times.insert(2, "cache", cache)
    return times


def _variant(
    loaded: Any, asked: Any, point: Mapping[str, Any], history: Any, cache: str
) -> Iterator[str]:
    import torch

    from vzlib.evaluation import needs
    from vzlib.evaluation.dialogue import converse
    from vzlib.evaluation.judging import open_images
    from vzlib.models.images import open_image

    model, processor = loaded.model, loaded.processor
    way = ways.way_of(loaded, point)
    texts = [question.text for question in asked.questions]
    talks = [texts] if cache == KEPT else [[text] for text in texts]
    number = 0
    with torch.no_grad():
        pixels = loaded.pixels([open_image(asked.image)])
        seen = needs.of_images(loaded, [way], pixels, remember=False)
        visual, _ = ways.tokens_of(loaded, way, [asked], seen, point["seed"])
        yield IMAGE
        for talk in talks:
            opening = open_images(model, processor, visual[:1], ways.depth_of(model, way))
            turns = converse(
                model, processor, opening, [0], [talk], way.inside,
                history=history, seed=point["seed"], max_new_tokens=1,
            )  # fmt: skip
            for _ in turns:
                number += 1
                yield f"turn {number}"
