"""What can be chosen in 15_claims; torch is not imported."""

from typing import Annotated, Any, Literal

from vzlib.experiments.settings import Model, Questions, Settings
from vzlib.typed_values import SettingsByNotebook


class Claims(Settings):
    """15_claims: every claim of the paper beside what the store of results holds of some models."""

    model: Model
    questions: Questions
    beside: dict[str, Questions]  # further models, each a column, and what they were asked about
    scale: Literal["quick", "default", "full", "paper"]  # params/<notebook>/<scale>.yaml
    # What else was changed when a notebook ran, such as {"06_token_budget": {"each": 1000}}.
    evidence: Annotated[dict[str, dict[str, Any]], SettingsByNotebook()]
