"""Measures dino-llava on held-out scenes of both decks: `python -m vzlib.embedded.dino.evaluate`.

Writes `accuracy.csv` (every deck, method, budget and task) and the model card into the checkpoint.
With `--stage` it first writes the checkpoint itself, from where that stage of training stands.
"""

import argparse
import os
from pathlib import Path

import pandas as pd
import torch

from vzlib.embedded.dino.export import export
from vzlib.embedded.dino.run import reached
from vzlib.embedded.dino.stages import STAGES
from vzlib.embedded.dino.tower import SHA256
from vzlib.evaluation.accuracy import answers
from vzlib.evaluation.questions import DECKS
from vzlib.models.load import load
from vzlib.paths import CHECKPOINTS
from vzlib.scenes import things
from vzlib.statistics.comparison import summary
from vzlib.training import card

BUDGETS = (192, 128, 64)  # one third, two ninths and one ninth of 576
METHODS = ("visionzip", "visionzip-paper", "random", "uniform")
TITLES = {
    "distil": "projector, to pico's visual tokens",
    "align": "projector, to labels of patches",
    "windows": "projector and language model, 12x12 patches",
    "full": "projector and language model of twelve layers, 24x24 patches",
}
TEMPLATE = Path(__file__).with_name("card.md")


def write_card(
    tables: dict[str, pd.DataFrame], rows: pd.DataFrame, folder: Path, target: Path
) -> None:
    """Writes `README.md` and the training curve into the checkpoint `target`.

    tables: accuracies by deck; rows: the answers behind those of the second deck; folder: where
    training left its curves, if it ran here; else those of `target` stay.
    """
    curves = card.training_curves(folder, target, list(TITLES))
    card.write_curves(curves, target)
    model = load(str(target)).model
    text = TEMPLATE.read_text().format(
        vocabulary=model.config.text_config.vocab_size,
        layers=model.config.text_config.num_hidden_layers,
        sha256=SHA256,
        schedule=card.schedule(curves, TITLES),
        unfinished=card.unfinished(curves, {name: steps for name, (_, steps) in STAGES.items()}),
        hours=card.hours(curves),
        things=card.accuracy_table(tables["things"]),
        shapes=card.accuracy_table(tables["scenes"]),
        reduced=card.reduced_table(tables["things"], list(things.TASKS)),
        differences=card.differences(rows, BUDGETS),
    )
    (target / "README.md").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", choices=list(STAGES), help="write the checkpoint from this one")
    parser.add_argument("--folder", type=Path, default=Path("results/dino"), help="of the training")
    parser.add_argument("--each", type=int, default=1000, help="questions per task")
    parser.add_argument("--target", type=Path, default=CHECKPOINTS / "dino-llava")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    folder, target = arguments.folder, arguments.target
    if arguments.stage:
        run = reached(arguments.stage, folder, folder / "features", CHECKPOINTS / "dino-llava")
        export(run.model, run.projector, things.vocabulary(), target)
    loaded = load(str(target))
    points = [("vanilla", 576), *((name, retain) for retain in BUDGETS for name in METHODS)]
    rows = {
        deck: answers(loaded, points, each=arguments.each, deck=deck) for deck in reversed(DECKS)
    }
    tables = {deck: summary(own, ("method", "retained")) for deck, own in rows.items()}
    whole = pd.concat([table.assign(deck=deck) for deck, table in tables.items()])
    whole.to_csv(target / "accuracy.csv", index=False, float_format="%.2f")
    write_card(tables, rows["things"], folder, target)
    for table in tables.values():
        print(table.pivot_table("value", ["method", "retained"], "task", sort=False).round(1))


if __name__ == "__main__":
    main()
