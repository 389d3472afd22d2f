"""Measurements that ship are found by what was measured, and are no reason to measure less."""

import json

import pandas as pd
import pytest

from vzlib import results
from vzlib.results import shipped

CPU, GPU = "weights float32 cpu", "weights bfloat16 cuda"


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "results"))
    for name in ("VZLIB_STORE_ONLY", shipped.OFF, shipped.USED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(shipped, "MEASURED", tmp_path / "measured")
    return tmp_path


def measured(settings, calls=None, model=CPU):
    def function(point):
        if calls is not None:
            calls.append(point)
        return pd.DataFrame({"rate": [point["rate"]]}), pd.DataFrame({"said": ["yes"]})

    return results.compute("layers", settings, function, model_fingerprint=model, data_version="1")


def ship(*tables):
    shipped.publish(results.entries())
    for folder in results.entries():
        results.remove(folder)


def test_what_ships_is_read_instead_of_measured_where_the_key_is_the_same():
    measured({"rate": 1})
    ship()
    calls = []
    table = measured({"rate": 1}, calls)
    assert calls == [] and results.entries() == []
    assert results.predictions(table)["said"].tolist() == ["yes"]
    measured({"rate": 2}, calls)
    measured({"rate": 1}, calls, GPU)  # other numbers: measured
    assert [call["rate"] for call in calls] == [2, 1]


def test_it_can_be_switched_off(monkeypatch):
    measured({"rate": 1})
    ship()
    monkeypatch.setenv(shipped.OFF, "0")
    calls = []
    measured({"rate": 1}, calls)
    assert len(calls) == 1


def test_who_measures_nothing_reads_what_ships_while_others_measure_it_again(monkeypatch):
    measured({"rate": 1})
    ship()
    monkeypatch.setenv(shipped.OFF, "0")
    with results.store_only():
        assert measured({"rate": 1})["rate"].tolist() == [1]
    assert results.entries() == []


@pytest.mark.parametrize("change", ["code", "device"])
def test_where_nothing_may_be_computed_neither_code_nor_device_matters(change, monkeypatch):
    measured({"rate": 1})
    ship()
    if change == "code":
        monkeypatch.setattr(results.sources, "fingerprint", lambda function, uses: "of later code")
    calls = []
    with results.store_only():
        table = measured({"rate": 1}, calls, GPU if change == "device" else CPU)
        assert table["rate"].tolist() == [1] and calls == []
        assert results.predictions(table)["said"].tolist() == ["yes"]
        for other in ({"settings": {"rate": 2}}, {"settings": {"rate": 1}, "model": "others f c"}):
            with pytest.raises(results.MissingResult):
                measured(**other)


def test_ones_own_results_come_before_those_that_ship():
    measured({"rate": 1})
    ship()

    def on_a_gpu(point):
        return pd.DataFrame({"rate": [7]})

    def stored():
        same = {"model_fingerprint": GPU, "data_version": "1"}
        return results.compute("layers", {"rate": 1}, on_a_gpu, **same)["rate"].tolist()

    assert stored() == [7]
    with results.store_only():
        assert stored() == [7]


def test_a_damaged_one_is_told_and_measured(caplog):
    measured({"rate": 1})
    ship()
    (folder,) = shipped.MEASURED.glob("layers/*/")
    (folder / "rows.parquet").write_bytes(b"torn")
    calls = []
    measured({"rate": 1}, calls)
    assert len(calls) == 1 and "shipped result not used" in caplog.text


def test_publishing_replaces_all_and_what_was_used_is_noted(folders, monkeypatch):
    first, second = measured({"rate": 1}), measured({"rate": 2})
    assert shipped.publish(results.entries()) == 2
    log = folders / "used"
    monkeypatch.setenv(shipped.USED, str(log))
    measured({"rate": 2})
    used = log.read_text().splitlines()
    assert used == [second.attrs["folder"]]
    assert shipped.publish([results.location() / "layers" / second.attrs["key"]] * 2) == 1
    assert [path.name for path in shipped.MEASURED.glob("*/*/")] == [second.attrs["key"]]
    assert first.attrs["key"] != second.attrs["key"]
    assert not list(folders.glob(".measured*"))


def test_values_of_a_setting_are_those_of_the_entries():
    measured({"rate": 1, "device": "a"})
    measured({"rate": 2, "device": "b"})
    ship()
    assert set(shipped.values("layers", "device")) == {"a", "b"}
    assert shipped.values("nothing", "device") == []


def test_the_record_of_what_ships_is_that_of_its_measurement():
    table = measured({"rate": 1})
    ship()
    record = json.loads(next(shipped.MEASURED.glob("*/*/provenance.json")).read_text())
    assert record["settings"] == {"rate": 1} and record["model"] == CPU
    assert results.describe(measured({"rate": 1}))["finished_utc"] == record["finished_utc"]
    assert table.attrs["key"] == next(shipped.MEASURED.glob("*/*/")).name
