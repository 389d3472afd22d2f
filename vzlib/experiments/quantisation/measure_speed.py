"""Time from pixels to the first word at every precision, all ways taking turns in one run."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.experiments.quantisation.measure import plan
from vzlib.experiments.quantisation.precisions import known, load_at
from vzlib.experiments.quantisation.settings import Quantisation
from vzlib.methods import registry


def measure(settings: Quantisation, rounds: int = 5) -> pd.DataFrame:
    """Columns: precision, method, round, stage ("tower", "language model"), seconds.

    Every model is in memory at once. Raises ValueError as `measure.plan`.
    """
    points = plan(settings)
    return results.compute(
        "quantisation_speed",
        {"precisions": settings.precisions, "points": points, "rounds": rounds},
        partial(_measure, settings.model),
        uses=sorted({registry.row(point["method"]).module for point in points}),
        **known(settings, settings.precisions[0]),
    )


def _measure(model: str, chosen: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.efficiency import timing

    models = {precision: load_at(model, precision) for precision in chosen["precisions"]}
    variants = {
        f"{precision} {point['method']}": partial(_variant, loaded, point)
        for precision, loaded in models.items()
        for point in chosen["points"]
    }
    device = next(iter(models.values())).model.device
    times = timing.measure(
        variants, device, repetitions=chosen["rounds"], warm_up=1, progress="rounds", apart=True
    )
    named = times.pop("variant").str.split(" ", n=1, expand=True)
    times.insert(0, "precision", named[0])
    times.insert(1, "method", named[1])
    return times


def _variant(loaded: Any, point: Mapping[str, Any]) -> Iterator[str]:
    import torch

    from vzlib.evaluation import needs
    from vzlib.evaluation.answering import Way
    from vzlib.evaluation.decoding import decode, embed_question
    from vzlib.evaluation.judging import open_images
    from vzlib.scenes import make

    way = Way(point["method"], registry.method(point["method"]), point["tokens"])
    with torch.no_grad():
        pixels = loaded.pixels([make(0).image])
        encoded, further = needs.of_images(loaded, [way], pixels, remember=False)
        reduced = way.before.reduce(encoded, way.retain, has_cls=loaded.has_cls, further=further)
        visual = loaded.model.model.multi_modal_projector(reduced.tokens)
        yield "tower"
        opening = open_images(loaded.model, loaded.processor, visual)
        text = embed_question(loaded.model, loaded.processor, "how many shapes are there ?")
        decode(loaded.model, opening, text, None, max_new_tokens=1)
        yield "language model"
