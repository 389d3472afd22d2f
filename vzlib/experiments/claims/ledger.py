"""Every claim of the paper beside what was measured of it."""

import pandas as pd

from vzlib import paper
from vzlib.claims.evidence import Evidence
from vzlib.evaluation import questions
from vzlib.experiments.claims.registry import findings
from vzlib.experiments.claims.settings import Claims
from vzlib.experiments.misalignment_ablation.claims import CHANGE
from vzlib.experiments.token_budget.claims import PERCENT
from vzlib.models.checkpoint import identity
from vzlib.statistics import verdict
from vzlib.statistics.intervals import written

# Units, up to a comma, in which the paper's number says the same kind of thing.
COMPARABLE = (PERCENT, CHANGE, "times as fast")
MEASURED = (verdict.FOUND, verdict.OPPOSITE, verdict.NOT_FOUND)


def table(chosen: Claims) -> pd.DataFrame:
    """One row per claim, in the paper's order; nothing is measured, and no weights are loaded.

    Columns: claim (id), says, where, section, quantity, paper (its value), verdict, measured (value
    and 95 % interval in words), value, low, high, unit, n, data (what n counts), rule, model, note,
    command.

    Raises ValueError for a model or questions that there are not.
    """
    identity(chosen.model)
    questions.check(chosen.questions)
    told, found = paper.claims(), findings(Evidence(chosen))
    rows = []
    for claim, text in told.iterrows():
        one = found[str(claim)]
        what = f"questions ({chosen.questions})" if one.data == "questions" else one.data
        rows.append(
            {
                "claim": claim,
                "says": text["claim"],
                "where": text["where"],
                "section": section(text["where"]),
                "quantity": text["quantity"],
                "paper": text["paper_value"],
                "verdict": one.verdict,
                "measured": f"{written(one.interval)} {one.unit}".strip(),
                **one.interval._asdict(),
                "unit": one.unit,
                "n": one.n,
                "data": what,
                "rule": one.rule,
                "model": one.model or chosen.model if one.verdict in MEASURED else "",
                "note": one.note,
                "command": one.command,
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(n=table["n"].where(table["n"] > 0).astype("Int64"))


def section(where: str) -> str:
    """The part of the paper in which a claim stands first: "Sec. 2.3; Fig. 3" is in "Sec. 2"."""
    first = where.split(";")[0].partition(":")[0].strip()
    if first.startswith("Table"):
        return "Sec. 3"  # Tables 1 to 4, the experiments
    return "App." if first.startswith("App.") else first.partition(".")[0] + _number(first)


def _number(first: str) -> str:
    return f". {first.removeprefix('Sec. ')[0]}" if first.startswith("Sec. ") else ""


def comparable(ledger: pd.DataFrame) -> pd.DataFrame:
    """The rows of `table` with a number that can stand beside the paper's.

    Columns: claim, unit (one of COMPARABLE), value, low, high, paper (a number), verdict.
    """
    unit = ledger["unit"].str.partition(",")[0]
    own = ledger.assign(unit=unit)[unit.isin(COMPARABLE) & ledger["value"].notna()]
    numbers = own.assign(paper=own["paper"].str.lstrip("<>").astype(float))
    return numbers[["claim", "unit", "value", "low", "high", "paper", "verdict"]]


def conclusion(ledger: pd.DataFrame) -> str:
    """How many claims got which verdict, and which, a sentence each."""
    lines = [f"Of {len(ledger)} claims and questions:"]
    for name in verdict.VERDICTS:
        own = ledger.loc[ledger["verdict"] == name, "claim"].tolist()
        lines.append(f"{name}: {len(own)}" + (f" ({', '.join(own)})" if own else ""))
    return "\n".join(lines)
