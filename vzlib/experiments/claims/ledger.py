"""Every claim of the paper beside what was measured of it."""

import pandas as pd

from vzlib import paper
from vzlib.claims.evidence import Evidence, check
from vzlib.claims.finding import COMPARABLE, as_table
from vzlib.evaluation import questions
from vzlib.experiments.claims.registry import findings
from vzlib.experiments.claims.settings import Claims
from vzlib.models.checkpoint import identity
from vzlib.statistics import verdict

MEASURED = (verdict.FOUND, verdict.OPPOSITE, verdict.NOT_FOUND)


def table(chosen: Claims) -> pd.DataFrame:
    """One row per claim, in the paper's order; nothing is measured, and no weights are loaded.

    Columns: those of `vzlib.claims.finding.as_table`, and where, section and quantity of the claim;
    and for each model M of `chosen.beside` "verdict M" and "measured M".

    Raises ValueError for a model or questions that there are not, and ParameterError for evidence
    that there cannot be.
    """
    names = [called(model) for model in (chosen.model, *chosen.beside)]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"beside: the ledger would have two columns of {', '.join(twice)}")
    evidence = Evidence(chosen)
    table = _of_one(evidence)
    for model, asked in chosen.beside.items():
        one = chosen.model_copy(update={"model": model, "questions": asked, "beside": {}})
        own = _of_one(evidence.of(one))
        table[verdict_of(model)] = own["verdict"]
        table[f"measured {called(model)}"] = own["measured"]
    return table


def called(model: str) -> str:
    """A model by the last part of its name: of a folder the folder's."""
    return model.rstrip("/").rpartition("/")[2]


def verdict_of(model: str) -> str:
    """The column with the verdicts on a model beside the ledger's own."""
    return f"verdict {called(model)}"


def _of_one(evidence: Evidence) -> pd.DataFrame:
    chosen = evidence.chosen
    check(chosen)
    identity(chosen.model)
    questions.check(chosen.questions)
    told, found = paper.claims(), findings(evidence)
    rows = as_table((claim, found[claim]) for claim in map(str, told.index))
    own = told.loc[rows["claim"], ["where", "quantity"]].reset_index(drop=True)
    measured = rows["verdict"].isin(MEASURED)
    asked = rows["data"] == "questions"
    return rows.assign(
        **own,
        section=own["where"].map(section),
        n=rows["n"].where(rows["n"] > 0).astype("Int64"),
        data=rows["data"].mask(asked, f"questions ({chosen.questions})"),
        model=rows["model"].replace("", chosen.model).where(measured, ""),
    )


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
    told = pd.to_numeric(ledger["paper"].str.lstrip("<>"), errors="coerce")  # a word is no number
    stands = unit.isin(COMPARABLE) & ledger["value"].notna() & told.notna()
    numbers = ledger.assign(unit=unit, paper=told)[stands]
    return numbers[["claim", "unit", "value", "low", "high", "paper", "verdict"]]


def verdicts(ledger: pd.DataFrame, chosen: Claims) -> dict[str, pd.Series]:
    """The verdicts of `table` by what the model is called, that of the ledger first."""
    found = {called(chosen.model): ledger["verdict"]}
    return found | {called(model): ledger[verdict_of(model)] for model in chosen.beside}


def conclusion(ledger: pd.DataFrame, chosen: Claims) -> str:
    """How many claims got which verdict on each model, and which; and where the models differ."""
    lines, by_model = [], verdicts(ledger, chosen)
    for model, given in by_model.items():
        lines.append(f"{model}: of {len(ledger)} claims and questions")
        for name in verdict.VERDICTS:
            own = ledger.loc[given == name, "claim"].tolist()
            lines.append(f"  {name}: {len(own)}" + (f" ({', '.join(own)})" if own else ""))
    first, *others = by_model.items()
    for model, given in others:
        both = first[1].isin(MEASURED) & given.isin(MEASURED)
        differ = ledger.loc[both & (first[1] != given), "claim"].tolist()
        lines.append(
            f"{first[0]} and {model}: {both.sum()} claims measured on both, another verdict on "
            f"{len(differ)}" + (f" ({', '.join(differ)})" if differ else "")
        )
    return "\n".join(lines)
