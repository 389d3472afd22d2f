"""Bytes by part, counted: a model's weights at each precision, and its cache of keys and values.

What a GPU allocates besides is not in it.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.experiments.quantisation.measure import VANILLA, plan
from vzlib.experiments.quantisation.precisions import known
from vzlib.experiments.quantisation.settings import Quantisation

CACHE = "KV cache"
TEXT = 16  # tokens of a prompt besides the image


def measure(settings: Quantisation) -> pd.DataFrame:
    """Columns: precision, method (all of them share the weights), part, bytes.

    The cache is that of a prompt of an image and 16 words. Raises ValueError as `measure.plan`.
    """
    tokens = {point["method"]: point["tokens"] for point in plan(settings)}
    tables = [
        results.compute(
            "quantisation_bytes",
            {"precision": precision, "tokens": tokens},
            partial(_measure, settings.model),
            **known(settings, precision),
        ).assign(precision=precision)
        for precision in settings.precisions
    ]
    return pd.concat(tables, ignore_index=True)


def _measure(model: str, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.efficiency.memory import weights
    from vzlib.experiments.quantisation.precisions import load_at

    loaded = load_at(model, point["precision"])
    core = loaded.model.base_model
    parts = {
        "tower": weights(core.vision_tower),
        "projector": weights(core.multi_modal_projector),
        "language model": weights(core.language_model) + weights(loaded.model.lm_head),
    }
    rows = [(VANILLA, part, count) for part, count in parts.items()]
    rows += [
        (name, CACHE, _cache(loaded.model, visual + TEXT))
        for name, visual in point["tokens"].items()
    ]
    return pd.DataFrame(rows, columns=["method", "part", "bytes"])


def _cache(model: Any, tokens: int) -> int:
    """Bytes of the cache that the model really fills with so many tokens."""
    import torch

    ids = torch.full((1, tokens), model.config.get_text_config().bos_token_id or 1)
    with torch.no_grad():
        out = model.base_model.language_model(ids.to(model.device), use_cache=True)
    filled = [part for layer in out.past_key_values.layers for part in (layer.keys, layer.values)]
    return sum(part.numel() * part.element_size() for part in filled)
