"""Ways to spend a budget of visual tokens, by name."""

from vzlib.methods.registry import METHODS, Method, method

__all__ = ["METHODS", "Method", "method"]
