"""08_efficiency: the tables that it saves."""

import pandas as pd
from pydantic import BaseModel

from vzlib.plotting.style import look
from vzlib.plotting.table import SavedTable, save_table

SPEEDUP = "{%s_speedup:.2f} [{%s_speedup_low:.2f}, {%s_speedup_high:.2f}]"


def efficiency(table: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """table: of `tell.table`."""
    columns = {"model": "{geometry}", "method": "{label}", "per layer": "{average:.0f}"}
    for span in ("prefill", "first token", "total"):
        columns |= {f"{span}, ms": f"{{{span}:.4g}}", f"{span}, ×": SPEEDUP % ((span,) * 3)}
    columns |= {
        "ms per word": "{token:.3g}",
        "prefill, GFLOPs": "{flops:.4g}",
        "by formula": "{formula:.4g}",
        "FLOPs ratio": "{flops_ratio:.2f}",
        "× / FLOPs ratio": "{share:.2f}",
        "of the peak rate": "{of_peak:.2f}",
        "peak, MB": "{memory:.4g}",
        "weights, MB": "{weights:.4g}",
    }
    caption = (
        f"Measured on {table['device'].iloc[0]}, {table['n'].iloc[0]} rounds in turns, random "
        "weights: medians; × is over the same model with all tokens, with 95 % intervals, and "
        "empty where times scatter too widely. FLOPs count a multiply and an add as two; by "
        "formula: Sec. 2.1 of the paper. Of the peak rate: the least time for these FLOPs on the "
        "device, if its rate is known, over the median. Peak memory is beyond the weights."
    )
    rows = table.assign(label=[look(name).label for name in table["method"]])
    return save_table(rows, "08_efficiency_table", settings, columns, caption=caption)


def beside_paper(rows: pd.DataFrame, settings: BaseModel) -> SavedTable:
    """rows: of `tell.beside_paper`."""
    columns = {
        "table": "{table}",
        "model": "{model}",
        "method": "{method}",
        "tokens": "{tokens}",
        "paper: prefill, ms": "{paper_prefill:.4g}",
        "×": "{paper_prefill_speedup:.2f}",
        "least on an A800, ms": "{floor:.1f}",
        "below it": "{impossible}",
        "paper: total, s": "{paper_total:.0f}",
        "× ": "{paper_total_speedup:.2f}",
        "here": "{geometry}",
        "prefill, ms": "{prefill:.4g}",
        "×  ": "{prefill_speedup:.2f}",
        "answer, ms": "{total:.4g}",
        "×   ": "{total_speedup:.2f}",
    }
    caption = (
        "Tables 4, 7 and 18 of the paper (one A800) beside what was measured here. The paper's "
        "totals are of whole benchmarks, those here of one answer. Least: what the prefill cannot "
        "do without, at 312 TFLOP/s, the A800's peak in bf16. Of Table 18's prefills, those with "
        "640 and 160 tokens had lost their decimal point and were restored by scale."
    )
    shown = rows.assign(impossible=rows["below_floor"].map({True: "yes", False: ""}))
    return save_table(shown, "08_efficiency_paper", settings, columns, caption=caption)
