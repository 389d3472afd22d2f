"""A model at a precision: a dtype, or a quantisation of weights with sums in the usual dtype."""

from dataclasses import replace
from typing import Any

from vzlib.evaluation import questions
from vzlib.models.checkpoint import Checkpoint, keyed, resolve
from vzlib.models.device import DTYPES
from vzlib.models.quantisation import check

BITS = {"float32": 32, "bfloat16": 16, "float16": 16, "int8": 8, "nf4": 4, "fp4": 4}


def checkpoint_at(model: str, precision: str) -> Checkpoint:
    """The model at that precision; loads nothing. Raises LoadError for one that cannot run here."""
    if precision in DTYPES:
        return resolve(model, dtype=precision)
    checkpoint = resolve(model)
    check(precision, checkpoint.device)
    return replace(checkpoint, quantisation=precision)


def known(settings: Any, precision: str) -> dict[str, Any]:
    """Model and questions at a precision, as `vzlib.results.compute` takes them."""
    return {
        **keyed(checkpoint_at(settings.model, precision)),
        "data_version": questions.version(settings.questions),
        "about": {"model": settings.model, "questions": settings.questions},
    }


def load_at(model: str, precision: str) -> Any:
    """The model at a precision, a `vzlib.models.load.Loaded`. Raises LoadError as `load` does."""
    from vzlib.models.load import load

    return load(checkpoint_at(model, precision))
