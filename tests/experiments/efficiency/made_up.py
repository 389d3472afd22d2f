"""Times and costs that are made up, so that ratios and verdicts are known."""

import numpy as np
import pandas as pd

ROUNDS = 8
STAGES = ("tower", "select + merge", "projector", "prefill", "decode")
# Seconds of the prefill and of the whole rest, and MB at the peak, by geometry, method and budget.
MADE_UP = {
    ("llava-small", "vanilla", 2880): (1.0, 0.20, 100),
    ("llava-small", "visionzip", 640): (0.2, 0.15, 40),
    ("llava-small", "visionzip", 160): (0.1, 0.10, 30),
    ("llava-small", "fastv", 640): (0.5, 0.20, 120),
    ("llava-small", "sparsevlm", 640): (0.6, 0.20, 90),
    ("llava-small-2x", "vanilla", 2880): (2.0, 0.30, 200),
    ("llava-small-2x", "visionzip", 640): (0.5, 0.20, 80),
    ("llava-small-2x", "visionzip", 320): (0.3, 0.20, 60),
}


def made_up(noise=0.02, **changes):
    """Times and costs as `measure` and `costs` give them."""
    random = np.random.default_rng(0)
    times, costs = [], []
    for (model, method, budget), told in MADE_UP.items():
        prefill, rest, memory = changes.get(f"{method}_{budget}", told)
        name = f"{model} {method} {budget}"
        spent = (model, method, budget, 2880, float(budget))
        for turn in range(ROUNDS):
            for stage in STAGES:
                seconds = prefill if stage == "prefill" else rest / 4
                seconds *= random.normal(1, noise)
                times += [("cpu", *spent, name, turn, stage, seconds, flag) for flag in (0, 1)]
        flops = 1e9 * budget
        costs.append(("cpu", *spent, name, "", 60, flops, flops, memory * 1e6, 50e6))
    common = ["device", "geometry", "method", "budget", "at_input", "average", "variant"]
    rows = pd.DataFrame(times, columns=[*common, "round", "stage", "seconds", "apart"])
    more = ["schedule", "text", "formula", "flops_prefill", "memory", "weights"]
    return rows.astype({"apart": bool}), pd.DataFrame(costs, columns=[*common, *more])
