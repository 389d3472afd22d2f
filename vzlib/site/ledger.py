"""The ledger as a table that a reader can filter."""

import json
import re
from collections.abc import Collection
from html import escape
from typing import Any

import pandas as pd

from vzlib.statistics.verdict import VERDICTS

SHOWN = {"says": "claim", "where": "where", "paper": "the paper", "rule": "rule"}


def ledger(table: pd.DataFrame, notebooks: Collection[str]) -> str:
    """The table of notebook 15 as HTML with what `docs/javascripts/ledger.js` filters by.

    table: a row per claim, with verdict and measured of the ledger's model, and "verdict M" and
    "measured M" of each model M beside it. notebooks: those that have a page.
    """
    others = [name[8:] for name in table.columns if name.startswith("verdict ")]
    models = [str(table["model"].replace("", pd.NA).dropna().iloc[0]), *others]
    head = ["", *SHOWN.values(), *(f"measured on {model}" for model in models), "again"]
    records = json.loads(table.fillna("").to_json(orient="records"))
    rows = "\n".join(_row(row, others, notebooks) for row in records)
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return (
        f"{_choice(table)}\n"
        f'<table id="ledger-table"><thead><tr>{cells}</tr></thead><tbody>\n{rows}\n</tbody></table>'
    )


def _choice(table: pd.DataFrame) -> str:
    sections = dict.fromkeys(table["section"])
    return (
        '<div class="ledger-choice"><input id="ledger-words" placeholder="words, such as SigLIP">'
        f"{_select('verdict', 'any verdict', VERDICTS)}"
        f"{_select('section', 'all of the paper', sections)}"
        f'<span id="ledger-count">{len(table)}</span></div>'
    )


def _select(name: str, all_: str, values: Collection[str]) -> str:
    options = "".join(f"<option>{escape(value)}</option>" for value in values)
    return f'<select id="ledger-{name}"><option value="">{all_}</option>{options}</select>'


def _row(row: dict[str, Any], others: list[str], notebooks: Collection[str]) -> str:
    verdicts = [row["verdict"], *(row[f"verdict {model}"] for model in others)]
    measured = [row["measured"], *(row[f"measured {model}"] for model in others)]
    cells = [f"<td>{escape(row['claim'])}</td>"]
    cells += [f'<td class="{name}">{escape(str(row[name]))}</td>' for name in SHOWN]
    cells += [
        f"<td><strong>{escape(verdict)}</strong><br>{escape(str(value))}</td>"
        for verdict, value in zip(verdicts, measured, strict=True)
    ]
    cells.append(f"<td>{_again(str(row['command']), notebooks)}</td>")
    data = f'data-verdicts="{escape("|".join(verdicts))}" data-section="{escape(row["section"])}"'
    return f'<tr id="{row["claim"]}" {data}>{"".join(cells)}</tr>'


def _again(command: str, notebooks: Collection[str]) -> str:
    """The command, which leads to the notebook that it runs."""
    found = re.search(r"(?:NOTEBOOKS=|reproduce )(\d\d)", command)
    page = next((name for name in notebooks if found and name.startswith(found[1])), None)
    code = f"<code>{escape(command)}</code>"
    return f'<a href="notebooks/{page}.html">{code}</a>' if page else code
