"""Question N2: can attention say how many tokens an image needs? Put to notebook 14."""

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided
from vzlib.experiments.adaptive_budget import tell
from vzlib.statistics import verdict

NOTEBOOK = "14_adaptive_budget"


def by_attention(evidence: Evidence) -> Finding:
    """The best of the rules that look at attention against the same number for all."""
    budgets = evidence.settings(NOTEBOOK).budgets
    given = tell.told(evidence.rows(NOTEBOOK), evidence.rows(NOTEBOOK, module="measure_images"))
    table, sizes = tell.differences(given, budgets), tell.allotted(given, budgets)
    rule, interval = tell.best(table)
    words = sizes.loc[sizes["rule"] == rule, "words"].iloc[0]
    note = (
        f"{rule}: {words}; the best of {len(tell.OF_ATTENTION)} rules, with an interval for all "
        f"together. {tell.conclusion(table, sizes).partition('. ')[2]}"
    )
    means = " and ".join(map(str, budgets))
    unit = f"points over the same number for all, at a mean of {means} tokens"
    return decided(verdict.above, 0, interval, unit=unit, n=len(given.asked.image),
                   data="questions", note=note)  # fmt: skip


CLAIMS = {"N2": by_attention}
