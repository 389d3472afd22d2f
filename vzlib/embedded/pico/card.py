"""The model card of pico-llava, written from what was measured."""

from pathlib import Path

import pandas as pd

from vzlib import scenes
from vzlib.embedded.pico.architecture import GRID, VISION, WINDOW
from vzlib.training import card

STAGES = {
    "tower-window": f"tower, {WINDOW}x{WINDOW} patches",
    "tower": f"tower, {GRID}x{GRID} patches",
    "language-window": f"projector and language model, {WINDOW}x{WINDOW} patches",
    "language": f"projector and language model, {GRID}x{GRID} patches",
    "relations": "the same, with more questions on where things are",
}
TEMPLATE = Path(__file__).with_name("card.md")


def write_card(
    table: pd.DataFrame, rows: pd.DataFrame, findings: str, *, folder: Path, target: Path
) -> None:
    """Writes `README.md` and the training curve into the checkpoint `target`.

    table, rows: accuracies and the answers behind them; findings: what the tower's attention shows;
    folder: where training left its curves, if it ran here; else those of `target` stay.
    """
    curves = card.training_curves(folder, target, list(STAGES))
    card.write_curves(curves, target)
    budgets = sorted(set(rows["retained"]) - {GRID * GRID}, reverse=True)
    text = TEMPLATE.read_text().format(
        schedule=card.schedule(curves, STAGES),
        hours=card.hours(curves),
        vocabulary=len(scenes.vocabulary()),
        vision_layers=VISION.num_hidden_layers,
        full=card.accuracy_table(table),
        reduced=card.reduced_table(table, list(scenes.TASKS)),
        differences=card.differences(rows, budgets),
        findings=findings,
    )
    (target / "README.md").write_text(text)
