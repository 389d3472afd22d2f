"""Which analysis decides which claim."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from vzlib import notebooks, results
from vzlib.claims.evidence import DoesNotFit, Evidence
from vzlib.claims.finding import Finding, not_measurable
from vzlib.experiments.claims import planned
from vzlib.parameters import EXPERIMENTS
from vzlib.statistics import verdict


def analyses() -> Iterator[Any]:
    """The modules `claims` of all analyses, in the order of their notebooks."""
    for path in notebooks.find():
        name = notebooks.analysis(path.stem)
        if (EXPERIMENTS / name / "claims.py").is_file():
            yield importlib.import_module(f"vzlib.experiments.{name}.claims")


def findings(evidence: Evidence) -> dict[str, Finding]:
    """What was found of every claim, by id.

    Raises ValueError if two analyses decide on one claim.
    """
    found = planned.findings(evidence)
    for analysis in analyses():
        if twice := found.keys() & analysis.CLAIMS.keys():
            raise ValueError(f"{analysis.__name__}: {', '.join(sorted(twice))} decided twice")
        settings = evidence.settings(analysis.NOTEBOOK).model_dump(mode="json")
        for claim, function in analysis.CLAIMS.items():
            one = _found(function, evidence)
            here = one.verdict != verdict.NOT_MEASURABLE  # else measuring again would not help
            own = notebooks.command(analysis.NOTEBOOK, settings) if here else ""
            found[claim] = one._replace(command=one.command or own)
    return found


def _found(function: Callable[[Evidence], Finding], evidence: Evidence) -> Finding:
    try:
        return function(evidence)
    except results.MissingResult:
        return Finding(verdict.NOT_YET, note="the store of results does not hold it")
    except DoesNotFit as error:
        return not_measurable(" ".join(str(error).split()))
