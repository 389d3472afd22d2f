"""Evaluation of files and scenes: what is generated, how it is scored, how often the tower runs."""

import json
from pathlib import Path

import pytest
from PIL import Image

import vzlib
from tests import tiny
from vzlib.baselines.in_llm import FastV
from vzlib.experiments.evaluation import Way, before, evaluate
from vzlib.experiments.questions import of_scenes, read
from vzlib.models.answer import answer
from vzlib.models.load import Loaded

EACH, WORDS = 2, 6


@pytest.fixture(scope="module")
def loaded():
    model, processor = tiny.llava()
    words = processor.tokenizer.get_vocab()
    # Words for scenes: unknown ones would be dropped from an answer.
    model.generation_config.eos_token_id = words["left"]
    return Loaded(model, processor, "tiny")


@pytest.fixture(scope="module")
def ways():
    vanilla, zipped = before("vanilla", 576, True), before("visionzip", 64, True)
    pruned = FastV(1, 0.5)
    return [
        Way("vanilla", vanilla),
        Way("vanilla, FastV", vanilla, pruned),
        Way("zipped, FastV", zipped, pruned),
        Way("zipped", zipped),
    ]


@pytest.fixture(scope="module")
def asked():
    return list(of_scenes(EACH))


def written(folder: Path, asked, answers) -> str:
    """A file of questions with answers[image, question], its images as PNG beside it."""
    (folder / "images").mkdir()
    lines = []
    for number, one in enumerate(asked):
        name = f"images/{number}.png"
        Image.fromarray(one.image).save(folder / name)
        lines += [
            {"image": name, "question": q.text, "task": q.task, "answers": answers(one, q)}
            for q in one.questions
        ]
    path = folder / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


@pytest.fixture(scope="module")
def source(tmp_path_factory, asked):
    return written(tmp_path_factory.mktemp("own"), asked, lambda one, q: list(q.answers))


@pytest.fixture(scope="module")
def rows(loaded, ways, source):
    return evaluate(loaded, ways, read(source, EACH), progress=False, max_new_tokens=WORDS)


def test_answers_are_those_of_the_stock_and_the_zipped_model(loaded, rows, asked):
    model, processor = loaded.model, loaded.processor
    found = rows.set_index(["way", "image", "question"])["said"]
    different = set()
    for number, one in enumerate(asked):
        for question in one.questions:
            place = (f"images/{number}.png", question.text)
            said = answer(model, processor, one.image, question.text, max_new_tokens=WORDS)
            assert found["vanilla", *place] == said
            with vzlib.zip_model(model, processor, retain=64) as zipped:
                short = answer(
                    zipped.model, zipped.processor, one.image, question.text, max_new_tokens=WORDS
                )
            assert found["zipped", *place] == short
            different |= {(said, short)} if said != short else set()
    assert different
