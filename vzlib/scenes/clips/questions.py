"""Questions about a clip or an album, by template.

Those about clips ask what only several frames together tell; those about albums ask which image
shows a thing, whether a certain one does, and what two of them share.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vzlib.scenes import sprites
from vzlib.scenes.clips.clip import Clip
from vzlib.scenes.questions import Asked, by_templates, vocabulary
from vzlib.scenes.scene import Question, pick, stream

Template = Callable[[Clip, Iterator[float]], Asked]

_WORDS = (
    "what", "moved", "did", "move", "came", "first", "last", "which", "frame", "image", "shows",
    "in", "all", "two", "frames", "images",
)  # fmt: skip
_OWN_STREAM = {"clip": 1 << 40, "album": 1 << 41}


def new_words() -> list[str]:
    """Words of questions and answers here that no scene of the first deck needs, in fixed order."""
    known = set(vocabulary())
    return [word for word in dict.fromkeys(_WORDS) if word not in known]


def ask(clip: Clip, each: int | Mapping[str, int] = 1, lessons: bool = False) -> list[Question]:
    """Up to `each` different questions of every task (or as many as it says), in task order.

    `objects` of a question are the numbers of the things it is about, in the order of `clip.shown`.
    lessons: also what is asked in training alone, see `LESSONS`.
    """
    offset = _OWN_STREAM[clip.kind]
    uniform = stream(clip.split, clip.seed, clip.index + offset, purpose=1)
    tasks = CLIP_TASKS if clip.kind == "clip" else ALBUM_TASKS
    templates: Mapping[str, Callable[[Any, Iterator[float]], Asked]]
    templates = {**tasks, **LESSONS} if lessons else tasks
    one: Any = clip
    return by_templates(templates, one, each, uniform)


def _number(clip: Clip, name: str) -> tuple[int, ...]:
    return (list(clip.shown).index(name),)


def _motion(clip: Clip, uniform: Iterator[float]) -> Asked:
    if len(clip.moved) != 1:
        return None
    return "what moved ?", clip.moved[0], _number(clip, clip.moved[0])


def _frame(clip: Clip, uniform: Iterator[float]) -> Asked:
    name = pick(list(clip.shown), uniform)
    places = clip.shown[name]
    first = "" if len(places) == 1 else " first"
    text = f"which {_word(clip)} shows the {name}{first} ?"
    return text, str(places[0].frame + 1), _number(clip, name)


def _counting(clip: Clip, uniform: Iterator[float]) -> Asked:
    count = len(clip.shown)
    return "how many shapes are there in all ?", str(count), tuple(range(count))


def _order(clip: Clip, uniform: Iterator[float]) -> Asked:
    names = list(clip.shown)  # in the order in which they come, each in a frame of its own
    which = "first" if next(uniform) < 0.5 else "last"
    name = names[0] if which == "first" else names[-1]
    return f"what came {which} ?", name, _number(clip, name)


def _image(clip: Clip, uniform: Iterator[float]) -> Asked:
    once = [name for name, places in clip.shown.items() if len(places) == 1]
    if not once:
        return None
    name = pick(once, uniform)
    text = f"which image shows the {name} ?"
    return text, str(clip.shown[name][0].frame + 1), _number(clip, name)


def _twice(clip: Clip, uniform: Iterator[float]) -> Asked:
    twice = [name for name, places in clip.shown.items() if len(places) == 2]
    if len(twice) != 1:
        return None
    return "what is in two images ?", twice[0], _number(clip, twice[0])


def _existence(clip: Clip, uniform: Iterator[float]) -> Asked:
    """Whether a thing is in a certain frame; if not, it is in another, or one like it is here."""
    frame = int(next(uniform) * len(clip.frames))
    here = [thing.label for thing in clip.frames[frame].objects]
    others = [name for name in clip.shown if name not in here]
    ending = f"in {_word(clip)} {frame + 1} ?"
    if next(uniform) < 0.5:
        if not here:
            return None
        name = pick(here, uniform)
        return f"is there a {name} {ending}", "yes", _number(clip, name)
    if others and (not here or next(uniform) < 0.6):
        name = pick(others, uniform)
        return f"is there a {name} {ending}", "no", _number(clip, name)
    if not here:
        return None
    colour, shape = pick(here, uniform).split()
    if next(uniform) < 0.5:
        near = [f"{other} {shape}" for other in sprites.COLOURS]
    else:
        near = [f"{colour} {other}" for other in sprites.SHAPES]
    name = pick([label for label in near if label not in here], uniform)
    return f"is there a {name} {ending}", "no", _number(clip, name) if name in clip.shown else ()


def _frame_counting(clip: Clip, uniform: Iterator[float]) -> Asked:
    frame = int(next(uniform) * len(clip.frames))
    things = clip.frames[frame].objects
    about = tuple(number for thing in things for number in _number(clip, thing.name))
    return f"how many shapes are in {_word(clip)} {frame + 1} ?", str(len(things)), about


def _moving(clip: Clip, uniform: Iterator[float]) -> Asked:
    if clip.kind == "album":
        return None
    still = [name for name, places in clip.shown.items() if name not in clip.moved]
    asked = list(clip.moved) if next(uniform) < 0.5 else still
    if not asked:
        return None
    name = pick(asked, uniform)
    return f"did the {name} move ?", "yes" if name in clip.moved else "no", _number(clip, name)


def _word(clip: Clip) -> str:
    return "frame" if clip.kind == "clip" else "image"


CLIP_TASKS: dict[str, Template] = {
    "motion": _motion,
    "frame": _frame,
    "counting": _counting,
    "order": _order,
}
ALBUM_TASKS: dict[str, Template] = {"image": _image, "existence": _existence, "shared": _twice}
# Steps towards these, asked in training alone: of single frames, and whether a certain thing moved.
LESSONS: dict[str, Template] = {
    "frame existence": _existence,
    "frame counting": _frame_counting,
    "moving": _moving,
}
