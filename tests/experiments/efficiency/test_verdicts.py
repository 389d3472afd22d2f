"""The verdicts of notebook 08 on made-up times."""

import pytest

from tests.experiments.efficiency.made_up import made_up
from vzlib.experiments.efficiency import verdicts
from vzlib.notebooks import settings

NOTEBOOK = "08_efficiency"


def outcome(**changes):
    table = verdicts.verdicts(*made_up(**changes), settings(NOTEBOOK))
    return table.set_index("claim")["verdict"].to_dict()


def test_verdicts_follow_the_measurements():
    assert outcome() == {
        "C35": "found",  # 10 times, the paper 7.8
        "C36": "found",  # 6 times, the paper 3
        "C37": "found",  # FastV 2.5 times VisionZip's prefill at 640
        "C38": "found",  # FastV 120 MB, vanilla 100
        "C39": "found",
        "C40": "found",
        "C42": "found",  # 110 of 250 MB
    }


@pytest.mark.parametrize(
    ("variant", "told", "claim", "verdict"),
    [
        ("visionzip_160", (0.5, 0.1, 30), "C35", "not found"),
        ("visionzip_160", (0.5, 0.1, 30), "C36", "not found"),
        ("fastv_640", (0.25, 0.2, 120), "C37", "not found"),
        ("fastv_640", (0.5, 0.2, 20), "C38", "opposite"),
        ("visionzip_640", (1.5, 0.2, 80), "C39", "opposite"),
        ("visionzip_640", (1.5, 0.2, 80), "C40", "not found"),
        ("visionzip_320", (0.3, 0.2, 190), "C42", "opposite"),
    ],
)
def test_other_measurements_give_other_verdicts(variant, told, claim, verdict):
    assert outcome(**{variant: told})[claim] == verdict


def test_noise_decides_nothing_and_what_was_not_measured_is_left_out():
    assert outcome(noise=0.6)["C35"] == "not measurable here"
    times, costs = made_up()
    only = costs["method"].isin(["vanilla", "visionzip"]) & (costs["geometry"] == "llava-small")
    table = verdicts.verdicts(times, costs[only], settings(NOTEBOOK, larger=None))
    assert table["claim"].tolist() == ["C35", "C36"]
