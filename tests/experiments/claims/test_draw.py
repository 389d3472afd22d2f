"""The figure of the ledger shows every claim, and numbers beside the paper's where there are."""

import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.text import Text

from vzlib import paper
from vzlib.claims.finding import CHANGE, PERCENT
from vzlib.experiments.claims import draw, ledger
from vzlib.notebooks import settings
from vzlib.plotting.style import look
from vzlib.statistics.verdict import VERDICTS


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """The ledger of a store without results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VZLIB_RESULTS", str(tmp_path_factory.mktemp("empty")))
        return ledger.table(settings("15_claims", scale="quick"))


@pytest.fixture
def table(empty, tmp_path, monkeypatch):
    """With made-up numbers for four claims."""
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path / "figures"))
    table = empty.copy()
    measured = table["claim"].isin(["C15", "C16", "C11", "C35"])
    units = {"C11": CHANGE, "C35": "times as fast, prefill, a model at 160 tokens"}
    unit = table["claim"].map(units).fillna(PERCENT)
    table.loc[measured, ["value", "low", "high", "verdict"]] = (50.0, 40.0, 60.0, "found")
    return table.assign(unit=unit.where(measured, ""))


def test_a_tile_for_every_claim_and_a_panel_for_every_unit(table):
    numbers = ledger.comparable(table)
    printed = {"C11": -9.2, "C15": 94.0, "C16": 97.6, "C35": 7.8}
    assert numbers.set_index("claim")["paper"].to_dict() == printed
    figure = draw.figure(table, numbers)
    texts = {text.get_text() for text in figure.findobj(Text)}
    assert set(paper.claims().index) <= texts
    tiles, change, kept, speed = figure.axes
    assert len(tiles.patches) == 57
    assert (change.get_xlabel(), kept.get_xlabel()) == (CHANGE, PERCENT)
    assert speed.get_xlabel() == "times as fast"
    stars = [line.get_xdata()[0] for line in kept.lines if line.get_marker() == "*"]
    assert stars == [94.0, 97.6]


def test_every_tile_has_the_colour_and_the_mark_of_its_verdict(table):
    given = [VERDICTS[number % len(VERDICTS)] for number in range(len(table))]
    table["verdict"] = given
    axes = draw.figure(table, ledger.comparable(table)).axes[0]
    tiles = {}  # by where they lie
    for patch in axes.patches:
        tiles[patch.get_x() + patch.get_width() / 2, round(patch.get_y(), 3)] = patch
    marks = {(line.get_xdata()[0], int(line.get_ydata()[0])): line for line in axes.lines}
    seen = {}
    for text in axes.texts:
        x, y = text.get_position()
        tile, mark = tiles[x, int(y)], marks[x, int(y)]
        seen[text.get_text()] = (tile, mark)
    assert set(seen) == set(table["claim"])
    for claim, verdict in zip(table["claim"], given, strict=True):
        tile, mark = seen[claim]
        filled = look(verdict).line == "-"
        assert same_color(tile.get_edgecolor(), look(verdict).colour), claim
        face = look(verdict).colour if filled else "white"
        assert same_color(tile.get_facecolor(), face), claim
        assert mark.get_marker() == look(verdict).marker
        assert tile.get_linestyle() == look(verdict).line
    told = {(look(name).colour, look(name).line) for name in VERDICTS}
    assert len(told) == len(VERDICTS)  # or a tile would not tell them apart


def test_measured_numbers_stand_at_their_values_with_their_intervals(table):
    table.loc[table["claim"] == "C16", ["value", "low", "high", "verdict"]] = (
        80.0, 70.0, 85.0, "opposite",
    )  # fmt: skip
    kept = draw.figure(table, ledger.comparable(table)).axes[2]
    bars = {}
    for container in kept.containers:
        (segment,) = container.lines[2][0].get_segments()
        value, place = (float(each[0]) for each in container.lines[0].get_data())
        bars[place] = (value, *segment[:, 0], container.lines[0].get_color())
    names = [text.get_text() for text in kept.get_yticklabels()]
    assert names == ["C15", "C16"]
    assert bars[0][:3] == pytest.approx((50, 40, 60)) and bars[1][:3] == pytest.approx((80, 70, 85))
    assert same_color(bars[0][3], look("found").colour)
    assert same_color(bars[1][3], look("opposite").colour)


def test_without_numbers_the_tiles_stand_alone(table):
    table = table.assign(unit="")
    assert len(draw.figure(table, ledger.comparable(table)).axes) == 1


def test_the_table_has_every_claim(table, tmp_path):
    shown = draw.table(table, settings("15_claims", scale="quick")).cells
    assert len(shown) == 57
    saved = pd.read_csv(tmp_path / "figures" / "15_claims_table.csv")
    assert saved["claim"].tolist() == table["claim"].tolist()
    assert (tmp_path / "figures" / "15_claims_table.tex").is_file()


def test_another_model_is_a_strip_at_the_foot_of_every_tile(table):
    others = pd.Series([VERDICTS[n % len(VERDICTS)] for n in range(len(table))], table.index)
    models = {"dino": table["verdict"], "pico": others}
    axes = draw.figure(table, ledger.comparable(table), models).axes[0]
    assert axes.get_title(loc="left").endswith("dino, and in the strips below pico")
    assert len(axes.patches) == 2 * 57
    strips = sorted(axes.patches, key=lambda patch: patch.get_height())[:57]
    colours = {(round(p.get_x(), 3), int(p.get_y())): p.get_edgecolor() for p in strips}
    place = {text.get_text(): text.get_position() for text in axes.texts}
    for claim, other in zip(table["claim"], others, strict=True):
        x, y = place[claim]
        assert same_color(colours[round(x - draw.TILE / 2, 3), int(y)], look(other).colour), claim


def test_the_table_has_a_column_for_every_model(table):
    table["verdict llava-1.5"], table["measured llava-1.5"] = "found", "1.0 [0.9, 1.1]"
    shown = draw.table(table, settings("15_claims", scale="quick")).cells
    assert shown["verdict llava-1.5"].eq("found").all()
    assert shown["measured llava-1.5"].eq("1.0 [0.9, 1.1]").all()
