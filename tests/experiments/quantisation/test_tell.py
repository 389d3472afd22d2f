"""Changes by precision, bytes, times and the verdict on C41, of made-up answers."""

import numpy as np
import pytest

from tests.drawn import check_print
from tests.experiments.quantisation.made_up import COUNTED, LEVELS, SECONDS, rows
from tests.given import decide
from vzlib.experiments.quantisation import claims, draw, tell
from vzlib.notebooks import settings
from vzlib.plotting.style import TEXT

ROWS = rows(LEVELS)


def share(precision, method):
    return 100 * ROWS.query("precision == @precision and method == @method")["score"].mean()


def test_changes_are_paired_with_the_same_method_in_full_precision():
    table = tell.accuracy(ROWS).set_index(["precision", "method"])
    row = table.loc[("nf4", "visionzip")]
    assert row["value"] == pytest.approx(share("nf4", "visionzip"))
    assert row["change"] == pytest.approx(row["value"] - share("float32", "visionzip"))
    assert row["change_high"] < 0 and row["bits"] == 4 and row["n"] == 300
    assert table.loc[("int8", "visionzip"), "change"] == 0
    assert np.isnan(table.loc[("float32", "vanilla"), "change"])
    by_task = ROWS.groupby(["task", "precision", "method"])["score"].mean().unstack([1, 2])
    ratio = by_task["nf4", "visionzip"] / by_task["float32", "vanilla"]
    assert row["percent"] == pytest.approx(100 * ratio.mean())


def test_methods_share_the_weights_and_each_has_its_cache():
    table = tell.sizes(COUNTED).set_index(["precision", "method"])
    assert table.loc[("nf4", "visionzip"), "language model"] == 2.5
    assert table.loc[("float32", "visionzip"), "KV cache"] == 1
    assert table.loc[("float32", "vanilla"), "sum"] == 4 * (3 + 1 + 5 + 2)


def test_times_are_medians_in_milliseconds():
    table = tell.times(SECONDS).set_index(["precision", "method"])
    assert table.loc[("int8", "vanilla"), "tower"] == pytest.approx(8)
    assert table.loc[("int8", "visionzip"), "all"] == pytest.approx(4)


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.8, "found"), (0.79, "not found"), (0.6, "not found")]
)
def test_the_claim_asks_for_what_the_papers_four_bit_keep(share, verdict):
    assert claims.least() == 99.3
    one = decide(claims, "C41", rows(LEVELS | {("nf4", "visionzip"): share}))
    assert one.verdict == verdict and one.n == 300
    assert "of int8 100.0 [100.0, 100.0]; nf4" in one.note.replace("the lowest ", "")


def test_without_eight_and_four_bit_there_is_nothing_to_decide():
    few = {pair: share for pair, share in LEVELS.items() if pair[0] == "float32"}
    assert decide(claims, "C41", rows(few)).verdict == "not measurable here"


def test_accuracy_bytes_and_times_are_drawn_and_tabled(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    data = tell.accuracy(ROWS), tell.sizes(COUNTED), tell.times(SECONDS)
    shown = draw.figure(*data)
    first, second, third = shown.axes
    drawn = [np.asarray(part.lines[0].get_ydata(), float) for part in first.containers]
    for ours, method in zip(drawn, ("vanilla", "visionzip"), strict=True):
        expected = [share(precision, method) for precision in ("float32", "int8", "nf4")]
        np.testing.assert_allclose(ours, expected)
    top = {}
    for bar in second.patches:
        place = round(bar.get_x(), 3)
        top[place] = max(top.get(place, 0), bar.get_y() + bar.get_height())
    assert sorted(top.values()) == pytest.approx(sorted(data[1]["sum"]))
    heights = sorted(bar.get_height() for bar in third.patches)
    assert heights == pytest.approx(sorted(data[2]["all"]))
    check_print(shown, TEXT)
    cells = draw.table(*data, settings("11_quantisation", "quick")).cells
    assert len(cells) == 6 and (cells["CUDA memory"] == "not measured here").all()
    assert cells["points to the first"].iloc[0] == ""
