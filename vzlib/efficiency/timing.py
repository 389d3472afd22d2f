"""Time variants of a computation against each other: in one run, in turns, synchronised.

A variant is a function that makes a generator: it yields the name of a stage whenever one ends.
Times of different runs are not comparable on most machines, for clocks, caches and neighbours
change; variants of one run that take turns share all of these. Where the times of a variant
scatter too widely, nothing is concluded from them.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from vzlib.efficiency.device import synchronize
from vzlib.statistics.intervals import Interval

Variant = Callable[[], Iterator[str]]
LIMIT = 0.25  # widest spread, interquartile range / median, from which anything is concluded
WHOLE = "all"  # the stage of a variant that has one only


class TooNoisy(ValueError):
    """Times scatter more widely than allowed; the message has the numbers."""


def single(function: Callable[[], Any], calls: int = 1) -> Variant:
    """The variant of one stage that calls `function`, several times where one is too short."""

    def run() -> Iterator[str]:
        for _ in range(calls):
            function()
        yield WHOLE

    return run


def measure(
    variants: Mapping[str, Variant],
    device: torch.device,
    *,
    repetitions: int = 20,
    warm_up: int = 2,
    seconds: float = float("inf"),
    at_least: int = 4,
    apart: bool = False,
    progress: str | None = None,
) -> pd.DataFrame:
    """Seconds of every stage of every variant in every round.

    In a round each variant runs once, in the order given and in the reverse order by turns.

    repetitions: rounds, after `warm_up` rounds that do not count.
    seconds: begin no further round after so long, but make `at_least` rounds.
    apart: wait for the device after every stage, so that none hides behind another; otherwise only
        at both ends, as when one waits for the answer. On a CPU both are the same.
    progress: what the progress bar says; None for no bar.

    Columns: variant, round, stage, seconds. Raises ValueError for nothing to measure.
    """
    if not variants or repetitions < 1 or warm_up < 0:
        raise ValueError(
            f"{len(variants)} variants, repetitions={repetitions}, warm_up={warm_up}: give at "
            "least one variant and one repetition, and no negative warm-up"
        )
    names, rows = list(variants), []
    collecting, end = gc.isenabled(), float("inf")
    gc.collect()
    gc.disable()  # a collection would fall on one variant and not on the others
    bar = tqdm(total=warm_up + repetitions, desc=progress, unit="round", disable=progress is None)
    try:
        for turn in range(-warm_up, repetitions):
            if turn == 0:
                end = time.perf_counter() + seconds
            if turn >= at_least and time.perf_counter() > end:
                break
            for name in names if turn % 2 == 0 else reversed(names):
                stages = _once(variants[name], device, apart)
                if turn >= 0:
                    rows += [(name, turn, stage, taken) for stage, taken in stages]
            bar.update()
    finally:
        bar.close()
        if collecting:
            gc.enable()
    return pd.DataFrame(rows, columns=["variant", "round", "stage", "seconds"])


def _once(variant: Variant, device: torch.device, apart: bool) -> list[tuple[str, float]]:
    synchronize(device)
    if device.type != "cuda":
        stages, before = [], time.perf_counter()
        for stage in variant():
            now = time.perf_counter()
            stages.append((stage, now - before))
            before = now
        return stages
    marks, names = [_mark()], []
    for stage in variant():
        names.append(stage)
        marks.append(_mark())
        if apart:
            synchronize(device)
            marks.append(_mark())
    synchronize(device)
    step = 2 if apart else 1
    starts, ends = marks[: len(names) * step : step], marks[1::step]
    milliseconds = [start.elapsed_time(end) for start, end in zip(starts, ends, strict=True)]
    return [(name, taken / 1e3) for name, taken in zip(names, milliseconds, strict=True)]


def _mark() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def by_round(times: pd.DataFrame, variant: str, stages: tuple[str, ...] = ()) -> np.ndarray:
    """Seconds [R] that a variant took in each round, in the named stages or in all of them.

    Raises ValueError for a variant, or stages, that were not measured.
    """
    own = times[times["variant"] == variant]
    if stages:
        own = own[own["stage"].isin(stages)]
    if own.empty:
        raise ValueError(
            f"no times of {variant!r} {stages or ''}; there are "
            f"{', '.join(map(repr, times['variant'].unique()))}"
        )
    return own.groupby("round")["seconds"].sum().to_numpy()


def spread(seconds: np.ndarray) -> float:
    """Interquartile range over the median of times [R]."""
    low, middle, high = np.percentile(seconds, (25, 50, 75))
    return float((high - low) / middle)


def ratio(
    numerator: np.ndarray, denominator: np.ndarray, limit: float = LIMIT, resamples: int = 2000
) -> Interval:
    """Ratio of the medians of two variants' times [R], with its 95 % bootstrap interval.

    Rounds are resampled, both variants together: what slowed a round slowed both.
    Raises ValueError if the rounds are not the same, TooNoisy if either spread is above `limit`.
    """
    if numerator.shape != denominator.shape or numerator.ndim != 1 or not len(numerator):
        raise ValueError(f"times must be of the same rounds, not {numerator.shape} and "
                         f"{denominator.shape}")  # fmt: skip
    _refuse(limit, numerator=numerator, denominator=denominator)
    chosen = np.random.default_rng(0).integers(len(numerator), size=(resamples, len(numerator)))
    drawn = np.median(numerator[chosen], axis=1) / np.median(denominator[chosen], axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(float(np.median(numerator) / np.median(denominator)), float(low), float(high))


def _refuse(limit: float, **times: np.ndarray) -> None:
    wide = {name: spread(seconds) for name, seconds in times.items() if spread(seconds) > limit}
    if wide:
        told = "; ".join(
            f"{name}: median {np.median(times[name]) * 1e3:.3g} ms, spread {found:.0%} in "
            f"{len(times[name])} rounds"
            for name, found in wide.items()
        )
        raise TooNoisy(f"times scatter by more than {limit:.0%} of their median: {told}")
