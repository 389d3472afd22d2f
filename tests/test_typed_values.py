"""What a person types is what is asked, or it is refused with the reason."""

import functools
import json
from typing import Any

import pytest

from vzlib.experiments.claims.settings import Claims
from vzlib.experiments.efficiency.settings import Efficiency
from vzlib.experiments.misalignment_ablation.settings import MisalignmentAblation
from vzlib.experiments.quickstart.settings import Quickstart
from vzlib.experiments.redundancy.settings import Redundancy
from vzlib.experiments.token_budget.settings import TokenBudget
from vzlib.notebooks import analysis, defaults, find
from vzlib.parameters import ParameterError, settings_class, validate
from vzlib.typed_values import read, with_absolute_paths


def typed(cls, name, text):
    """The value that a setting has in the end."""
    return getattr(validate(cls, given(cls) | read(cls, [(name, text)])), name)


@functools.cache
def given(cls):
    """What the parameters cell of the notebook gives."""
    return next(defaults(path) for path in find() if settings_class(analysis(path.stem)) is cls)


@pytest.mark.parametrize(
    "text",
    [
        "is it #1 ?", "# 1", "what: is: it", '"quoted" and more', "[what", "{a: 1}", "*.jpg",
        "@home",
        "2024-01-01", "2024-01-01T10:00:00", "no", "yes", "on", "12:30", "007", "0x10", "1_000",
        "1e-3", "true", "null", "~", "", " ", " two  blanks ", "!!binary aGVsbG8=", "&a", "- a",
        "%", "`x`", "a\nb", "tab\there", "'", "日本語 🚀", "what is this ?", "-p", "\\n",
        "{0}", "a|b", ">", "?",
    ],
)  # fmt: skip
def test_a_text_is_taken_letter_by_letter(text):
    assert typed(Quickstart, "photograph_question", text) == text
    assert typed(Quickstart, "photograph_answer", text) == text


@pytest.mark.parametrize(
    "cls, name, text, value",
    [
        (Redundancy, "near_zero", "1e-3", 0.001), (Redundancy, "near_zero", ".5", 0.5),
        (Redundancy, "count", "12", 12), (Redundancy, "layer", "-2", -2),
        (Redundancy, "images", "[scenes]", ("scenes",)),
        (Redundancy, "images", "scenes", ("scenes",)),
        (Redundancy, "images", "[scenes, /data/cats]", ("scenes", "/data/cats")),
        (Redundancy, "images", "/data/cats", ("/data/cats",)),
        (Redundancy, "images", '["scenes", "photographs"]', ("scenes", "photographs")),
        (Redundancy, "dominant", "[64, 128]", (64, 128)),
        (Efficiency, "larger", "null", None), 
        (Efficiency, "compiled", "true", True), (Efficiency, "compiled", "false", False),
        (Efficiency, "limit", "1", 1.0), (MisalignmentAblation, "ex2", "zipped", "zipped"),
        (TokenBudget, "equalise", "last layer", "last layer"),
        (TokenBudget, "methods", "all", "all"),
        (TokenBudget, "methods", "random", ("random",)),
        (TokenBudget, "methods", "[random, fastv]", ("random", "fastv")),
        (TokenBudget, "methods", '["visionzip(merge=\\"paper\\")"]', ("visionzip-paper",)),
        (Claims, "evidence", "{06_token_budget: {each: 10}}", {"06_token_budget": {"each": 10}}),
        (Claims, "evidence", '{"06_token_budget": {"each": 9}}', {"06_token_budget": {"each": 9}}),
    ],
)  # fmt: skip
def test_what_is_no_text_is_read_by_its_type(cls, name, text, value):
    got = typed(cls, name, text)
    assert (type(got), got) == (type(value), value)


def test_a_list_of_a_cell_or_a_file_is_a_list_as_typed():
    methods = validate(TokenBudget, given(TokenBudget) | {"methods": ["random", "fastv"]}).methods
    assert methods == typed(TokenBudget, "methods", "[random, fastv]") == ("random", "fastv")


@pytest.mark.parametrize(
    "cls, name, text, said",
    [
        (Redundancy, "count", "0x10", "count = '0x10': Input should be a valid integer"),
        *((Redundancy, "count", text, f"count = {text!r}: ") for text in ("007", "1_000", "12:30")),
        (Redundancy, "count", "1e3", "count = 1000.0: Input should be a valid integer"),
        (Redundancy, "count", "12.0", "count = 12.0: "),
        (Redundancy, "count", "true", "count = True: "),
        (Redundancy, "count", "null", "count = None: "),
        (Redundancy, "count", "", "count = None: "),
        (Redundancy, "count", "12 # of 16", "'# of 16' would be cut off as a comment"),
        (Redundancy, "count", "# 12", "'# 12' would be cut off as a comment"),
        (Redundancy, "near_zero", "NaN", "near_zero = 'NaN': "),
        (Redundancy, "near_zero", "1e400", "1e400 is too large for a number"),
        (Redundancy, "near_zero", ".nan", "near_zero = nan: "),
        (Redundancy, "images", "[3]", "images.0 = 3: Input should be a valid string"),
        (Redundancy, "images", "[]", "images = []: "),
        (Redundancy, "dominant", "[64", "dominant = '[64', line 1, column 4: "),
        (Redundancy, "dominant", "[64] # x", "'# x' would be cut off"),
        (Redundancy, "dominant", "*a", "line 1, column 1: "),
        (Redundancy, "dominant", "[2024-01-01]", "dominant.0 = '2024-01-01': "),
        (Redundancy, "dominant", "!!set {64}", "the tag !!set is not allowed"),
        (Efficiency, "compiled", "yes", "compiled = 'yes': Input should be a valid boolean"),
        (Efficiency, "compiled", "1", "compiled = 1: "),
        (Efficiency, "larger", "~", "larger = '~': "),
        (TokenBudget, "methods", "randon", "'randon'"),
        (TokenBudget, "methods", "[random", "methods, line 1, column 8: "),
        (TokenBudget, "methods", "[]", "give at least one, or all"),
        (Claims, "evidence", '{"06": {}, "06": {}}', "'06' stands twice"),
        (Quickstart, "photografh", "x", "photografh: unknown; did you mean photograph?"),
        (Quickstart, "photograph", "~nobody-of-this-name/a.jpg", "nobody knows that home"),
        (Quickstart, "photograph_answer", "\udcff", "half a letter is no text"),
    ],
)
def test_what_is_not_of_the_type_is_refused(cls, name, text, said):
    with pytest.raises(ParameterError) as caught:
        typed(cls, name, text)
    assert said in str(caught.value)


def test_a_name_that_stands_twice_is_refused():
    with pytest.raises(ParameterError, match="count stands twice: 1 and '2'"):
        read(Redundancy, [("count", "1"), ("count", "2")])


def test_relative_paths_count_from_where_they_were_typed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for folder in ("own", "pico", "org/name", "org/a.b"):
        (tmp_path / folder).mkdir(parents=True)
    for name, text, path in (
        ("photograph", "photo.jpg", "photo.jpg"),
        ("photograph", "no such", "no such"),
        ("photograph", "./rocket", "rocket"),
        ("model", "own", "own"),
        ("model", "org/name", "org/name"),
        ("model", "./none", "none"),
        ("model", "~/x", "home/x"),
        ("model", "./pico", "pico"),
    ):
        assert read(Quickstart, [(name, text)]) == {name: str(tmp_path / path)}
    for name, text in (
        ("photograph", "rocket"),
        ("photograph", "/a/b.jpg"),
        ("model", "pico"),  # a name wins over a folder
        ("model", "pico-llava"),
        ("model", "llava-hf/llava-1.5-7b-hf"),
        ("photograph_question", "own"),
    ):
        assert read(Quickstart, [(name, text)]) == {name: text}
    assert read(TokenBudget, [("questions", "q.jsonl")]) == {"questions": str(tmp_path / "q.jsonl")}
    assert read(TokenBudget, [("questions", "scenes")]) == {"questions": "scenes"}
    evidence = {"06_token_budget": {"questions": "q.jsonl", "each": 3}, "99_none": {"model": "own"}}
    got = read(Claims, [("evidence", json.dumps(evidence))])["evidence"]
    assert got == {**evidence, "06_token_budget": {"questions": f"{tmp_path}/q.jsonl", "each": 3}}


def test_another_base_and_values_that_are_no_texts(tmp_path):
    values: dict[str, Any] = {"model": 3, "photograph": "a.jpg", "unknown": "a.jpg"}
    assert with_absolute_paths(Quickstart, values, tmp_path) == {
        **values,
        "photograph": str(tmp_path / "a.jpg"),
    }
