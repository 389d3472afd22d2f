"""How a docstring of this repository is shown."""

import pytest

pytest.importorskip("griffe", reason="make docs")

from vzlib.site.docstrings import as_markdown


def test_parameters_become_items_and_sentences_stay():
    text = (
        "Apply it, to one model.\n\n"
        "model: a stock model. Zipping\n    it again replaces its budget.\n"
        "retain: tokens `[B, S]`. seed: of chance.\n\n"
        "Raises ValueError for a model: one that is unknown."
    )
    assert as_markdown(text) == (
        "Apply it, to one model.\n\n"
        "- **model**: a stock model. Zipping\n    it again replaces its budget.\n"
        "- **retain**: tokens `[B, S]`.\n- **seed**: of chance.\n\n"
        "Raises ValueError for a model: one that is unknown."
    )


def test_headings_of_other_styles():
    text = "Raises:\n    ValueError: it is wrong.\n    results.Missing: it is not\n        there."
    assert as_markdown(text) == (
        "**Raises**\n\n- **ValueError**: it is wrong.\n- **results.Missing**: it is not\n    there."
    )


def test_code_and_a_list_behind_a_sentence():
    assert as_markdown("```\nname: x\n```") == "```\nname: x\n```"
    assert as_markdown("What it holds\nhidden: [B, D].") == "What it holds\n\n- **hidden**: [B, D]."
