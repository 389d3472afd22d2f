"""The figure of the ledger shows every claim, and numbers beside the paper's where there are."""

import pandas as pd
from matplotlib.text import Text

from vzlib import paper
from vzlib.experiments.claims import ledger
from vzlib.experiments.claims.draw import claims, claims_table
from vzlib.experiments.claims.settings import Claims


def made_up(monkeypatch, tmp_path):
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "empty"))
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path / "figures"))
    table = ledger.table(Claims(scale="quick"))
    measured = table["claim"].isin(["C15", "C16", "C11", "C35"])
    units = {"C11": ledger.CHANGE, "C35": "times as fast, prefill, a model at 160 tokens"}
    unit = table["claim"].map(units).fillna(ledger.PERCENT)
    table.loc[measured, ["value", "low", "high", "verdict"]] = (50.0, 40.0, 60.0, "found")
    return table.assign(unit=unit.where(measured, ""))


def test_a_tile_for_every_claim_and_a_panel_for_every_unit(monkeypatch, tmp_path):
    table = made_up(monkeypatch, tmp_path)
    numbers = ledger.comparable(table)
    printed = {"C11": -9.2, "C15": 94.0, "C16": 97.6, "C35": 7.8}
    assert numbers.set_index("claim")["paper"].to_dict() == printed
    figure = claims(table, numbers)
    texts = {text.get_text() for text in figure.findobj(Text)}
    assert set(paper.claims().index) <= texts
    tiles, change, kept, speed = figure.axes
    assert len(tiles.patches) == 57
    assert (change.get_xlabel(), kept.get_xlabel()) == (ledger.CHANGE, ledger.PERCENT)
    assert speed.get_xlabel() == "times as fast"
    stars = [line.get_xdata()[0] for line in kept.lines if line.get_marker() == "*"]
    assert stars == [94.0, 97.6]


def test_without_numbers_the_tiles_stand_alone(monkeypatch, tmp_path):
    table = made_up(monkeypatch, tmp_path).assign(unit="")
    assert len(claims(table, ledger.comparable(table)).axes) == 1


def test_the_table_has_every_claim(monkeypatch, tmp_path):
    table = made_up(monkeypatch, tmp_path)
    shown = claims_table(table, Claims(scale="quick")).cells
    assert len(shown) == 57
    saved = pd.read_csv(tmp_path / "figures" / "15_claims_table.csv")
    assert saved["claim"].tolist() == table["claim"].tolist()
    assert (tmp_path / "figures" / "15_claims_table.tex").is_file()
