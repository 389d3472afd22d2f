"""What holds for every reduction before the language model."""

import pytest
import torch

from tests.methods.encodings import encoding, rows_of
from vzlib.methods.registry import method, names
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Encoded

BEFORE = names("before")
REDUCTIONS = [name for name in BEFORE if name != "vanilla"]
PRUNING = ["random", "uniform", "fastervlm", "vispruner", "divprune"]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("retain", [1, 7, 64, 128, 192, 575])
def test_every_method_spends_exactly_its_budget(name, has_cls, retain):
    given = encoding(24, has_cls, batch=2, width=4)
    tokens = method(name).reduce(given, retain, has_cls=has_cls, seed=3).tokens
    assert tokens.shape == (2, retain, 4) and tokens.isfinite().all()
    assert torch.equal(tokens, method(name).reduce(given, retain, has_cls=has_cls, seed=3).tokens)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("side", [1, 2, 3])
def test_every_budget_of_a_small_image_can_be_spent(name, side):
    for has_cls in (True, False):
        given = encoding(side, has_cls)
        for retain in range(1, side * side + 1):
            tokens = method(name).reduce(given, retain, has_cls=has_cls, seed=0).tokens
            assert tokens.shape == (3, retain, 12) and tokens.isfinite().all()


@pytest.mark.parametrize("name", [*PRUNING, "pooling", "tome", "vanilla"])
def test_all_patches_within_the_budget_are_all_patches(name):
    given = encoding()
    tokens = method(name).reduce(given, 36, has_cls=True, seed=0).tokens
    assert torch.equal(tokens, given.hidden[:, 1:])


@pytest.mark.parametrize("name", PRUNING)
@pytest.mark.parametrize("has_cls", [True, False])
def test_pruning_gives_distinct_patches_in_raster_order_and_never_cls(name, has_cls):
    given = encoding(24, has_cls)
    tokens = method(name).reduce(given, 64, has_cls=has_cls, seed=1).tokens
    for own, hidden in zip(tokens, given.hidden, strict=True):
        index = rows_of(own, hidden)
        assert index == sorted(set(index)) and min(index) >= has_cls


@pytest.mark.parametrize("name", [n for n in BEFORE if not n.startswith("visionzip")])
def test_what_cls_itself_holds_changes_nothing(name):
    given = encoding()
    other = Encoded(*(part.clone() for part in given))
    for part in other:
        part[:, 0] = 7
    retain = 36 if name == "vanilla" else 10
    one, two = (method(name).reduce(e, retain, has_cls=True, seed=0).tokens for e in (given, other))
    assert torch.equal(one, two)


@pytest.mark.parametrize("name", [n for n in REDUCTIONS if n != "random"])
def test_an_image_is_reduced_alike_alone_and_in_a_batch(name):
    given = encoding()
    together = method(name).reduce(given, 10, has_cls=True, seed=0).tokens
    for image in range(3):
        alone = Encoded(*(part[image : image + 1] for part in given))
        tokens = method(name).reduce(alone, 10, has_cls=True, seed=0).tokens
        torch.testing.assert_close(tokens[0], together[image], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", BEFORE)
def test_no_method_looks_at_a_value_on_the_host(name):
    """Tensors of the meta device have none: shapes do not depend on what is in the image."""
    given = Encoded(*(part.to("meta") for part in encoding()))
    retain = 36 if name == "vanilla" else 10
    assert method(name).reduce(given, retain, has_cls=True, seed=0).tokens.shape == (3, retain, 12)


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_tokens_keep_the_dtype_and_the_choice_is_made_in_fp32(name, dtype):
    full = encoding()
    given = Encoded(full.hidden.to(dtype), full.scores, full.keys.to(dtype))
    wide = Encoded(given.hidden.float(), given.scores, given.keys.float())
    retain = 36 if name == "vanilla" else 10
    tokens = method(name).reduce(given, retain, has_cls=True, seed=0).tokens
    assert tokens.dtype == dtype
    expected = method(name).reduce(wide, retain, has_cls=True, seed=0).tokens
    torch.testing.assert_close(tokens.float(), expected, rtol=0.01, atol=0.02)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_impossible_budgets_are_refused_with_the_value(name):
    for retain in (0, 38):
        with pytest.raises(BudgetError, match=str(retain)):
            method(name).reduce(encoding(), retain, has_cls=True, seed=0)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"visonzip: unknown; did you mean visionzip"):
        method("visonzip")
