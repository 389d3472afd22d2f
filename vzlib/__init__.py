"""VisionZip, reproduced: the visual tokens a vision-language model needs, measured."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vzlib.models.answer import answer
    from vzlib.models.fingerprint import fingerprint
    from vzlib.models.images import open_image
    from vzlib.models.load import Loaded, load
    from vzlib.models.towers import attention_rows, encode, received_by_layer
    from vzlib.models.zip import ZippedModel, unzip_model, zip_model
    from vzlib.tokens import Budget, BudgetError, ZippedTokens, select_and_merge

__version__ = "0.1.0"

_modules = {
    "vzlib.models.answer": ("answer",),
    "vzlib.models.fingerprint": ("fingerprint",),
    "vzlib.models.images": ("open_image",),
    "vzlib.models.zip": ("ZippedModel", "unzip_model", "zip_model"),
    "vzlib.models.load": ("Loaded", "load"),
    "vzlib.models.towers": ("attention_rows", "encode", "received_by_layer"),
    "vzlib.tokens": ("Budget", "BudgetError", "ZippedTokens", "select_and_merge"),
}
_module_of = {name: module for module, names in _modules.items() for name in names}

__all__ = [
    "Budget",
    "BudgetError",
    "Loaded",
    "ZippedModel",
    "ZippedTokens",
    "answer",
    "attention_rows",
    "encode",
    "fingerprint",
    "load",
    "open_image",
    "received_by_layer",
    "select_and_merge",
    "unzip_model",
    "zip_model",
]


def __getattr__(name: str) -> Any:  # so that `import vzlib` does not wait for torch
    if name not in _module_of:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_module_of[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
