"""What can be chosen in 04_feature_misalignment; torch is not imported."""

from pydantic import Field

from vzlib.experiments.settings import Images, Model, Positive, Settings


class FeatureMisalignment(Settings):
    """04_feature_misalignment: where the attention of a token on an object goes."""

    model: Model
    layer: int  # index into the tower's hidden_states
    scenes: int = Field(ge=2)  # intervals are over these
    images: Images  # with masks of the subject, as photographs have
    count: int = Field(ge=2)  # of them, of each kind
    seed: int = Field(ge=0)  # of the crops of photographs
    retained: tuple[Positive, ...] = Field(min_length=1)  # tokens for the LLM
    radius: float = Field(gt=0)  # patches around a query point that count as near
