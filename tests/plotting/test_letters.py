"""Other people's texts in figures: dollar signs, other scripts, length."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from vzlib.plotting import letters
from vzlib.plotting.style import in_style, styled


@styled
def drawn(text: str, scale: str = "linear") -> Figure:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.set_title(text)
    axes.set_ylabel(text)
    axes.set_yscale(scale)
    axes.plot([0, 1], [1e-3, 100])
    axes.set_xticks([0, 1], [text, "b"])
    return figure


def pixels(figure: Figure) -> np.ndarray:
    content = io.BytesIO()
    with in_style():
        figure.savefig(content, format="raw", dpi=60)
    return np.frombuffer(content.getvalue(), np.uint8)


@pytest.mark.parametrize(
    "text",
    ["is it $5 or $10 ?", "what is Ba$$in ?", r"is $\foo or $b ?", "$$", "a $ b", r"\$5 $x$"],
)
def test_dollar_signs_are_drawn_as_they_are(text):
    figure = drawn(text)
    for one in figure.findobj(Text):
        assert not one.get_parse_math()
    assert (pixels(figure) != pixels(drawn(text.replace("$", "")))).any()
    assert figure.axes[0].get_title(loc="left") == text


def test_powers_of_ten_are_no_formulas():
    figure = drawn("x", "log")
    figure.canvas.draw()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert {"10⁻⁴", "10²"} <= set(labels)
    assert not any("$" in label or "{" in label for label in labels)


def test_letters_come_from_another_installed_font():
    missing = next(
        chr(code)
        for code in sorted(letters._letters(letters.findfont("STIXGeneral")))
        if not letters.has(letters.FONT, chr(code))
    )
    figure = drawn(f"what is {missing} ?")
    title = figure.axes[0].title if figure.axes[0].title.get_text() else figure.axes[0]._left_title
    assert title.get_text() == f"what is {missing} ?"
    family = title.get_fontfamily()
    assert family[0] == letters.FONT
    assert any(letters.has(name, missing) for name in family[1:])
    pixels(figure)  # a letter that is not there would be a warning, and so an error


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\U0001f996 ?", "[t-rex] ?"), ("字", "[U+5B57]"), ("\ue000", "[U+E000]")],
)
def test_a_letter_that_no_font_has_is_named(text, shown, monkeypatch):
    monkeypatch.setattr(letters, "_font_with", lambda letter: None)
    with pytest.warns(UserWarning, match=r"no installed font has .*; install one"):
        figure = drawn(text)
    assert figure.axes[0].get_title(loc="left") == shown
    pixels(figure)


def test_what_joins_emoji_is_not_drawn():
    assert drawn("a\u200d\ufe0fb").axes[0].get_title(loc="left") == "ab"


@pytest.mark.parametrize(
    ("text", "cells", "lines", "shown"),
    [
        ("is there a dog ?", 40, 1, "is there a dog ?"),
        ("is there a dog ?", 10, 2, "is there a\ndog ?"),
        ("is there a dog or a cat ?", 10, 2, "is there a\ndog or a…"),
        ("x" * 30, 10, 1, "xxxxxxxxx…"),
        ("one\n two\tthree", 40, 1, "one two three"),
        ("你好吗你好吗", 6, 1, "你好…"),
        ("[bold]a[/bold]", 40, 1, "[bold]a[/bold]"),
        ("", 10, 1, ""),
    ],
)
def test_a_text_fits_its_place(text, cells, lines, shown):
    assert letters.fitted(text, cells, lines) == shown


def test_the_end_of_a_text_stays_whole():
    assert letters.fitted("is there a dog ?", 40, 1, end=" → no") == "is there a dog ? → no"
    assert letters.fitted("is there a dog ?", 12, 1, end=" → no") == "is the… → no"
    assert letters.fitted("is there a dog ?", 12, 2, end=" → no") == "is there a\ndog ? → no"


@pytest.mark.parametrize("text", ["i" * 300, "W" * 300, "字" * 300, "is there a dog ? " * 30, "m"])
@pytest.mark.parametrize("lines", [1, 3])
def test_a_text_is_as_wide_as_its_place_and_no_wider(text, lines):
    shown = letters.fitted_to(text, 100, 6, lines).split("\n")
    widths = [letters._width(line, 6) for line in shown]
    assert len(shown) == (1 if text == "m" else lines) and max(widths) <= 100
    assert text == "m" or max(widths) > 75
