"""Schedules: the published ones literally, all others by one rule, and what cannot be met."""

import pytest
import torch

from vzlib.methods.fastv import FastV
from vzlib.methods.inside.schedule import (
    PUBLISHED,
    OutOfReach,
    Shape,
    layer_average,
    scaled_count,
    scaled_layers,
    visual_by_layer,
)
from vzlib.methods.pyramid_drop import PyramidDrop
from vzlib.methods.registry import method, names
from vzlib.methods.sparsevlm import AdaptiveSparseVLM, SparseVLM
from vzlib.tokens import BudgetError

PICO = Shape(6, 576)


def counts(method, shape=PUBLISHED):
    return visual_by_layer(method.stages(*shape), *shape)


# (name, tokens after the stages behind layers 2, 6 and 15, average of outputs, of inputs)
SPARSEVLM = [
    (192, (309, 204, 113), 192.0, 206.5),
    (128, (312, 117, 39), 128.6, 145.4),
    (64, (82, 32, 18), 64.8, 82.3),
]


@pytest.mark.parametrize("retain, after, outputs, inputs", SPARSEVLM)
def test_the_released_lists_of_sparsevlm(retain, after, outputs, inputs):
    by_layer = counts(SparseVLM.released(retain))
    assert by_layer == (576,) * 3 + after[:1] * 4 + after[1:2] * 9 + after[2:] * 16
    assert layer_average(by_layer, "outputs") == pytest.approx(outputs, abs=0.05)
    assert layer_average(by_layer) == pytest.approx(inputs, abs=0.05)


# Layer average, then for K = 2 and 3 what stays (real-valued) and the share removed in percent.
FASTV = [
    (192, 2, 166.4, 71.1),
    (192, 3, 152.3, 73.6),
    (128, 2, 98.1, 83.0),
    (128, 3, 81.7, 85.8),
    (64, 2, 29.9, 94.8),
    (64, 3, 11.0, 98.1),
]


@pytest.mark.parametrize("tokens, full, keep, removed", FASTV)
def test_fastv_at_the_budgets_of_the_tables(tokens, full, keep, removed):
    fitted = FastV(full).for_average(tokens, *PUBLISHED)
    by_layer = counts(fitted.method)
    assert by_layer == (576,) * full + (round(keep),) * (32 - full)
    assert 100 * fitted.method.removed == pytest.approx(removed, abs=0.15)
    assert fitted.average == layer_average(by_layer) == pytest.approx(tokens, abs=0.5)


@pytest.mark.parametrize("full, keep, average", [(2, 144, 171), (3, 288, 315), (2, 72, 103.5)])
def test_fastv_as_others_ran_it(full, keep, average):
    by_layer = counts(FastV(full, 1 - keep / 576))
    assert by_layer[-1] == keep and layer_average(by_layer) == average


def test_pyramid_drop_as_released():
    by_layer = counts(PyramidDrop())
    assert by_layer == (576,) * 8 + (288,) * 8 + (144,) * 8 + (72,) * 8
    assert layer_average(by_layer) / 576 == pytest.approx(0.469, abs=5e-4)


def test_schedules_scale_by_one_rule():
    assert scaled_layers([8, 16, 24], PUBLISHED, 40) == (10, 20, 30)
    assert scaled_layers([3, 7, 16], PUBLISHED, 32) == (3, 7, 16)
    assert scaled_layers([3, 7, 16], PUBLISHED, 40) == (4, 9, 20)
    assert scaled_layers([3, 7, 16], PUBLISHED, 6) == (2, 3, 4)  # no two stages share a layer
    assert scaled_layers([2], PUBLISHED, 6) == (2,)  # the first layer's votes know nothing
    assert scaled_layers([1], PUBLISHED, 6) == scaled_layers([2], PUBLISHED, 2) == (1,)
    assert scaled_layers([29, 30, 31], PUBLISHED, 4) == (1, 2, 3)  # each stage has a layer to run
    assert [scaled_count(66, PUBLISHED, visual) for visual in (576, 288, 2880, 1)] == [
        66,
        33,
        330,
        1,
    ]
    assert counts(SparseVLM.released(192), PICO) == (576, 576, 309, 204, 113, 113)
    assert counts(SparseVLM.released(192), Shape(32, 288))[3] == 150 + 5  # 42 recycled into 5
    assert counts(FastV(2, 0.75), Shape(6, 100)) == (100, 100, 25, 25, 25, 25)
    assert counts(PyramidDrop(), Shape(6, 64)) == (64, 64, 32, 16, 8, 8)
    literal = FastV(1, 0.75, written_for=Shape(6, 100))
    assert counts(literal, Shape(6, 100)) == (100, 25, 25, 25, 25, 25)
    assert counts(literal, Shape(12, 100))[:3] == (100, 100, 25)


@pytest.mark.parametrize("kind", [FastV, SparseVLM, PyramidDrop])
@pytest.mark.parametrize("shape", [PUBLISHED, Shape(40, 576), PICO, Shape(6, 128), Shape(4, 9)])
@pytest.mark.parametrize("counting", ["inputs", "outputs"])
def test_every_average_within_reach_is_met(kind, shape, counting):
    with pytest.raises(OutOfReach) as refusal:
        kind().for_average(-1, *shape, counting=counting)
    low = refusal.value.nearest.average
    for part in range(11):
        wanted = low + (shape.visual - low) * part / 10
        fitted = kind().for_average(wanted, *shape, counting=counting)
        by_layer = counts(fitted.method, shape)
        assert layer_average(by_layer, counting) == fitted.average
        # The coarsest step: one token more or less in every pruned layer, with what it recycles.
        assert abs(fitted.average - wanted) <= (0.5 if shape.visual > 100 else 1)
        assert fitted.method.written_for == shape
        assert by_layer[-1] >= 1 and sorted(by_layer, reverse=True) == list(by_layer)
    assert counts(kind().for_average(shape.visual, *shape).method, shape)[-1] == shape.visual


@pytest.mark.parametrize("tokens", [64, 128, 192])
def test_sparsevlm_fitted_to_a_released_name_is_near_the_released_list(tokens):
    fitted = SparseVLM().for_average(tokens, *PUBLISHED, counting="outputs").method
    released = SparseVLM.released(tokens)
    assert fitted.voting == released.voting
    off = [abs(a - b) for a, b in zip(fitted.keep, released.keep, strict=True)]
    assert max(off) <= 5


def test_the_layers_that_vote_can_be_chosen():
    fitted = SparseVLM(voting=(0, 1, 2), written_for=PICO).for_average(300, *PICO)
    assert counts(fitted.method, PICO)[1] < 576
    assert fitted.average == pytest.approx(300, abs=0.5)
    assert counts(FastV(1, written_for=PICO).for_average(128, *PICO).method, PICO)[1] == 38
    with pytest.raises(BudgetError, match="at most 5, as the schedule is written for 6 layers"):
        SparseVLM(voting=(1, 2, 5), written_for=PICO)


def test_what_the_budget_does_not_decide_stays_as_it_is():
    recycled, dropped = (
        SparseVLM(recycles=recycles).for_average(100, *PUBLISHED) for recycles in (True, False)
    )
    assert (recycled.method.recycles, dropped.method.recycles) == (True, False)
    assert dropped.method.keep > recycled.method.keep  # nothing comes back
    later = PyramidDrop(layers=(4, 16, 24)).for_average(200, *PUBLISHED).method
    assert later.layers == (4, 16, 24)
    assert counts(later)[3:5] == (576, round(576 * later.keep[0]))
    two = PyramidDrop((8, 16), (0.5, 0.25)).for_average(300, *PUBLISHED).method
    assert two.keep[1] == two.keep[0] ** 2


def test_what_cannot_be_met_names_the_nearest():
    with pytest.raises(
        BudgetError, match=r"average of 64 .*6 layers.* FastV allows 192\.67 to 576"
    ):
        FastV().for_average(64, *PICO)
    with pytest.raises(OutOfReach, match=r"32 layers.*144\.75 to 576") as refusal:
        PyramidDrop().for_average(64, *PUBLISHED)
    nearest = refusal.value.nearest
    assert counts(nearest.method)[-1] == 1 and "PyramidDrop" in str(nearest)
    assert str(nearest) in str(refusal.value) and str(nearest.method) in str(nearest)
    with pytest.raises(OutOfReach, match="577"):
        SparseVLM().for_average(577, *PUBLISHED)


def test_impossible_schedules_are_refused_where_they_are_written():
    for removed in (-0.1, 1, 1.5, "half", None, float("nan")):
        with pytest.raises(ValueError, match=f"FastV: removed={removed!r} should be "):
            FastV(removed=removed)
    for full in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match=f"full_layers={full} should be "):
            FastV(full)
    with pytest.raises(BudgetError, match=r"\(32,\) must ascend from at least 1 to at most 31"):
        FastV(32)
    with pytest.raises(BudgetError, match="1 stages need at least 2 layers, not 1"):
        FastV().stages(1, 576)
    with pytest.raises(BudgetError, match="3 stages need at least 4 layers, not 3"):
        SparseVLM.released(64).stages(3, 576)
    for keep in [(0, 1, 1), (3, 2), 3, (3, 2, 1.5)]:
        with pytest.raises(ValueError, match="keep="):
            SparseVLM(keep)
    for voting in [(2, 2, 3), (2, 6, 31), (-1, 2, 3)]:
        with pytest.raises(BudgetError, match="must ascend from at least 1 to at most 31"):
            SparseVLM((3, 2, 1), voting)
    for shares in [(0.5, 0.6, 0.1), (0.5, 0.2), (1.2, 0.2, 0.1), (0.5, 0.2, 0)]:
        with pytest.raises(ValueError, match="keep="):
            PyramidDrop(keep=shares)
    with pytest.raises(BudgetError, match="three layers"):
        SparseVLM((9, 5), (2, 6)).for_average(64, *PUBLISHED)
    with pytest.raises(ValueError, match="bias=-1"):
        AdaptiveSparseVLM(1, -1)
    with pytest.raises(BudgetError, match=r"retain=100 .*nearest is 128 of 192, 128, 64"):
        SparseVLM.released(100)
    with pytest.raises(BudgetError, match=r"retain=63 .*nearest is 64"):
        AdaptiveSparseVLM.released(63)


def test_rank_adaptive_counts():
    with pytest.raises(ValueError, match="depend on the prompt"):
        counts(AdaptiveSparseVLM.released(64))
    basis = torch.rand(3, 576, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([basis, basis.sum(0, keepdim=True)])  # four raters, rank 3
    keeps = {
        name: AdaptiveSparseVLM.released(name).stages(*PUBLISHED)[0].keep for name in (192, 128, 64)
    }
    assert {name: keep(rows) for name, keep in keeps.items()} == {192: 40, 128: 33, 64: 2}
    half = AdaptiveSparseVLM.released(192).stages(32, 288)[0].keep
    assert half(rows[:, :288]) == 20
    assert half(rows[:, :3]) == 3  # full rank: nothing to drop


def test_names():
    assert names("inside") == ["fastv", "sparsevlm", "sparsevlm-v1", "pyramiddrop"]
    assert [type(method(name)).__name__ for name in names("inside")] == [
        "FastV", "SparseVLM", "AdaptiveSparseVLM", "PyramidDrop",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"sparse-vlm: unknown; did you mean sparsevlm"):
        method("sparse-vlm", "inside")
