"""What can be chosen in 01_redundancy; torch is not imported."""

from pydantic import Field

from vzlib.experiments.settings import Images, Model, Positive, Settings


class Redundancy(Settings):
    """01_redundancy: how unevenly visual tokens receive attention at the layer that is read."""

    model: Model
    layer: int  # index into the tower's hidden_states
    images: Images
    count: int = Field(ge=2)  # images of each kind; intervals are over these
    dominant: tuple[Positive, ...] = Field(min_length=1)  # tokens called dominant
    near_zero: float = Field(gt=0, lt=1)  # part of the largest weight that counts as zero
    seed: int = Field(ge=0)  # of the crops of photographs
