"""What is shown in a notebook's cell, where there is a kernel to answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

HERE = Path(__file__).parent


class Cell(anywidget.AnyWidget):
    """Two pictures that can be clicked, a slider, and answers; all that is said comes from Python.

    attention, kept: PNG, base64. clicked: which of these, and the number of the patch.
    """

    _esm = HERE / "cell.js"
    look = traitlets.Unicode((HERE / "page.css").read_text(encoding="utf-8")).tag(sync=True)
    grid = traitlets.Int(1).tag(sync=True)
    most = traitlets.Int(1).tag(sync=True)
    retain = traitlets.Int(1).tag(sync=True)
    clicked: Any = traitlets.List().tag(sync=True)
    attention = traitlets.Unicode().tag(sync=True)
    of_attention = traitlets.Unicode().tag(sync=True)
    kept = traitlets.Unicode().tag(sync=True)
    of_kept = traitlets.Unicode().tag(sync=True)
    answers = traitlets.Unicode().tag(sync=True)


def cell(
    values: dict[str, Any],
    budget: Callable[[int], dict[str, Any]],
    click: Callable[[str, int], dict[str, Any]],
) -> Cell:
    """A cell with these values; what a new budget or a click changes is asked for."""
    made = Cell(**values)

    def moved(change: dict[str, Any]) -> None:
        _set(made, budget(change["new"]))

    def clicked(change: dict[str, Any]) -> None:
        _set(made, click(*change["new"]))

    made.observe(moved, "retain")
    made.observe(clicked, "clicked")
    return made


def _set(made: Cell, values: dict[str, Any]) -> None:
    with made.hold_sync():
        for name, value in values.items():
            setattr(made, name, value)
