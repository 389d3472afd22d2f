"""What can be chosen in 00_quickstart; torch is not imported."""

from typing import Literal

from pydantic import Field

from vzlib.experiments.settings import Model, Photograph, Settings


class Quickstart(Settings):
    """00_quickstart: zip a model, see the kept tokens, ask questions."""

    model: Model = "pico"
    retain: int = Field(64, ge=1)  # visual tokens handed to the language model
    merge: Literal["code", "paper"] = "code"
    scene: int = Field(5, ge=0)  # number of the test scene
    photograph: Photograph = "rocket"  # a test photograph of vzlib.scenes, or an image file
    photograph_question: str = "is there a red circle ?"
    photograph_answer: str = "no"
