"""What can be chosen in 02_attention_by_layer; torch is not imported."""

from pydantic import Field

from vzlib.experiments.settings import Images, Model, Settings


class AttentionByLayer(Settings):
    """02_attention_by_layer: how concentrated attention is in every layer of the vision tower."""

    model: Model
    images: Images
    count: int = Field(ge=2)  # images of each kind; intervals are over these
    shown: int = Field(ge=0)  # number of the image of each kind whose maps are drawn
    seed: int = Field(ge=0)  # of the crops of photographs
