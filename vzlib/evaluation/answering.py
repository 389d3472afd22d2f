"""How ways of spending visual tokens answer questions, once the tower has seen the images."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor

from vzlib.evaluation.decoding import Decoded, decode, embed_question
from vzlib.evaluation.judging import Judged, judge, open_images
from vzlib.evaluation.questions import Asked, Question
from vzlib.evaluation.scoring import SCORES
from vzlib.methods.before import Before
from vzlib.methods.inside.schedule import Inside
from vzlib.models.load import Loaded
from vzlib.models.shared_prefix import answered_right


class Way(NamedTuple):
    """A way to answer with fewer visual tokens.

    before: what the language model is given `retain` tokens by. Ways beside each other with the
        same method and number share its work.
    inside: how the language model prunes further; None for not at all.
    """

    name: str
    before: Before
    retain: int
    inside: Inside | None = None


class Verdict(NamedTuple):
    """How one question was answered.

    score: 1 for right, 0 for wrong. counts: visual tokens that entered each layer.
    places: for each layer `[n]`, which of the tokens at the input entered it; None if all did.
        Of `vzlib.evaluation.evaluate.judged`: which of the tower's tokens stand there, -1 for none.
    said: the answer, where one was generated.
    """

    score: float
    counts: tuple[int, ...]
    places: tuple[Tensor, ...] | None = None
    said: str | None = None


def told(
    loaded: Loaded, ways: list[Way], images: list[Asked], visual: Tensor, seed: int
) -> Iterator[list[list[Verdict]]]:
    """Whether the first answers would be given, by way: one pass tells, nothing is decoded."""
    model, processor = loaded.model, loaded.processor
    pairs = [[(q.text, q.answers[0]) for q in one.questions] for one in images]
    layers = _layers(model)
    depth = max((_first_stage(way, layers, visual.shape[1]) for way in ways), default=0)
    opening = None  # made when first needed
    for way in ways:
        if way.inside is None:
            counts = (visual.shape[1],) * layers
            right = answered_right(model, processor, visual, pairs)
            yield [[Verdict(float(one), counts) for one in own] for own in right]
        else:
            opening = opening or open_images(model, processor, visual, depth)
            judgements = judge(model, processor, opening, pairs, way.inside, seed=seed)
            yield [[_verdict(one) for one in own] for own in judgements]


def generated(
    loaded: Loaded,
    ways: list[Way],
    images: list[Asked],
    visual: Tensor,
    seed: int,
    max_new_tokens: int,
) -> list[list[list[Verdict]]]:
    """Answers generated one by one, by way; the questions about an image share its opening."""
    model, processor = loaded.model, loaded.processor
    layers = _layers(model)
    depth = max(
        _first_stage(way, layers, visual.shape[1]) if way.inside else layers for way in ways
    )
    found: list[list[list[Verdict]]] = [[[] for _ in images] for _ in ways]
    for number, one in enumerate(images):
        opening = open_images(model, processor, visual[number : number + 1], depth)
        for question in one.questions:
            text = embed_question(model, processor, question.text)
            for way, own in zip(ways, found, strict=True):
                decoded = decode(
                    model, opening, text, way.inside, max_new_tokens=max_new_tokens, seed=seed
                )
                own[number].append(_scored(processor, question, decoded, way))
    return found


def _scored(processor: Any, question: Question, decoded: Decoded, way: Way) -> Verdict:
    words = decoded.ids[0, :-1] if decoded.ended else decoded.ids[0]
    said = processor.decode(words, skip_special_tokens=True).strip()
    if question.scoring == "verbatim":
        score = float(said == question.answers[0])
    else:
        score = SCORES[question.scoring](said, question.answers)
    counts = tuple(len(place) for place in decoded.places)
    return Verdict(score, counts, None if way.inside is None else decoded.places, said)


def _verdict(one: Judged) -> Verdict:
    return Verdict(float(one.right), tuple(len(place) for place in one.places), one.places)


def _first_stage(way: Way, layers: int, visual: int) -> int:
    """Layers that run on all of the image's tokens, for every question alike."""
    if way.inside is None:
        return 0
    return min((stage.layer for stage in way.inside.stages(layers, visual)), default=layers)


def _layers(model: Any) -> int:
    return model.config.get_text_config().num_hidden_layers
