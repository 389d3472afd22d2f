"""Several scenes in one prompt: clips, in which things come, go and move, and albums of images.

Made from their numbers like scenes, with the same bytes everywhere; what every frame shows is known
as of a scene, masks included.
"""

from vzlib.scenes.clips.album import IMAGES, album
from vzlib.scenes.clips.clip import FRAMES, VERSION, Clip, clip
from vzlib.scenes.clips.questions import ALBUM_TASKS, CLIP_TASKS, LESSONS, ask, new_words

__all__ = [
    "ALBUM_TASKS",
    "CLIP_TASKS",
    "FRAMES",
    "IMAGES",
    "LESSONS",
    "VERSION",
    "Clip",
    "album",
    "ask",
    "clip",
    "new_words",
]
