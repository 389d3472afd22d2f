"""What became of every patch of an image: it stays, it merged into a token, or it left."""

from typing import NamedTuple

import numpy as np

from vzlib.models.inside import Entered
from vzlib.tokens.evidence import Reduced


class Fates(NamedTuple):
    """Of each of S patches, in raster order.

    token: [S] ints, the token that it went into, -1 for none. size: [S] ints, how many of the
    tower's tokens went into that one. place: [S] bool, where a token stands. layers: [S] ints, how
    many layers of the language model it enters. cls: whether the CLS token is handed on, too.
    of_all: tokens that come from no patch more than from others, such as the sum of an image.
    """

    token: np.ndarray
    size: np.ndarray
    place: np.ndarray
    layers: np.ndarray
    cls: bool = False
    of_all: int = 0

    @property
    def stays(self) -> np.ndarray:
        """[S] bool: it is a token of its own to the last layer."""
        return (self.size == 1) & (self.layers == self.layers.max())

    @property
    def group(self) -> np.ndarray:
        """[S] ints: the token of several that it merged into, -1 for none."""
        return np.where(self.size > 1, self.token, -1)

    @property
    def target(self) -> np.ndarray:
        """[S] bool: a merged token stands here."""
        return self.place & (self.size > 1)


def of_reduced(reduced: Reduced, has_cls: bool, layers: int) -> Fates:
    """Of what a method before the language model made of one image, of the first in a batch.

    layers: of the language model.
    """
    source = reduced.sources[0].cpu().numpy()
    kept = reduced.places.shape[1]
    sizes = np.bincount(source[source >= 0], minlength=kept)
    place = np.zeros(len(source), dtype=bool)
    stands = reduced.places[0].cpu().numpy()
    place[stands[stands >= 0]] = True
    token = source[has_cls:]
    size = np.where(token >= 0, sizes[token], 0)
    entered = np.where(token >= 0, layers, 0)
    cls = bool(has_cls and source[0] >= 0)
    return Fates(token, size, place[has_cls:], entered, cls, int((sizes == 0).sum()))


def of_entered(entered: Entered, patches: int) -> Fates:
    """Of what a method inside the language model left in each layer, for the first prompt."""
    layers = np.zeros(patches, dtype=int)
    for places in entered.places:
        here = places[0].cpu().numpy()
        layers[here[here >= 0]] += 1
    return Fates(np.arange(patches), np.ones(patches, dtype=int), layers > 0, layers)
