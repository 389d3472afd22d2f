"""How dino-llava answers on held-out scenes, from wherever its training stands:
`python -m vzlib.embedded.dino.held_out --stage windows`.
"""

import argparse
import os
from pathlib import Path

import pandas as pd
import torch

from vzlib.embedded.dino.architecture import build_processor
from vzlib.embedded.dino.decks import ASKED, DECKS
from vzlib.embedded.dino.features import Features
from vzlib.embedded.dino.run import Run, reached
from vzlib.embedded.dino.stages import STAGES
from vzlib.models.shared_prefix import answered_right
from vzlib.paths import CHECKPOINTS
from vzlib.scenes import things

BATCH = 4


@torch.no_grad()
def held_out(run: Run, deck: str, count: int, each: int) -> pd.DataFrame:
    """One row per question about the first `count` test scenes of a deck: deck, task, scene, right.

    each: questions of a task about a scene. A question is right if greedy decoding gives exactly
    its answer.
    """
    features = Features(run.tower, run.features, deck, split="test")
    processor = build_processor(things.vocabulary())
    rows = []
    for start_at in range(0, count, BATCH):
        numbers = range(start_at, min(count, start_at + BATCH))
        asked = [DECKS[deck].ask(features.scene(number), each) for number in numbers]
        visual = run.projector(features(numbers).to(run.device))
        pairs = [[(q.text, q.answer) for q in questions] for questions in asked]
        verdicts = answered_right(run.model, processor, visual, pairs)
        for number, questions, right in zip(numbers, asked, verdicts, strict=True):
            rows += [
                (deck, question.task, number, question.answer, good)
                for question, good in zip(questions, right, strict=True)
            ]
    return pd.DataFrame(rows, columns=["deck", "task", "scene", "answer", "right"])


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, share of the commonest answer (both in percent) and number per deck and task."""
    groups = rows.groupby(["deck", "task"], sort=False)
    commonest = groups["answer"].agg(lambda own: own.value_counts(normalize=True).max())
    return pd.DataFrame(
        {
            "accuracy": 100 * groups["right"].mean(),
            "majority": 100 * commonest,
            "n": groups.size(),
        }
    ).round(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("results/dino"), help="of the training")
    parser.add_argument("--features", type=Path, help="of the tower (default: in the folder)")
    parser.add_argument("--stage", choices=list(STAGES), required=True)
    parser.add_argument("--scenes", type=int, default=96, help="of each deck")
    parser.add_argument("--each", type=int, default=2, help="questions of a task about a scene")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    features = arguments.features or arguments.folder / "features"
    run = reached(arguments.stage, arguments.folder, features, CHECKPOINTS / "dino-llava")
    for deck in ASKED:
        print(table(held_out(run, deck, arguments.scenes, arguments.each)))


if __name__ == "__main__":
    main()
