"""The tables that notebooks save: which columns are shown, and in which direction they are good."""

import pandas as pd
from pydantic import BaseModel

from vzlib.plotting.style import look
from vzlib.plotting.table import Direction, SavedTable, save_table

SIGNED = "{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def misalignment_ablation(effects: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """effects: of `misalignment_ablation.tell`, `with_paper`; their means are shown."""
    columns = {"selector": "{selector}", "condition": "{one}", "against": "{other}"}
    columns |= {
        "points": SIGNED,
        "percent": "{percent:+.1f} [{percent_low:+.1f}, {percent_high:+.1f}]",
        "the paper's percent": "{paper:+.1f}",
        "p": "{p:.2g}",
        "p (Holm)": "{holm:.2g}",
        "n": "{n}",
    }
    caption = (
        "Effect on accuracy of what a text-guided selector is offered, mean over tasks, paired by "
        "question; 95 % intervals with images as units. The paper's percent is that of SparseVLM "
        "on TextVQA (Table 5)."
    )
    means = effects[effects["task"] == "mean"]
    return save_table(means, "05_misalignment_ablation_table", settings, columns, caption=caption)


def token_budget(table: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """table: of `vzlib.experiments.token_budget.tell`; in the style of Table 1 of the paper."""
    names = list(table.columns)
    tasks = names[names.index("n") + 1 : names.index("mean")]
    columns = {"tokens": "{budget}", "method": "{label}", "at input": "{at_input:.0f}"}
    columns |= {"per layer": "{average:.0f}", "GFLOPs": "{gflops:.2g}"}
    columns |= {task: f"{{{task}:.1f}}" for task in tasks}
    columns |= {
        "mean": "{mean:.1f} [{low:.1f}, {high:.1f}]",
        "% of vanilla": "{percent:.1f} [{percent_low:.1f}, {percent_high:.1f}]",
        "the paper's %": "{paper:.1f}",
        "to VisionZip": "{difference:+.1f} [{difference_low:+.1f}, {difference_high:+.1f}]",
        "p (Holm)": "{p:.2g}",
    }
    best: dict[str, tuple[str, Direction]] = {task: (task, "highest") for task in (*tasks, "mean")}
    best["% of vanilla"] = ("percent", "highest")
    caption = (
        "Accuracy in percent by visual tokens (per layer, on average) and method, 95 % intervals "
        "with images as units, the best of each budget in bold. The paper's percent of vanilla is "
        "that of LLaVA-1.5-7B on 11 benchmarks (Table 1)."
    )
    return save_table(
        table.assign(label=[look(name).label for name in table["method"]]),
        "06_token_budget_table",
        settings,
        columns,
        caption=caption,
        best=best,
        within="budget",
    )


def dominant_contextual(differences: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """differences: of `vzlib.experiments.dominant_contextual.measure`."""
    columns = {"tokens": "{total}", "factor": "{factor}", "instead": "{choice}"}
    columns |= {"points": SIGNED, "p": "{p:.2g}", "p (Holm)": "{holm:.2g}", "n": "{n}"}
    caption = (
        "What changes in accuracy, in percentage points, when one choice of the released method "
        "is made otherwise; paired by question, 95 % intervals with images as units."
    )
    name = "07_dominant_contextual_table"
    return save_table(differences, name, settings, columns, caption=caption)
