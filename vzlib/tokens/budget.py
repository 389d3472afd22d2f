"""How many tokens may stay, and what they are."""

from dataclasses import dataclass
from numbers import Integral

# Every budget in the paper is split 54:10 into dominant and contextual tokens (Tables 8 and 9).
PAPER_DOMINANT, PAPER_TOTAL = 54, 64


class BudgetError(ValueError):
    """A budget that cannot be spent; the message names the value and what is allowed."""


@dataclass(frozen=True)
class Budget:
    """Visual tokens that stay: `dominant` selected ones and `contextual` merged ones.

    dominant: at least 1; counts the CLS token when `cls`, as in the released code and Tables 8-9.
    contextual: at least 0.
    cls: token 0 is a CLS token, which always stays. False for encoders without one.
    Raises BudgetError when a count is no integer or too small, or `cls` is no bool.
    """

    dominant: int
    contextual: int
    cls: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "dominant", _count("dominant", self.dominant, at_least=1))
        object.__setattr__(self, "contextual", _count("contextual", self.contextual, at_least=0))
        if not isinstance(self.cls, bool):
            raise BudgetError(f"cls={self.cls!r} must be True or False")

    @classmethod
    def retain(cls, total: int, *, has_cls: bool = True) -> "Budget":
        """Budget of `total` >= 1 tokens, split 54:10 as in the paper: 192 -> 162 + 30.

        `dominant` is rounded to the nearest integer, halves to even. Raises BudgetError.
        """
        total = _count("retain", total, at_least=1)
        dominant = round(total * PAPER_DOMINANT / PAPER_TOTAL)
        return cls(dominant, total - dominant, cls=has_cls)

    @classmethod
    def all(cls, tokens: int) -> "Budget":
        """Budget that keeps each of `tokens` >= 1 tokens as it is. Raises BudgetError."""
        return cls(_count("tokens", tokens, at_least=1), 0, cls=False)

    @property
    def total(self) -> int:
        """Tokens handed to the language model per image."""
        return self.dominant + self.contextual

    @property
    def patches(self) -> int:
        """Dominant tokens that are image patches."""
        return self.dominant - self.cls

    def check(self, tokens: int) -> None:
        """Raise BudgetError if an encoder gives fewer tokens than this, its CLS token included."""
        if self.total > tokens:
            raise BudgetError(
                f"budget of {self.total} tokens ({self}) is more than there is: "
                f"dominant + contextual must be between 1 and {tokens}"
            )

    def __str__(self) -> str:
        patches = f"{self.patches} {'patch' if self.patches == 1 else 'patches'}"
        kept = f"CLS + {patches}" if self.cls else patches
        tokens = f"{self.total} {'token' if self.total == 1 else 'tokens'}"
        return f"{kept} + {self.contextual} contextual = {tokens}"


def _count(name: str, value: object, at_least: int) -> int:
    # bool is an Integral, but retain=True is a slip and not a budget of one token.
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise BudgetError(f"{name}={value!r} must be an integer of at least {at_least}")
    if value < at_least:
        raise BudgetError(f"{name}={value} must be at least {at_least}")
    return int(value)
