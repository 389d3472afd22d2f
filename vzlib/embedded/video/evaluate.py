"""Measures pico-video on held-out clips and albums: `python -m vzlib.embedded.video.evaluate`.

Writes `accuracy.csv` (every way, budget and task), the training curve and the model card into the
checkpoint. What was measured is in the store, so that a run that was killed goes on.
"""

import argparse
import os
from pathlib import Path

import pandas as pd
import torch

from vzlib import notebooks
from vzlib.embedded.video.architecture import tokenizer
from vzlib.embedded.video.train import STAGES
from vzlib.experiments.video import measure, tell
from vzlib.paths import CHECKPOINTS
from vzlib.statistics import MEAN
from vzlib.training import card

TEMPLATE = Path(__file__).with_name("card.md")
# Stages of the recipe before this one, with whose checkpoint the shipped one began.
FORMER = {
    "windows": "frames of 12x12 patches",
    "frames": "frames of 16x16 patches",
}
TITLES = {**FORMER, "few": "few tokens of a frame", "all": "mostly all tokens"}


def full_table(table: pd.DataFrame) -> str:
    """Accuracy with all tokens per task. table: of `tell.accuracies`."""
    lines = ["| shown | task | n | accuracy (95 % interval) | always the commonest answer |",
             "|---|---|---|---|---|"]  # fmt: skip
    for row in table[table["method"] == measure.VANILLA].itertuples():
        accuracy = f"{row.value:.1f} ({row.low:.1f} to {row.high:.1f})"
        lines.append(f"| {row.kind} | {row.task} | {row.n} | {accuracy} | {row.majority:.1f} |")
    return "\n".join(lines)


def reduced_table(table: pd.DataFrame) -> str:
    """Mean over tasks of every way. table: of `tell.accuracies`."""
    lines = ["| shown | tokens | method | shared | accuracy |", "|---|---|---|---|---|"]
    for row in table[table["task"] == MEAN].itertuples():
        accuracy = f"{row.value:.1f} ({row.low:.1f} to {row.high:.1f})"
        lines.append(f"| {row.kind} | {row.budget} | {row.method} | {row.spread} | {accuracy} |")
    return "\n".join(lines)


def shown_tokens() -> str:
    """How many tokens of a frame training showed, in words."""
    told = []
    for name, stage in STAGES.items():
        total = sum(often for _, often in stage["keep"])
        shares = (f"{keep} in {100 * often / total:.0f} %" for keep, often in stage["keep"])
        told.append(f"in the stage of {TITLES[name]}, {', '.join(shares)} of the steps")
    return "; ".join(told)


def write_card(table: pd.DataFrame, folder: Path, target: Path) -> None:
    """Writes `README.md` and the training curve into the checkpoint `target`.

    table: of `tell.accuracies`; folder: where training left its curves, if it ran here.
    """
    curves = card.training_curves(folder, target, list(TITLES))
    card.write_curves(curves, target)
    text = TEMPLATE.read_text(encoding="utf-8").format(
        vocabulary=len(tokenizer()),
        minutes=60 * card.hours(curves),
        schedule=card.schedule(curves, TITLES),
        unfinished=card.unfinished(
            {name: curves[name] for name in STAGES if name in curves},
            {name: stage["steps"] for name, stage in STAGES.items()},
        ),
        keep=shown_tokens(),
        full=full_table(table),
        reduced=reduced_table(table),
    )
    (target / "README.md").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pico-video", help="a name or a folder")
    parser.add_argument("--count", type=int, default=150, help="clips, and albums")
    parser.add_argument("--folder", type=Path, default=Path("results/pico-video"))
    parser.add_argument("--target", type=Path, default=CHECKPOINTS / "pico-video")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    settings = notebooks.settings(
        "13_video", video_model=arguments.model, clips=arguments.count, albums=arguments.count
    )
    table = tell.accuracies(measure.measure(settings))
    table.to_csv(arguments.target / "accuracy.csv", index=False, float_format="%.2f")
    write_card(table, arguments.folder, arguments.target)
    print(table.pivot_table("value", ["kind", "budget", "method", "spread"], "task", sort=False))


if __name__ == "__main__":
    main()
