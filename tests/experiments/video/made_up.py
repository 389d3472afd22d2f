"""Answers of which a share is right, so that what is told of them is known."""

import numpy as np
import pandas as pd

TASKS = {"clip": ("motion", "frame"), "album": ("image", "shared")}
ALL = {"clip": 2056, "album": 1028}


def rows(kind="clip", count=200, **levels):
    """levels: shares that are right, by a way such as visionzip_evenly_136 or vanilla."""
    hard = np.random.default_rng(0).random((2, count))
    tables = []
    for way, share in levels.items():
        method, spread, budget = (
            ("vanilla", "evenly", ALL[kind]) if way == "vanilla" else way.split("_")
        )
        for place, task in enumerate(TASKS[kind]):
            tables.append(
                pd.DataFrame(
                    {
                        "kind": kind, "method": method, "spread": spread, "budget": int(budget),
                        "task": task, "image": [f"{kind} {number}" for number in range(count)],
                        "question": "?", "answer": "x",
                        "score": (hard[place] < share).astype(float), "average": float(budget),
                    }
                )
            )  # fmt: skip
    return pd.concat(tables, ignore_index=True)
