"""A procedural visual question benchmark of which everything is known.

Coloured shapes, signs and handwritten digits on real photographs. Each scene is made from its
number, in well under a millisecond, with the same bytes everywhere; nothing is stored.
"""

from vzlib.scenes.photographs import Split, photographs
from vzlib.scenes.questions import TASKS, ask, vocabulary
from vzlib.scenes.scene import PATCH, VERSION, Question, Scene, SceneObject, make

__all__ = [
    "PATCH",
    "TASKS",
    "VERSION",
    "Question",
    "Scene",
    "SceneObject",
    "Split",
    "ask",
    "make",
    "photographs",
    "vocabulary",
]
