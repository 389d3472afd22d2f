"""Fig. 7 as a measurement: dialogues about an image, the cache kept from turn to turn.

A method inside the language model keeps the tokens that it chose for the first question, one before
it that chooses by the question too, and all others have chosen before any. What the first question
costs a later one is told by the same question asked first, which is a fresh prefill at the same
budget.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.evaluation.shape import shape_of
from vzlib.experiments.answers import identified
from vzlib.experiments.many_turns import dialogues, ways
from vzlib.experiments.many_turns.settings import ManyTurns
from vzlib.methods import registry

VANILLA = "vanilla"
BATCH = 4  # images at once, each with as many dialogues as turns
WORDS = {True: 4, False: 16}  # of an answer at most: about scenes, from a file
NAMES = ("method", "budget", "history")
COLUMNS = ["task", "image", "question", "answer", "turn", "first", "about", "said", "score",
           "visual", "held", "gflops"]  # fmt: skip


def plan(settings: ManyTurns) -> list[dict[str, Any]]:
    """Every method, budget and history that is measured; loads no weights.

    With all tokens both forms of history are, since a model may know only one. A method inside
    the language model whose nearest schedule is off a budget by more than 5 % is left out there.

    Raises one ValueError for budgets that are no fewer than the tokens that there are or that a
    method cannot spend, and all that is wrong with the questions.
    """
    shape = shape_of(settings.model)
    wrong = [
        f"budget {budget} must be below {shape.visual}, the patches that {settings.model} has"
        for budget in settings.budgets
        if budget >= shape.visual
    ]
    wrong += list(dict.fromkeys(ways.misfits(settings.methods, settings.budgets, shape)))
    questions.refuse("the settings", [*wrong, *questions.problems(settings.questions)])
    whole = (VANILLA, shape.visual, float(shape.visual))
    spent = [(*whole, "dropped"), (*whole, "kept")]
    spent += [
        (name, budget, tokens, settings.history)
        for budget in dict.fromkeys(settings.budgets)
        for name in settings.methods
        if (tokens := ways.spends(name, budget, shape)) is not None
    ]
    common = {"images": settings.images, "turns": settings.turns}
    return [
        {"method": name, "fields": dict(registry.row(name).fields), "budget": budget,
         "tokens": tokens, "history": history, **common,
         "seed": settings.seed if registry.row(name).draws else 0}
        for name, budget, tokens, history in spent
    ]  # fmt: skip


def measure(settings: ManyTurns) -> pd.DataFrame:
    """Every question of every dialogue, stored by method, budget and history.

    Columns: method, budget, history, task, image, question, answer, turn (from 1), first (question
    of the dialogue), about (whether that was about the same thing, see `dialogues.relation`), said,
    score, visual (tokens of the image per layer), held (tokens in the cache before the turn, per
    layer), gflops (to read the turn, up to the first word of the answer; Sec. 2.1).

    Raises ValueError as `plan` and `dialogues.read` do, before a model is loaded.
    """
    points = plan(settings)
    dialogues.read(settings.questions, 2, settings.turns)
    found = results.compute_each(
        "many_turns",
        points,
        partial(_measure, settings.model, settings.questions),
        uses=_modules,
        **identified(settings),
    )
    tables = [
        results.predictions(table).assign(**{name: point[name] for name in NAMES})
        for point, table in zip(points, found, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def _modules(point: Mapping[str, Any]) -> set[str]:
    return {registry.row(name).module for name in (point["method"], VANILLA)}


def _measure(model: str, source: str, points: Sequence[Mapping[str, Any]]) -> list[Any]:
    import torch
    from tqdm import tqdm

    from vzlib.evaluation import needs
    from vzlib.models import load
    from vzlib.models.images import open_image

    loaded = load.loaded(model)
    found = [ways.way_of(loaded, point) for point in points]
    asked = dialogues.read(source, points[0]["images"], points[0]["turns"])
    rows: list[list[Any]] = [[] for _ in points]
    bar = tqdm(total=len(asked), desc="dialogues", unit="image")
    with torch.no_grad():
        for number, start in enumerate(range(0, len(asked), BATCH)):
            images = asked[start : start + BATCH]
            pixels = loaded.pixels([open_image(one.image) for one in images])
            seen = needs.of_images(loaded, found, pixels, remember=True)
            for point, way, own in zip(points, found, rows, strict=True):
                draw = point["seed"] * 1_000_003 + number
                own += _answered(loaded, way, point["history"], images, seen, draw)
            bar.update(len(images))
    bar.close()
    return [_tables(pd.DataFrame(own, columns=COLUMNS)) for own in rows]


def _tables(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means by turn, for readers of the store, and all rows."""
    means = rows.groupby("turn")[["score", "visual", "held", "gflops"]].mean()
    return means.reset_index().assign(n=rows.groupby("turn").size().to_numpy()), rows


def _answered(
    loaded: Any, way: Any, history: Any, images: list[Any], seen: Any, draw: int
) -> Iterator[tuple[Any, ...]]:
    """The rows of one way's dialogues about some images."""
    from vzlib.evaluation.dialogue import converse, score
    from vzlib.evaluation.judging import open_images

    visual, place = ways.tokens_of(loaded, way, images, seen, draw)
    talks = [(row, talk) for row, one in enumerate(images) for talk in dialogues.rotations(one)]
    opening = open_images(loaded.model, loaded.processor, visual, ways.depth_of(loaded.model, way))
    turns = converse(
        loaded.model,
        loaded.processor,
        opening,
        place,
        [[question.text for question in talk] for _, talk in talks],
        way.inside,
        history=history,
        seed=draw,
        max_new_tokens=WORDS[images[0].scene is not None],
    )
    kept = ways.by_layer(loaded.model, way)
    for number, turn in enumerate(turns):
        for row, (image, talk) in enumerate(talks):
            one, question, first = images[image], talk[number], talk[0]
            read, held = turn.read[row].tolist(), turn.held[row].tolist()
            yield (
                question.task, one.name, question.text, question.answers[0], number + 1,
                first.text, dialogues.relation(one, first, question), turn.said[row],
                score(question, turn.said[row]), sum(kept) / len(kept), sum(held) / len(held),
                turn_flops(loaded.model, read, held) / 1e9,
            )  # fmt: skip


def turn_flops(model: Any, read: Sequence[int], held: Sequence[int]) -> int:
    """FLOPs of reading `read` tokens in each layer behind `held` ones in its cache.

    As `vzlib.methods.accountant.prefill_flops` counts them, which it is where nothing is held.
    """
    from vzlib.methods.accountant import prefill_flops

    text = model.config.get_text_config()
    width = text.hidden_size
    behind = sum(2 * n * m * width for n, m in zip(read, held, strict=True))
    return prefill_flops(read, width, text.intermediate_size) + behind
