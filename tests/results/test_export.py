"""What leaves the store as CSV: which rows, and what is said of each."""

import ast
import io
import os
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from vzlib import results
from vzlib.__main__ import main
from vzlib.paths import REPOSITORY


class Settings(BaseModel, frozen=True):
    images: int = 3
    layers: tuple[int, ...] = (1, 2)


def measure(settings):
    return pd.DataFrame({"layer": settings.layers, "value": [0.1, 0.2], "method": ["a", "b"]})


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "store"))
    monkeypatch.delenv("VZLIB_STORE_ONLY", raising=False)
    return tmp_path / "store"


def test_export_writes_every_row_with_its_settings_and_provenance(store, capsys):
    first = results.compute("layers", Settings(), measure, data_version="v1")
    other = results.compute("others", {"rate": 0.5}, lambda settings: pd.DataFrame({"x": [7]}))
    path = store.parent / "all.csv"
    assert main(["results", "export", "--to", str(path)]) == 0
    assert capsys.readouterr().out == f"3 rows of 2 entries in {path}\n"
    content = path.read_bytes()
    table = pd.read_csv(path)
    layers = table[table["entry.experiment"] == "layers"]
    assert layers["settings.layers"].tolist() == ["[1,2]"] * 2
    assert layers[["layer", "value", "method"]].values.tolist() == first.values.tolist()
    assert (layers["entry.key"] == first.attrs["key"]).all()
    assert table.loc[table["entry.key"] == other.attrs["key"], "settings.rate"].tolist() == [0.5]
    assert main(["results", "export", "--to", str(path)]) == 0
    assert path.read_bytes() == content
    assert sorted(os.listdir(path.parent)) == ["all.csv", "store"]
    (store / "layers" / first.attrs["key"] / "rows.parquet").write_bytes(b"x")
    capsys.readouterr()
    assert main(["results", "export"]) == 1
    out, err = capsys.readouterr()
    assert (len(out.splitlines()), err.count("left out:")) == (2, 1)


def answered(points):
    """As an analysis of questions: a summary of each, and what was said to each question."""
    summary = pd.DataFrame({"task": ["any"], "score": [0.5]})
    said = [{"question": ["one ?", "two ?"], "said": ["a, b", one["method"]]} for one in points]
    return [(summary, pd.DataFrame(one)) for one in said]


answered.__module__ = "vzlib.experiments.token_budget.measure"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two models, two methods, two files of questions and two ways to equalise."""
    store = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results.sources, "fingerprint", lambda code, uses=(): "source")
        for model in ("pico", "me/llava"):
            for questions in ("scenes", "/data/own.jsonl"):
                ways = [("visionzip", None), ("fastv", None), ("fastv", "layer average")]
                results.compute_each(
                    "token_budget",
                    [{"method": m, "equalise": e, "budget": 64} for m, e in ways],
                    answered,
                    model_fingerprint=f"weights of {model}",
                    data_version=f"hash of {questions}",
                    about={"model": model, "questions": questions},
                    store=store,
                )
        names = {"model": "pico", "questions": "scenes"}
        results.compute("layers", Settings(), measure, about=names, store=store)
    return store


@pytest.fixture
def sweep(swept, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(swept))


def exported(capsys, *options):
    assert main(["results", "export", *options]) == 0
    text = capsys.readouterr().out
    return pd.read_csv(io.StringIO(text)) if text else pd.DataFrame()


def test_every_row_says_which_model_and_questions_and_what_decides(sweep, capsys):
    table = exported(capsys, "--analysis", "token_budget")
    names = ["entry.model", "entry.weights", "entry.questions", "entry.data"]
    names += ["settings.method", "settings.equalise"]
    assert len(table) == 12 and not table[names].duplicated().any()
    asked = (table["entry.model"] == "me/llava") & (table["entry.questions"] == "scenes")
    row = table[asked].iloc[0]
    assert (row["entry.weights"], row["entry.data"]) == ("weights of me/llava", "hash of scenes")


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ((), 14),
        (("--analysis", "layers"), 2),
        (("--analysis", "06"), 12),
        (("--analysis", "06_token_budget"), 12),
        (("--model", "pico"), 8),
        (("--model", "weights of pico"), 6),
        (("--questions", "/data/own.jsonl"), 6),
        (("--questions", "hash of scenes"), 6),
        (("--method", "fastv"), 8),
        (("--method", "a"), 1),  # a column of the rows
        (("-p", "equalise", "layer average"), 4),
        (("-p", "equalise", "null"), 8),
        (("-p", "budget", "64"), 12),
        (("-p", "layers", "[1, 2]"), 2),
        (("-p", "layer", "2"), 1),
        (("--model", "pico", "--method", "fastv", "-p", "equalise", "null"), 2),
    ],
)
def test_rows_are_chosen(sweep, capsys, options, rows):
    assert len(exported(capsys, *options)) == rows


def test_answers_are_exported_question_by_question(sweep, capsys):
    table = exported(capsys, "--predictions", "--model", "pico", "--questions", "scenes")
    assert len(table) == 6
    assert table[["question", "said"]].head(2).to_numpy().tolist()[0] == ["one ?", "a, b"]
    assert set(table["settings.method"]) == {"visionzip", "fastv"}
    assert "score" not in table and (table["entry.experiment"] == "token_budget").all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--analysis", "token_budgets"), "token_budgets: unknown; did you mean token_budget?"),
        (("--analysis", "99"), "99: unknown; Allowed: layers, token_budget."),
        (("--model", "pica"), "--model pica: unknown; did you mean pico? Allowed: me/llava, pico."),
        (("--questions", "scene"), "did you mean scenes? Allowed: /data/own.jsonl, scenes."),
        (("-p", "bugdet", "64"), "-p bugdet: unknown; did you mean budget? Allowed: budget, "),
        (("-p", "budget"), "-p wants a name and a value"),
        (("-p", "budget", "7"), "-p budget 7: no row has it; there are 64."),
        (("--method", "fastvv"), "did you mean fastv? there are a, b, fastv, visionzip."),
        (("-p", "equalise", "nul"), "no row has it; did you mean null? there are layer average, "),
        (("-p", "value", "0.1", "-p", "layer", "2"), "no row has all of value 0.1, layer 2."),
    ],
)
def test_what_is_not_in_the_store_is_refused(sweep, capsys, tmp_path, options, said):
    assert main(["results", "export", "--to", str(tmp_path / "x.csv"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x.csv").exists()


def test_names_given_as_paths_count_from_the_working_folder(capsys, monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    names = {"model": "pico", "questions": str(tmp_path / "data/q.jsonl")}
    results.compute("layers", Settings(images=4), measure, about=names)
    assert len(exported(capsys, "--questions", "data/q.jsonl")) == 2


def test_an_entry_of_before_names_were_kept_is_exported_without(capsys):
    results.compute("layers", Settings(), measure, model_fingerprint="m")
    table = exported(capsys)
    assert table["entry.model"].isna().all() and (table["entry.weights"] == "m").all()
    assert len(exported(capsys, "--model", "m")) == 2


def test_a_large_store_is_exported_an_entry_at_a_time(store, capsys):
    table = pd.DataFrame(np.arange(4000).reshape(-1, 4) / 7, columns=list("abcd"))
    for number in range(20):
        results.compute("large", {"number": number}, lambda settings: table)
    target = store.parent / "all.csv"
    assert main(["results", "export", "--to", str(target)]) == 0  # what is imported is imported
    tracemalloc.start()
    assert main(["results", "export", "--to", str(target)]) == 0
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < target.stat().st_size / 2


NAMING = (
    "quickstart", "redundancy", "attention_by_layer", "softmax_gradient", "feature_misalignment",
    "efficiency", "misalignment_ablation", "token_budget", "dominant_contextual",
)  # fmt: skip


@pytest.mark.parametrize("analysis", NAMING)
def test_an_analysis_names_its_model_and_questions(analysis):
    folder = REPOSITORY / "vzlib" / "experiments" / analysis
    calls = [
        node
        for path in folder.glob("measure*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("results.compute", "results.compute_each")
    ]
    assert calls
    # By name, or among what `vzlib.experiments.answers.identified` gives, unpacked.
    assert all({keyword.arg for keyword in call.keywords} & {"about", None} for call in calls)
