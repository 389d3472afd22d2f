"""Derivative of the softmax, of which the paper reads the diagonal s(1 - s) (Section 4, Figure 6a)."""

from torch import Tensor

from vzlib.tokens.precision import at_least_float32


def softmax_gradient(z: Tensor) -> Tensor:
    """Derivative of each softmax output by its own logit, s(1 - s), for logits z [..., S]: [..., S], fp32.

    Largest, 1/4, at s = 1/2, and not at s = 1.
    """
    s = at_least_float32(z).softmax(dim=-1)
    return s * (1 - s)


def softmax_jacobian(z: Tensor) -> Tensor:
    """Derivative of every softmax output i by every logit j, diag(s) - s s^T, for z [..., S]: [..., S, S], fp32."""
    s = at_least_float32(z).softmax(dim=-1)
    return s.diag_embed() - s.unsqueeze(-1) * s.unsqueeze(-2)
