"""Derivative of the softmax; the paper reads its diagonal, s(1 - s) (Section 4, Figure 6a)."""

from torch import Tensor

from vzlib.tokens.precision import at_least_float32


def softmax_gradient(z: Tensor) -> Tensor:
    """Derivative of each softmax output by its own logit, s(1 - s): [..., S], fp32.

    z: logits [..., S]. The largest value, 1/4, is reached at s = 1/2; at s = 0 and 1 it is 0.
    """
    s = at_least_float32(z).softmax(dim=-1)
    return s * (1 - s)


def softmax_jacobian(z: Tensor) -> Tensor:
    """Derivative of softmax output i by logit j, diag(s) - s s^T: [..., S (i), S (j)], fp32.

    z: logits [..., S].
    """
    s = at_least_float32(z).softmax(dim=-1)
    return s.diag_embed() - s.unsqueeze(-1) * s.unsqueeze(-2)
