"""Claims that no analysis decides yet, and why."""

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, not_measurable
from vzlib.paths import NOTEBOOKS
from vzlib.statistics import verdict

# By the notebook that is to measure them.
NOTEBOOK_OF = {
    "09_efficient_tuning": ("C23", "C27", "C46", "C47"),
    "10_training": ("C44", "C45"),
    "11_quantization": ("C41",),
    "12_multi_turn": ("C43",),
    "13_video": ("C33", "C34"),
    "14_beyond": ("Q1", "Q4", "N1", "N2"),
}
# By the model that they are about, where vzlib cannot zip it yet.
MODEL_OF = {
    "LLaVA-NeXT-7B": ("C25", "C26", "C28"),
    "LLaVA-NeXT-13B": ("C30",),
    "Mini-Gemini-7B": ("C31", "C32"),
}


def _planned(notebook: str) -> Finding:
    if (NOTEBOOKS / f"{notebook}.ipynb").is_file():
        command = f"make reproduce NOTEBOOKS={notebook[:2]}"
        return Finding(verdict.NOT_YET, note="not entered in this ledger yet", command=command)
    return Finding(verdict.NOT_YET, note=f"the notebook {notebook} is still to be written")


def findings(evidence: Evidence) -> dict[str, Finding]:
    """By claim; the same for every model."""
    found = {
        claim: _planned(notebook) for notebook, claims in NOTEBOOK_OF.items() for claim in claims
    }
    for model, claims in MODEL_OF.items():
        why = f"needs {model}: its weights, and a way to zip it, which vzlib does not have yet"
        found |= dict.fromkeys(claims, not_measurable(why))
    return found
