"""VisionZip on every kind of encoder, with random weights: does it run, and on what evidence?"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.experiments.concentration.settings import Concentration

RETAIN = 64


def measure(settings: Concentration) -> pd.DataFrame:
    """A row for each kind of tower that `vzlib.models.towers` reads.

    Columns: tower, cls (whether it has a CLS token), patches, tokens (that VisionZip made of them,
    when asked for 64), gini (of the attention on patches that rates, mean over two images of
    noise).
    """
    return results.compute("concentration_encoders", {"seed": settings.seed}, _measure)


def _measure(point: Mapping[str, Any]) -> pd.DataFrame:
    import torch

    from vzlib.experiments.concentration.encoders import ENCODERS, tiny
    from vzlib.methods.visionzip import VisionZip
    from vzlib.models.tower_parts import FAMILIES, has_cls
    from vzlib.models.towers import encode
    from vzlib.tokens.concentration import gini

    rows = []
    for encoder in ENCODERS:
        if encoder.tower not in FAMILIES:
            continue
        tower, inputs = tiny(encoder.tower, point["seed"])
        cls = has_cls(tower)
        with torch.no_grad():
            encoded = encode(tower, *inputs)
        made = VisionZip().reduce(encoded, RETAIN, has_cls=cls)
        patches = encoded.scores[:, int(cls) :]
        spread = float(gini(patches).mean())
        rows.append((encoder.tower, cls, patches.shape[1], made.tokens.shape[1], spread))
    return pd.DataFrame(rows, columns=["tower", "cls", "patches", "tokens", "gini"])
