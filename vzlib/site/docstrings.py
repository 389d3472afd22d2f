"""Docstrings as this repository writes them, as Markdown: `name: what it is` becomes an item."""

import re
from typing import Any

from griffe import Extension

ITEM = re.compile(r"(?:\.\.\. )?(`?[A-Za-z_][\w.]*`?(?:, `?[A-Za-z_][\w.]*`?)*): (.+)")
SENTENCES = re.compile(r"(?<=[.;]) (?=[a-z_]+(?:, [a-z_]+)*: )")
HEADING = re.compile(r"(Args|Raises|Returns|Yields):")


class Items(Extension):
    """Rewrites every docstring before it is rendered."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """A docstring with its parameters, fields and errors as lists; all else as it was.

    Several of them in one line, "K, R: counts. seed: of chance.", become as many items.
    """
    return "\n\n".join(map(_paragraph, re.split(r"\n\s*\n", text)))


def _paragraph(text: str) -> str:
    if text.startswith(("```", ">>>")):
        return text
    found, items = [], False
    for line in text.splitlines():
        stripped = line.strip()
        if heading := HEADING.fullmatch(stripped):
            found.append(f"**{heading[1]}**\n")
            continue
        for part in SENTENCES.split(stripped) if items or ITEM.match(stripped) else [stripped]:
            if item := ITEM.match(part):
                if not items and found and not found[-1].endswith("\n"):
                    found.append("")  # a list begins behind an empty line
                items = True
                found.append(f"- **{item[1]}**: {item[2]}")
            else:
                found.append(f"    {part}" if items else line)
    return "\n".join(found)
