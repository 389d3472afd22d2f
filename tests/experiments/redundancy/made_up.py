"""Rows as `redundancy.measure` gives them, of weights that are known."""

import numpy as np
import pandas as pd


def rows_of(*images, kind="scenes", rule="cls", cls=0.0):
    """Images with these weights on their patches."""
    tables = [
        pd.DataFrame(
            {
                "images": kind,
                "name": f"image {number}",
                "unit": f"image {number}",
                "rule": rule,
                "patch": np.arange(-1, len(weights)),
                "weight": [cls, *weights],
            }
        )
        for number, weights in enumerate(images)
    ]
    return pd.concat(tables, ignore_index=True)
