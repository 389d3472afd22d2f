"""Rows as `attention_by_layer.measure` gives them, around profiles that are known."""

import numpy as np
import pandas as pd

PAPER = [0.2, 0.22, 0.24, 0.3, 0.75, 0.8, 0.9, 0.6]


def rows_of(profile, measure="gini", images=20, noise=0.01):
    """Rows as `measure` gives them, of images whose values scatter around a profile."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        [
            ("scenes", f"image {i}", f"image {i}", "cls", layer, layer == 7, measure, value)
            for i in range(images)
            for layer, value in enumerate(profile + random.normal(0, noise, len(profile)), 1)
        ],
        columns=["images", "name", "unit", "rule", "layer", "read", "measure", "value"],
    )
