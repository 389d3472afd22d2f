import numpy as np
import pytest
import scipy.stats
import torch

from vzlib.tokens import effective_tokens, gini, normalized_entropy, top_share

MEASURES = [gini, normalized_entropy, effective_tokens, top_share]
UNIFORM, ONE_HOT = torch.ones(20).double(), torch.eye(20).double()[7]
RANDOM = torch.rand(3, 4, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("measure", "uniform", "one_hot"),
    [
        (gini, 0, 19 / 20),
        (normalized_entropy, 1, 0),
        (effective_tokens, 20, 1),
        (top_share, 0.1, 1),
    ],
)
def test_extremes(measure, uniform, one_hot):
    assert measure(UNIFORM).item() == pytest.approx(uniform, abs=1e-12)
    assert measure(ONE_HOT).item() == pytest.approx(one_hot, abs=1e-12)


def test_by_hand():
    weights = torch.tensor([4.0, 1.0, 3.0, 2.0])
    entropy = -sum(share * np.log(share) for share in (0.1, 0.2, 0.3, 0.4))
    assert gini(weights).item() == pytest.approx(0.25)
    assert normalized_entropy(weights).item() == pytest.approx(entropy / np.log(4))
    assert effective_tokens(weights).item() == pytest.approx(np.exp(entropy))
    assert top_share(weights, 0.25).item() == pytest.approx(0.4)
    assert top_share(weights, 0.5).item() == pytest.approx(0.7)
    assert top_share(weights, 1.0).item() == pytest.approx(1)


def test_two_equal_tokens_count_as_two():
    assert effective_tokens(torch.tensor([0.0, 5.0, 0.0, 5.0])).item() == pytest.approx(2)


def test_entropy_against_scipy():
    expected = scipy.stats.entropy(RANDOM.numpy(), axis=-1)
    np.testing.assert_allclose(normalized_entropy(RANDOM), expected / np.log(50), rtol=1e-12)
    np.testing.assert_allclose(effective_tokens(RANDOM), np.exp(expected), rtol=1e-12)


def test_gini_is_half_the_relative_mean_difference():
    weights = RANDOM.numpy()
    differences = np.abs(weights[..., :, None] - weights[..., None, :]).mean(axis=(-1, -2))
    np.testing.assert_allclose(gini(RANDOM), differences / weights.mean(-1) / 2, rtol=1e-12)


def test_top_share_against_sorting():
    weights = np.sort(RANDOM.numpy(), axis=-1)
    expected = weights[..., -5:].sum(-1) / weights.sum(-1)
    np.testing.assert_allclose(top_share(RANDOM), expected, rtol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_any_leading_shape_order_and_scale(measure):
    shuffled = 7 * RANDOM[..., torch.randperm(50, generator=torch.Generator().manual_seed(1))]
    assert measure(RANDOM).shape == (3, 4)
    torch.testing.assert_close(measure(shuffled), measure(RANDOM))
    torch.testing.assert_close(measure(RANDOM[1, 2]), measure(RANDOM)[1, 2])


@pytest.mark.parametrize("measure", MEASURES)
def test_dtypes(measure):
    assert measure(RANDOM).dtype == torch.float64
    assert measure(RANDOM.bfloat16()).dtype == torch.float32
    assert measure(torch.tensor([1, 2, 3])).dtype == torch.float32


@pytest.mark.parametrize("measure", MEASURES)
def test_bounds(measure):
    sparse = (RANDOM - 0.5).clamp(min=0).float() ** 8
    value = measure(sparse)
    upper = 50 if measure is effective_tokens else 1
    assert (value >= 0).all() and (value <= upper).all()


@pytest.mark.parametrize("measure", MEASURES)
def test_no_weight_has_no_measure(measure):
    value = measure(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert value.isnan().tolist() == [True, False]


@pytest.mark.parametrize(
    ("measure", "expected"), list(zip(MEASURES, [0.0, 1.0, 1.0, 1.0], strict=True))
)
def test_a_single_token(measure, expected):
    assert measure(torch.tensor([3.0])).item() == expected


@pytest.mark.parametrize("measure", MEASURES)
def test_no_tokens(measure):
    with pytest.raises(ValueError, match=r"S >= 1, not \(3, 0\)"):
        measure(torch.ones(3, 0))


@pytest.mark.parametrize(
    ("tokens", "fraction", "top"),
    [(576, 0.1, 58), (574, 0.1, 57), (30, 0.1, 3), (5, 0.01, 1), (577, 1.0, 577)],
)
def test_fraction_is_rounded_to_whole_tokens(tokens, fraction, top):
    share = top_share(torch.ones(tokens, dtype=torch.float64), fraction)
    assert share.item() == pytest.approx(top / tokens)


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1, float("nan")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match=f"fraction={fraction} must be above 0 and at most 1"):
        top_share(UNIFORM, fraction)


@pytest.mark.parametrize("measure", MEASURES)
def test_meta_device_so_no_synchronisation(measure):
    assert measure(torch.empty(3, 50, device="meta")).shape == (3,)
