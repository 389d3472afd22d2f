"""Questions of the user's own: what a file gives, and everything that can be wrong with one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vzlib import scenes
from vzlib.evaluation import questions
from vzlib.scenes import things

TEN = ["red"] * 7 + ["blue"] * 3
ROWS = [
    {"image": "a.png", "question": "colour ?", "answers": TEN, "task": "reading", "id": "x1"},
    {"image": "b.png", "question": "how many ?", "answers": ["2", "two"], "task": None, "id": "x2"},
    {"image": "./a.png", "question": "where ?", "answers": ["left"], "task": None, "id": "x3"},
    {"image": "b.png", "question": "what ?", "answers": TEN, "task": "reading", "id": "x4"},
    {"image": "a.png", "question": "when ?", "answers": ["now"], "task": None, "id": "x5"},
]
GOOD = {"image": "a.png", "question": "what ?", "answer": "red"}


@pytest.fixture(autouse=True)
def images(tmp_path):
    for seed, name in enumerate(("a.png", "b.png")):
        Image.new("RGB", (20, 30), (seed, 0, 0)).save(tmp_path / name)


def lines(path: Path, rows) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(path)


def parquet(path: Path, rows) -> str:
    pd.DataFrame(rows).to_parquet(path)
    return str(path)


def read(source, each=9, **changes):
    return list(questions.read(source, each, **changes))


def problems(tmp_path, *rows, **changes):
    source = lines(tmp_path / "own.jsonl", rows)
    with pytest.raises(ValueError) as refusal:
        questions.check(source, **changes)
    heading, *told = str(refusal.value).split("\n  ")
    assert heading == f"{len(told)} problem{'s' * (len(told) > 1)} with questions={source}:"
    return told


def test_parquet_and_json_lines_give_the_same(tmp_path):
    one, other = lines(tmp_path / "own.jsonl", ROWS), parquet(tmp_path / "own.parquet", ROWS)
    assert read(one) == read(other)
    questions.check(one)
    questions.check(other)


def test_questions_are_grouped_by_image_in_the_order_of_the_file(tmp_path):
    first, second = read(lines(tmp_path / "own.jsonl", ROWS))
    assert (first.name, first.image) == ("a.png", tmp_path / "a.png")
    assert [q.text for q in first.questions] == ["colour ?", "where ?", "when ?"]
    assert [q.text for q in second.questions] == ["how many ?", "what ?"]
    assert [q.id for q in second.questions] == ["x2", "x4"]
    assert [q.task for q in first.questions] == ["reading", "own", "own"]
    assert first.questions[0].answers == tuple(TEN)


def test_at_most_so_many_of_each_task_in_file_order(tmp_path):
    asked = read(lines(tmp_path / "own.jsonl", ROWS), each=1)
    assert [q.id for one in asked for q in one.questions] == ["x1", "x2"]


def test_scores_are_by_task_unless_chosen(tmp_path):
    source = lines(tmp_path / "own.jsonl", ROWS)
    rules = {q.task: q.scoring for one in read(source) for q in one.questions}
    assert rules == {"reading": "vqa", "own": "exact"}
    rules = {q.task: q.scoring for one in read(source, scoring="exact") for q in one.questions}
    assert set(rules.values()) == {"exact"}
    mixed = [*ROWS, {"image": "b.png", "question": "?", "answer": "red", "task": "reading"}]
    asked = read(lines(tmp_path / "own.jsonl", mixed))
    assert {q.scoring for one in asked for q in one.questions} == {"exact"}


def test_one_answer_numbers_and_blank_lines(tmp_path):
    source = lines(tmp_path / "own.jsonl", ["", GOOD, "", {**GOOD, "id": 7, "question": "who ?"}])
    (asked,) = read(source)
    assert [(q.id, q.answers, q.task) for q in asked.questions] == [
        ("2", ("red",), "own"),
        ("7", ("red",), "own"),
    ]


def test_images_are_found_beside_the_file_or_where_a_whole_path_says(tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    rows = [{**GOOD, "image": "../a.png"}, {**GOOD, "image": str(tmp_path / "a.png")}]
    source = lines(folder / "own.jsonl", rows)
    monkeypatch.chdir(folder)
    for name in (source, "own.jsonl"):
        questions.check(name)
        (asked,) = read(name)
        assert asked.image == tmp_path / "a.png" and len(asked.questions) == 2


def test_scenes_stay_as_they_are():
    asked = read("scenes", each=2)
    same = list(questions.of_scenes(2))
    assert [(one.name, one.questions) for one in asked] == [(o.name, o.questions) for o in same]
    assert {q.scoring for one in asked for q in one.questions} == {"verbatim"}
    assert questions.version("scenes") == str(scenes.VERSION)
    questions.check("scenes")
    with pytest.raises(ValueError, match="scoring='vqa' is for files"):
        questions.check("scenes", "vqa")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('{"image": "a.png"', "no JSON: "),
        ('{"image": "a.png", "image": "b.png"}', "no JSON: 'image' stands twice"),
        ('{"image": "a.png", "x": {"y": 1, "y": 1}}', "no JSON: 'y' stands twice"),
        ([1, 2], 'must be an object such as {"image": ...}, not [1, 2]'),
        ("3", "must be an object"),
        ({**GOOD, "image": None}, "image is missing"),
        ({**GOOD, "image": 3}, "image must be text, not 3"),
        ({**GOOD, "question": " "}, "question is empty"),
        ({**GOOD, "question": "<image>\nwhat ?"}, "question holds <image>"),
        ({**GOOD, "answer": None}, "answer is missing"),
        ({**GOOD, "answer": 2}, "answer must be text, not 2"),
        ({**GOOD, "answers": []}, "answers must be a list of at least one text, not []"),
        ({**GOOD, "answers": "red"}, "answers must be a list of at least one text, not 'red'"),
        ({**GOOD, "answers": ["red", None]}, "answers[1] is missing"),
        (
            {**GOOD, "answers": [{"answer": "red"}]},
            "answers[0] must be text, not {'answer': 'red'}",
        ),
        ({**GOOD, "task": 1}, "task must be text, not 1"),
        ({**GOOD, "task": "mean"}, "task 'mean' is taken by the mean over tasks; any other name"),
        ({**GOOD, "task": " mean\n"}, "task ' mean\\n' is taken by the mean over tasks"),
        ({**GOOD, "id": 1.5}, "id must be text or a whole number, not 1.5"),
        ({**GOOD, "id": True}, "id must be text or a whole number, not True"),
        ({**GOOD, "id": "1"}, "id '1' is that of own.jsonl, line 1 too"),
        ({**GOOD, "image": "c.png"}, "there is no image file '"),
        ({**GOOD, "image": "x" * 9999}, "there is no image file '"),
        ({**GOOD, "image": "a\0.png"}, "there is no image file '"),
        ({**GOOD, "image": "."}, "there is no image file '"),
    ],
)
def test_a_bad_row_is_told_with_its_number(tmp_path, row, problem):
    (told,) = problems(tmp_path, GOOD, row)
    assert told.startswith(f"own.jsonl, line 2: {problem}")
    assert len(told) < 400


def test_the_name_of_a_file_is_no_task_if_a_row_of_that_name_would_be_refused(tmp_path):
    source = parquet(tmp_path / "mean.parquet", [GOOD, GOOD])
    with pytest.raises(ValueError) as refusal:
        questions.check(source)
    (told,) = str(refusal.value).split("\n  ")[1:]
    assert told.startswith("'mean.parquet', as rows without a task have its name: task 'mean' is t")
    questions.check(parquet(tmp_path / "mean.parquet", [{**GOOD, "task": "means"}]))
    half = lines(tmp_path / "a\udc80.jsonl", [GOOD])
    with pytest.raises(ValueError, match=r"'a\\udc80\.jsonl', .*: task holds half a letter"):
        questions.check(half)


def test_a_column_of_parquet_that_stands_twice_is_refused(tmp_path):
    from pyarrow import array, parquet, table

    columns = [array([text]) for text in ("a.png", "what ?", "who ?", "red", "x", "y")]
    names = ["image", "question", "question", "answer", "other", "other"]
    parquet.write_table(table(columns, names=names), tmp_path / "own.parquet")
    with pytest.raises(
        ValueError, match=r"1 problem .*\s+own\.parquet: column question stands 2 t"
    ):
        questions.check(str(tmp_path / "own.parquet"))


def test_rows_of_parquet_are_numbered_too(tmp_path):
    source = parquet(tmp_path / "own.parquet", [GOOD, {**GOOD, "question": None}])
    with pytest.raises(ValueError, match=r"own.parquet, row 2: question is missing"):
        questions.check(source)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "cannot be opened|not an image"),
        (b"no image at all", "is not an image of a known format"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "cannot be opened|not an image"),
    ],
)
def test_damaged_images_are_found_by_their_beginning(tmp_path, content, problem):
    (tmp_path / "c.png").write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        questions.check(lines(tmp_path / "own.jsonl", [GOOD, {**GOOD, "image": "c.png"}]))


def test_all_is_told_at_once_and_a_long_list_is_cut(tmp_path):
    rows = [{**GOOD, "image": "c.png", "question": None}, {**GOOD, "image": "d.png"}]
    told = problems(tmp_path, *rows)
    assert len(told) == 3  # a bad row, and its image besides
    source = lines(tmp_path / "own.jsonl", [{**GOOD, "answer": 2}] * 25)
    with pytest.raises(ValueError) as refusal:
        questions.check(source)
    heading, *told = str(refusal.value).split("\n  ")
    assert heading.startswith("25 problems with ")
    assert len(told) == 11 and told[-1] == "and 15 more"


def test_missing_columns_are_told_with_the_nearest(tmp_path):
    told = problems(tmp_path, {"img": "a.png", "questions": "what ?", "anwser": "red"})
    there = "there are: img, questions, anwser"
    assert told == [
        f"own.jsonl: column image is missing; did you mean img? {there}",
        f"own.jsonl: column question is missing; did you mean questions? {there}",
        f"own.jsonl: column answers (or answer) is missing; did you mean anwser? {there}",
    ]
    source = parquet(tmp_path / "own.parquet", [{"image": "a.png", "text": "?", "answer": "x"}])
    with pytest.raises(ValueError, match=r"column question is missing; there are: image, text,"):
        questions.check(source)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.jsonl", None, "there is no file of questions .*none.jsonl"),
        ("none.parquet", None, "there is no file of questions .*none.parquet"),
        (
            "scene",
            None,
            "'scene' is neither 'scenes', 'things' nor a file that ends in .parquet or",
        ),
        ("own.csv", b"image,question", "neither 'scenes', 'things' nor a file that ends in"),
        ("own.jsonl", b"", "own.jsonl has no rows"),
        ("own.jsonl", b"\xff\xfe", "own.jsonl cannot be read"),
        ("own.parquet", b"not parquet", "own.parquet cannot be read"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, problem):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    source = name if name == "scene" else str(tmp_path / name)
    for function in (questions.check, questions.version, read):
        with pytest.raises(ValueError, match=problem):
            function(source)


def test_soft_accuracy_needs_annotators(tmp_path):
    row = {"image": "a.png", "question": "what ?"}
    told = problems(tmp_path, {**row, "answers": TEN}, {**row, "answers": TEN[:3]}, scoring="vqa")
    assert told == ["own.jsonl, line 2: scoring='vqa' needs at least 4 answers, not 3"]
    with pytest.raises(ValueError, match="scoring='anls' is unknown; allowed: auto, exact, vqa"):
        questions.check("scenes", "anls")


def test_version_changes_with_questions_images_and_the_name_of_the_task(tmp_path):
    source = lines(tmp_path / "own.jsonl", ROWS)
    versions = [questions.version(source)]
    assert questions.version(source) == versions[0]
    Image.new("RGB", (20, 30), (7, 0, 0)).save(tmp_path / "b.png")
    versions.append(questions.version(source))
    versions.append(questions.version(lines(tmp_path / "own.jsonl", ROWS[:3])))
    versions.append(questions.version(lines(tmp_path / "other.jsonl", ROWS[:3])))
    assert len(set(versions)) == 4
    (tmp_path / "b.png").unlink()
    with pytest.raises(ValueError, match=r"there is no image file .*b\.png"):
        questions.version(source)


def test_checking_never_loads_torch(tmp_path):
    source = parquet(tmp_path / "own.parquet", ROWS)
    code = (
        "import sys; from vzlib.evaluation import questions; "
        f"questions.check({source!r}); questions.version({source!r}); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"question": "what \ud83d ?"}, r"line 1: question holds half a letter, .\\ud83d"),
        ({"answer": "\udc00"}, "line 1: answer holds half a letter"),
        ({"task": "a\ud83d"}, "line 1: task holds half a letter"),
    ],
)
def test_half_an_emoji_is_refused_at_the_check(tmp_path, change, problem):
    Image.new("RGB", (4, 3)).save(tmp_path / "1.png")
    row = {"image": "1.png", "question": "what ?", "answer": "dog"} | change
    (tmp_path / "own.jsonl").write_text(json.dumps(row))
    with pytest.raises(ValueError, match=problem):
        questions.check(str(tmp_path / "own.jsonl"))


def test_what_no_reader_survives_is_one_value_error(tmp_path):
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="line 1: no JSON: brackets within brackets"):
        questions.check(str(tmp_path / "deep.jsonl"))
    with pytest.raises(ValueError, match=r"questions='~nobodyatall/q\.jsonl'"):
        questions.check("~nobodyatall/q.jsonl")


def test_both_decks_are_asked_until_every_task_has_its_questions():
    for source, deck in (("scenes", scenes), ("things", things)):
        asked = read(source, each=3)
        tasks = [question.task for one in asked for question in one.questions]
        assert {task: tasks.count(task) for task in deck.TASKS} == dict.fromkeys(deck.TASKS, 3)
        first = asked[0]
        assert np.array_equal(first.image, deck.make(first.scene.index).image)
        told = {(q.text, q.answer) for q in deck.ask(first.scene)}
        assert {(q.text, q.answers[0]) for q in first.questions} <= told
    assert questions.version("scenes") != questions.version("things")
