"""Average pooling over an even grid of cells."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from tests.methods.encodings import encoding
from vzlib.methods.pooling import Pooling, cells


@pytest.mark.parametrize("side", [6, 24])
@pytest.mark.parametrize("across", [1, 2, 4, 5])
def test_square_numbers_are_adaptive_average_pooling(side, across):
    given = encoding(side)
    image = given.hidden[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    expected = adaptive_avg_pool2d(image, across).flatten(2).transpose(1, 2)
    torch.testing.assert_close(Pooling().reduce(given, across**2, has_cls=True).tokens, expected)


@pytest.mark.parametrize("retain", [1, 7, 24, 64, 128, 191, 192, 552, 553, 575, 576])
def test_every_cell_is_a_mean_of_neighbours_and_every_patch_is_in_one(retain):
    weights, middles = cells(576, retain)
    assert len(middles.unique()) == retain and (weights[range(retain), middles] > 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(retain))
    assert (weights.sum(0) > 0).all()
    sizes = (weights > 0).sum(1)
    assert sizes.max() <= 3 * max(sizes.min(), 576 // retain)
    for cell in weights.unflatten(1, (24, 24)):
        rows, columns = (cell > 0).any(1).sum(), (cell > 0).any(0).sum()
        assert (cell > 0).sum() == rows * columns  # a rectangle


def test_a_constant_image_stays_constant():
    given = encoding(24)
    hidden = given.hidden[:, :1].expand_as(given.hidden)
    tokens = Pooling().reduce(given._replace(hidden=hidden), 100, has_cls=True).tokens
    torch.testing.assert_close(tokens, hidden[:, :100])


def test_an_image_that_is_no_square_is_refused():
    oblong = type(encoding())(*(part[:, :31] for part in encoding()))
    with pytest.raises(ValueError, match="30 patches do not form a square"):
        Pooling().reduce(oblong, 10, has_cls=True)
