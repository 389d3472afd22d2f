"""The ledger has every claim once, reads the store alone, and says what is missing."""

import csv
import shlex
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests import tiny
from vzlib import notebooks, paper, results
from vzlib.claims.evidence import COMMON, Evidence, settings_of
from vzlib.claims.finding import Finding
from vzlib.experiments.claims import ledger, registry
from vzlib.experiments.redundancy import measure as redundancy
from vzlib.methods.inside.schedule import Inside
from vzlib.methods.registry import method as registered
from vzlib.models import load
from vzlib.notebooks import SCALES, defaults, find, parameters, settings
from vzlib.parameters import settings_class, validate
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval
from vzlib.typed_values import read

FEW = {
    "01_redundancy": {"count": 3, "dominant": [2, 9], "images": ["scenes"]},
    "06_token_budget": {"each": 4},
}


@pytest.fixture
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("VZLIB_STORE_ONLY", raising=False)
    load._loaded.cache_clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a tiny LLaVA of 36 patches."""
    place = tmp_path_factory.mktemp("tiny")
    for part in tiny.llava(image_size=48):
        part.save_pretrained(place)
    return str(place)


@pytest.fixture
def never_loads(monkeypatch):
    monkeypatch.setattr("vzlib.models.load.load", lambda *_: pytest.fail("loaded a model"))


def test_every_claim_is_decided_exactly_once():
    entered = [claim for analysis in registry.analyses() for claim in analysis.CLAIMS]
    entered += registry.planned()
    assert sorted(entered) == sorted(paper.claims().index)
    assert len(entered) == 57


def test_a_claim_that_two_analyses_decide_is_refused(monkeypatch):
    all_of_them = [*registry.analyses(), next(registry.analyses())]
    monkeypatch.setattr(registry, "analyses", lambda: all_of_them)
    with pytest.raises(ValueError, match=r"redundancy\.claims: C01, C02, C07 decided twice"):
        registry.findings(Evidence(settings("15_claims")))


def test_a_claim_that_is_decided_and_still_planned_is_refused(monkeypatch, tmp_path):
    (tmp_path / "planned.csv").write_text("claim,notebook,model\nC07,10_training,\n")
    monkeypatch.setattr(registry, "PLANNED", tmp_path / "planned.csv")
    with pytest.raises(ValueError, match=r"redundancy\.claims: C07 decided twice"):
        registry.findings(Evidence(settings("15_claims")))


def test_what_is_not_stored_is_not_measured_but_told(folder, own_store, never_loads):
    table = ledger.table(
        settings("15_claims", model=folder, scale="quick", evidence=FEW)
    ).set_index("claim")
    assert table.index.tolist() == paper.claims().index.tolist()
    assert set(table["verdict"]) == {verdict.NOT_YET, verdict.NOT_MEASURABLE}
    assert table.loc["C01", "verdict"] == verdict.NOT_YET
    assert table["n"].isna().all() and (table["model"] == "").all()
    assert (table["note"] != "").all()
    assert "budget 64 must be below 36" in table.loc["C15", "note"]  # of 36 patches
    assert table.loc["C01", "command"] and not table.loc["C15", "command"]
    assert results.entries() == []


def test_what_is_stored_is_read_without_a_model(folder, own_store, monkeypatch):
    chosen = settings("15_claims", model=folder, scale="quick", evidence=FEW)
    redundancy.measure(settings_of(chosen, "01_redundancy"))
    stored = results.entries()
    table = ledger.table(chosen).set_index("claim")
    measured = table[table["verdict"].isin(ledger.MEASURED)]
    assert measured.index.tolist() == ["C01", "C02", "C07"]
    assert (measured["n"] == 3).all() and (measured["model"] == folder).all()
    assert (measured["low"] <= measured["value"]).all()
    assert (measured["value"] <= measured["high"]).all()
    assert results.entries() == stored


@pytest.mark.parametrize(
    "chosen",
    [
        settings("15_claims"),
        settings("15_claims", scale="paper", model="llava-hf/llava-1.5-7b-hf"),
        settings("15_claims", scale="quick", questions="my questions.jsonl"),
        settings("15_claims", evidence={"06_token_budget": {"each": 1000, "budgets": [64, 32]}}),
    ],
    ids=["default", "paper", "a file", "overrides"],
)
def test_the_command_measures_what_the_ledger_asks_for(chosen, monkeypatch):
    monkeypatch.setattr(registry, "_found", lambda *_: Finding(verdict.NOT_YET))
    found = registry.findings(Evidence(chosen))
    for analysis in registry.analyses():
        (claim, *_) = analysis.CLAIMS
        words = shlex.split(found[claim].command)
        scale = next((w.removeprefix("SCALE=") for w in words if w.startswith("SCALE=")), "default")
        pairs = [(words[i + 1], words[i + 2]) for i, word in enumerate(words) if word == "-p"]
        values = read(settings_class(notebooks.analysis(analysis.NOTEBOOK)), pairs, Path("/"))
        values |= {name: Path(value).name for name, value in values.items() if name == "questions"}
        measured = notebooks.settings(analysis.NOTEBOOK, scale, **values)
        assert measured == settings_of(chosen, analysis.NOTEBOOK)


@pytest.mark.parametrize("scale", SCALES)
def test_a_notebook_by_itself_measures_what_the_ledger_asks_for(scale):
    for analysis in registry.analyses():
        own = parameters(analysis.NOTEBOOK, scale)
        chosen = settings(
            "15_claims", **{name: own[name] for name in COMMON if name in own}, scale=scale
        )
        assert settings_of(chosen, analysis.NOTEBOOK) == validate(
            analysis.NOTEBOOK[3:], defaults(*find([analysis.NOTEBOOK])) | own
        )


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"06_token_budgt": {}}, "06_token_budgt: unknown; did you mean 06_token_budget"),
        ({"06_token_budget": {"eech": 9}}, "eech: unknown; did you mean each"),
        ({"06_token_budget": {"each": 1}}, "each = 1: Input should be greater than"),
        ({"06_token_budget": {"model": "pico"}}, "model is a parameter of the ledger itself"),
    ],
)
def test_evidence_that_there_cannot_be_is_refused(evidence, message):
    chosen = settings("15_claims", model="/nowhere", evidence=evidence)
    with pytest.raises(ValueError, match=message):  # before anything is asked of the model
        ledger.table(chosen)


def test_a_model_or_questions_that_there_are_not_are_refused_at_once(folder, own_store):
    with pytest.raises(ValueError, match="nowhere"):
        ledger.table(settings("15_claims", model="/nowhere"))
    with pytest.raises(ValueError, match=r"no file of questions nowhere\.jsonl"):
        ledger.table(settings("15_claims", model=folder, questions="nowhere.jsonl"))


def test_a_planned_notebook_has_a_command_when_it_is_there(monkeypatch, tmp_path):
    (tmp_path / "planned.csv").write_text("claim,notebook,model\nC44,98_later,\n")
    monkeypatch.setattr(registry, "PLANNED", tmp_path / "planned.csv")
    present = find()
    before = registry.planned()["C44"]
    assert before.verdict == verdict.NOT_YET and before.command == ""
    assert "98_later is still to be written" in before.note
    monkeypatch.setattr(notebooks, "find", lambda: [*present, tmp_path / "98_later.ipynb"])
    assert registry.planned()["C44"].command == "make reproduce NOTEBOOKS=98"


def test_a_claim_that_needs_other_weights_names_what_evaluates_them():
    with registry.PLANNED.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["model"]]
    assert [row["claim"] for row in rows] == ["C25", "C26", "C28", "C30", "C31", "C32"]
    told = registry.planned()
    for row in rows:
        command = told[row["claim"]].command
        subprocess.run(["bash", "-nc", command], check=True)
        listed = subprocess.run(
            ["bash", "-c", command.replace("lmms-eval", "echo")], capture_output=True, text=True
        ).stdout.splitlines()
        assert len(listed) == 1 + len(row["zipped"].split())
        visual = 2880 if "NeXT" in row["model"] else 576
        for way in row["zipped"].split():
            assert sum(f"pretrained={row['checkpoint']},{way} " in line for line in listed) == 1
            chosen = dict(part.split("=") for part in way.split(","))
            method, retain = registered(chosen["method"]), int(chosen["retain"])
            if isinstance(method, Inside):  # raises where the layers cannot average so few
                method.for_average(retain, 40 if "13B" in row["model"] else 32, visual)


def test_sections_and_the_conclusion():
    wheres = ["Sec. 2.3; Fig. 3", "Table 1", "App. B.1.3; Table 10", "Abstract", "summary: Key"]
    expected = ["Sec. 2", "Sec. 3", "App.", "Abstract", "summary"]
    assert [ledger.section(where) for where in wheres] == expected
    table = pd.DataFrame(
        {"claim": ["C01", "C02", "C03"], "verdict": ["found", "found", "opposite"]}
    )
    said = ledger.conclusion(table, settings("15_claims", model="pico", beside={})).splitlines()
    assert said[0] == "pico: of 3 claims and questions"
    assert said[1] == "  found: 2 (C01, C02)" and said[3] == "  not found: 0"


def test_another_model_has_a_column(folder, own_store, never_loads, monkeypatch, tmp_path):
    other = tmp_path / "other.model-1.5"
    shutil.copytree(folder, other)
    chosen = settings("15_claims", model=folder, scale="quick", evidence=FEW,
                      beside={str(other): "things"})  # fmt: skip
    asked = []

    def findings(evidence):
        one = evidence.chosen
        asked.append((one.model, one.questions))
        said = verdict.FOUND if one.model == folder else verdict.OPPOSITE
        found = {claim: Finding(verdict.NOT_YET) for claim in paper.claims().index}
        return found | {"C01": Finding(said, interval=Interval(5.0, 4.0, 6.0), unit="%")}

    monkeypatch.setattr(ledger, "findings", findings)
    table = ledger.table(chosen)
    assert asked == [(folder, "scenes"), (str(other), "things")]
    own = table.set_index("claim").loc["C01"]
    assert own["verdict"] == "found" and own["verdict other.model-1.5"] == "opposite"
    assert own["measured other.model-1.5"] == "5.00 [4.00, 6.00] %"
    text = ledger.conclusion(table, chosen)
    assert "1 claims measured on both, another verdict on 1 (C01)" in text
    assert text.splitlines()[0] == f"{Path(folder).name}: of 57 claims and questions"


def test_a_model_has_one_column_only(folder):
    with pytest.raises(ValueError, match=f"two columns of {Path(folder).name}"):
        ledger.table(settings("15_claims", model=folder, beside={folder + "/": "scenes"}))
