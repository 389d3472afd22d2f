"""Evidence that is made up, so that the verdict on a claim is known."""

import importlib
from typing import Any

import pandas as pd

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding
from vzlib.notebooks import analysis, settings


class Given(Evidence):
    """Rows of one function of one notebook; whatever else is asked for is an error."""

    def __init__(self, notebook: str, rows: pd.DataFrame, function: str = "measure", **only: Any):
        super().__init__(settings("15_claims"))
        module = importlib.import_module(f"vzlib.experiments.{analysis(notebook)}.measure")
        assert callable(getattr(module, function))
        self.there, self.given = (notebook, function, only), rows

    def rows(
        self, notebook: str, function: str = "measure", *, module: str = "measure", **only: Any
    ) -> pd.DataFrame:
        assert module == "measure" and (notebook, function, only) == self.there
        assert set(only) <= set(type(self.settings(notebook)).model_fields)
        return self.given


def decide(claims: Any, claim: str, rows: pd.DataFrame, **asked: Any) -> Finding:
    """What the module `claims` of an analysis finds of a claim. asked: as for `Given`."""
    return claims.CLAIMS[claim](Given(claims.NOTEBOOK, rows, **asked))
