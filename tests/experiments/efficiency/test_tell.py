"""The tables of notebook 08 on made-up times."""

import numpy as np
import pytest

from tests.experiments.efficiency.made_up import made_up
from vzlib.experiments.efficiency import tell
from vzlib.notebooks import settings

NOTEBOOK = "08_efficiency"


def test_the_table_has_medians_speed_ups_and_what_the_flops_allow():
    chosen = settings(NOTEBOOK, new_tokens=5)
    table = tell.table(*made_up(), chosen).set_index(["geometry", "method", "budget"])
    row = table.loc[("llava-small", "visionzip", 160)]
    assert row["prefill"] == pytest.approx(100, rel=0.02)
    assert row["prefill_speedup"] == pytest.approx(10, rel=0.03)
    assert row["total"] == pytest.approx(200, rel=0.02)
    assert row["first token"] == pytest.approx(175, rel=0.02)
    assert row["token"] == pytest.approx(25 / 4, rel=0.03)
    assert row["flops_ratio"] == 18
    assert row["share"] == pytest.approx(10 / 18, rel=0.03)
    assert not table["noisy"].any()
    assert np.isnan(row["of_peak"])  # of a CPU nobody knows


def test_on_a_known_device_the_share_of_its_peak_rate_is_told():
    times, costs = (rows.assign(device="NVIDIA H200") for rows in made_up(noise=0))
    costs["flops_prefill"] = 989e12 / 4  # a quarter of a second at the peak
    table = tell.table(times, costs, settings(NOTEBOOK)).set_index(["method", "budget"])
    assert table.loc[("visionzip", 320), "of_peak"] == pytest.approx(0.25 / 0.3)


def test_what_scatters_has_no_speed_up_and_the_conclusion_says_so():
    times, costs = made_up(noise=0.6)
    table = tell.table(times, costs, settings(NOTEBOOK))
    assert table["noisy"].any()
    assert table.loc[table["noisy"], "prefill_speedup"].isna().any()
    text = tell.conclusion(table, settings(NOTEBOOK))
    assert "scatter by more than 25%" in text and "too noisy" in text


def test_the_papers_impossible_times_are_found():
    chosen = settings(NOTEBOOK)
    table = tell.table(*made_up(), chosen)
    rows = tell.beside_paper(table, chosen)
    below = rows[rows["below_floor"]]
    assert set(below["table"]) == {18}
    vanilla = below[below["method"] == "Vanilla"].set_index("model")
    assert vanilla["paper_prefill"].to_dict() == {"LLaVA-NeXT-13B": 129.4, "LLaVA-NeXT-7B": 54.2}
    assert vanilla["floor"].round().to_dict() == {"LLaVA-NeXT-13B": 250, "LLaVA-NeXT-7B": 129}
    assert "54.2 ms printed, 129 ms needed" in tell.below_the_floor(rows)
    own = rows[(rows["table"] == 4) & (rows["method"] == "VisionZip")].iloc[0]
    assert own["paper_prefill_speedup"] == pytest.approx(218 / 27.8)
    assert own["prefill_speedup"] == pytest.approx(10, rel=0.03)
    assert own["geometry"] == "llava-small"
