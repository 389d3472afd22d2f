"""Questions about a scene of the second deck, by template, with balanced answers.

Those of the first deck, with names of real things, and two more tasks: "which" (what animal is
there) and "detail" (what is on the bus: a small thing on a large one).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from vzlib import scenes
from vzlib.scenes.questions import Asked, any_number, by_templates, read, relation
from vzlib.scenes.scene import Question, pick, stream
from vzlib.scenes.things import catalogue
from vzlib.scenes.things.scene import Thing, ThingScene

Things = tuple[Thing, ...]

GAP = 28  # pixels by which centres must differ before a relation is asked about
SMALL, LARGE = 36, 72  # pixels: at most, at least
_TEMPLATE_WORDS = "are any an which things small large"


def vocabulary() -> list[str]:
    """Every word of every question and answer that the first deck does not know, in fixed order."""
    groups = [word for group in catalogue.GROUPS for word in (group, plural(group))]
    things = [name for group in catalogue.GROUPS for name in catalogue.names(group)]
    known = set(scenes.vocabulary())
    words = dict.fromkeys([*_TEMPLATE_WORDS.split(), *groups, *things])
    return [word for word in words if word not in known]


def plural(group: str) -> str:
    """The word for several of a group."""
    return group + "s"


def ask(scene: ThingScene, each: int | Mapping[str, int] = 1) -> list[Question]:
    """Up to `each` different questions of every task (or as many as it says), in task order.

    A task of which the scene allows none is left out.
    """
    uniform = stream(scene.split, scene.seed, scene.index + (1 << 32), purpose=1)
    return by_templates(TASKS, scene.objects, each, uniform)


def _pictures(things: Things) -> list[int]:
    return [i for i, thing in enumerate(things) if thing.kind == "picture"]


def _is_there(name: str) -> str:
    number = next(entry.number for entry in catalogue.entries() if entry.name == name)
    if number == "plural":
        return f"are there any {name} ?"
    article = "any" if number == "mass" else "an" if name[0] in "aeiou" else "a"
    return f"is there {article} {name} ?"


def _is_the(name: str) -> str:
    plural = any(e.number == "plural" for e in catalogue.entries() if e.name == name)
    return f"{'are' if plural else 'is'} the {name}"


def _existence(things: Things, uniform: Iterator[float]) -> Asked:
    pictures = _pictures(things)
    if not pictures or next(uniform) < 0.25:
        return scenes.TASKS["existence"](things, uniform)
    present = {things[i].label for i in pictures}
    thing = things[pick(pictures, uniform)]
    if next(uniform) < 0.5:
        name, answer = thing.label, "yes"
    else:  # as alike as can be: another of its group
        names = catalogue.names(str(thing.group))
        name, answer = pick([n for n in names if n not in present], uniform), "no"
    return _is_there(name), answer, tuple(i for i in pictures if things[i].label == name)


def _which(things: Things, uniform: Iterator[float]) -> Asked:
    pictures = _pictures(things)
    counts = Counter(things[i].group for i in pictures)
    unique = [i for i in pictures if counts[things[i].group] == 1]
    if not unique:
        return None
    chosen = pick(unique, uniform)
    return f"which {things[chosen].group} is there ?", things[chosen].label, (chosen,)


def _attribute(things: Things, uniform: Iterator[float]) -> Asked:
    pictures = _pictures(things)
    counts = Counter(things[i].label for i in pictures)
    unique = [i for i in pictures if counts[things[i].label] == 1]
    coloured = [i for i in unique if things[i].colour]
    sized = [i for i in unique if things[i].width <= SMALL or things[i].width >= LARGE]
    kind = next(uniform)
    if coloured and kind < 0.5:
        chosen = pick(coloured, uniform)
        return f"what colour is the {things[chosen].label} ?", str(things[chosen].colour), (chosen,)
    if sized and kind < 0.25:
        chosen = pick(sized, uniform)
        answer = "small" if things[chosen].width <= SMALL else "large"
        return f"{_is_the(things[chosen].label)} small or large ?", answer, (chosen,)
    return scenes.TASKS["attribute"](things, uniform)


def _counting(things: Things, uniform: Iterator[float]) -> Asked:
    kind = next(uniform)
    if kind < 0.2 and len(things) < 10:
        return "how many things are there ?", str(len(things)), tuple(range(len(things)))
    if kind < 0.5:
        return scenes.TASKS["counting"](things, uniform)
    pictures = _pictures(things)
    groups = {g: [i for i in pictures if things[i].group == g] for g in catalogue.GROUPS}
    group = any_number(groups, uniform)
    return f"how many {plural(group)} are there ?", str(len(groups[group])), tuple(groups[group])


def _reading(things: Things, uniform: Iterator[float]) -> Asked:
    readable = [
        i for i, t in enumerate(things) if t.on is None and t.kind not in ("shape", "picture")
    ]
    return read(readable, things, uniform)


def _relation(things: Things, uniform: Iterator[float]) -> Asked:
    large = [i for i, thing in enumerate(things) if thing.on is None]
    return relation(large, things, uniform, GAP, _is_the)


def _detail(things: Things, uniform: Iterator[float]) -> Asked:
    small = [i for i, thing in enumerate(things) if thing.on is not None]
    if not small:
        return None
    chosen = pick(small, uniform)
    thing = things[chosen]
    host = things[thing.on or 0].label
    if sum(other.label == host for other in things) > 1:
        return None
    if thing.kind == "number":
        text, answer = f"what number is on the {host} ?", " ".join(thing.label)
    elif thing.kind == "shape" and next(uniform) < 0.5:
        text, answer = f"what colour is the shape on the {host} ?", str(thing.colour)
    elif thing.kind == "shape":
        text, answer = f"what shape is on the {host} ?", str(thing.shape)
    else:
        text, answer = f"which {thing.group} is on the {host} ?", thing.label
    return text, answer, (chosen,)


TASKS: dict[str, Callable[[Things, Iterator[float]], Asked]] = {
    "existence": _existence,
    "which": _which,
    "attribute": _attribute,
    "counting": _counting,
    "reading": _reading,
    "relation": _relation,
    "detail": _detail,
}
