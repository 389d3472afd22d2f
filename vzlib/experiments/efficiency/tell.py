"""What the times of `measure` amount to: medians, speed-ups, tables."""

from typing import Any

import numpy as np
import pandas as pd

from vzlib import paper
from vzlib.efficiency import flops, timing
from vzlib.experiments.efficiency.measure import VANILLA
from vzlib.experiments.efficiency.settings import Efficiency

FIRST_TOKEN = ("tower", "select + merge", "projector", "prefill")
SPANS: dict[str, tuple[str, ...]] = {
    "prefill": ("prefill",),
    "first token": FIRST_TOKEN,
    "total": (),
}
ALONE = ("prefill", "decode")  # spans that are one part: timed apart from the others
PAPER_METHODS = {"vanilla": "Vanilla", "fastv": "FastV", "sparsevlm": "SparseVLM",
                 "visionzip": "VisionZip"}  # fmt: skip
PAPER_DEVICE = "A800"


def parts(times: pd.DataFrame) -> pd.DataFrame:
    """Median time of every stage of every variant, measured apart, with its quartiles.

    Columns: device, geometry, method, budget, at_input, average, stage, n (rounds), median, low,
    high (quartiles, all in ms), spread (interquartile range / median).
    """
    keys = ["device", "geometry", "method", "budget", "at_input", "average", "stage"]
    found = []
    for key, own in times[times["apart"]].groupby(keys, sort=False):
        seconds = own["seconds"].to_numpy()
        low, middle, high = np.percentile(seconds * 1e3, (25, 50, 75))
        found.append((*key, len(seconds), middle, low, high, timing.spread(seconds)))
    return pd.DataFrame(found, columns=[*keys, "n", "median", "low", "high", "spread"])


def table(times: pd.DataFrame, costs: pd.DataFrame, settings: Efficiency) -> pd.DataFrame:
    """One row per variant: times, speed-ups over its own model with all tokens, FLOPs, memory.

    Columns: device, geometry, method, budget, at_input, average, n; for prefill, first token and
    total the median in ms (`<span>`), `<span>_spread`, `<span>_speedup` with `_low` and `_high`
    (95 %, missing where times scatter by more than `settings.limit`); token (ms per word after the
    first); flops (of the prefill, counted, GFLOPs), formula (GFLOPs), flops_ratio (vanilla / own),
    share (prefill speed-up / flops_ratio); of_peak (least time of the prefill at the device's peak
    rate / median, missing where that is not known); memory and weights (MB); noisy.
    """
    found = []
    row: Any
    for row in costs.itertuples():
        base = f"{row.geometry} {VANILLA} "
        full = costs[costs["variant"].str.startswith(base)].iloc[0]
        line = {name: getattr(row, name) for name in
                ("device", "geometry", "method", "budget", "at_input", "average")}  # fmt: skip
        line["n"] = times.loc[times["variant"] == row.variant, "round"].nunique()
        noisy = False
        for span, stages in SPANS.items():
            clock = times[times["apart"] == (span in ALONE)]
            own = timing.by_round(clock, row.variant, stages)
            line |= {span: float(np.median(own)) * 1e3, f"{span}_spread": timing.spread(own)}
            try:
                gain = timing.ratio(
                    timing.by_round(clock, full["variant"], stages), own, settings.limit
                )
            except timing.TooNoisy:
                gain, noisy = timing.Interval(*[float("nan")] * 3), True
            names = (f"{span}_speedup", f"{span}_speedup_low", f"{span}_speedup_high")
            line |= dict(zip(names, gain, strict=True))
        decode = timing.by_round(times[times["apart"]], row.variant, ("decode",))
        ratio = full["flops_prefill"] / row.flops_prefill
        least = flops.floor(row.flops_prefill, row.device)
        line |= {
            "token": float(np.median(decode)) * 1e3 / (settings.new_tokens - 1),
            "flops": row.flops_prefill / 1e9,
            "formula": row.formula / 1e9,
            "flops_ratio": ratio,
            "share": line["prefill_speedup"] / ratio,
            "of_peak": (least or np.nan) * 1e3 / line["prefill"],
            "memory": row.memory / 1e6,
            "weights": row.weights / 1e6,
            "noisy": noisy,
        }
        found.append(line)
    return pd.DataFrame(found)


def beside_paper(table: pd.DataFrame, settings: Efficiency) -> pd.DataFrame:
    """Tables 4, 7 and 18 with what was measured beside them, and what the hardware allows.

    The paper's 7B stands beside `settings.geometry`, its 13B beside `settings.larger`. floor: the
    least milliseconds in which an A800 at its peak multiplies what a prefill of the paper's model
    cannot do without, a prompt of `settings.before + settings.after` tokens besides the image.

    Columns: table, model, method, tokens, paper_prefill (ms), paper_prefill_speedup, floor (ms),
    below_floor, paper_total (s), paper_total_speedup, geometry, prefill (ms), prefill_speedup,
    total (ms), total_speedup. The paper's totals are of whole benchmarks, ours of one answer.
    """
    cells: Any = table.set_index(["geometry", "method", "budget"])
    found: list[dict[str, Any]] = []
    row: Any
    full = table[table["method"] == VANILLA]
    visual = dict(zip(full["geometry"], full["at_input"], strict=True))
    ours: dict[str, Any] = {"7B": settings.geometry, "13B": settings.larger}
    for row in _printed().itertuples():
        size = row.model.rpartition("-")[2]
        name = next(own for own, printed in PAPER_METHODS.items() if printed == row.method)
        budget = visual.get(ours[size]) if name == VANILLA else row.tokens
        line = row._asdict() | {"floor": _floor(row, settings), "geometry": ours[size]}
        del line["Index"]
        line["below_floor"] = bool(line["paper_prefill"] < line["floor"])
        if (ours[size], name, budget) in cells.index:
            own = cells.loc[(ours[size], name, budget)]
            kept = ("prefill", "prefill_speedup", "total", "total_speedup")
            line |= {key: own[key] for key in kept}
        found.append(line)
    return pd.DataFrame(found)


def _printed() -> pd.DataFrame:
    """Rows of the paper's three tables: table, model, method, tokens, its times and speed-ups."""
    columns = {"retained_tokens": "tokens", "prefill_ms": "paper_prefill", "total_s": "paper_total"}
    rows = []
    for number in (4, 7, 18):
        printed = paper.table(number).rename(columns=columns)
        kept = ["table", "model", "method", "tokens", "paper_prefill", "paper_total"]
        own = printed.reindex(columns=kept).drop_duplicates()
        full = own[own["method"] == "Vanilla"].set_index("model")
        for span in ("prefill", "total"):
            base = own["model"].map(full[f"paper_{span}"])
            own[f"paper_{span}_speedup"] = base / own[f"paper_{span}"]
        rows.append(own)
    found = pd.concat(rows, ignore_index=True)
    # Table 7 does not say; its accuracy is that of 640 tokens (params/paper/NOTES.md).
    return found.assign(tokens=found["tokens"].fillna(640).astype(int))


def _floor(row: Any, settings: Efficiency) -> float:
    """Milliseconds; for a method inside the language model its layer average counts."""
    from vzlib.efficiency.geometry import config

    geometry = config(row.model.lower())
    least = flops.prefill(geometry, row.tokens + settings.before + settings.after)
    seconds = flops.floor(least, PAPER_DEVICE)
    assert seconds is not None
    return seconds * 1e3


def conclusion(table: pd.DataFrame, settings: Efficiency) -> str:
    """What was measured where, and how the smallest budget of VisionZip compares with the limit."""
    own = table[(table["geometry"] == settings.geometry) & (table["method"] == "visionzip")]
    lines = [
        f"Measured on {table['device'].iloc[0]}, {settings.geometry}: medians of "
        f"{table['n'].iloc[0]} rounds."
    ]
    noisy = int(table["noisy"].sum())
    if noisy:
        lines.append(
            f"{noisy} of {len(table)} variants scatter by more than {settings.limit:.0%} of their "
            "median in some span; no speed-up is reported for those."
        )
    if len(own):
        least: Any = own.sort_values("budget").iloc[0]
        full = table.loc[table["geometry"] == settings.geometry, "budget"].max()
        told = {span: least[f"{span}_speedup"] for span in ("prefill", "first token", "total")}
        gains = ", ".join(
            f"{span} {'too noisy' if np.isnan(gain) else f'{gain:.1f} times as fast'}"
            for span, gain in told.items()
        )
        lines.append(
            f"VisionZip at {least['budget']} of {full} tokens: {gains}; the "
            f"FLOPs of the prefill fall {least['flops_ratio']:.1f} times."
        )
    return "\n".join(lines)


def below_the_floor(rows: pd.DataFrame) -> str:
    """Which of the paper's prefill times its hardware cannot reach; rows: of `beside_paper`."""
    timed = rows[rows["paper_prefill"].notna()]
    found = timed[timed["below_floor"]]
    each = "; ".join(
        f"Table {row.table}, {row.model} with {row.tokens} tokens: {row.paper_prefill:g} ms "
        f"printed, {row.floor:.0f} ms needed at the least"
        for row in found.itertuples()
    )
    return (
        f"{len(found)} of {len(timed)} prefill times of the paper lie below what an {PAPER_DEVICE} "
        f"needs at its peak rate. {each}."
        if len(found)
        else "None lies below."
    )
