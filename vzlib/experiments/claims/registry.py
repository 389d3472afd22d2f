"""Which analysis decides which claim, and what is waited for by those that none decides yet."""

import csv
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vzlib import notebooks, results
from vzlib.claims.evidence import DoesNotFit, Evidence
from vzlib.claims.finding import Finding, not_measurable
from vzlib.parameters import EXPERIMENTS
from vzlib.statistics import verdict

# By claim: the notebook that is to measure it; or the model that it is about, its checkpoint
# (MGM-7B-hf is what docs/use/evaluators.md makes of the released one), and how it is zipped.
PLANNED = Path(__file__).with_name("planned.csv")
# As lmms-eval calls them.
BENCHMARKS = "gqa,mmbench_en_dev,mme,pope,scienceqa_img,vqav2_val,textvqa_val,mmmu_val,seedbench"


def analyses() -> Iterator[Any]:
    """The modules `claims` of all analyses, in the order of their notebooks."""
    for path in notebooks.find():
        name = notebooks.analysis(path.stem)
        if (EXPERIMENTS / name / "claims.py").is_file():
            yield importlib.import_module(f"vzlib.experiments.{name}.claims")


def findings(evidence: Evidence) -> dict[str, Finding]:
    """What was found of every claim, by id.

    Raises ValueError if a claim is decided twice, or decided and still planned.
    """
    found, deciding = planned(), list(analyses())
    known = set(found)
    for analysis in deciding:
        if twice := known & analysis.CLAIMS.keys():
            raise ValueError(f"{analysis.__name__}: {', '.join(sorted(twice))} decided twice")
        known |= analysis.CLAIMS.keys()
    for analysis in deciding:
        settings = evidence.settings(analysis.NOTEBOOK).model_dump(mode="json")
        for claim, function in analysis.CLAIMS.items():
            one = _found(function, evidence)
            here = one.verdict != verdict.NOT_MEASURABLE  # else measuring again would not help
            own = notebooks.command(analysis.NOTEBOOK, settings) if here else ""
            found[claim] = one._replace(command=one.command or own)
    return found


def planned() -> dict[str, Finding]:
    """What is told of the claims that no analysis decides yet; the same for every model."""
    present = [path.stem for path in notebooks.find()]
    with PLANNED.open(encoding="utf-8", newline="") as file:
        return {row["claim"]: _waits(row, present) for row in csv.DictReader(file)}


def _waits(row: dict[str, str], present: list[str]) -> Finding:
    notebook, model = row["notebook"], row["model"]
    if model:
        return not_measurable(f"needs the weights of {model} and a GPU", _evaluation(row))
    if notebook in present:
        command = f"make reproduce NOTEBOOKS={notebook[:2]}"
        return Finding(verdict.NOT_YET, note="not entered in this ledger yet", command=command)
    return Finding(verdict.NOT_YET, note=f"the notebook {notebook} is still to be written")


def _evaluation(row: dict[str, str]) -> str:
    """What evaluates a checkpoint with all tokens, and then zipped."""
    ways = " ".join(["''", *(f",{way}" for way in row["zipped"].split())])
    return (
        f"for zipped in {ways}; do lmms-eval --model vzlib --model_args "
        f'pretrained={row["checkpoint"]}"$zipped" --tasks {BENCHMARKS} '
        "--output_path results/lmms-eval; done"
    )


def _found(function: Callable[[Evidence], Finding], evidence: Evidence) -> Finding:
    try:
        return function(evidence)
    except results.MissingResult:
        return Finding(verdict.NOT_YET, note="the store of results does not hold it")
    except DoesNotFit as error:
        return not_measurable(" ".join(str(error).split()))
