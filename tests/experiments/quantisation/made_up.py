"""Answers at several precisions, whose accuracies are known."""

import numpy as np
import pandas as pd

TASKS = ("reading", "counting")


def rows(levels, images=150, seed=0):
    """levels: by (precision, method), the share right; the first is all tokens, not quantised."""
    ease = np.random.default_rng(seed).random((images, len(TASKS)))
    told = [
        (precision, method, task, f"image {image}", f"{task} ?", float(ease[image, number] < share))
        for (precision, method), share in levels.items()
        for image in range(images)
        for number, task in enumerate(TASKS)
    ]
    columns = ["precision", "method", "task", "image", "question", "score"]
    return pd.DataFrame(told, columns=columns).assign(answer="x")


LEVELS = {
    ("float32", "vanilla"): 0.9, ("float32", "visionzip"): 0.8,
    ("int8", "vanilla"): 0.9, ("int8", "visionzip"): 0.8,
    ("nf4", "vanilla"): 0.85, ("nf4", "visionzip"): 0.6,
}  # fmt: skip
COUNTED = pd.DataFrame(
    [
        (precision, method, part, size * bits)
        for precision, bits in (("float32", 4e6), ("int8", 1e6), ("nf4", 5e5))
        for method, part, size in (
            ("vanilla", "tower", 3), ("vanilla", "projector", 1), ("vanilla", "language model", 5),
            ("vanilla", "KV cache", 2), ("visionzip", "KV cache", 0.25),
        )
    ],
    columns=["precision", "method", "part", "bytes"],
)  # fmt: skip
SECONDS = pd.DataFrame(
    [
        (precision, method, number, stage, number * share / 1000)
        for precision in ("float32", "int8", "nf4")
        for method, share in (("vanilla", 4), ("visionzip", 1))
        for number in (1, 2, 3)
        for stage in ("tower", "language model")
    ],
    columns=["precision", "method", "round", "stage", "seconds"],
)
