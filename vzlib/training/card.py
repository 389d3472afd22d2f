"""What the cards of the embedded models tell of training and accuracy, as Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from vzlib.statistics.comparison import paired_difference

CURVE = "training_curve.csv"


def training_curves(folder: Path, target: Path, stages: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The curve of every stage: from the training in `folder`, else as shipped with `target`.

    Where the training went on from a checkpoint, whose curves it then keeps in `folder`, its own
    follow those.
    """
    own = {
        name: pd.read_json(folder / f"{name}.jsonl", lines=True)
        for name in stages
        if (folder / f"{name}.jsonl").is_file()
    }
    if (folder / CURVE).is_file():
        curves = shipped_curves(folder / CURVE)
        for name, curve in own.items():
            curves[name] = _after(curves[name], curve) if name in curves else curve
    else:
        curves = own if len(own) == len(stages) else shipped_curves(target / CURVE)
    return {name: curves[name] for name in stages if name in curves}


def shipped_curves(file: Path) -> dict[str, pd.DataFrame]:
    """The curves that `write_curves` wrote, by stage."""
    return {
        str(name): own.drop(columns="stage").dropna(axis=1, how="all")
        for name, own in pd.read_csv(file).groupby("stage", sort=False)
    }


def _after(first: pd.DataFrame, then: pd.DataFrame) -> pd.DataFrame:
    """One curve of two: steps and processor time go on."""
    moved = then.assign(
        step=then["step"] + first["step"].iloc[-1] + 1,
        cpu_seconds=then["cpu_seconds"] + first["cpu_seconds"].iloc[-1],
    )
    return pd.concat([first, moved], ignore_index=True)


def write_curves(curves: Mapping[str, pd.DataFrame], target: Path) -> None:
    """Writes the curves of all stages into `target`, where `training_curves` finds them."""
    whole = pd.concat([curve.assign(stage=name) for name, curve in curves.items()])
    whole = whole[["stage", *(c for c in whole.columns if c != "stage")]]
    whole.to_csv(target / CURVE, index=False, float_format="%.4g")


def schedule(curves: Mapping[str, pd.DataFrame], titles: Mapping[str, str]) -> str:
    """Table of the stages: steps, minutes of processor time, last loss."""
    lines = ["| stage | steps | CPU minutes | last loss |", "|---|---|---|---|"]
    for name, curve in curves.items():
        last = curve.iloc[-1]
        minutes = last["cpu_seconds"] / 60
        lines.append(
            f"| {titles[name]} | {last['step'] + 1:.0f} | {minutes:.0f} | {last['loss']:.3f} |"
        )
    return "\n".join(lines)


def unfinished(curves: Mapping[str, pd.DataFrame], planned: Mapping[str, int]) -> str:
    """Says which stages were stopped before their time, and nothing if none was.

    planned: steps of each stage.
    """
    steps = {name: int(curve["step"].iloc[-1]) + 1 for name, curve in curves.items()}
    early = [
        f"{name} after some {done} of {planned[name]} steps"
        for name, done in steps.items()
        if done < planned[name]
    ]
    return f"**Training is not finished**: {' and '.join(early)}. " if early else ""


def hours(curves: Mapping[str, pd.DataFrame]) -> float:
    """Processor time of all stages."""
    return sum(curve["cpu_seconds"].iloc[-1] for curve in curves.values()) / 3600


def accuracy_table(table: pd.DataFrame) -> str:
    """Accuracy with all tokens per task, with the share of the commonest answer beside it."""
    lines = [
        "| task | n | accuracy (95 % interval) | always the commonest answer |",
        "|---|---|---|---|",
    ]
    for row in table[table["method"] == "vanilla"].itertuples():
        accuracy = f"{row.value:.1f} ({row.low:.1f} to {row.high:.1f})"
        lines.append(f"| {row.task} | {row.n} | {accuracy} | {row.majority:.1f} |")
    return "\n".join(lines)


def reduced_table(table: pd.DataFrame, tasks: Sequence[str]) -> str:
    """Accuracy per method and budget."""
    tasks = [*tasks, "mean"]
    lines = [f"| tokens | method | {' | '.join(tasks)} |", "|---" * (2 + len(tasks)) + "|"]
    for (retained, name), group in table.groupby(["retained", "method"], sort=False):
        own = group.set_index("task")
        cells = [
            f"{own.value[task]:.1f} ± {(own.high[task] - own.low[task]) / 2:.1f}" for task in tasks
        ]
        lines.append(f"| {retained} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(rows: pd.DataFrame, budgets: Sequence[int]) -> str:
    """Paired differences of VisionZip to the controls, per budget."""
    lines = ["| tokens | VisionZip over random | VisionZip over uniform |", "|---|---|---|"]
    for retained in budgets:
        cells, own = [], rows[rows["retained"] == retained]
        for other in ("random", "uniform"):
            gain = paired_difference(own, "visionzip", other, "method")
            cells.append(f"{gain.value:+.1f} ({gain.low:+.1f} to {gain.high:+.1f})")
        lines.append(f"| {retained} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)
