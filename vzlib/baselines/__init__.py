"""Ways to spend a budget of visual tokens, by name."""

from vzlib.baselines.before_llm import METHODS, Method, method

__all__ = ["METHODS", "Method", "method"]
