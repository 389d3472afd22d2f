"""How a family cuts an image up, in numbers; apart, as who loads a model need not zip it."""

from typing import NamedTuple


class Shape(NamedTuple):
    """An image, or a clip, as its family cuts it up.

    views: of which the tower sees one by one. tokens: in each that may stay, CLS aside. stock:
    placeholders that the stock processor puts for the whole. grid: rows and columns of tokens in a
    view; None for a square. apart: whether each view has a row of placeholders of its own.
    """

    views: int
    tokens: int
    stock: int
    grid: tuple[int, int] | None = None
    apart: bool = False

    @property
    def rows(self) -> tuple[int, ...]:
        """Placeholders of the stock processor in each row of them."""
        return (self.tokens,) * self.views if self.apart else (self.stock,)
