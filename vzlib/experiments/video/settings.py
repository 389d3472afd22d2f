"""What can be chosen in 13_video; torch is not imported."""

from typing import Literal

from pydantic import Field, model_validator

from vzlib.experiments.settings import Model, NotNegative, Settings


class Video(Settings):
    """13_video: the tokens of eight frames, or of several images, in one prompt."""

    video_model: Model  # a LLaVA that reads numbered frames, such as "pico-video"
    clips: int = Field(ge=2)
    albums: int = Field(ge=2)
    each: int = Field(ge=1)  # questions of a task that a clip is asked at most
    budgets: tuple[int, ...] = Field(min_length=1)  # tokens of all frames, or images, together
    inside: tuple[Literal["fastv", "sparsevlm"], ...]
    seed: NotNegative  # of random patches and of SparseVLM's clustering

    @model_validator(mode="after")
    def _fit(self) -> "Video":
        if small := [budget for budget in self.budgets if budget < 8]:
            raise ValueError(f"budgets={small} must be at least 8, a token of each frame")
        return self
