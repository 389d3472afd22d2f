"""Texts in figures: drawn as they were written, in any script, and no longer than their place.

Questions, answers and task names are other people's: a dollar sign in them starts no formula, and
letters that the font of the figures lacks come from another font that is installed.
"""

import functools
import re
import unicodedata
import warnings

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.textpath import TextToPath
from matplotlib.ticker import Formatter, FuncFormatter, LogFormatterSciNotation
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text as Paragraph

FONT = "DejaVu Sans"  # ships with matplotlib: the same letters on every machine
NARROW = 0.25  # width of its narrow letters, for a size of 1
NO_FONT = "Last Resort"  # has a box for every letter
JOINERS = dict.fromkeys(map(ord, "\u200b\u200c\u200d\ufe0e\ufe0f"))  # seen in no font
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def fitted(text: str, cells: int, lines: int = 1, end: str = "") -> str:
    """A text on at most so many lines, cut off with "…".

    cells: letters on a line; those of Chinese, Japanese and Korean count as two.
    end: follows the text, and stays whole where that is cut.
    """
    found = _wrapped(text + end, cells)
    if len(found) > lines:
        found = _wrapped(text, cells)[:lines]
        room = max(cells - 1 - cell_len(end), 0)
        found[-1] = f"{set_cell_size(found[-1], room).rstrip()}…{end}"
    return "\n".join(found)


def _wrapped(text: str, cells: int) -> list[str]:
    wrapped = Paragraph(" ".join(text.split())).wrap(Console(), cells, overflow="fold")
    return [line.plain.rstrip() for line in wrapped]


def fitted_to(text: str, points: float, size: float, lines: int = 1, end: str = "") -> str:
    """As `fitted`, for lines that are so many points wide with letters of a size in points."""
    cells = max(int(points / (NARROW * size)), 1)
    while cells > 1:
        found = fitted(text, cells, lines, end)
        wide = max(_width(line, size) for line in found.split("\n"))
        if wide <= points:
            return found
        cells = min(cells - 1, int(cells * points / wide) + 1)
    return fitted(text, 1, lines, end)


def _width(text: str, size: float) -> float:
    """Of one line as it will be drawn, in points."""
    shown, fonts = _drawable(text, set())
    drawn = FontProperties(family=[FONT, *fonts], size=size)
    return float(TextToPath().get_text_width_height_descent(shown, drawn, False)[0])


def legible(figure: Figure) -> None:
    """Let every text of a figure be drawn in fonts that have its letters, with no formulas.

    A letter that no installed font has is drawn as its name or number, with a warning that says so.
    """
    lacking = set[str]()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _plain_powers(axis)
            labels = [label.get_text() for label in axis.get_ticklabels()]  # makes them, too
            if any(_drawable(label, lacking)[0] != label for label in labels):
                axis.set_major_formatter(_renamed(axis.get_major_formatter()))
    for text in figure.findobj(Text):
        shown, fonts = _drawable(text.get_text(), lacking)
        if shown != text.get_text():
            text.set_text(shown)
        if fonts:
            text.set_fontfamily([FONT, *fonts])
    if lacking:
        warnings.warn(
            f"no installed font has {' '.join(sorted(lacking))}: drawn by name or number; install "
            "one that has, such as Noto Sans CJK or Noto Emoji",
            stacklevel=2,
        )


def _drawable(text: str, lacking: set[str]) -> tuple[str, list[str]]:
    """A text with names for letters that no font has, which are noted, and the fonts it needs."""
    text = text.translate(JOINERS)
    strange = {letter for letter in text if letter not in "\n\t" and not has(FONT, letter)}
    found = {letter: _font_with(letter) for letter in strange}
    none: dict[str, str | int | None] = {
        letter: _named(letter) for letter, font in found.items() if font is None
    }
    lacking.update(none)
    return text.translate(str.maketrans(none)), sorted({font for font in found.values() if font})


def has(family: str, letter: str) -> bool:
    """Whether a font has a letter."""
    return ord(letter) in _letters(findfont(FontProperties(family=family)))


@functools.cache
def _font_with(letter: str) -> str | None:
    """The first installed font, by name, that has a letter."""
    for name in sorted({font.name for font in fontManager.ttflist}):
        if not name.startswith(NO_FONT) and has(name, letter):
            return name
    return None


@functools.cache
def _letters(path: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # fonts of pictures, which matplotlib cannot draw
        return frozenset()


def _named(letter: str) -> str:
    name = unicodedata.name(letter, "").lower()
    short = name and len(name) <= 30 and not re.search(r"[0-9a-f]{4}$", name)
    return f"[{name}]" if short else f"[U+{ord(letter):04X}]"


def _renamed(formatter: Formatter) -> Formatter:
    """What ticks are called when they are drawn, with names for letters that no font has."""
    return FuncFormatter(lambda value, place: _drawable(formatter(value, place), set())[0])


class _PlainPowers(LogFormatterSciNotation):
    """Powers of ten on a logarithmic axis without a formula: 10⁻²."""

    def __call__(self, value: float, position: int | None = None) -> str:
        text = super().__call__(value, position)
        text = text.removeprefix(r"$\mathdefault{").removesuffix("}$").replace(r"\times", "×")
        return re.sub(r"\^\{(-?\d+)\}", lambda power: power[1].translate(SUPERSCRIPTS), text)


def _plain_powers(axis: Axis) -> None:
    for formatter, change in (
        (axis.get_major_formatter(), axis.set_major_formatter),
        (axis.get_minor_formatter(), axis.set_minor_formatter),
    ):
        if type(formatter) is LogFormatterSciNotation:
            change(_PlainPowers(labelOnlyBase=formatter.labelOnlyBase))
