"""What the store holds of the analyses that decide on claims; nothing is measured here."""

import importlib
from typing import Any, Protocol

import pandas as pd

from vzlib import notebooks, results
from vzlib.notebooks import analysis, find
from vzlib.parameters import ParameterError, settings_class, unknown

COMMON = ("model", "questions")  # of all notebooks alike, chosen for the ledger as a whole


class Chosen(Protocol):
    """What a ledger is asked for; see `vzlib.experiments.claims.settings.Claims`."""

    @property
    def model(self) -> str: ...

    @property
    def questions(self) -> str: ...

    @property
    def scale(self) -> str: ...

    @property
    def evidence(self) -> dict[str, dict[str, Any]]: ...


class DoesNotFit(ValueError):
    """The settings of a notebook do not fit the model or the questions."""


def check(chosen: Chosen) -> None:
    """Raises ParameterError if `evidence` names a notebook or parameter that there is not."""
    present = [path.stem for path in find()]
    for notebook, changes in chosen.evidence.items():
        if notebook not in present:
            raise ParameterError(unknown(notebook, present))
        if common := [name for name in COMMON if name in changes]:
            raise ParameterError(f"{notebook}: {common[0]} is a parameter of the ledger itself")
        settings_of(chosen, notebook)


def settings_of(chosen: Chosen, notebook: str) -> Any:
    """The settings with which a notebook measures what the ledger asks for.

    Raises ParameterError for parameters that it does not have.
    """
    fields = settings_class(analysis(notebook)).model_fields
    common = {key: getattr(chosen, key) for key in COMMON if key in fields}
    changes = common | chosen.evidence.get(notebook, {})
    return notebooks.settings(notebook, chosen.scale, **changes)


class Evidence:
    """The measurements that the ledger asks for, read once each."""

    def __init__(self, chosen: Chosen) -> None:
        self.chosen = chosen
        self._rows: dict[Any, pd.DataFrame | Exception] = {}

    def of(self, chosen: Chosen) -> "Evidence":
        """What another ledger asks for; what both ask for is read once."""
        other = Evidence(chosen)
        other._rows = self._rows
        return other

    def settings(self, notebook: str) -> Any:
        return settings_of(self.chosen, notebook)

    def rows(
        self, notebook: str, function: str = "measure", *, module: str = "measure", **only: Any
    ) -> pd.DataFrame:
        """What a function of a module of the notebook's analysis gives, from the store alone.

        only: settings to narrow it down to what is needed.

        Raises MissingResult if the store does not hold all of it, and DoesNotFit if that cannot be
        measured on the model.
        """
        settings = self.settings(notebook).model_copy(update=only)
        key = (notebook, module, function, settings)
        if key not in self._rows:
            experiment = importlib.import_module(f"vzlib.experiments.{analysis(notebook)}.{module}")
            try:
                with results.store_only():
                    self._rows[key] = getattr(experiment, function)(settings)
            except results.MissingResult as error:
                self._rows[key] = error
            except ValueError as error:
                self._rows[key] = DoesNotFit(str(error))
        found = self._rows[key]
        if isinstance(found, Exception):
            raise found
        return found
