"""Answers and images of which it is known who needs how many tokens."""

import numpy as np
import pandas as pd

LADDER = (16, 32, 64, 128, 256)


def answers(needs, tasks=("counting", "reading"), ladder=LADDER):
    """Right from `needs` [N] tokens on, every task alike."""
    return pd.DataFrame(
        [
            (tokens, task, f"scene {image}", f"{task} ?", "x", float(tokens >= need))
            for tokens in ladder
            for task in tasks
            for image, need in enumerate(needs)
        ],
        columns=["tokens", "task", "image", "question", "answer", "score"],
    )


def images(held_by, things=None, patches=256):
    """Images whose attention is even among the first `held_by` [N] of the patches."""
    tables = []
    for number, count in enumerate(held_by):
        weight = np.where(np.arange(patches) < count, 1 / count, 0.0)
        table = pd.DataFrame({"image": f"scene {number}", "place": np.arange(1, patches + 1)})
        many = np.nan if things is None else float(things[number])
        tables.append(table.assign(weight=weight, rank=float(count), things=many))
    return pd.concat(tables, ignore_index=True)
