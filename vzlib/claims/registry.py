"""Which analysis decides which claim."""

from collections.abc import Callable

from vzlib import figures, results
from vzlib.claims import (
    attention_by_layer,
    dominant_contextual,
    efficiency,
    feature_misalignment,
    misalignment_ablation,
    planned,
    redundancy,
    softmax_gradient,
    token_budget,
)
from vzlib.claims.evidence import DoesNotFit, Evidence
from vzlib.claims.finding import Finding, not_measurable
from vzlib.experiments import verdict

ANALYSES = (
    redundancy,
    attention_by_layer,
    softmax_gradient,
    feature_misalignment,
    misalignment_ablation,
    token_budget,
    dominant_contextual,
    efficiency,
)


def findings(evidence: Evidence) -> dict[str, Finding]:
    """What was found of every claim, by id.

    Raises ValueError if two analyses decide on one claim.
    """
    found = planned.findings(evidence)
    for analysis in ANALYSES:
        if twice := found.keys() & analysis.CLAIMS.keys():
            raise ValueError(f"{analysis.__name__}: {', '.join(sorted(twice))} decided twice")
        settings = evidence.settings(analysis.NOTEBOOK).model_dump(mode="json")
        for claim, function in analysis.CLAIMS.items():
            one = _found(function, evidence)
            here = one.verdict != verdict.NOT_MEASURABLE  # else measuring again would not help
            own = figures.command(analysis.NOTEBOOK, settings) if here else ""
            found[claim] = one._replace(command=one.command or own)
    return found


def _found(function: Callable[[Evidence], Finding], evidence: Evidence) -> Finding:
    try:
        return function(evidence)
    except results.MissingResult:
        return Finding(verdict.NOT_YET, note="the store of results does not hold it")
    except DoesNotFit as error:
        return not_measurable(" ".join(str(error).split()))
