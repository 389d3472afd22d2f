import pytest
import torch

from vzlib.tokens import softmax_gradient, softmax_jacobian


def logits(*shape, dtype=torch.float64):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_jacobian_against_autograd():
    z = logits(9)
    expected = torch.autograd.functional.jacobian(lambda x: x.softmax(dim=-1), z)
    torch.testing.assert_close(softmax_jacobian(z), expected)


def test_gradient_is_the_diagonal():
    z = logits(2, 3, 9)
    jacobian = softmax_jacobian(z)
    assert jacobian.shape == (2, 3, 9, 9)
    torch.testing.assert_close(jacobian.diagonal(dim1=-2, dim2=-1), softmax_gradient(z))
    torch.testing.assert_close(jacobian[1, 2], softmax_jacobian(z[1, 2]))


def test_rows_sum_to_zero():
    rows = softmax_jacobian(logits(2, 9)).sum(dim=-1)
    torch.testing.assert_close(rows, torch.zeros_like(rows))


def test_gradient_peaks_at_one_half():
    shares = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    z = torch.stack([shares.log(), (1 - shares).log()], dim=-1)
    gradient = softmax_gradient(z)[:, 0]
    peak = gradient.argmax()
    assert shares[peak].item() == pytest.approx(0.5)
    assert gradient[peak].item() == pytest.approx(0.25)
    assert (gradient[: peak + 1].diff() > 0).all() and (gradient[peak:].diff() < 0).all()


@pytest.mark.parametrize("function", [softmax_gradient, softmax_jacobian])
def test_low_precision_gives_float32(function):
    assert function(logits(9).bfloat16()).dtype == torch.float32
    assert function(logits(9)).dtype == torch.float64
