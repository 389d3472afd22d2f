"""What can be chosen in 03_softmax_gradient; torch is not imported."""

from typing import Annotated

from pydantic import Field

from vzlib.experiments.settings import ImageSource, Model, Settings


class SoftmaxGradient(Settings):
    """03_softmax_gradient: the derivative of the softmax, and where attention lies on it."""

    model: Model
    images: ImageSource
    count: int = Field(ge=2)  # of them; intervals are over these
    seed: int = Field(ge=0)  # of the crops of photographs
    lengths: tuple[Annotated[int, Field(ge=2)], ...]  # tokens that share a softmax
    exponential: float = Field(gt=0, lt=0.5)  # attention up to which growth counts as such
