"""What can be chosen in 15_claims; torch is not imported."""

from typing import Any, Literal

from pydantic import Field

from vzlib.experiments.settings import Settings


class Claims(Settings):
    """15_claims: every claim of the paper beside what the store of results holds."""

    model: str = "pico"
    questions: str = "scenes"  # or a file of questions, see vzlib.evaluation.question_file
    scale: Literal["quick", "default", "paper"] = "default"  # params/<notebook>/<scale>.yaml
    # What else was changed when a notebook ran, such as {"06_token_budget": {"each": 1000}}.
    evidence: dict[str, dict[str, Any]] = Field(default_factory=dict)
