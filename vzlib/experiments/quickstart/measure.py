"""Zip a model, look at the tokens that stay, ask it the same questions as before."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm import tqdm

from vzlib import results, scenes
from vzlib.evaluation.pictures import square
from vzlib.evaluation.questions import DECKS
from vzlib.experiments.quickstart.settings import Quickstart
from vzlib.models.answer import answer, prompt
from vzlib.models.checkpoint import keyed
from vzlib.models.images import open_image
from vzlib.models.load import Loaded, loaded
from vzlib.models.towers import encode
from vzlib.models.zip import zip_model
from vzlib.models.zipped import ZippedModel

QUESTION = ("image", "task", "question", "truth")


def images(settings: Quickstart) -> dict[str, np.ndarray]:
    """The scene and the photograph by name, square, uint8 [P, P, 3].

    Raises ValueError, naming the photographs there are, for one that is neither these nor a file.
    """
    photographs = scenes.photographs("test")
    if settings.photograph in photographs:
        photograph = photographs[settings.photograph]
    elif Path(settings.photograph).is_file():
        photograph = np.asarray(open_image(settings.photograph))
    else:
        raise ValueError(
            f"photograph={settings.photograph!r} is no file; allowed besides files: "
            f"{', '.join(photographs)}"
        )
    scene = DECKS[settings.questions].make(settings.scene)
    return {"scene": scene.image, "photograph": square(photograph)}


def questions(settings: Quickstart) -> list[tuple[str, str, str, str]]:
    """(image, task, question, true answer): one of every task the scene allows, one more."""
    deck = DECKS[settings.questions]
    asked = [("scene", q.task, q.text, q.answer) for q in deck.ask(deck.make(settings.scene))]
    return [*asked, ("photograph", "any", settings.photograph_question, settings.photograph_answer)]


def measure(settings: Quickstart) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Answers before and after zipping, and where every visual token went; stored if known.

    Columns of the answers: image, task, question, truth, zipped, vanilla (what they answered),
    zipped_positions, vanilla_positions (visual tokens in the prompt).
    Columns of the tokens: image, row, column, received (attention), dominant (kept as it is),
    group (of the contextual token it was merged into, -1 if none), target (it names its group).
    Raises ValueError for a model, a photograph or a budget that there is not.
    """
    pixels = b"".join(image.tobytes() for image in images(settings).values())
    answers = results.compute(
        "quickstart",
        settings.model_copy(update={"model": ""}),  # its identity says more than its name
        partial(_measure, settings.model),
        **keyed(settings.model),
        data_version=hashlib.sha256(pixels).hexdigest(),
        about={"model": settings.model, "questions": settings.questions},
    )
    return answers, results.predictions(answers)


def _measure(model: str, settings: Quickstart) -> tuple[pd.DataFrame, pd.DataFrame]:
    shown, stock = images(settings), loaded(model)
    tokens = [_tokens(stock, settings, name, image) for name, image in shown.items()]
    rows = []
    for question in tqdm(questions(settings), desc="questions", unit="question"):
        rows.append((*question, *ask_both(stock, shown[question[0]], question[2], settings)))
    columns = [*QUESTION, "zipped", "zipped_positions", "vanilla", "vanilla_positions"]
    return pd.DataFrame(rows, columns=columns), pd.concat(tokens, ignore_index=True)


def ask_both(
    stock: Loaded, image: np.ndarray, question: str, settings: Quickstart
) -> tuple[str, int, str, int]:
    """Answer and visual tokens in the prompt, of the zipped model and then of the stock one."""
    model, processor, picture = stock.model, stock.processor, Image.fromarray(image)
    with zip_model(model, processor, retain=settings.retain, merge=settings.merge) as zipped:
        after = _ask(zipped, picture, question)
    before = _ask(stock, picture, question)  # leaving the block has undone the zipping
    return *after, *before


def _ask(asked: Loaded | ZippedModel, image: Image.Image, question: str) -> tuple[str, int]:
    """Answer, and the visual tokens that stood in the prompt."""
    model, processor = asked.model, asked.processor
    inputs = processor(images=image, text=prompt(processor, question), return_tensors="pt")
    positions = int((inputs["input_ids"] == model.config.image_token_id).sum())
    return answer(model, processor, image, question, max_new_tokens=8), positions


@torch.no_grad()
def _tokens(stock: Loaded, settings: Quickstart, name: str, image: np.ndarray) -> pd.DataFrame:
    model, pixels = stock.model, stock.pixels([image])
    with (
        zip_model(model, retain=settings.retain, merge=settings.merge) as zipped,
        zipped.record() as seen,
    ):
        model.get_image_features(pixel_values=pixels)
    cls = int(stock.has_cls)
    received = encode(stock.tower, pixels, layer=stock.layer).scores[0, cls:]
    group = seen[0].assignment[0].cpu()
    dominant, target = torch.zeros_like(group, dtype=torch.bool), torch.zeros_like(group).bool()
    dominant[seen[0].kept[0].cpu()] = True
    target[seen[0].targets[0].cpu()] = True
    row, column = np.divmod(np.arange(len(received)), stock.grid)
    columns: dict[str, Any] = {
        "image": name,
        "row": row,
        "column": column,
        "received": received.cpu().numpy(),
        "dominant": dominant[cls:].numpy(),
        "group": group[cls:].numpy(),
        "target": target[cls:].numpy(),
    }
    return pd.DataFrame(columns)
