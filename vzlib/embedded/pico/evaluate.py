"""Measures pico-llava on held-out scenes: `python -m vzlib.embedded.pico.evaluate`.

Writes `accuracy.csv` (every method, budget and task) and the model card into the checkpoint.
"""

import argparse
import os
from pathlib import Path

import torch

from vzlib.embedded.pico.card import write_card
from vzlib.embedded.pico.findings import findings
from vzlib.evaluation.accuracy import answers
from vzlib.models.load import load
from vzlib.statistics.comparison import summary

BUDGETS = (192, 128, 64)  # one third, two ninths and one ninth of 576
METHODS = ("visionzip", "visionzip-paper", "random", "uniform")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pico", help="pico, or a folder (default: pico)")
    parser.add_argument("--each", type=int, default=1000, help="questions per task")
    parser.add_argument("--folder", type=Path, default=Path("results/pico"), help="of the training")
    parser.add_argument("--target", type=Path, default=Path("checkpoints/pico-llava"))
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    loaded = load(arguments.model)
    points = [("vanilla", 576), *((name, retain) for retain in BUDGETS for name in METHODS)]
    rows = answers(loaded, points, each=arguments.each)
    table = summary(rows, ("method", "retained"))
    table.to_csv(arguments.target / "accuracy.csv", index=False, float_format="%.2f")
    write_card(
        table, rows, findings(arguments.model), folder=arguments.folder, target=arguments.target
    )
    print(table.pivot_table("value", ["method", "retained"], "task", sort=False).round(1))


if __name__ == "__main__":
    main()
