"""PruMerge+ within a budget."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.methods.encodings import encoding
from vzlib.methods.prumerge_plus import PruMergePlus, outliers_and_spaced
from vzlib.tokens.evidence import Encoded


def plain(hidden, scores, keys, retain):
    """One image of patches, token by token."""
    values = scores.tolist()
    lower, upper = np.percentile(values, [25, 75])
    outliers = [i for i, score in enumerate(values) if score > upper + 1.5 * (upper - lower)]
    outliers = sorted(outliers, key=lambda i: -values[i])[: (retain - 1) // 2]
    others = [i for i in range(len(values)) if i not in outliers]
    missing = retain - 1 - len(outliers)
    kept, level = set(outliers), len(others) // 2
    for i in others:
        level += missing
        if level >= len(others):
            level -= len(others)
            kept.add(i)
    tokens = []
    for i in sorted(kept):
        rest = [j for j in range(len(values)) if j != i]
        rest.sort(key=lambda j: -cosine_similarity(keys[i], keys[j], dim=0).item())
        tokens.append(hidden[i] + sum(scores[j] * hidden[j] for j in rest[:32]))
    dropped = [j for j in range(len(values)) if j not in kept]
    tokens.append(sum((scores[j] * hidden[j] for j in dropped), torch.zeros_like(hidden[0])))
    return torch.stack(tokens)


@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("retain", [1, 2, 9, 20, 36])
def test_equals_the_plain_loop(has_cls, retain):
    given = encoding(has_cls=has_cls, seed=retain)
    tokens = PruMergePlus().reduce(given, retain, has_cls=has_cls).tokens
    for own, *image in zip(tokens, *given, strict=True):
        expected = plain(*(part[has_cls:] for part in image), retain)
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)


def outlying(outliers):
    """Scores [1, 576] of which the given ones are far above the others."""
    scores = torch.rand(1, 576, generator=torch.Generator().manual_seed(0)) + 1
    scores[0, outliers] += 10
    return scores


def test_outliers_are_kept_and_the_spatial_supplement_is_even():
    outliers = list(range(100, 130))
    kept = outliers_and_spaced(outlying(outliers), 143, 71)[0]
    assert kept[outliers].all() and kept.sum() == 143
    others = torch.tensor([i for i in range(576) if i not in outliers])
    gaps = kept[others].nonzero().flatten().diff()
    assert gaps.min() >= gaps.max() - 1  # 113 of 546: every fourth or fifth


def test_outliers_take_no_more_than_half_and_the_most_attended_come_first():
    scores = outlying(range(0, 576, 6))
    kept = outliers_and_spaced(scores, 63, 31)[0]
    assert kept.sum() == 63
    assert kept[scores[0].topk(31).indices].all()
    assert not kept[scores[0].topk(96).indices].all()


def test_without_outliers_the_places_are_even():
    kept = outliers_and_spaced(torch.ones(2, 576), 144, 72)
    assert kept.nonzero()[:, 1].view(2, 144).diff(dim=1).unique().tolist() == [4]


def test_the_released_sums_worked_out_by_hand():
    """Eight patches, three kept: 6 stands out, and of the seven others the second and the sixth."""
    scores = torch.tensor([[0.25, 0.5, 0.25, 0.5, 0.25, 0.5, 4.0, 0.25]])
    hidden = torch.tensor([[[1.0], [2], [4], [8], [16], [32], [64], [128]]])
    # Nearest keys: of 1 those of 0 and 2, of 5 those of 4 and 6 (itself kept), of 6 of 5 and 7.
    angles = torch.tensor([[0.0, 10, 21, 60, 100, 110, 121, 135]]).deg2rad()
    given = Encoded(hidden, scores, torch.stack([angles.cos(), angles.sin()], dim=2))
    reduced = PruMergePlus(neighbours=2).reduce(given, 4, has_cls=False)
    expected = [
        2 + 0.25 * 1 + 0.25 * 4,
        32 + 0.25 * 16 + 4 * 64,
        64 + 0.5 * 32 + 0.25 * 128,
        0.25 * 1 + 0.25 * 4 + 0.5 * 8 + 0.25 * 16 + 0.25 * 128,  # all that are not kept
    ]
    assert reduced.tokens.flatten().tolist() == expected
    assert reduced.places.tolist() == [[1, 5, 6, -1]]
    assert reduced.sources.tolist() == [[0, 0, 0, 3, 1, 1, 2, 2]]  # nobody is nearest to 3


def test_an_outlier_lies_above_the_third_quartile_by_one_and_a_half_ranges():
    """Of 1, 2, 3, 4 and x the quartiles are 2 and 4 (x > 4): the bound is 4 + 1.5 * 2 = 7."""
    for last, stands_out in ((7.0, False), (7.1, True)):
        kept = outliers_and_spaced(torch.tensor([[1.0, 2, 3, 4, last]]), 2, 1)
        others = 4 if stands_out else 5
        assert kept[0, 4].item() is stands_out and kept.sum() == 2, others
