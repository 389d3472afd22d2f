"""What the pages of the site are filled with, and the check of their links."""

import pandas as pd
import pytest

from vzlib.notebooks import find
from vzlib.paths import FIGURES
from vzlib.runs.figures import drawn
from vzlib.site.advice import advice
from vzlib.site.assemble import assemble, relinked
from vzlib.site.gallery import gallery
from vzlib.site.ledger import ledger
from vzlib.site.links import broken, far

SETTINGS = {"model": "pico", "questions": "scenes"}


def methods() -> pd.DataFrame:
    """Four methods at one budget, told apart or not, and all tokens."""
    rows = [
        ("vanilla", 576, "all tokens", 80.0, 100.0, None, None),
        ("visionzip", 64, "VisionZip (code)", 70.0, 87.5, None, None),
        ("uniform", 64, "uniform", 75.0, 93.75, 5.0, 0.01),
        ("random", 64, "random", 60.0, 75.0, -10.0, 0.001),
        ("divprune", 64, "DivPrune", 72.0, 90.0, 2.0, 0.4),
    ]
    columns = ["method", "budget", "label", "mean", "percent", "difference", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(n=600, low=table["mean"] - 2, high=table["mean"] + 2)


def test_advice_tells_apart_what_chance_does_not_explain():
    said = advice(methods(), SETTINGS)
    assert "With all 576 tokens: 80.0 [78.0, 82.0]." in said
    assert "## At 64 tokens" in said and "At 576" not in said
    assert "Highest mean: **uniform**, 75.0 [73.0, 77.0], 93.8 % of all tokens'." in said
    assert "Better than VisionZip beyond chance: uniform (+5.0).\n" in said
    assert "Worse than VisionZip beyond chance: random (-10.0).\n" in said
    assert "against the best control, uniform: -5.0 points (told apart)." in said
    lines = [line for line in said.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1].strip() for line in lines[1:]] == [
        "uniform", "DivPrune", "VisionZip (code)", "random",
    ]  # fmt: skip
    worse = methods().assign(p=1.0)
    assert "beyond chance: none." in advice(worse, SETTINGS)
    assert "(not told apart)" in advice(worse, SETTINGS)
    with pytest.raises(ValueError, match="has no column p, percent"):
        advice(methods().drop(columns=["p", "percent"]), SETTINGS)


def test_the_gallery_has_every_figure_with_its_notebook():
    said = gallery(FIGURES)
    pictures = [one for one in drawn(FIGURES) if one.notebook and not one.caption]
    assert len(pictures) > 10
    for one in pictures:
        link = f"(figures/{one.name}.png){{ loading=lazy }}](notebooks/{one.notebook}.ipynb)"
        assert link in said


def test_the_ledger_has_every_claim_with_what_it_is_filtered_by():
    table = pd.DataFrame(
        {
            "claim": ["C01", "C02"],
            "says": ["a < b", "c"],
            "where": ["Sec. 2.2; Fig. 2", "Table 1"],
            "section": ["Sec. 2", "Sec. 3"],
            "paper": ["almost all", "98.5"],
            "rule": ["r", "r"],
            "verdict": ["found", "not found"],
            "measured": ["65.9", ""],
            "model": ["pico", ""],
            "command": ["make reproduce NOTEBOOKS=01", "vzlib reproduce 99"],
            "verdict dino": ["opposite", "found"],
            "measured dino": ["1", "2"],
        }
    )
    said = ledger(table, ["00_quickstart", "01_redundancy"])
    assert '<tr id="C01" data-verdicts="found|opposite" data-section="Sec. 2">' in said
    assert '<td class="says">a &lt; b</td>' in said
    assert '<a href="notebooks/01_redundancy.html"><code>make reproduce NOTEBOOKS=01' in said
    assert "<td><code>vzlib reproduce 99</code></td>" in said
    assert "<th>measured on pico</th><th>measured on dino</th>" in said
    assert said.count("<option>Sec.") == 2


def test_pages_are_filled_and_a_place_that_nothing_fills_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "empty"))
    bare = assemble(tmp_path / "site")
    assert bare == [path.stem for path in find()]
    pages = {path: path.read_text() for path in (tmp_path / "site").rglob("*.md")}
    assert len(pages) > 15 and not [path for path, text in pages.items() if "{{ " in text]
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("{{ nothing }}")
    with pytest.raises(ValueError, match=r"a.md: nothing fills nothing"):
        assemble(tmp_path / "other", docs)


def test_links_of_notebooks_lead_to_pages():
    text = "[a](01_redundancy.ipynb), [b](../checkpoints/pico-llava/README.md), [c](x/y.ipynb)"
    pages = "[a](01_redundancy.html), [b](../models/pico-llava.html), [c](x/y.ipynb)"
    assert relinked(text) == pages


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "sub").mkdir()
    kept = '<a id="here"></a><a href="#here">1</a><a href="sub/b.html#there">2</a><a href="sub">3'
    lost = '<a href="#gone">4</a><a href="sub/b.html#here">5</a><img src="none.png"><a href="c">6'
    away = '<a href="https://example.org/x">7</a><a href="mailto:a@b.c">8</a>'
    (tmp_path / "a.html").write_text(kept + lost + away)
    (tmp_path / "sub" / "b.html").write_text('<p id="there"><a href="../a.html">9</a>')
    (tmp_path / "sub" / "index.html").write_text('<a href="b.html?x=1#there">10</a>')
    assert broken(tmp_path) == [
        "a.html: #gone",
        "a.html: sub/b.html#here",
        "a.html: none.png",
        "a.html: c",
    ]


def test_pages_that_take_too_many_clicks_are_found(tmp_path):
    for page, link in {"a": "b.html#x", "b": "c.html", "c": "d.html", "d": "b.html"}.items():
        (tmp_path / f"{page}.html").write_text(f'<a href="{link}">1</a><i id="x">')
    assert far(tmp_path, ["c.html"]) == []
    assert far(tmp_path, ["d.html", "gone.html"], clicks=2) == [
        "a.html: d.html", "a.html: gone.html", "b.html: gone.html", "c.html: gone.html",
        "d.html: gone.html",
    ]  # fmt: skip
    assert far(tmp_path, ["d.html"], clicks=3) == []
