"""Rows as `measure` gives them, whose effects are known."""

import numpy as np
import pandas as pd

TASKS = ("reading", "counting")


def rows(levels, images=150, turns=4, kept=0.3, seed=0):
    """levels: by method, the share right in the first turn and in later ones, by the first's thing.

    A question that is asked under several conditions is right where its ease is below the share.
    """
    random = np.random.default_rng(seed)
    ease = random.random((images, len(TASKS)))
    told = []
    for method, history, shares in (
        ("vanilla", "dropped", (0.9, 0.9, 0.9)),
        ("vanilla", "kept", (0.9, kept, kept)),
        *((method, "dropped", shares) for method, shares in levels.items()),
    ):
        for image in range(images):
            for number, task in enumerate(TASKS):
                for turn in range(1, turns + 1):
                    about = "the same thing" if turn == 1 or turn % 2 else "another thing"
                    share = shares[0 if turn == 1 else 1 + (about != "the same thing")]
                    told.append(
                        (method, history, task, f"image {image}", f"{task} ?", turn, about,
                         float(ease[image, number] < share))
                    )  # fmt: skip
    columns = ["method", "history", "task", "image", "question", "turn", "about", "score"]
    table = pd.DataFrame(told, columns=columns)
    everything = table["method"] == "vanilla"
    return table.assign(
        budget=np.where(everything, 576, 288), visual=np.where(everything, 576.0, 288.0),
        held=np.where(table["turn"] == 1, 0.0, 300.0),
        gflops=np.where(table["turn"] == 1, 2.0, 0.5),
        answer="x", first="?", said="x",
    )  # fmt: skip


LEVELS = {"visionzip": (0.8, 0.8, 0.8), "fastv": (0.8, 0.7, 0.5), "sparsevlm": (0.8, 0.75, 0.7)}
