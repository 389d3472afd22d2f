"""Answers that are lost for a known reason."""

import numpy as np
import pandas as pd

TASKS = ("attribute", "counting", "reading")


def made_up(why, images=200, seed=0, tasks=TASKS, budgets=(64,)):
    """(rows, things): answers all right with all tokens; why: chance of a loss by the things."""
    random = np.random.default_rng(seed)
    things = pd.DataFrame(
        [(task, f"scene {image}", f"{task} ?") for image in range(images) for task in tasks],
        columns=["task", "image", "question"],
    )
    n = len(things)
    things = things.assign(
        size=2 ** random.uniform(1, 5, n), eccentricity=random.uniform(0, 1, n),
        others=random.integers(0, 6, n).astype(float), contrast=random.uniform(10, 90, n),
    )  # fmt: skip
    kept = random.choice([0.0, 0.3, 0.7, 1.0], n)
    asked = things[["task", "image", "question"]].assign(answer="x")
    full = asked.assign(method="vanilla", budget=576, score=1.0, kept=1.0)
    tables = [full]
    for budget in budgets:
        lost = random.random(n) < why(things.assign(kept=kept))
        score = 1.0 - lost
        tables.append(asked.assign(method="visionzip", budget=budget, score=score, kept=kept))
    return pd.concat(tables, ignore_index=True), things


def logistic(logit):
    return 1 / (1 + np.exp(-logit))
