"""Figures and tables: one look, one module per figure, each a function from rows to a Figure."""

from vzlib.plotting.save import Saved, save
from vzlib.plotting.style import COLUMN, TEXT, look, styled
from vzlib.plotting.table import SavedTable, save_table

__all__ = ["COLUMN", "TEXT", "Saved", "SavedTable", "look", "save", "save_table", "styled"]
