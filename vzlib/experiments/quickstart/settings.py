"""What can be chosen in 00_quickstart; torch is not imported."""

from typing import Literal

from pydantic import Field

from vzlib.experiments.settings import Model, Photograph, Settings


class Quickstart(Settings):
    """00_quickstart: zip a model, see the kept tokens, ask questions."""

    model: Model
    retain: int = Field(ge=1)  # visual tokens handed to the language model
    merge: Literal["code", "paper"]
    questions: Literal["scenes", "things"]  # the deck of the scene
    scene: int = Field(ge=0)  # number of the test scene
    photograph: Photograph  # a test photograph of vzlib.scenes, or an image file
    photograph_question: str
    photograph_answer: str
