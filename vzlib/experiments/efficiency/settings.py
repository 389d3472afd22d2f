"""What can be chosen in 08_efficiency; torch is not imported."""

from typing import Literal

from pydantic import Field, model_validator

from vzlib.experiments.settings import Positive, Settings

Llava = Literal[
    "llava-1.5-7b", "llava-1.5-13b", "llava-next-7b", "llava-next-13b", "llava-small",
    "llava-small-2x",
]  # fmt: skip


class Efficiency(Settings):
    """08_efficiency: time by part, memory and FLOPs, on models with random weights."""

    geometry: Llava  # see vzlib.efficiency.geometry
    larger: Llava | None  # stands to it as 13B to 7B; VisionZip and vanilla only
    device: str  # or "cpu", "cuda"; or the name of a device whose results are stored
    dtype: Literal["auto", "bfloat16", "float16", "float32"]
    methods: tuple[Literal["visionzip", "visionzip-usual", "fastv", "sparsevlm"], ...] = Field(
        min_length=1
    )
    compiled: bool  # all tokens and VisionZip with a compiled prefill, too
    budgets: tuple[Positive, ...] = Field(min_length=1)  # for all views together
    before: int = Field(ge=1)  # tokens of the prompt before the image
    after: int = Field(ge=1)  # and after it
    new_tokens: int = Field(ge=2)  # words of the answer
    repetitions: int = Field(ge=4)
    limit: float = Field(gt=0)  # widest interquartile range / median that is reported

    @model_validator(mode="after")
    def _two_geometries(self) -> "Efficiency":
        if self.geometry == self.larger:
            raise ValueError(f"larger={self.larger!r} must differ from geometry")
        return self
