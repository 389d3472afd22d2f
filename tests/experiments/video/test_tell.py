"""What made-up answers about clips amount to, and what is decided by them."""

import numpy as np
import pandas as pd
import pytest

from tests.drawn import whiskers
from tests.experiments.video.made_up import rows
from tests.given import decide
from vzlib.experiments.video import claims, draw, tell

CLIPS = {
    "vanilla": 0.9, "visionzip_evenly_136": 0.88, "visionzip_attention_136": 0.7,
    "random_evenly_136": 0.5, "visionzip_evenly_768": 0.9, "sparsevlm_inside_768": 0.6,
}  # fmt: skip
ALBUMS = {"vanilla": 0.8, "visionzip_evenly_136": 0.8, "random_evenly_136": 0.4}


def both(clips=CLIPS, albums=ALBUMS):
    return pd.concat([rows("clip", **clips), rows("album", **albums)], ignore_index=True)


def test_what_is_kept_is_of_all_tokens_and_beside_the_papers():
    kept = tell.kept(both()).set_index(["kind", "method", "spread", "budget"])
    one = kept.loc["clip", "visionzip", "evenly", 136]
    assert one["value"] == pytest.approx(100 * 0.88 / 0.9, abs=1) and one["n"] == 400
    assert one["low"] < one["value"] < one["high"] and one["paper"] == 93.2
    assert np.isnan(one["difference"]) and np.isnan(kept.loc["album"]["paper"]).all()
    other = kept.loc["clip", "random", "evenly", 136]
    assert other["difference"] == pytest.approx(38, abs=5) and np.isnan(other["paper"])
    assert kept.loc["clip", "sparsevlm", "inside", 768]["difference"] == pytest.approx(30, abs=5)
    spread = tell.spreads(both()).set_index(["kind", "budget", "task"])
    assert list(spread.index) == [("clip", 136, task) for task in ("motion", "frame", "mean")]
    assert spread.loc["clip", 136, "mean"]["value"] == pytest.approx(-18, abs=4)
    assert "about clips are answered right (n = 400)" in tell.conclusion(both())
    assert "; the paper's 93.2 %." in tell.conclusion(both())


def test_c33_is_found_if_the_whole_interval_reaches_the_papers_percentage():
    one = decide(claims, "C33", both())
    assert one.verdict == "found" and one.n == 400 and one.model == "pico-video"
    assert decide(claims, "C33", both(CLIPS | {"visionzip_evenly_136": 0.8})).verdict == "not found"
    nothing = both({name: 0.0 for name in CLIPS})
    assert decide(claims, "C33", nothing).verdict == "not measurable here"


def test_c34_is_decided_where_both_can_be_spent():
    one = decide(claims, "C34", both())
    assert one.verdict == "found" and one.interval.value == pytest.approx(30, abs=5)
    assert "768 tokens per layer" in one.note and "136 cannot be averaged" in one.note
    assert decide(claims, "C34", both(CLIPS | {"sparsevlm_inside_768": 1.0})).verdict == "opposite"
    here = CLIPS | {"sparsevlm_inside_136": 0.2}
    assert "cannot" not in decide(claims, "C34", both(here)).note
    without = {way: share for way, share in CLIPS.items() if "sparse" not in way}
    assert decide(claims, "C34", both(without)).verdict == "not measurable here"


def test_q4_is_about_albums():
    one = decide(claims, "Q4", both())
    assert one.verdict == "found" and one.interval.value == pytest.approx(100)
    assert "points over random patches; of clips 97." in one.note
    fewer = ALBUMS | {"visionzip_evenly_136": 0.6}
    assert decide(claims, "Q4", both(albums=fewer)).verdict == "not found"


def test_the_figure_shows_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    kept = tell.kept(both())
    shown = draw.figure(kept)
    clip, album = shown.axes
    for axis, kind, count in ((clip, "clip", 5), (album, "album", 2)):
        own = kept[kept["kind"] == kind].sort_values("budget", kind="stable")
        ends = np.array([ends[:, 0] for ends in whiskers(axis)])
        np.testing.assert_allclose(ends, own[["low", "high"]])
        assert len(own) == count
        assert len([text for text in axis.texts if text.get_text() == "out of reach"]) == 8 - count
    (star,) = [line for line in clip.lines if line.get_marker() == "*"]
    assert star.get_xdata() == [93.2]
    names = [label.get_text() for label in clip.get_yticklabels()]
    assert names[1] == f"{draw.label('visionzip', 'attention')}, 136 tokens"


def test_the_table_is_as_table_3(tmp_path, monkeypatch):
    from vzlib.notebooks import settings

    monkeypatch.setenv("VZLIB_FIGURES", str(tmp_path))
    cells = draw.table(tell.kept(both()), settings("13_video")).cells
    assert cells["the paper's %"].tolist() == ["93.2", *[""] * 6]
    assert cells["tokens"].tolist()[:3] == ["136"] * 3
    frames = np.zeros((3, 8, 8, 3), dtype=np.uint8)
    assert len(draw.frames(frames, "?").axes) == 3
