"""The second deck of scenes: real things, shapes and signs on photographs, at 336 pixels.

Like the first, every scene is made from its number, with the same bytes everywhere; nothing but the
pictures is stored. 24 by 24 patches of 14 pixels are the 576 visual tokens of LLaVA-1.5.
"""

from vzlib.scenes.things.questions import TASKS, ask, vocabulary
from vzlib.scenes.things.scene import PATCH, VERSION, Thing, ThingScene, make

__all__ = ["PATCH", "TASKS", "VERSION", "Thing", "ThingScene", "ask", "make", "vocabulary"]
