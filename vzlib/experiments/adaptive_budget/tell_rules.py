"""Rules that give every image its own number of tokens, at a mean that is the same for all.

A rule has one parameter, and the mean fixes it: no answer takes part. What lies between two steps
of the ladder stands for a draw between them that gives so many tokens on average; the score of that
draw is a mean of two scores that were measured.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from vzlib.statistics.comparison import QUESTION

HALVINGS = 60
Sizes = Callable[[float], np.ndarray]


class Asked(NamedTuple):
    """Q questions about N images, with their scores at the L steps of a ladder.

    questions: [Q] rows of QUESTION. image: [Q] numbers of images. weight: [Q], of a question in
        the mean over tasks; they sum to 1. scores: [Q, L]. ladder: [L] tokens.
    """

    questions: pd.DataFrame
    image: np.ndarray
    weight: np.ndarray
    scores: np.ndarray
    ladder: np.ndarray

    def expected(self, tokens: np.ndarray) -> np.ndarray:
        """Scores [..., Q] that `tokens` [..., Q] give."""
        above = np.searchsorted(self.ladder, tokens).clip(1, len(self.ladder) - 1)
        low, high = self.ladder[above - 1], self.ladder[above]
        part = (tokens - low) / (high - low)
        row = np.arange(len(self.scores))
        return (1 - part) * self.scores[row, above - 1] + part * self.scores[row, above]

    def at_random(self, tokens: np.ndarray) -> np.ndarray:
        """Scores [Q] if every question had the `tokens` [Q] of one drawn among all."""
        sizes, place = np.unique(tokens, return_inverse=True)
        shares = np.bincount(place, self.weight)
        everywhere = np.broadcast_to(sizes[:, None], (len(sizes), len(tokens)))
        mean: np.ndarray = shares @ self.expected(everywhere)
        return mean

    def spent(self, tokens: np.ndarray) -> float:
        """Mean of `tokens` [Q], weighed as accuracies are."""
        return float(self.weight @ tokens)


class Images(NamedTuple):
    """What is known of N images.

    curves: [N, P] shares of the attention on patches, the largest first. rank: [N] effective rank.
    things: [N] that the scene shows, NaN where no scene is known.
    """

    names: np.ndarray
    curves: np.ndarray
    rank: np.ndarray
    things: np.ndarray


class Shared(NamedTuple):
    """Tokens [Q] that a rule gives, and the value of its parameter."""

    tokens: np.ndarray
    parameter: float


def images_of(rows: pd.DataFrame) -> Images:
    """The rows of `measure_images.measure` as arrays."""
    first = rows[rows["place"] == 1]
    curves = rows["weight"].to_numpy(float).reshape(len(first), -1)
    told = (first[name].to_numpy(float) for name in ("rank", "things"))
    return Images(first["image"].to_numpy(str), curves, *told)


def asked_of(rows: pd.DataFrame, images: Images) -> Asked:
    """The rows of `measure.measure` as arrays."""
    wide = rows.pivot_table("score", QUESTION, "tokens", aggfunc="mean").sort_index(axis=1)
    questions = wide.index.to_frame(index=False)
    number = {name: place for place, name in enumerate(images.names)}
    sizes = questions.groupby("task")["task"].transform("size").to_numpy(float)
    weight = 1 / (sizes * questions["task"].nunique())
    image = questions["image"].map(number).to_numpy(int)
    return Asked(questions, image, weight, wide.to_numpy(float), wide.columns.to_numpy(float))


def _mass(images: Images) -> Sizes:
    held = np.cumsum(images.curves, axis=1)
    places = np.arange(1.0, held.shape[1] + 1)
    return lambda share: np.array([np.interp(share, own, places) for own in held])


def _threshold(images: Images) -> Sizes:
    relative = images.curves * images.curves.shape[1]
    return lambda rarity: (relative >= 1 / np.maximum(rarity, 1e-9) - 1).sum(1).astype(float)


def _scaled(need: np.ndarray) -> Sizes:
    """As many tokens as the need of an image, the same number of times for all."""
    return lambda share: need * share / (1 - share + 1e-12) / need.mean()


def entropy_of(images: Images) -> np.ndarray:
    """Tokens that would have the entropy of the attention if it were even among them, [N]."""
    shares = images.curves
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.exp(-(shares * logs).sum(1))


# By rule: what it does in words, with its parameter, and the sizes that a number in 0 ... 1 gives.
RULES: Mapping[str, tuple[str, Callable[[Images], Sizes]]] = {
    "mass": ("patches until they hold {:.0%} of the attention", _mass),
    "threshold": ("patches with at least {:.2f} times an even share", _threshold),
    "entropy": ("{:.2f} tokens for each of exp(entropy)", lambda one: _scaled(entropy_of(one))),
    "concentration": (
        "{:.3g} tokens over exp(entropy): more where attention is gathered",
        lambda one: _scaled(1 / entropy_of(one)),
    ),
    "rank": ("{:.2f} tokens for each of the effective rank", lambda one: _scaled(one.rank)),
    "things": ("{:.1f} tokens for each thing of the scene", lambda one: _scaled(one.things)),
}
OF_ATTENTION = ("mass", "threshold", "entropy", "concentration", "rank")
KNOWING = ("things",)  # more than can be known of an image


def share(rule: str, images: Images, asked: Asked, budget: float) -> Shared:
    """What a rule gives each question's image, `budget` tokens on average.

    Nothing below or above the ends of the ladder is given.
    """
    sizes = RULES[rule][1](images)
    tokens, at = _at_mean(lambda number: sizes(number)[asked.image], asked, budget)
    return Shared(tokens, _parameter(rule, images, at))


def _parameter(rule: str, images: Images, at: float) -> float:
    """What stands in the rule's words."""
    if rule == "mass":
        return at
    if rule == "threshold":
        return 1 / max(at, 1e-9) - 1
    need = {"entropy": entropy_of(images), "concentration": 1 / entropy_of(images),
            "rank": images.rank, "things": images.things}[rule]  # fmt: skip
    return float(at / (1 - at + 1e-12) / need.mean())


def in_hindsight(asked: Asked, budget: float) -> np.ndarray:
    """Tokens [Q] that would have given most right answers, an image at a time: a ceiling.

    Chance feeds it too: of several steps it takes one at which a guess was lucky.
    """
    gain = np.zeros((asked.image.max() + 1, len(asked.ladder)))
    np.add.at(gain, asked.image, asked.weight[:, None] * asked.scores)
    return _bought(gain[asked.image], asked, budget)


def by_other_questions(asked: Asked, budget: float) -> np.ndarray:
    """The same, for every question by the answers to the other questions about its image.

    What is gained so is what belongs to an image and not to a question: no rule that looks at
    images alone can be expected to find more. An image with one question gets the mean.
    """
    own = asked.weight[:, None] * asked.scores
    gain = np.zeros((asked.image.max() + 1, len(asked.ladder)))
    np.add.at(gain, asked.image, own)
    alone = (np.bincount(asked.image) == 1)[asked.image]
    return _bought(gain[asked.image] - own, asked, budget, still=alone)


def _bought(
    gain: np.ndarray, asked: Asked, budget: float, still: np.ndarray | None = None
) -> np.ndarray:
    """The step [Q] at which `gain` [Q, L] less a price for each token is largest."""
    weight = np.bincount(asked.image, asked.weight)[asked.image]
    most = gain.max() / weight.min()  # at such a price nobody buys

    def steps(number: float) -> np.ndarray:
        price = most * (1 - number) ** 8  # fine where prices are low
        net = gain - price * weight[:, None] * asked.ladder
        tokens: np.ndarray = asked.ladder[net.argmax(1)]
        return tokens if still is None else np.where(still, budget, tokens)

    return _at_mean(steps, asked, budget)[0]


def _at_mean(sizes: Sizes, asked: Asked, budget: float) -> tuple[np.ndarray, float]:
    """Tokens [Q] of growing `sizes`, `budget` on average, and the number in 0 ... 1 behind them.

    Where sizes jump past the mean it is a draw between both sides.
    """

    def given(number: float) -> np.ndarray:
        return sizes(number).clip(asked.ladder[0], asked.ladder[-1])

    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if asked.spent(given(middle)) < budget:
            low = middle
        else:
            high = middle
    few, many = given(low), given(high)
    least, most = asked.spent(few), asked.spent(many)
    part = 0.0 if most - least < 1e-9 else float(np.clip((budget - least) / (most - least), 0, 1))
    return (1 - part) * few + part * many, high
