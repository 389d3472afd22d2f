"""Questions about a scene, by template, with balanced answers.

The tasks mirror those of the paper's benchmarks: existence (POPE), attribute and relation (GQA),
counting (MME), reading (TextVQA).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from vzlib.scenes import sprites
from vzlib.scenes.scene import Question, Scene, SceneObject, pick, stream

Objects = tuple[SceneObject, ...]
Asked = tuple[str, str, tuple[int, ...]] | None

GAP = 16  # pixels by which centres must differ before a relation is asked about
_TEMPLATE_WORDS = (
    "is there a what colour the shape how many shapes are number on sign word written which digit "
    "by hand left or right above below of yes no ?"
)


def vocabulary() -> list[str]:
    """Every word of every question and answer, in a fixed order."""
    return list(dict.fromkeys([*_TEMPLATE_WORDS.split(), *sprites.vocabulary()]))


def ask(scene: Scene, each: int | Mapping[str, int] = 1) -> list[Question]:
    """Up to `each` different questions of every task (or as many as it says), in task order.

    A task of which the scene allows none (a relation needs two things of unmistakable names that
    lie apart) is left out.
    """
    uniform = stream(scene.split, scene.seed, scene.index, purpose=1)
    return by_templates(TASKS, scene.objects, each, uniform)


def by_templates(
    templates: Mapping[str, Callable[[Any, Iterator[float]], Asked]],
    objects: Objects,
    each: int | Mapping[str, int],
    uniform: Iterator[float],
) -> list[Question]:
    """Up to `each` different questions of every template, as those of `ask`."""
    questions: list[Question] = []
    for task, template in templates.items():
        asked: dict[str, Question] = {}
        most = each if isinstance(each, int) else each.get(task, 0)
        for _ in range(3 * most):
            found = template(objects, uniform)
            if found is not None and found[0] not in asked:
                text, answer, about = found
                asked[text] = Question(task, text, answer, about)
                if len(asked) == most:
                    break
        questions += asked.values()
    return questions


def _shapes(objects: Objects) -> list[int]:
    return [i for i, thing in enumerate(objects) if thing.kind == "shape"]


def _existence(objects: Objects, uniform: Iterator[float]) -> Asked:
    shapes = _shapes(objects)
    if not shapes:
        return None
    present = {objects[i].label for i in shapes}
    thing = objects[pick(shapes, uniform)]
    if next(uniform) < 0.5:
        label, answer = thing.label, "yes"
    else:  # as alike as can be: the colour or the shape of something that is there
        colours = [f"{colour} {thing.shape}" for colour in sprites.COLOURS]
        kinds = [f"{thing.colour} {shape}" for shape in sprites.SHAPES]
        near = colours if next(uniform) < 0.5 else kinds
        absent = [label for label in near if label not in present]
        if not absent:
            return None
        label, answer = pick(absent, uniform), "no"
    asked = tuple(i for i in shapes if objects[i].label == label)
    return f"is there a {label} ?", answer, asked


def _attribute(objects: Objects, uniform: Iterator[float]) -> Asked:
    shapes = _shapes(objects)
    if next(uniform) < 0.5:
        counts = Counter(objects[i].shape for i in shapes)
        unique = [i for i in shapes if counts[objects[i].shape] == 1]
        if not unique:
            return None
        chosen = pick(unique, uniform)
        thing = objects[chosen]
        return f"what colour is the {thing.shape} ?", str(thing.colour), (chosen,)
    counts = Counter(objects[i].colour for i in shapes)
    unique = [i for i in shapes if counts[objects[i].colour] == 1]
    if not unique:
        return None
    chosen = pick(unique, uniform)
    thing = objects[chosen]
    return f"what shape is the {thing.colour} shape ?", str(thing.shape), (chosen,)


def _counting(objects: Objects, uniform: Iterator[float]) -> Asked:
    shapes = _shapes(objects)
    kind = next(uniform)
    if kind < 0.5:
        return "how many shapes are there ?", str(len(shapes)), tuple(shapes)
    if kind < 0.75:
        groups = {c: [i for i in shapes if objects[i].colour == c] for c in sprites.COLOURS}
        texts = {colour: f"how many {colour} shapes are there ?" for colour in groups}
    else:
        groups = {s: [i for i in shapes if objects[i].shape == s] for s in sprites.SHAPES}
        texts = {shape: f"how many {sprites.plural(shape)} are there ?" for shape in groups}
    chosen = any_number(groups, uniform)
    return texts[chosen], str(len(groups[chosen])), tuple(groups[chosen])


def any_number(groups: Mapping[str, Sequence[int]], uniform: Iterator[float]) -> str:
    """A group of things, each number of members that there is being as likely."""
    number = pick(sorted({len(group) for group in groups.values()}), uniform)
    return pick([name for name, group in groups.items() if len(group) == number], uniform)


def _reading(objects: Objects, uniform: Iterator[float]) -> Asked:
    return read([i for i, thing in enumerate(objects) if thing.kind != "shape"], objects, uniform)


def read(readable: Sequence[int], objects: Objects, uniform: Iterator[float]) -> Asked:
    """What one of the `readable` things says."""
    if not readable:
        return None
    chosen = pick(readable, uniform)
    text = {
        "number": "what number is on the sign ?",
        "word": "what word is on the sign ?",
        "digit": "which digit is written by hand ?",
    }[objects[chosen].kind]
    return text, " ".join(spelled(objects[chosen])), (chosen,)


def spelled(thing: SceneObject) -> list[str]:
    """The words that read a thing aloud: a number digit by digit, anything else as it is."""
    return list(thing.label) if thing.kind == "number" else [thing.label]


def _relation(objects: Objects, uniform: Iterator[float]) -> Asked:
    return relation(range(len(objects)), objects, uniform, GAP)


def relation(
    chosen: Iterable[int],
    objects: Objects,
    uniform: Iterator[float],
    gap: int,
    is_the: Callable[[str], str] = "is the {}".format,
) -> Asked:
    """How two of the `chosen` things lie to each other, of all things unmistakable by their names.

    gap: pixels by which their centres must differ. is_the: how a question about a name begins.
    """
    counts = Counter(thing.name for thing in objects)
    unique = [i for i in chosen if counts[objects[i].name] == 1]
    axis, words = (0, ("left", "right")) if next(uniform) < 0.5 else (1, ("above", "below"))
    pairs = [
        (a, b)
        for a in unique
        for b in unique
        if a != b and abs(objects[a].centre[axis] - objects[b].centre[axis]) >= gap
    ]
    if not pairs:
        return None
    a, b = pick(pairs, uniform)
    answer = words[objects[a].centre[axis] > objects[b].centre[axis]]
    link = "of the" if axis == 0 else "the"
    text = f"{is_the(objects[a].name)} {words[0]} or {words[1]} {link} {objects[b].name} ?"
    return text, answer, (a, b)


TASKS: dict[str, Callable[[Objects, Iterator[float]], Asked]] = {
    "existence": _existence,
    "attribute": _attribute,
    "counting": _counting,
    "reading": _reading,
    "relation": _relation,
}
