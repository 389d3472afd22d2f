"""What can be chosen in 04_feature_misalignment; torch is not imported."""

from pydantic import Field

from vzlib.experiments.settings import Model, Positive, Settings


class FeatureMisalignment(Settings):
    """04_feature_misalignment: where the attention of a token on an object goes."""

    model: Model = "pico"
    layer: int = -2  # index into the tower's hidden_states
    scenes: int = Field(96, ge=2)  # intervals are over these
    retained: tuple[Positive, ...] = Field((64, 128, 192), min_length=1)  # tokens for the LLM
    radius: float = Field(3.0, gt=0)  # patches around a query point that count as near
