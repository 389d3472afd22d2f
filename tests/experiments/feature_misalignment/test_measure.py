"""Shares of made-up attention worked out by hand; a model measured once."""

import numpy as np
import pandas as pd
import pytest
import torch

from vzlib import scenes
from vzlib.experiments.feature_misalignment import attention_shares, measure, tell
from vzlib.notebooks import settings

GRID, CLS = 24, 1
TOKENS = GRID * GRID + CLS
PARTITION = ["itself", "own object", "other objects", "background", "CLS"]


@pytest.fixture(scope="module")
def outlines():
    return list(attention_shares.outlines_of(scenes.make(5), 8))


def shares(attention, outlines):
    columns = ["quantity", "kind", "target", "layer", "retained", "n", "share", "expected"]
    found = attention_shares.attention_shares(attention, outlines, (64, 128), 1, True)
    return pd.DataFrame(list(found), columns=columns)


def test_a_blank_for_every_object_and_nothing_drawn_on_it(outlines):
    kinds = [outline.kind for outline in outlines]
    assert kinds.count("blank") == len(kinds) / 2
    covered = scenes.make(5).patches()
    for thing, blank in zip(outlines[: len(kinds) // 2], outlines[len(kinds) // 2 :], strict=True):
        assert not (blank.patches & covered).any()
        assert blank.patches.sum() == thing.patches.sum()
        assert blank.queries.sum() == thing.queries.sum()
        assert not (blank.queries & ~blank.patches).any()


def test_even_attention_gives_every_region_its_share(outlines):
    rows = shares(torch.full((TOKENS, TOKENS), 1 / TOKENS), outlines)
    np.testing.assert_allclose(rows["share"], rows["expected"], rtol=1e-5, atol=1e-5)


def test_the_parts_make_up_all_attention(outlines):
    attention = torch.randn(TOKENS, TOKENS, generator=torch.Generator().manual_seed(0)).softmax(-1)
    rows = shares(attention, outlines[:1])
    parts = rows.set_index("target").loc[PARTITION]
    assert parts["share"].sum() == pytest.approx(100, rel=1e-5)
    assert parts["expected"].sum() == pytest.approx(100)


def test_attention_is_found_where_it_was_put(outlines):
    thing = outlines[0]
    own = np.flatnonzero(thing.patches) + CLS
    for target, places in {"own object": own[-1:], "CLS": [0]}.items():
        attention = torch.zeros(TOKENS, TOKENS)
        attention[:, places] = 1.0
        asked = thing._replace(
            queries=thing.queries & (np.cumsum(thing.patches) == 1).reshape(24, 24)
        )
        row = shares(attention, [asked, *outlines[1:]]).iloc[:6].set_index("target")
        assert row.loc[target, "share"] == pytest.approx(100)


def test_dominant_tokens_and_distances_known_by_hand(outlines):
    attention = torch.full((TOKENS, TOKENS), 1e-6)
    attention[0, 1 : 1 + 53] = 1.0  # CLS looks at the first rows, so these 53 are kept
    asked = np.flatnonzero(outlines[0].queries)
    attention[:, CLS] = 0.5  # and every patch at the upper left corner
    places = list(attention_shares.places(attention, outlines, (64,), 1, True))
    (periphery,) = [row for row in places if row[2] == "periphery"]
    assert periphery[5] == 53
    assert periphery[6] == pytest.approx(100 * (48 + 2) / 53)  # two rows, and two of the third
    assert periphery[7] == pytest.approx(100 * (1 - 20 * 20 / 24 / 24))
    distance = next(iter(attention_shares.distances(attention, outlines, 1, True)))
    rows, columns = np.divmod(asked, GRID)
    assert distance[6] == pytest.approx(np.hypot(rows, columns).mean())


def test_measures_a_model_once(scene_folder, own_store, never_loads):
    chosen = settings("04_feature_misalignment", model=scene_folder, scenes=3)
    rows = measure.measure(chosen)
    assert rows["scene"].unique().tolist() == [0, 1, 2]
    table = tell.summary(rows)
    assert tell.read_block(table) == 3
    attention = table[(table["quantity"] == "attention") & (table["kind"] == "object")]
    parts = attention[attention["target"].isin(PARTITION)].groupby("layer")[["share", "expected"]]
    np.testing.assert_allclose(parts.sum(), 100, rtol=1e-5)
    never_loads()
    pd.testing.assert_frame_equal(rows, measure.measure(chosen))
