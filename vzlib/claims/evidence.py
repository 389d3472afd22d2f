"""What the store holds of the analyses that decide on claims; nothing is measured here."""

import importlib
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.experiments.settings import Claims
from vzlib.parameters import ParameterError, settings_class, unknown, validate
from vzlib.reproduce import find, parameters

COMMON = ("model", "questions")  # of all notebooks alike, chosen for the ledger as a whole


class DoesNotFit(ValueError):
    """The settings of a notebook do not fit the model or the questions."""


def check(chosen: Claims) -> None:
    """Raises ParameterError if `evidence` names a notebook or parameter that there is not."""
    present = [path.stem for path in find()]
    for notebook, changes in chosen.evidence.items():
        if notebook not in present:
            raise ParameterError(unknown(notebook, present))
        if common := [name for name in COMMON if name in changes]:
            raise ParameterError(f"{notebook}: {common[0]} is a parameter of the ledger itself")
        settings_of(chosen, notebook)


def settings_of(chosen: Claims, notebook: str) -> Any:
    """The settings with which a notebook measures what the ledger asks for.

    Raises ParameterError for parameters that it does not have.
    """
    name = notebook.partition("_")[2]
    own = parameters(notebook, chosen.scale)
    fields = settings_class(name).model_fields
    common = {key: getattr(chosen, key) for key in COMMON if key in fields}
    return validate(name, own | common | chosen.evidence.get(notebook, {}))


class Evidence:
    """The measurements that the ledger asks for, read once each."""

    def __init__(self, chosen: Claims) -> None:
        self.chosen = chosen
        self._rows: dict[Any, pd.DataFrame] = {}

    def settings(self, notebook: str) -> Any:
        return settings_of(self.chosen, notebook)

    def rows(self, notebook: str, function: str = "measure", **only: Any) -> pd.DataFrame:
        """What a function of the notebook's experiment gives, from the store alone.

        only: settings to narrow it down to what is needed.

        Raises MissingResult if the store does not hold all of it, and DoesNotFit if that cannot be
        measured on the model.
        """
        settings = self.settings(notebook).model_copy(update=only)
        key = (notebook, function, settings)
        if key not in self._rows:
            experiment = importlib.import_module(f"vzlib.experiments.{notebook.partition('_')[2]}")
            try:
                with results.store_only():
                    self._rows[key] = getattr(experiment, function)(settings)
            except ValueError as error:
                raise DoesNotFit(str(error)) from error
        return self._rows[key]
