"""What can be chosen in each analysis. One class per notebook; nothing here imports torch."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Images = Literal["photographs", "scenes"]
Positive = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """Settings are frozen, and an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Quickstart(Settings):
    """00_quickstart: zip a model, see the kept tokens, ask questions."""

    model: str = "pico"
    retain: int = Field(64, ge=1)  # visual tokens handed to the language model
    merge: Literal["code", "paper"] = "code"
    scene: int = Field(5, ge=0)  # number of the test scene
    photograph: str = "rocket"  # a test photograph of vzlib.scenes, or an image file
    photograph_question: str = "is there a red circle ?"
    photograph_answer: str = "no"


class Redundancy(Settings):
    """01_redundancy: how unevenly visual tokens receive attention at the layer that is read."""

    model: str = "pico"
    layer: int = -2  # index into the tower's hidden_states
    images: tuple[Images, ...] = Field(("photographs", "scenes"), min_length=1)
    count: int = Field(96, ge=2)  # images of each kind; intervals are over these
    dominant: tuple[Positive, ...] = Field((64, 128, 192), min_length=1)  # tokens called dominant
    near_zero: float = Field(0.1, gt=0, lt=1)  # part of the largest weight that counts as zero
    seed: int = Field(0, ge=0)  # of the crops of photographs


class AttentionByLayer(Settings):
    """02_attention_by_layer: how concentrated attention is in every layer of the vision tower."""

    model: str = "pico"
    images: tuple[Images, ...] = Field(("photographs", "scenes"), min_length=1)
    count: int = Field(96, ge=2)  # images of each kind; intervals are over these
    shown: int = Field(0, ge=0)  # number of the image of each kind whose maps are drawn
    seed: int = Field(0, ge=0)  # of the crops of photographs


class SoftmaxGradient(Settings):
    """03_softmax_gradient: the derivative of the softmax, and where attention lies on it."""

    model: str = "pico"
    scenes: int = Field(32, ge=2)  # intervals are over these
    lengths: tuple[Annotated[int, Field(ge=2)], ...] = (2, 16, 577)  # tokens that share a softmax
    exponential: float = Field(0.05, gt=0, lt=0.5)  # attention up to which growth counts as such


class FeatureMisalignment(Settings):
    """04_feature_misalignment: where the attention of a token on an object goes."""

    model: str = "pico"
    layer: int = -2  # index into the tower's hidden_states
    scenes: int = Field(96, ge=2)  # intervals are over these
    retained: tuple[Positive, ...] = Field((64, 128, 192), min_length=1)  # tokens for the LLM
    radius: float = Field(3.0, gt=0)  # patches around a query point that count as near
