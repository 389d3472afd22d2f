"""Attention and answers under conditions of which it is known what they change."""

import numpy as np
import pandas as pd

from vzlib.experiments.concentration.measure import QUANTITIES
from vzlib.experiments.concentration.names import STOCK

TASKS = ("counting", "reading")


def attention(changes, images=20, rules=("cls", "mean")):
    """changes: what each condition adds to the Gini coefficient and takes from `watched`."""
    random = np.random.default_rng(0)
    base, rows = random.uniform(0.4, 0.6, images), []
    for condition, change in ({STOCK: 0.0} | changes).items():
        for number, rule in enumerate(rules):
            for image in range(images):
                told = dict.fromkeys(QUANTITIES, 1.0)
                told |= {"gini": base[image] + change, "watched": 80 - 100 * change}
                told["same"] = 100.0 - 40 * number
                name = f"scene {image}"
                rows.append({"name": name, "unit": name, "condition": condition, "rule": rule}
                            | told)  # fmt: skip
    return pd.DataFrame(rows)


def answers(levels, images=300):
    """levels: share of right answers by (condition, method)."""
    random = np.random.default_rng(0).random((len(TASKS), images))
    tables = [
        pd.DataFrame(
            {
                "condition": condition, "method": method, "task": task, "question": "?",
                "image": [f"scene {image}" for image in range(images)], "answer": "x",
                "score": (random[number] < level).astype(float),
            }
        )
        for (condition, method), level in levels.items()
        for number, task in enumerate(TASKS)
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


LEVELS = {
    (STOCK, "vanilla"): 0.9, (STOCK, "visionzip"): 0.8, (STOCK, "column mean"): 0.85,
    (STOCK, "random"): 0.6, ("logits x 2", "vanilla"): 0.7, ("logits x 2", "visionzip"): 0.4,
}  # fmt: skip
