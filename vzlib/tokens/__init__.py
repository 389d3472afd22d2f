"""The method on plain tensors: received attention, selection, merging, and what measures them.

Nothing here knows a model. Names load on first use, so that `Budget` costs no import of torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vzlib.tokens.attention import cls_attention, received_attention
    from vzlib.tokens.budget import Budget, BudgetError
    from vzlib.tokens.concentration import effective_tokens, gini, normalized_entropy, top_share
    from vzlib.tokens.merging import merge_contextual
    from vzlib.tokens.packed_attention import received_attention_packed
    from vzlib.tokens.selection import ZippedTokens, check_finite, select_and_merge, select_dominant
    from vzlib.tokens.softmax import softmax_gradient, softmax_jacobian

_modules = {
    "attention": ("cls_attention", "received_attention"),
    "budget": ("Budget", "BudgetError"),
    "concentration": ("effective_tokens", "gini", "normalized_entropy", "top_share"),
    "merging": ("merge_contextual",),
    "packed_attention": ("received_attention_packed",),
    "selection": ("ZippedTokens", "check_finite", "select_and_merge", "select_dominant"),
    "softmax": ("softmax_gradient", "softmax_jacobian"),
}
_module_of = {name: module for module, names in _modules.items() for name in names}

__all__ = [
    "Budget",
    "BudgetError",
    "ZippedTokens",
    "check_finite",
    "cls_attention",
    "effective_tokens",
    "gini",
    "merge_contextual",
    "normalized_entropy",
    "received_attention",
    "received_attention_packed",
    "select_and_merge",
    "select_dominant",
    "softmax_gradient",
    "softmax_jacobian",
    "top_share",
]


def __getattr__(name: str) -> Any:
    if name not in _module_of:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_module_of[name]}"), name)


def __dir__() -> list[str]:
    return __all__
