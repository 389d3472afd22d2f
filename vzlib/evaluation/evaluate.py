"""Many ways to spend visual tokens, asked the same questions; what they share is computed once.

The tower runs once per image. Ways that hand the language model the same tokens share the prompt up
to the end of the image, and all questions about an image share that too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from vzlib.evaluation import needs
from vzlib.evaluation.answering import Verdict, Way, generated, told
from vzlib.evaluation.questions import Asked, Question
from vzlib.methods.before import Further
from vzlib.models.images import open_image
from vzlib.models.load import Loaded
from vzlib.tokens.evidence import Encoded

BATCH = 16
ANSWER = 16  # tokens of a generated answer at most
COLUMNS = ["way", "task", "image", "question", "answer", "score", "at_input", "average"]
OF_FILES = ["id", "said"]  # further columns


def evaluate(
    loaded: Loaded,
    ways: Sequence[Way],
    asked: Iterable[Asked],
    *,
    seed: int = 0,
    progress: bool = True,
    max_new_tokens: int = ANSWER,
    remember: bool = False,
) -> pd.DataFrame:
    """One row per way and question.

    A score of 1 means, for scenes, that greedy decoding would give exactly the answer; answers to
    the questions of a file are generated and scored by the question's own rule.

    Columns: way, task, image, question, answer (the most frequent of those accepted), score,
    at_input (visual tokens that the language model is given), average (visual tokens per layer);
    for files also id and said (the generated answer).
    seed: of all that is random in a way; questions do not depend on it.
    max_new_tokens: longest answer that is generated.
    remember: keep what the tower sees, and look no second time, see `vzlib.evaluation.seen`.
    """
    rows = []
    found = judged(
        loaded,
        ways,
        asked,
        seed=seed,
        progress=progress,
        max_new_tokens=max_new_tokens,
        remember=remember,
    )
    for images, _, verdicts in found:
        for way, by_image in zip(ways, verdicts, strict=True):
            for one, own in zip(images, by_image, strict=True):
                for question, verdict in zip(one.questions, own, strict=True):
                    rows.append(_row(way, one, question, verdict))
    table = pd.DataFrame(rows, columns=[*COLUMNS, *OF_FILES])
    return table[COLUMNS] if table["said"].isna().all() else table


def _row(way: Way, asked: Asked, question: Question, verdict: Verdict) -> tuple[Any, ...]:
    average = sum(verdict.counts) / len(verdict.counts)
    ((answer, _),) = Counter(question.answers).most_common(1)
    told = (way.name, question.task, asked.name, question.text, answer)
    return (*told, verdict.score, verdict.counts[0], average, question.id, verdict.said)


def judged(
    loaded: Loaded,
    ways: Sequence[Way],
    asked: Iterable[Asked],
    *,
    seed: int = 0,
    progress: bool = True,
    max_new_tokens: int = ANSWER,
    remember: bool = False,
) -> Iterator[tuple[list[Asked], Encoded, list[list[list[Verdict]]]]]:
    """Images batch by batch, what the tower gave for them, and verdicts [way][image][question]."""
    asked = list(asked)
    bar = tqdm(total=len(asked), desc="images", unit="image", disable=not progress)
    for number, images in enumerate(_batches(asked)):
        pictures = [open_image(one.image) for one in images]
        with torch.no_grad():
            pixels = loaded.pixels(pictures)
            encoded, further = needs.of_images(loaded, ways, pixels, remember)
            draw = seed * 1_000_003 + number
            verdicts = _verdicts(loaded, ways, images, encoded, further, draw, max_new_tokens)
            yield images, encoded, verdicts
        bar.update(len(images))
    bar.close()


def _verdicts(
    loaded: Loaded,
    ways: Sequence[Way],
    images: list[Asked],
    encoded: Encoded,
    further: Further,
    seed: int,
    max_new_tokens: int,
) -> list[list[list[Verdict]]]:
    found: list[list[list[Verdict]]] = []
    for (before, retain), group in groupby(ways, key=lambda way: (way.before, way.retain)):
        asked, given, told_of = images, encoded, further
        if "text" in before.needs:
            asked, given, told_of = needs.by_question(loaded, images, encoded, further)
        reduced = before.reduce(given, retain, has_cls=loaded.has_cls, seed=seed, further=told_of)
        visual = loaded.model.model.multi_modal_projector(reduced.tokens)
        for of_way in _answered(loaded, list(group), asked, visual, seed, max_new_tokens):
            rows = (
                [_placed(verdict, places) for verdict in of_row]
                for of_row, places in zip(of_way, reduced.places, strict=True)
            )
            if "text" in before.needs:
                found.append([[v for _ in one.questions for v in next(rows)] for one in images])
            else:
                found.append(list(rows))
    return found


def _answered(
    loaded: Loaded,
    ways: list[Way],
    images: list[Asked],
    visual: Tensor,
    seed: int,
    max_new_tokens: int,
) -> Iterable[list[list[Verdict]]]:
    if all(q.scoring == "verbatim" for one in images for q in one.questions):
        return told(loaded, ways, images, visual, seed)
    return generated(loaded, ways, images, visual, seed, max_new_tokens)


def _placed(verdict: Verdict, places: Tensor) -> Verdict:
    """`places` [K] of the tokens at the input, in place of their numbers."""
    if verdict.places is None:
        return verdict._replace(places=(places,) * len(verdict.counts))
    return verdict._replace(places=tuple(places[entered] for entered in verdict.places))


def _batches(asked: Iterable[Asked]) -> Iterator[list[Asked]]:
    rest = iter(asked)
    while batch := list(islice(rest, BATCH)):
        yield batch
