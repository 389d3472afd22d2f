"""Questions of a file: answers are those of stock models, scores follow, the tower runs once."""

import json
from collections import Counter

import pandas as pd
import pytest
import torch
from PIL import Image
from tqdm import tqdm

import vzlib
from tests import tiny
from tests.models.test_inside import answer as said_by
from vzlib.evaluation.evaluate import COLUMNS, Way, evaluate, judged
from vzlib.evaluation.questions import of_scenes, read
from vzlib.methods.before import Further
from vzlib.methods.cdpruner import CDPruner
from vzlib.methods.downsampling import Downsampling
from vzlib.methods.fastv import FastV
from vzlib.methods.hiprune import HiPrune
from vzlib.methods.mmtok import MMTok
from vzlib.methods.vanilla import Vanilla
from vzlib.methods.visionzip import VisionZip
from vzlib.models.answer import answer, prompt
from vzlib.models.load import Loaded
from vzlib.models.towers import encode
from vzlib.tokens.evidence import Encoded

EACH, LONGEST, RETAIN, PATCHES = 4, 6, 32, 144
QUESTION = ["way", "image", "question"]
PRUNED = FastV(1, 0.5)
WAYS = [
    Way("vanilla", Vanilla(), PATCHES),
    Way("vanilla, FastV", Vanilla(), PATCHES, PRUNED),
    Way("zipped, FastV", VisionZip(), RETAIN, PRUNED),
    Way("zipped", VisionZip(), RETAIN),
]


@pytest.fixture(scope="module")
def loaded():
    """A tiny LLaVA that says different things, in words that no normalisation drops."""
    model, processor = tiny.llava(image_size=96, seed=2)
    with torch.no_grad():
        model.model.language_model.embed_tokens.weight.mul_(0.3)
        silent = processor.tokenizer.convert_tokens_to_ids([*tiny.SPECIAL, "the", "?", "."])
        model.lm_head.weight[silent] = 0
    return Loaded(model, processor, "tiny")


@pytest.fixture(scope="module")
def asked():
    return list(of_scenes(EACH))


@pytest.fixture(scope="module")
def write(tmp_path_factory, asked):
    """Function: a file of the scenes' questions, images as PNG, with answers(image, question)."""

    def file(answers):
        folder, lines = tmp_path_factory.mktemp("own"), []
        for one in asked:
            Image.fromarray(one.image).save(folder / one.name, "PNG")
            lines += [
                {"image": one.name, "question": q.text, "task": q.task}
                | {"answers": answers(one.name, q.text)}
                for q in one.questions
            ]
        lines.sort(key=lambda line: line["task"])  # an image's questions lie apart
        path = folder / "own.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        return str(path)

    return file


@pytest.fixture(scope="module")
def of_file(loaded):
    """Function: the rows of an evaluation of a file."""

    def rows(source, **changes):
        chosen = {"progress": False, "max_new_tokens": LONGEST, **changes}
        return evaluate(loaded, WAYS, read(source, EACH), **chosen)

    return rows


@pytest.fixture(scope="module")
def said(write, of_file):
    """What each way says to (image, question)."""
    rows = of_file(write(lambda *_: ["red"]))
    assert rows["said"].nunique() > 10
    return rows.set_index(QUESTION)["said"]


def test_answers_are_those_of_the_stock_and_of_the_zipped_model(loaded, asked, said):
    model, processor = loaded.model, loaded.processor
    length = {"max_new_tokens": LONGEST}
    for one in asked:
        for q in one.questions:
            stock = answer(model, processor, one.image, q.text, **length)
            assert said["vanilla", one.name, q.text] == stock
            with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
                short = answer(zipped.model, zipped.processor, one.image, q.text, **length)
            assert said["zipped", one.name, q.text] == short


def test_a_smaller_image_gives_the_answers_of_the_zipped_model(loaded, asked, write):
    model, processor = loaded.model, loaded.processor
    source, ways = write(lambda *_: ["red"]), [Way("small", Downsampling(), RETAIN)]
    for remember in (False, True):
        rows = evaluate(loaded, ways, read(source, 2), progress=False, remember=remember,
                        max_new_tokens=LONGEST)  # fmt: skip
        assert (rows["at_input"] == RETAIN).all()
        with vzlib.zip_model(model, processor, retain=RETAIN, method="downsampling") as zipped:
            for row in rows.itertuples():
                image = next(one.image for one in asked if one.name == row.image)
                short = answer(model, zipped.processor, image, row.question, max_new_tokens=LONGEST)
                assert row.said == short


def test_pruned_answers_are_those_of_generating_from_pixels(loaded, asked, said):
    model, processor = loaded.model, loaded.processor
    for one in asked[:1]:
        for q in one.questions:
            text = prompt(processor, q.text)
            inputs = processor(images=one.image, text=text, return_tensors="pt")
            whole = said_by(model, inputs, PRUNED, max_new_tokens=LONGEST)
            with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
                inputs = zipped.processor(images=one.image, text=text, return_tensors="pt")
                short = said_by(model, inputs, PRUNED, max_new_tokens=LONGEST)
            for way, ids in (("vanilla, FastV", whole), ("zipped, FastV", short)):
                words = processor.decode(ids[0, -LONGEST:], skip_special_tokens=True)
                assert said[way, one.name, q.text] == words


def test_generated_answers_agree_with_those_told_by_one_pass(loaded, asked, said, write, of_file):
    """Each way is given an answer that some way says until a word that ends answers."""
    model, tokenizer = loaded.model, loaded.processor.tokenizer
    texts, usual = [text.split() for text in said], tokenizer.eos_token
    ends = Counter(word for text in texts for word in {*text[1:]} - {text[0]})
    end = ends.most_common(1)[0][0]
    told = said.map(lambda text: f" {text}".partition(f" {end}")[0].strip())
    own = {
        (one.name, q.text): Counter(filter(None, told.xs((one.name, q.text), level=QUESTION[1:])))
        for one in asked
        for q in one.questions
    }
    own = {ask: found.most_common(1)[0][0] if found else "red" for ask, found in own.items()}
    renamed = [
        one._replace(
            questions=tuple(q._replace(answers=(own[one.name, q.text],)) for q in one.questions)
        )
        for one in asked
    ]
    tokenizer.eos_token = end
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(end)
    try:
        told = evaluate(loaded, WAYS, renamed, progress=False)
        generated = of_file(write(lambda *ask: [own[ask]]))
    finally:
        tokenizer.eos_token = usual
        model.generation_config.eos_token_id = None
    assert list(told.columns) == COLUMNS
    both = told.merge(generated, on=QUESTION, suffixes=("_told", ""), validate="1:1")
    assert len(both) == len(told) == len(generated)
    ended = both["said"].str.split().str.len() < LONGEST
    same = ended & (both["said"] == both["answer"])
    assert (same == (both["score_told"] == 1)).all()
    assert (both.loc[same, "score"] == 1).all()
    assert same.sum() >= 5 and (~same).sum() >= 5
    for column in ("at_input", "average", "answer"):
        assert (both[column] == both[f"{column}_told"]).all()


def test_scores_are_by_the_rule_of_the_question(said, write, of_file):
    right = said["vanilla"]

    def annotators(*ask):  # k of ten agree with the vanilla model
        agree = 1 + len(ask[1]) % 4
        return [right[ask].upper() + "!"] * agree + ["else"] * (10 - agree)

    rows = of_file(write(annotators))
    own = rows[rows["way"] == "vanilla"]
    expected = [(0.3, 0.6, 0.9, 1)[len(text) % 4] for text in own["question"]]
    assert own["score"].tolist() == pytest.approx(expected)
    assert len(set(expected)) > 2
    other = rows[rows["way"] != "vanilla"]
    wrong = [row.said != right[row.image, row.question] for row in other.itertuples()]
    assert (other.loc[wrong, "score"] == 0).all() and sum(wrong) > 5
    assert (rows["answer"] == "else").any()  # the most frequent one


def test_rows_say_what_was_said_and_what_was_spent(write, of_file):
    rows = of_file(write(lambda *_: ["red"]), max_new_tokens=2)
    assert list(rows.columns) == [*COLUMNS, "id", "said"]
    assert (rows["said"].str.split().str.len() == 2).all()
    assert rows.groupby("way")["id"].agg(sorted).map(tuple).nunique() == 1
    spent = rows.groupby("way")[["at_input", "average"]].agg(["min", "max"])
    assert spent.loc["vanilla"].tolist() == [PATCHES] * 4
    assert spent.loc["zipped"].tolist() == [RETAIN] * 4
    assert spent.loc["zipped, FastV"].tolist() == [RETAIN, RETAIN, *[(32 + 16 + 16) / 3] * 2]


def test_the_tower_runs_once_per_image(asked, write, of_file, monkeypatch):
    seen = []

    def look(tower, pixels, **changes):
        seen.append(len(pixels))
        return encode(tower, pixels, **changes)

    monkeypatch.setattr("vzlib.evaluation.needs.encode", look)
    rows = of_file(write(lambda *_: ["red"]), max_new_tokens=1)
    assert sum(seen) == len(asked) < len(rows) / len(WAYS)


def test_methods_that_read_the_question_choose_for_each_its_own_tokens(loaded, asked, write):
    """As chosen one by one; the questions of a batch differ in length and are many to an image."""
    ways = [Way("mmtok", MMTok(), 9), Way("mmtok, FastV", MMTok(), 9, PRUNED),
            Way("cdpruner", CDPruner(), 9), Way("zipped", VisionZip(), 9)]  # fmt: skip
    project, embed = loaded.model.model.multi_modal_projector, loaded.model.get_input_embeddings()
    for source in (asked, read(write(lambda *_: ["red"]), EACH)):
        seen = set()
        for images, encoded, verdicts in judged(loaded, ways, source, max_new_tokens=1):
            for number, one in enumerate(images):
                own = Encoded(*(part[number : number + 1] for part in encoded))
                for place, question in enumerate(one.questions):
                    ids = loaded.processor.tokenizer(question.text, add_special_tokens=False)
                    text = embed(torch.tensor([ids["input_ids"]]))
                    further = Further(projected=project(own.hidden), text=text)
                    for way, found in zip(ways, verdicts, strict=True):
                        chosen = way.before.reduce(own, 9, has_cls=True, further=further)
                        verdict = found[number][place]
                        assert torch.equal(verdict.places[0], chosen.places[0])
                        if way.inside:
                            assert set(verdict.places[-1].tolist()) < set(chosen.places[0].tolist())
                            assert [len(each) for each in verdict.places] == [9, 4, 4]
                    seen.add(tuple(verdicts[0][number][place].places[0].tolist()))
                assert len(found[number]) == len(one.questions)
        assert len(seen) > len(asked)  # more choices than images


def test_what_a_method_needs_of_other_blocks_is_there(loaded, asked):
    rows = evaluate(loaded, [Way("hiprune", HiPrune(), 9), Way("other", VisionZip(layer=1), 9)],
                    asked[:2], progress=False)  # fmt: skip
    assert (rows["at_input"] == 9).all() and set(rows["way"]) == {"hiprune", "other"}


def test_no_questions_give_no_rows(loaded):
    assert evaluate(loaded, WAYS, [], progress=False).equals(pd.DataFrame(columns=COLUMNS))


def test_the_bar_counts_images_up_to_all_of_them(loaded, asked, monkeypatch):
    bars = []
    monkeypatch.setattr("vzlib.evaluation.evaluate.BATCH", 3)
    monkeypatch.setattr(
        "vzlib.evaluation.evaluate.tqdm", lambda **chosen: bars.append(tqdm(**chosen)) or bars[-1]
    )
    evaluate(loaded, WAYS[:1], iter(asked))
    (bar,) = bars
    assert (bar.n, bar.total, bar.unit, len(asked) % 3 > 0) == (
        len(asked),
        len(asked),
        "image",
        True,
    )


def test_what_is_drawn_differs_by_seed_and_by_batch(loaded, asked, monkeypatch):
    monkeypatch.setattr("vzlib.evaluation.evaluate.BATCH", 2)
    given = []

    class Noting(Vanilla):
        def reduce(self, *arguments, seed=0, **options):
            given.append(seed)
            return super().reduce(*arguments, seed=seed, **options)

    for seed in (0, 1):
        evaluate(loaded, [Way("noting", Noting(), PATCHES)], asked, seed=seed, progress=False)
    assert len(given) >= 4 and len(set(given)) == len(given)
