"""What can be chosen in 01_redundancy; torch is not imported."""

from pydantic import Field

from vzlib.experiments.settings import Images, Model, Positive, Settings


class Redundancy(Settings):
    """01_redundancy: how unevenly visual tokens receive attention at the layer that is read."""

    model: Model = "pico"
    layer: int = -2  # index into the tower's hidden_states
    images: tuple[Images, ...] = Field(("photographs", "scenes"), min_length=1)
    count: int = Field(96, ge=2)  # images of each kind; intervals are over these
    dominant: tuple[Positive, ...] = Field((64, 128, 192), min_length=1)  # tokens called dominant
    near_zero: float = Field(0.1, gt=0, lt=1)  # part of the largest weight that counts as zero
    seed: int = Field(0, ge=0)  # of the crops of photographs
