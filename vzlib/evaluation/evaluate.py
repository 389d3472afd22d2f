"""Many ways to spend visual tokens, asked the same questions; what they share is computed once.

The tower runs once per image. Ways that hand the language model the same tokens share the prompt up
to the end of the image, and all questions about an image share that too.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from vzlib.evaluation.answering import Verdict, Way, generated, told
from vzlib.evaluation.questions import Asked, Question
from vzlib.methods.registry import method
from vzlib.models.images import open_image
from vzlib.models.load import Loaded
from vzlib.models.towers import encode
from vzlib.tokens.evidence import Encoded

BATCH = 16
ANSWER = 16  # tokens of a generated answer at most
COLUMNS = ["way", "task", "image", "question", "answer", "score", "at_input", "average"]
OF_FILES = ["id", "said"]  # further columns


def before(name: str, retain: int, cls: bool) -> Callable[[Encoded, int], Tensor]:
    """A registered reduction before the language model, ready for a `Way`.

    cls: whether the tower has a CLS token. Raises ValueError for an unknown name.
    """
    return partial(_before, method(name, "before"), retain, cls)


def _before(
    function: Callable[..., Tensor], retain: int, cls: bool, encoded: Encoded, seed: int
) -> Tensor:
    return function(encoded, retain, has_cls=cls, seed=seed)


def evaluate(
    loaded: Loaded,
    ways: Sequence[Way],
    asked: Iterable[Asked],
    *,
    seed: int = 0,
    progress: bool = True,
    look: Callable[..., Encoded] = encode,
    max_new_tokens: int = ANSWER,
) -> pd.DataFrame:
    """One row per way and question.

    A score of 1 means, for scenes, that greedy decoding would give exactly the answer; answers to
    the questions of a file are generated and scored by the question's own rule.

    Columns: way, task, image, question, answer (the most frequent of those accepted), score,
    at_input (visual tokens that the language model is given), average (visual tokens per layer);
    for files also id and said (the generated answer).
    seed: of all that is random in a way; questions do not depend on it.
    look: how the tower looks at pixels: called as `encode` is, for what every way is given.
    max_new_tokens: longest answer that is generated.
    """
    rows = []
    found = judged(
        loaded,
        ways,
        asked,
        seed=seed,
        progress=progress,
        look=look,
        max_new_tokens=max_new_tokens,
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
    look: Callable[..., Encoded] = encode,
    max_new_tokens: int = ANSWER,
) -> Iterator[tuple[list[Asked], Encoded, list[list[list[Verdict]]]]]:
    """Images batch by batch, what the tower gave for them, and verdicts [way][image][question]."""
    tower, layer = loaded.tower, loaded.layer
    asked = list(asked)
    bar = tqdm(total=len(asked), desc="images", unit="image", disable=not progress)
    for number, images in enumerate(_batches(asked)):
        pictures = [open_image(one.image) for one in images]
        with torch.no_grad():
            encoded = look(tower, loaded.pixels(pictures), layer=layer)
            draw = seed * 1_000_003 + number
            yield images, encoded, _verdicts(loaded, ways, images, encoded, draw, max_new_tokens)
        bar.update(len(images))
    bar.close()


def _verdicts(
    loaded: Loaded,
    ways: Sequence[Way],
    images: list[Asked],
    encoded: Encoded,
    seed: int,
    max_new_tokens: int,
) -> list[list[list[Verdict]]]:
    verbatim = all(q.scoring == "verbatim" for one in images for q in one.questions)
    found: list[list[list[Verdict]]] = []
    for reduction, group in groupby(ways, key=lambda way: way.before):
        visual = loaded.model.model.multi_modal_projector(reduction(encoded, seed))
        same = list(group)
        if verbatim:
            found += told(loaded, same, images, visual, seed)
        else:
            found += generated(loaded, same, images, visual, seed, max_new_tokens)
    return found


def _batches(asked: Iterable[Asked]) -> Iterator[list[Asked]]:
    rest = iter(asked)
    while batch := list(islice(rest, BATCH)):
        yield batch
