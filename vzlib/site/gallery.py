"""Every figure as a picture that leads to the notebook which draws it."""

from html import escape
from itertools import groupby
from pathlib import Path

from vzlib.notebooks import title
from vzlib.runs.figures import drawn


def gallery(place: Path) -> str:
    """The figures of a folder by notebook, as HTML in Markdown; tables are left to their pages."""
    parts = []
    pictures = [one for one in drawn(place) if one.notebook and not one.caption]
    for notebook, group in groupby(pictures, lambda one: str(one.notebook)):
        page = f"notebooks/{notebook}.ipynb"
        cards = "\n".join(_card(one.name, page) for one in group)
        parts.append(f"## [{title(notebook)}]({page})\n\n{_grid(cards)}")
    return "\n\n".join(parts)


def _grid(cards: str) -> str:
    return f'<div class="gallery" markdown>\n{cards}\n</div>'


def _card(name: str, page: str) -> str:
    words = escape(name[3:].replace("_", " ").replace("-", ", "))
    return (
        f'<figure markdown="span">[![{words}](figures/{name}.png){{ loading=lazy }}]({page})'
        f"<figcaption markdown>{words} · [PDF](figures/{name}.pdf) · [notebook]({page})"
        "</figcaption></figure>"
    )
