"""Figures: one look, one module per figure, each a function from measured rows to a Figure."""

from vzlib.plotting.save import Saved, save
from vzlib.plotting.style import COLUMN, TEXT, look, styled

__all__ = ["COLUMN", "TEXT", "Saved", "look", "save", "styled"]
