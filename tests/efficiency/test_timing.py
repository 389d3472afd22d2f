"""The clock: order, rounds, stages, intervals, and what it refuses to conclude from."""

import numpy as np
import pandas as pd
import pytest
import torch

from vzlib.efficiency import timing

CPU = torch.device("cpu")


def recorder(log, name, stages=("all",)):
    def run():
        for stage in stages:
            log.append((name, stage))
            yield stage

    return run


def test_variants_take_turns_in_both_orders_and_warm_up_does_not_count():
    log = []
    variants = {name: recorder(log, name) for name in "abc"}
    times = timing.measure(variants, CPU, repetitions=3, warm_up=1)
    order = "".join(name for name, _ in log)
    assert order == "cba" + "abc" + "cba" + "abc"
    for name in "abc":
        assert times.loc[times["variant"] == name, "round"].tolist() == [0, 1, 2]


def test_every_stage_has_its_own_time(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 10.0, 14.0, 20.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    stages = timing._once(recorder([], "a", ("tower", "prefill")), CPU, apart=False)
    assert stages == [("tower", 1.0), ("prefill", 2.0)]


@pytest.mark.parametrize(("apart", "waits"), [(False, 2), (True, 4)])
def test_on_a_gpu_events_stand_around_every_stage(monkeypatch, apart, waits):
    now, waited = [0.0], []

    class Event:
        def __init__(self):
            self.at = now[0]

        def elapsed_time(self, other):
            return 1e3 * (other.at - self.at)

    def wait(device):
        waited.append(device)
        now[0] += 100  # what the host does meanwhile is no part's time

    def run():
        for stage, taken in (("tower", 1.0), ("prefill", 2.0)):
            now[0] += taken
            yield stage

    monkeypatch.setattr(timing, "_mark", Event)
    monkeypatch.setattr(timing, "synchronize", wait)
    stages = timing._once(run, torch.device("cuda"), apart)
    assert stages == [("tower", 1.0), ("prefill", 2.0)]
    assert len(waited) == waits


def test_no_round_begins_after_the_time_is_up_but_for_the_least_number():
    variants = {"a": recorder([], "a")}
    few = timing.measure(variants, CPU, repetitions=50, seconds=0, at_least=4)
    assert few["round"].max() + 1 == 4
    assert timing.measure(variants, CPU, repetitions=5)["round"].nunique() == 5


def test_garbage_collection_is_as_before_even_after_an_error():
    def broken():
        yield "one"
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        timing.measure({"a": broken}, CPU)
    assert timing.gc.isenabled()


@pytest.mark.parametrize("changes", [{"repetitions": 0}, {"warm_up": -1}])
def test_nothing_to_measure_is_refused(changes):
    with pytest.raises(ValueError, match="give at least one variant"):
        timing.measure({"a": recorder([], "a")}, CPU, **changes)
    with pytest.raises(ValueError, match="0 variants"):
        timing.measure({}, CPU)


def test_times_are_summed_over_the_stages_asked_for():
    rows = [("a", turn, stage, taken + turn) for turn in (0, 1)
            for stage, taken in (("tower", 1.0), ("prefill", 10.0))]  # fmt: skip
    times = pd.DataFrame(rows, columns=["variant", "round", "stage", "seconds"])
    assert timing.by_round(times, "a").tolist() == [11.0, 13.0]
    assert timing.by_round(times, "a", ("prefill",)).tolist() == [10.0, 11.0]
    with pytest.raises(ValueError, match="no times of 'b'"):
        timing.by_round(times, "b")


def test_the_ratio_is_that_of_the_medians_and_its_interval_holds_the_truth():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        drift = random.uniform(0.95, 1.05, 30)  # of the machine, the same for both
        slow = 2 * drift * random.normal(1, 0.01, 30)
        fast = drift * random.normal(1, 0.01, 30)
        found = timing.ratio(slow, fast, resamples=300)
        assert found.value == np.median(slow) / np.median(fast)
        held += found.low <= 2 <= found.high
    assert held >= 85


def test_what_scatters_too_widely_is_refused_with_its_numbers():
    steady, wild = np.full(20, 1.0), np.array([1.0, 2.0] * 10)
    assert timing.spread(wild) == pytest.approx(1 / 1.5)
    with pytest.raises(
        timing.TooNoisy, match=r"denominator: median 1.5e\+03 ms, spread 67% in 20 rounds"
    ):
        timing.ratio(steady, wild)
    assert timing.ratio(steady, wild, limit=0.7).value == pytest.approx(1 / 1.5)


def test_rounds_must_be_the_same():
    with pytest.raises(ValueError, match="of the same rounds"):
        timing.ratio(np.ones(3), np.ones(4))
