"""What a tower tells of each image before any token is chosen."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from vzlib import results
from vzlib.evaluation import questions
from vzlib.experiments.adaptive_budget.settings import AdaptiveBudget
from vzlib.experiments.answers import identified


def measure(settings: AdaptiveBudget) -> pd.DataFrame:
    """The attention curve of every image that is asked about, and what else may tell its need.

    Columns: image, place (1 for the patch that is attended most), weight (its share of the
    attention on patches, by the scores that select), rank (effective rank of the image's patches),
    things (that the scene shows; missing where no scene is known).
    Raises ValueError for a model or questions that there are not.
    """
    questions.check(settings.questions)
    return results.compute(
        "adaptive_budget_images",
        {"each": settings.each},
        partial(_measure, settings.model, settings.questions),
        **identified(settings),
    )


def _measure(model: str, source: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.evaluation.evaluate import judged
    from vzlib.models import load

    loaded, tables = load.loaded(model), []
    first = int(loaded.has_cls)
    asked = questions.read(source, point["each"])
    for images, encoded, _ in judged(loaded, [], asked, remember=True):
        scores = encoded.scores[:, first:].cpu().double()
        curves = (scores / scores.sum(1, keepdim=True)).sort(dim=1, descending=True).values
        ranks = effective_rank(encoded.hidden[:, first:])
        for one, curve, rank in zip(images, curves, ranks.tolist(), strict=True):
            things = len(one.scene.objects) if one.scene is not None else float("nan")
            places = range(1, len(curve) + 1)
            columns: dict[str, Any] = {"image": one.name, "place": places, "weight": curve.numpy()}
            columns |= {"rank": rank, "things": things}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def effective_rank(patches: Tensor) -> Tensor:
    """In how many directions patches [B, P, D] spread around their mean, [B] (Roy, Vetterli 2007).

    exp of the entropy of the singular values' shares: 1 on a line, D if alike in all directions.
    """
    centred = patches.float() - patches.float().mean(dim=1, keepdim=True)
    values = torch.linalg.svdvals(centred.cpu())
    shares = values / values.sum(dim=1, keepdim=True)
    return (-shares.xlogy(shares).sum(dim=1)).exp()
