"""The model card of pico-llava, written from what was measured."""

from pathlib import Path

import pandas as pd

from vzlib import scenes
from vzlib.embedded.pico.architecture import GRID, VISION, WINDOW
from vzlib.embedded.pico.train import STAGES as STEPS
from vzlib.statistics.comparison import paired_difference

STAGES = {
    "tower-window": f"tower, {WINDOW}x{WINDOW} patches",
    "tower": f"tower, {GRID}x{GRID} patches",
    "language-window": f"projector and language model, {WINDOW}x{WINDOW} patches",
    "language": f"projector and language model, {GRID}x{GRID} patches",
    "relations": "the same, with more questions on where things are",
}
CURVE = "training_curve.csv"
TEMPLATE = Path(__file__).with_name("card.md")


def write_card(
    table: pd.DataFrame, rows: pd.DataFrame, findings: str, *, folder: Path, target: Path
) -> None:
    """Writes `README.md` and the training curve into the checkpoint `target`.

    table, rows: accuracies and the answers behind them; findings: what the tower's attention shows;
    folder: where training left its curves, if it ran here; else those of `target` stay.
    """
    curves = training_curves(folder, target)
    whole = pd.concat([curve.assign(stage=name) for name, curve in curves.items()])
    whole = whole[["stage", *(c for c in whole.columns if c != "stage")]]
    whole.to_csv(target / CURVE, index=False, float_format="%.4g")
    text = TEMPLATE.read_text().format(
        schedule=schedule(curves),
        hours=sum(curve["cpu_seconds"].iloc[-1] for curve in curves.values()) / 3600,
        vocabulary=len(scenes.vocabulary()),
        vision_layers=VISION.num_hidden_layers,
        full=_full_table(table),
        reduced=_reduced_table(table),
        differences=_differences(rows),
        findings=findings,
    )
    (target / "README.md").write_text(text)


def training_curves(folder: Path, target: Path) -> dict[str, pd.DataFrame]:
    """The curve of every stage: from the training in `folder`, else as shipped with `target`."""
    if all((folder / f"{name}.jsonl").is_file() for name in STAGES):
        return {name: pd.read_json(folder / f"{name}.jsonl", lines=True) for name in STAGES}
    shipped = pd.read_csv(target / CURVE)
    return {
        str(name): own.drop(columns="stage").dropna(axis=1, how="all")
        for name, own in shipped.groupby("stage", sort=False)
    }


def schedule(curves: dict[str, pd.DataFrame]) -> str:
    """Markdown table of the stages: steps, minutes of processor time, last loss."""
    lines = ["| stage | steps | CPU minutes | last loss |", "|---|---|---|---|"]
    for name, curve in curves.items():
        last, steps = curve.iloc[-1], STEPS[name][1]
        minutes = last["cpu_seconds"] / 60 * steps / (last["step"] + 1)
        lines.append(f"| {STAGES[name]} | {steps} | {minutes:.0f} | {last['loss']:.3f} |")
    return "\n".join(lines)


def _full_table(table: pd.DataFrame) -> str:
    lines = [
        "| task | n | accuracy (95 % interval) | always the commonest answer |",
        "|---|---|---|---|",
    ]
    for row in table[table["method"] == "vanilla"].itertuples():
        accuracy = f"{row.value:.1f} ({row.low:.1f} to {row.high:.1f})"
        lines.append(f"| {row.task} | {row.n} | {accuracy} | {row.majority:.1f} |")
    return "\n".join(lines)


def _reduced_table(table: pd.DataFrame) -> str:
    tasks = [*scenes.TASKS, "mean"]
    lines = [f"| tokens | method | {' | '.join(tasks)} |", "|---" * (2 + len(tasks)) + "|"]
    for (retained, name), group in table.groupby(["retained", "method"], sort=False):
        own = group.set_index("task")
        cells = [
            f"{own.value[task]:.1f} ± {(own.high[task] - own.low[task]) / 2:.1f}" for task in tasks
        ]
        lines.append(f"| {retained} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _differences(rows: pd.DataFrame) -> str:
    lines = ["| tokens | VisionZip over random | VisionZip over uniform |", "|---|---|---|"]
    for retained in sorted(set(rows["retained"]) - {GRID * GRID}, reverse=True):
        cells, own = [], rows[rows["retained"] == retained]
        for other in ("random", "uniform"):
            gain = paired_difference(own, "visionzip", other, "method")
            cells.append(f"{gain.value:+.1f} ({gain.low:+.1f} to {gain.high:+.1f})")
        lines.append(f"| {retained} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)
