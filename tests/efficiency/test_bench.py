"""The benchmark at tiny sizes: its rows, their bars, what is kept and what is not measured."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from vzlib.__main__ import main
from vzlib.efficiency import pipeline, timing
from vzlib.efficiency.bench import command, language, row, run, where
from vzlib.efficiency.bench import scale as scales
from vzlib.statistics.intervals import Interval

CPU = torch.device("cpu")
TINY = scales.Scale(
    repetitions=4, merge_batches=(1, 2), clip="tiny-clip", tower_batches=(1,),
    siglip="tiny-siglip", sequence=512, heads=2, head_dim=64, llava="tiny", larger="tiny-2x",
    new_tokens=2, tokens=100, width=32, retain=16,
)  # fmt: skip


@pytest.fixture
def steady(monkeypatch):
    """No machine is too noisy for a test of everything else."""
    monkeypatch.setattr(timing, "_refuse", lambda limit, **times: None)


def timed(**seconds):
    rows = [(name, turn, stage, taken) for name, stages in seconds.items()
            for stage, series in stages.items() for turn, taken in enumerate(series)]  # fmt: skip
    return pd.DataFrame(rows, columns=["variant", "round", "stage", "seconds"])


@pytest.mark.parametrize(
    ("bar", "outcome"),
    [(row.Bar(at_least=1.9), "passed"), (row.Bar(at_least=2.1), "missed"), (None, "stated"),
     (row.Bar(at_most=2.1), "passed"), (row.Bar(at_most=1.9), "missed")],
)  # fmt: skip
def test_a_bar_decides_on_the_whole_interval(bar, outcome):
    times = timed(a={"all": [2.0, 2.02, 1.98, 2.0]}, b={"all": [1.0, 1.01, 1.0, 0.99]})
    found = row.ratio("group", "a over b", times, "a", "b", bar)
    assert found.value.value == pytest.approx(2.0)
    assert (found.outcome, found.n) == (outcome, 4)
    assert found.details == "a 2000 ms, b 1000 ms"


def test_a_bar_inside_the_interval_is_not_decided():
    random = np.random.default_rng(0)
    times = timed(a={"all": random.normal(1, 0.05, 20)}, b={"all": random.normal(1, 0.05, 20)})
    assert row.ratio("group", "", times, "a", "b", row.Bar(at_most=1.0)).outcome == "within noise"


def test_what_scatters_is_marked_and_has_no_value_but_its_numbers():
    times = timed(a={"all": [1.0, 9.0, 1.0, 9.0]}, b={"all": [1.0] * 4})
    found = row.ratio("group", "", times, "a", "b", row.Bar(at_least=1))
    assert found.outcome == "too noisy"
    assert found.as_dict()["value"] is None
    assert "spread 160%" in found.details


def test_a_ratio_can_be_of_a_stage_and_over_another():
    times = timed(a={"prefill": [8.0] * 4, "x": [90.0] * 4}, b={"prefill": [2.0] * 4})
    found = row.ratio("group", "", times, "a", "b", None, ("prefill",), over=2.0)
    assert found.value == Interval(2.0, 2.0, 2.0)


@pytest.mark.slow
def test_a_whole_run_is_kept_by_device_and_a_part_is_not(
    tiny, steady, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    monkeypatch.setattr(command, "scale_of", lambda device: TINY)
    assert main(["bench", "column_sum", "--device", "cpu", "--json"]) == 0
    part = json.loads(capsys.readouterr().out)
    assert {one["group"] for one in part["rows"]} == {"column_sum"}
    assert not list(tmp_path.iterdir())

    assert main(["bench", "--device", "cpu", "--dtype", "float32"]) == 0
    printed = capsys.readouterr().out
    (path,) = tmp_path.iterdir()
    record = json.loads(path.read_text())
    assert path.name == f"bench_{run.slug(record['device'])}.json"
    assert {one["group"] for one in record["rows"]} == set(run.GROUPS)
    absent = [one for one in record["rows"] if one["outcome"] == "not measured"]
    assert {one["group"] for one in absent} == set(run.GROUPS)  # each has a bar on a GPU
    for one in absent:
        assert one["details"] == f"vzlib bench --device cuda {one['group']}"
        assert one["value"] is None
    for one in record["rows"]:
        assert one["what"] in printed
        assert one["outcome"] == "not measured" or one["low"] <= one["value"] <= one["high"]
    assert record["scale"]["repetitions"] == 4 and record["dtype"] == "float32"
    assert "Where the time goes" in printed and "aten::" in printed


def test_the_larger_model_is_compared_as_on_a_gpu(tiny, steady):
    rows = language.compare_sizes(TINY, CPU, torch.float32)
    assert [one.what.rpartition(", ")[2] for one in rows] == ["prefill", "total"]
    assert all(one.value.value > 0 and one.bar == "≤ 0.6" for one in rows)


@pytest.mark.slow
def test_compiled_prefills_are_measured_beside_eager_ones(tiny, steady, monkeypatch):
    eager_backend = partial(pipeline.compiled, backend="eager")  # inductor takes minutes
    monkeypatch.setattr(language, "compiled", eager_backend)
    rows = language.prefill(replace(TINY, compiled=True, repetitions=1), CPU, torch.float32)
    told = [one.what for one in rows]
    for span in ("prefill", "first token"):
        assert f"vanilla ÷ visionzip, both compiled, tiny, {span}" in told
        assert f"visionzip, eager ÷ compiled, tiny, {span}" in told


def test_the_profile_tells_the_parts(tiny):
    text = where.profile(replace(TINY, retain=64), CPU, torch.float32)
    shares = [float(line.split()[-2]) for line in text.splitlines() if line.endswith(" %")]
    assert len(shares) == 2 and sum(shares) == pytest.approx(100, abs=0.02)


def test_unknown_rows_and_devices_are_refused(capsys):
    assert main(["bench", "prefil"]) == 2
    assert "unknown rows: prefil; allowed: select_and_merge" in capsys.readouterr().err
    assert main(["bench", "--device", "gpu"]) == 2
    assert "device='gpu' is unknown; allowed: auto, cpu, cuda" in capsys.readouterr().err
