"""Checks the transcription of the paper's tables: python params/paper/check_tables.py

  F  the files have the expected columns, keys, ranges and row counts
  A  percent_of_vanilla is 100 * score / vanilla score
  B  the row "average" is the mean of the benchmarks that the paper averages
  C  rows that stand in several tables agree
  D  the efficiency and budget tables are consistent in themselves and with each other
  E  the numbers of the running text follow from the tables

known_exceptions.csv lists what the paper itself contradicts, each with its reason. The exit status
is 0 when exactly those exceptions occur, otherwise 1.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

HERE = Path(__file__).resolve().parent
ROUNDING = 0.15  # percentages and averages are printed with one decimal, from rounded scores
EPSILON = 1e-9

ROWS = {
    1: 156, 2: 80, 3: 20, 4: 4, 5: 3, 6: 4, 7: 3, 8: 6, 9: 3, 10: 84, 11: 52, 12: 70, 13: 80,
    14: 70, 15: 48, 16: 50, 17: 30, 18: 50,
}  # fmt: skip
SETTING = ["model", "method", "tuned", "retained_tokens"]
COLUMNS = ["table", *SETTING, "benchmark", "score", "percent_of_vanilla"]
EXTRA = {
    15: ["tuning_dataset"],
    16: ["memory_mb"],
    17: ["train_hours", "train_memory_mb"],
    18: ["prefill_ms", "total_s"],
}
NEXT_7B, NEXT_13B = "LLaVA-NeXT-7B", "LLaVA-NeXT-13B"
# 100 % is the 13B model in these tables, also for the row of the 7B model.
REFERENCE = {13: NEXT_13B, 16: NEXT_13B, 18: NEXT_13B}

SEVEN = ("GQA", "MMB", "MME", "SQA", "VQAv2", "TextVQA", "MMMU")
NINE = (*SEVEN, "POPE", "SEED-I")
AVERAGED = {
    1: (*SEVEN, "POPE", "SEED", "MMVet", "LLaVA-B"),
    2: SEVEN,
    3: ("TGIF", "MSVD", "MSRVTT", "ActivityNet"),
    10: NINE,
    11: (*SEVEN, "POPE", "SEED", "VizWiz"),
    12: NINE, 13: NINE, 14: NINE, 15: SEVEN, 16: NINE, 17: NINE, 18: NINE,
}  # fmt: skip
NOT_AVERAGED = {10: {"MMVet", "LLaVA-B"}, 11: {"MMVet", "LLaVA-B"}}  # by the captions


class Check(NamedTuple):
    """One comparison: its name, whether it held, and what was found."""

    key: str
    held: bool
    found: str


def near(key: str, printed: float, found: float, tolerance: float, note: str = "") -> Check:
    text = f"printed {printed:g}, recomputed {found:.2f}" + (f" ({note})" if note else "")
    return Check(key, abs(printed - found) <= tolerance + EPSILON, text)


def label(number: int, row: pd.Series) -> str:
    text = f"T{number} {row.model} {row.method} {row.tuned} {row.retained_tokens}"
    return f"{text} {row.tuning_dataset}" if "tuning_dataset" in row else text


def one(table: pd.DataFrame, **choice: object) -> pd.Series:
    """The only row in which every named column has the given value."""
    for column, value in choice.items():
        table = table[table[column] == value]
    assert len(table) == 1, (choice, len(table))
    return table.iloc[0]


def check_form(tables: dict[int, pd.DataFrame]) -> Iterator[Check]:
    for number, table in tables.items():
        rows = f"{len(table)} rows, expected {ROWS[number]}"
        yield Check(f"F T{number} rows", len(table) == ROWS[number], rows)
        if number not in AVERAGED:
            continue
        extra = EXTRA.get(number, [])
        expected = COLUMNS + extra
        yield Check(f"F T{number} columns", list(table) == expected, f"{list(table)}")
        unique = [*COLUMNS[:6], *(c for c in extra if c == "tuning_dataset")]
        yield Check(f"F T{number} keys", not table.duplicated(unique).any(), "a row occurs twice")
        bad = [row.benchmark for _, row in table.iterrows() if not in_range(number, row)]
        yield Check(f"F T{number} ranges", not bad, f"cells out of range or empty: {bad}")
        for column in extra:
            if column != "tuning_dataset":
                distinct = table.groupby(SETTING)[column].nunique(dropna=False)
                text = f"{column} differs within one row of the paper"
                yield Check(f"F T{number} {column}", (distinct == 1).all(), text)


def in_range(number: int, row: pd.Series) -> bool:
    score, percent = row.score, row.percent_of_vanilla
    if row.table != number or row.tuned not in ("yes", "no"):
        return False
    if row.benchmark == "average":
        return pd.isna(score) and 30 < percent < 115
    low, high = (1000, 2800) if row.benchmark == "MME" else (10, 100)
    return low < score < high and (30 < percent < 115 or (number == 15 and pd.isna(percent)))


def check_percentages(tables: dict[int, pd.DataFrame]) -> Iterator[Check]:
    """A and B."""
    for number in AVERAGED:
        table = tables[number]
        source = tables[2] if number == 15 else table  # Table 15 has no vanilla row of its own
        vanilla = source[(source.method == "Vanilla") & (source.benchmark != "average")]
        vanilla = vanilla[vanilla.model == REFERENCE.get(number, vanilla.model.iloc[0])]
        vanilla = vanilla.set_index("benchmark").score
        keys = SETTING + (["tuning_dataset"] if number == 15 else [])
        for _, rows in table.groupby(keys, sort=False):
            name = label(number, rows.iloc[0])
            average = one(rows, benchmark="average").percent_of_vanilla
            rows = rows[rows.benchmark != "average"].set_index("benchmark")
            computed = 100 * rows.score / vanilla[rows.index]
            for bench, printed in rows.percent_of_vanilla.dropna().items():
                note = f"{rows.score[bench]:g} / {vanilla[bench]:g}"
                yield near(f"A {name} {bench}", printed, computed[bench], ROUNDING, note)
            excluded = set(rows.index) - set(AVERAGED[number])
            complete = set(AVERAGED[number]) <= set(rows.index)
            complete = complete and excluded == NOT_AVERAGED.get(number, set())
            yield Check(f"B {name} benchmarks", complete, f"benchmarks {sorted(rows.index)}")
            percents = rows.percent_of_vanilla.fillna(computed)[list(AVERAGED[number])]
            note = f"mean of {len(percents)}"
            yield near(f"B {name} average", average, percents.mean(), ROUNDING, note)


def check_repeats(tables: dict[int, pd.DataFrame]) -> Iterator[Check]:
    """C: scores always, percentages and averages where they are relative to the same thing."""
    seen: dict[str, dict[tuple, tuple[int, float]]] = {"score": {}, "percent": {}, "average": {}}
    for number in AVERAGED:
        for _, row in tables[number].iterrows():
            if row.get("tuning_dataset", "LLaVA-1.5") != "LLaVA-1.5":
                continue  # tuned on other data: a different model
            key = tuple(row[column] for column in SETTING)
            reference = REFERENCE.get(number, row.model)
            percent, bench = row.percent_of_vanilla, row.benchmark
            if bench == "average":
                averaged = tuple(sorted(AVERAGED[number]))
                values = [("average", (*key, reference, averaged), key, percent)]
            else:
                name = (*key, bench)
                values = [
                    ("score", name, name, row.score),
                    ("percent", (*name, reference), name, percent),
                ]
            for kind, identity, name, value in values:
                if pd.isna(value):
                    continue
                first, before = seen[kind].setdefault(identity, (number, value))
                if first != number:
                    text = f"Table {first} has {before:g}, Table {number} has {value:g}"
                    name = " ".join(map(str, name))
                    same = abs(value - before) < EPSILON
                    yield Check(f"C {kind} {name} T{first} T{number}", same, text)


def check_efficiency(tables: dict[int, pd.DataFrame]) -> Iterator[Check]:
    """D."""

    def same(key: str, first: int, a: float, second: int, b: float) -> Check:
        text = f"Table {first} has {a:g}, Table {second} has {b:g}"
        return Check(f"D {key}", abs(a - b) < EPSILON, text)

    vanilla = one(tables[4], method="Vanilla")
    for _, row in tables[4][tables[4].method != "Vanilla"].iterrows():
        for column, value in (("total_speedup_x", "total_s"), ("prefill_speedup_x", "prefill_ms")):
            found = vanilla[value] / row[value]
            yield near(f"D T4 {row.method} {column}", row[column], found, 0.051)
    baseline = one(tables[5], experiment="Baseline").accuracy
    for name in ("Ex1", "Ex2"):
        row = one(tables[5], experiment=name)
        found = 100 * (row.accuracy / baseline - 1)
        yield near(f"D T5 {name} change", row.change_percent, found, 0.051)
    sparse = one(tables[1], method="SparseVLM", retained_tokens=64, benchmark="TextVQA").score
    yield same("T5 T1 SparseVLM 64 TextVQA", 5, baseline, 1, sparse)
    for model, precision, method in (
        (NEXT_7B, "full", "Vanilla"),
        (NEXT_13B, "full", "Vanilla"),
        (NEXT_13B, "8bit", "VisionZip-8bit"),
        (NEXT_13B, "4bit", "VisionZip-4bit"),
    ):
        a = one(tables[6], model=model, precision=precision)
        b = one(tables[16], model=model, method=method, benchmark="SQA")
        yield same(f"T6 T16 {model} {precision} memory", 6, a.memory_mb, 16, b.memory_mb)
        yield same(f"T6 T16 {model} {precision} SQA", 6, a.accuracy, 16, b.score)
    for model, method, tokens in (
        (NEXT_7B, "Vanilla", 2880),
        (NEXT_13B, "Vanilla", 2880),
        (NEXT_13B, "VisionZip", 640),
    ):
        a = one(tables[7], model=model, method=method)
        choice = {"method": method, "retained_tokens": tokens, "benchmark": "TextVQA"}
        b = one(tables[18], model=model, **choice)
        yield same(f"T7 T18 {model} {method} TextVQA", 7, a.accuracy, 18, b.score)
        yield same(f"T7 T18 {model} {method} total_s", 7, a.total_s, 18, b.total_s)
    prefill = one(tables[18], model=NEXT_7B, benchmark="SQA").prefill_ms
    yield same(f"T4 T18 {NEXT_7B} prefill_ms", 4, vanilla.prefill_ms, 18, prefill)
    times = tables[18].query("model == @NEXT_13B and benchmark == 'SQA'")
    times = times.sort_values("retained_tokens")
    for column in ("prefill_ms", "total_s"):
        rising = times[column].is_monotonic_increasing
        yield Check(f"D T18 {column} falls with the tokens", rising, f"{list(times[column])}")
    for number in (8, 9):
        for _, row in tables[number].iterrows():
            adds_up = row.dominant_tokens + row.contextual_tokens == row.retained_tokens
            key = f"D T{number} {row.model} {row.retained_tokens}"
            yield Check(key, adds_up, "dominant + contextual differs from retained")
    for _, row in tables[9].iterrows():
        parts = (row.dominant_tokens % row.sub_images, row.contextual_tokens % row.sub_images)
        yield Check(f"D T9 {row.retained_tokens} per sub-image", parts == (0, 0), "not a multiple")


def check_text(tables: dict[int, pd.DataFrame], headlines: pd.DataFrame) -> Iterator[Check]:
    """E."""
    columns = ["id", "where", "quantity", "value", "unit", "recomputed_from"]
    yield Check("F headline columns", list(headlines) == columns, f"{list(headlines)}")
    said = headlines.set_index("id").value

    def average(number: int, method: str, tokens: int, tuned: str = "no", data: str = "") -> float:
        choice = {"method": method, "retained_tokens": tokens, "tuned": tuned}
        if data:
            choice["tuning_dataset"] = data
        elif number in REFERENCE:
            choice["model"] = REFERENCE[number]
        return one(tables[number], benchmark="average", **choice).percent_of_vanilla

    def video(method: str, benchmark: str) -> float:
        return one(tables[3], method=method, benchmark=benchmark).percent_of_vanilla

    def tokens(number: int, method: str, benchmark: str) -> float:
        return one(tables[number], method=method, benchmark=benchmark).retained_tokens

    zipped, fast, sparse = "VisionZip", "FastV", "SparseVLM"
    t4 = tables[4].set_index("method")
    prefill = t4.prefill_ms["Vanilla"] / t4.prefill_ms[zipped]
    total = t4.total_s["Vanilla"] / t4.total_s[zipped]
    t7 = tables[7][tables[7].model == NEXT_13B].set_index("method").total_s
    t5 = tables[5].set_index("experiment")
    hours = tables[17][tables[17].benchmark == "GQA"].set_index("method").train_hours
    memory = tables[16].query("model == @NEXT_13B and benchmark == 'SQA'")
    memory = memory.set_index("method").memory_mb
    expected = {  # id: (recomputed, tolerance); wide where the text says "nearly" or "about"
        "H02": (prefill, 0.5),
        "H03": (average(1, zipped, 64), 1.1),
        "H04": (100 * 64 / 576, 1.2),
        "H05": (t7["Vanilla"] / t7[zipped], 0.1),
        "H06": (average(2, zipped, 160, "yes"), 0.6),
        "H07": (tokens(1, "Vanilla", "GQA"), 0),
        "H08": (tokens(2, "Vanilla", "GQA"), 0),
        "H09": (tokens(2, "Vanilla", "GQA"), 0),
        "H10": (100 - average(1, zipped, 192), 0.05),
        "H11": (average(1, zipped, 192) - average(1, fast, 192), 0.05),
        "H12": (average(1, zipped, 192) - average(1, sparse, 192), 0.05),
        "H13": (average(1, zipped, 64) - average(1, fast, 64), 0.05),
        "H14": (average(1, zipped, 64) - average(1, sparse, 64), 0.05),
        "H15": (average(1, zipped, 64, "yes"), 0.05),
        "H16": (100 - average(1, zipped, 64, "yes"), 0.05),
        "H17": (average(2, zipped, 640), 0.05),
        "H18": (average(2, zipped, 640, "yes"), 0.05),
        "H19": (average(2, zipped, 160), 0.05),
        "H20": (average(2, zipped, 160, "yes"), 0.05),
        "H21": (average(2, zipped, 160) - average(2, sparse, 160), 0.05),
        "H22": (average(2, zipped, 160, "yes") - average(2, sparse, 160), 0.5),
        "H23": (tokens(3, "Vanilla", "TGIF"), 0),
        "H24": (tokens(3, zipped, "TGIF"), 0),
        "H25": (tokens(3, sparse, "TGIF"), 0),
        "H26": (video(zipped, "average"), 0.05),
        "H27": (video(zipped, "average") - video(sparse, "average"), 0.05),
        "H28": (video(zipped, "MSRVTT") - video(sparse, "MSRVTT"), 0.05),
        "H30": (total, 0.1),
        "H31": (prefill, 0.05),
        "H32": (-t5.change_percent["Ex1"], 0.5),
        "H33": (t5.change_percent["Ex2"], 0.15),
        "H34": (total, 0.1),
        "H36": (t7["Vanilla"] / t7[zipped], 0.1),
        "H38": (hours["Vanilla"] / hours["VisionZip-Train"], 0.2),
        "H40": (average(10, zipped, 64), 0.05),
        "H41": (average(10, zipped, 64, "yes"), 0.05),
        "H42": (average(11, "VisionZip-Train", 128, "yes"), 0.05),
        "H43": (average(11, "VisionZip-Train", 192, "yes") - 100, 0.05),
        "H45": (average(14, zipped, 64, "yes"), 0.05),
        "H53": (576 - t5.tokens_in["Ex1"], 0),
    }
    for name, (found, tolerance) in expected.items():
        yield near(f"E {name}", said[name], found, tolerance)
    margins = [average(1, zipped, n) - average(1, sparse, n) for n in (192, 128, 64)]
    margins += [average(2, zipped, n) - average(2, sparse, n) for n in (640, 320, 160)]
    margins += [video(zipped, "average") - video(sparse, "average")]
    held = sum(margin >= said["H01"] - EPSILON for margin in margins)
    text = f"{held} of {len(margins)} margins over SparseVLM reach {said['H01']:g}"
    yield Check("E H01", held >= len(margins) - 1, text)
    lowest = min(video(zipped, benchmark) for benchmark in AVERAGED[3])
    yield Check("E H29", lowest >= said["H29"] - EPSILON, f"lowest video percentage {lowest:g}")
    saved = 100 * (1 - memory[zipped] / memory["Vanilla"])
    yield Check("E H37", saved > said["H37"], f"memory falls by {saved:.1f} %")
    gains = [
        average(15, zipped, n, "yes", "LLaVA-NeXT") - average(15, zipped, n, "yes", "LLaVA-1.5")
        for n in (640, 320, 160)
    ]
    text = f"gains of the printed averages are {', '.join(f'{gain:+.1f}' for gain in gains)}"
    yield Check("E H39", max(gains) < said["H39"] - EPSILON, text)
    gemini = average(14, zipped, 64)
    yield Check("E H44", gemini > said["H44"], f"average {gemini:g}")


def main() -> int:
    tables = {n: pd.read_csv(next(HERE.glob(f"table{n:02d}_*.csv"))) for n in ROWS}
    headlines = pd.read_csv(HERE / "headline_numbers.csv")
    known = pd.read_csv(HERE / "known_exceptions.csv", index_col="check").reason
    checks = [
        *check_form(tables),
        *check_percentages(tables),
        *check_repeats(tables),
        *check_efficiency(tables),
        *check_text(tables, headlines),
    ]
    exceptions = {check.key: check.found for check in checks if not check.held}
    for key, found in exceptions.items():
        kind, reason = ("known", f" -- {known[key]}") if key in known else ("UNEXPECTED", "")
        print(f"{kind:11} {key}: {found}{reason}")
    stale = [key for key in known.index if key not in exceptions]
    for key in stale:
        print(f"STALE       {key}: listed as known, but it no longer occurs")
    unexpected = sum(key not in known for key in exceptions)
    print(
        f"{sum(map(len, tables.values())) + len(headlines)} rows, {len(checks)} checked, "
        f"{len(exceptions)} exceptions ({len(exceptions) - unexpected} known, "
        f"{unexpected} unexpected)"
    )
    return 1 if unexpected or stale else 0


if __name__ == "__main__":
    sys.exit(main())
