"""How methods are written, and what holds for every reduction before the language model."""

import dataclasses
import os
import subprocess
import sys

import pytest
import torch

import vzlib
from tests.methods.encodings import encoding, further, reduced, rows_of
from vzlib.methods.before import Pruning
from vzlib.methods.registry import METHODS, compared, method, names
from vzlib.methods.vispruner import VisPruner
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Encoded

BEFORE = names("before")
REDUCTIONS = [name for name in BEFORE if name not in ("vanilla", "downsampling")]  # of any budget
PRUNING = [name for name in REDUCTIONS if isinstance(method(name), Pruning)]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("retain", [1, 7, 64, 128, 192, 575])
def test_every_method_spends_exactly_its_budget(name, has_cls, retain):
    given = encoding(24, has_cls, batch=2, width=4)
    tokens = reduced(name, given, retain, has_cls, 3).tokens
    assert tokens.shape == (2, retain, 4) and tokens.isfinite().all()
    assert torch.equal(tokens, reduced(name, given, retain, has_cls, 3).tokens)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("side", [1, 2, 3])
def test_every_budget_of_a_small_image_can_be_spent(name, side):
    for has_cls in (True, False):
        given = encoding(side, has_cls)
        for retain in range(1, side * side + 1):
            tokens = reduced(name, given, retain, has_cls, 0).tokens
            assert tokens.shape == (3, retain, 12) and tokens.isfinite().all()


@pytest.mark.parametrize("name", [*PRUNING, "pooling", "tome", "vanilla"])
def test_all_patches_within_the_budget_are_all_patches(name):
    given = encoding()
    tokens = reduced(name, given, 36, True, 0).tokens
    assert torch.equal(tokens, given.hidden[:, 1:])


@pytest.mark.parametrize("name", PRUNING)
@pytest.mark.parametrize("has_cls", [True, False])
def test_pruning_gives_distinct_patches_in_raster_order_and_never_cls(name, has_cls):
    given = encoding(24, has_cls)
    tokens = reduced(name, given, 64, has_cls, 1).tokens
    for own, hidden in zip(tokens, given.hidden, strict=True):
        index = rows_of(own, hidden)
        assert index == sorted(set(index)) and min(index) >= has_cls


@pytest.mark.parametrize("name", [n for n in BEFORE if not n.startswith("visionzip")])
def test_what_cls_itself_holds_changes_nothing(name):
    given = encoding()
    other = Encoded(*(part.clone() for part in given))
    for part in other:
        part[:, 0] = 7
    retain = 36 if name == "vanilla" else 12
    one, two = (reduced(name, e, retain, True, 0).tokens for e in (given, other))
    assert torch.equal(one, two)


@pytest.mark.parametrize("name", [n for n in REDUCTIONS if n != "random"])
def test_an_image_is_reduced_alike_alone_and_in_a_batch(name):
    given = encoding()
    together = reduced(name, given, 10, True, 0).tokens
    for image in range(3):
        alone = Encoded(*(part[image : image + 1] for part in given))
        tokens = reduced(name, alone, 10, True, 0).tokens
        torch.testing.assert_close(tokens[0], together[image], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", BEFORE)
def test_no_method_looks_at_a_value_on_the_host(name):
    """Tensors of the meta device have none: shapes do not depend on what is in the image."""
    given = Encoded(*(part.to("meta") for part in encoding()))
    retain = 36 if name == "vanilla" else 12
    assert reduced(name, given, retain, True, 0).tokens.shape == (3, retain, 12)


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_tokens_keep_the_dtype_and_the_choice_is_made_in_fp32(name, dtype):
    full = encoding()
    given = Encoded(full.hidden.to(dtype), full.scores, full.keys.to(dtype))
    wide = Encoded(given.hidden.float(), given.scores, given.keys.float())
    retain = 36 if name == "vanilla" else 12
    tokens = reduced(name, given, retain, True, 0).tokens
    assert tokens.dtype == dtype
    given_to = further(given)._asdict().items()
    tensors = {k: v.float() for k, v in given_to if isinstance(v, torch.Tensor)}
    told = further(wide)._replace(**tensors)
    expected = method(name).reduce(wide, retain, has_cls=True, further=told).tokens
    torch.testing.assert_close(tokens.float(), expected, rtol=0.01, atol=0.02)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_impossible_budgets_are_refused_with_the_value(name):
    for retain in (0, 38):
        with pytest.raises(BudgetError, match=str(retain)):
            reduced(name, encoding(), retain, True, 0)


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("retain", [1, 2, 12, 30, 36])
def test_places_and_sources_tell_of_the_same_tokens(name, has_cls, retain):
    given = encoding(has_cls=has_cls)
    retain = 36 if name == "vanilla" else retain
    tokens, places, sources = reduced(name, given, retain, has_cls, 0)
    assert places.shape == (3, retain) and sources.shape == given.scores.shape
    assert places.min() >= -1 and places.max() < given.scores.shape[1]
    assert sources.min() >= -1 and sources.max() < retain
    for image in range(3):
        stands = places[image] >= 0
        assert len(places[image, stands].unique()) == stands.sum()
        numbers = torch.arange(retain)[stands]
        assert torch.equal(sources[image, places[image, stands]], numbers)
        if name in (*PRUNING, "vanilla"):
            assert stands.all() and (sources[image] >= 0).sum() == retain
            assert torch.equal(tokens[image], given.hidden[image, places[image]])
        elif retain > 2:  # what merges leaves out nothing but CLS; of two tokens none is merged
            assert (sources[image, int(has_cls) :] >= 0).all()
    if has_cls:
        assert (sources[:, 0] == (0 if name.startswith("visionzip") else -1)).all()


@pytest.mark.parametrize("name", PRUNING)
def test_gradients_flow_to_what_is_kept_alone(name):
    given = encoding()
    given.hidden.requires_grad_()
    tokens, places, _ = reduced(name, given, 10, True, 0)
    tokens.sum().backward()
    expected = torch.zeros(3, 37).scatter(1, places, 1).unsqueeze(2).expand(-1, -1, 12)
    assert torch.equal(given.hidden.grad, expected)


@pytest.mark.parametrize("name", BEFORE)
def test_what_a_method_needs_is_asked_for_by_name(name):
    retain = 36 if name == "vanilla" else 12
    if not method(name).needs:
        assert method(name).reduce(encoding(), retain, has_cls=True).tokens.shape[1] == retain
    for need in method(name).needs:
        told = further(encoding())._replace(**{need: None})
        with pytest.raises(ValueError, match=f"{name} must be given (the|what)"):
            method(name).reduce(encoding(), retain, has_cls=True, further=told)


def test_what_a_method_is_given_must_fit():
    told = further(encoding())
    for name, changes, message in (
        ("mmtok", {"text": told.text[:2]}, r"text must be \[3, T, 16\], not \[2, 5, 16\]"),
        ("mmtok", {"text": told.text[..., :8]}, r"text must be \[3, T, 16\], not \[3, 5, 8\]"),
        ("cdpruner", {"projected": told.projected[:, 1:]}, r"must be \[3, 37, E\], not \[3, 36"),
        ("dart", {"words": torch.ones(3, 4, dtype=torch.bool)}, r"words must be \[3, 5\], not"),
        ("hiprune", {"received_from_all": told.received[:, 0]}, r"must be \[3, L, 37\], not"),
        ("visionzip(layer=2)", {"received": told.received[:, :, 1:]}, r"\[3, L, 37\], not"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong = told._replace(**changes)
            method(name).reduce(encoding(), 9, has_cls=True, further=wrong)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"visonzip: unknown; did you mean visionzip"):
        method("visonzip")
    with pytest.raises(AttributeError, match=r"VisonZip: unknown; did you mean VisionZip"):
        vzlib.methods.VisonZip  # noqa: B018


@pytest.mark.parametrize("name", names())
def test_a_method_knows_its_name_and_is_public(name):
    found = method(name)
    assert found.name == name and found.label == METHODS[name].label
    assert type(found) is getattr(vzlib.methods, type(found).__name__)
    assert type(found).__name__ in dir(vzlib.methods)
    assert method(found.name) == found and hash(method(name)) == hash(found)
    assert dataclasses.is_dataclass(found) and found.__dataclass_params__.frozen


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("vispruner(important=0.3)", "vispruner(important=0.3)"),
        (" vispruner( important = .5 ) ", "vispruner"),
        ("vispruner()", "vispruner"),
        ("visionzip(merge=paper)", "visionzip-paper"),
        ("visionzip(merge='paper', cls=False)", "visionzip-paper(cls=False)"),
        ("visionzip-paper(merge=code)", "visionzip"),
        ("visionzip(layer=None)", "visionzip"),
        ("fastv(full_layers=3)", "fastv(full_layers=3)"),
        ("sparsevlm(voting=[1, 2, 5])", "sparsevlm(voting=(1, 2, 5))"),
        ("prumerge-plus(spread=2)", "prumerge-plus(spread=2.0)"),
    ],
)
def test_there_is_one_way_to_write_a_method(text, written):
    found = method(text)
    assert found.name == written
    assert method(written) == found


def test_hyper_parameters_may_be_given_apart():
    assert method("vispruner", important=0.3) == VisPruner(important=0.3)
    assert method("vispruner(dropped=4)", important=0.3) == VisPruner(0.3, 4)
    assert vzlib.methods.VisionZip(merge="paper") == method("visionzip-paper")
    assert VisPruner(0.3, 4).label == "VisPruner, important=0.3, dropped=4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vispruner(importnt=0.3)", r"importnt: unknown; did you mean important\? Allowed: import"),
        ("divprune(alpha=0.3)", "hyper-parameter of divprune alpha: unknown; Allowed: compared"),
        ("vispruner(important=2, dropped=0)", "important=2 should be .* to 1; dropped=0 should"),
        ("vispruner(important=half)", "important='half' should be a valid number"),
        ("vispruner(dropped=8.0)", "dropped=8.0 should be a valid integer"),
        ("vispruner(dropped=True)", "dropped=True should be a valid integer"),
        ("visionzip(cls=1)", "cls=1 should be a valid boolean"),
        ("visionzip(merge=papr)", "merge='papr' should be 'code' or 'paper'"),
        ("vispruner(important=1e999)", "important=inf should be"),
        ("tome(rounds=0)", "rounds=0 should be greater"),
        ("vispruner(0.3)", "must be written as name or name"),
        ("vispruner(important=", "must be written as name or name"),
        ("vispruner(important=0.3) and more", "must be written as name or name"),
        ("vispruner(important=0.3, important=0.4)", "must be written as name or name"),
        ("vispruner(important=open(1))", "must be written as name or name"),
        ("vispruner(**{})", "must be written as name or name"),
        ("(important=0.3)", "unknown"),
        ("", "unknown"),
    ],
)
def test_what_is_not_a_method_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        method(text)


def test_what_cannot_be_compared_is_refused():
    assert compared("vispruner( important=.3)") == "vispruner(important=0.3)"
    assert compared("fastv(full_layers=3)") == "fastv(full_layers=3)"
    for text, message in (
        ("vanilla", "vanilla cannot be compared"),
        ("sparsevlm-v1(scale=3)", "sparsevlm-v1 cannot be compared"),
        ("fastv(removed=0.3)", "removed cannot be set, as the budget decides it"),
        ("sparsevlm(keep=(3, 2, 1), written_for=(32, 9))", "keep and written_for cannot be set"),
    ):
        with pytest.raises(ValueError, match=message):
            compared(text)


def test_names_alone_need_no_torch():
    code = (
        "import sys; from vzlib.methods.registry import compared, row, label_of; import vzlib\n"
        "assert compared('fastv') == 'fastv' and row('random').draws and vzlib.methods\n"
        "assert label_of('vispruner(important=0.3)') == 'VisPruner, important=0.3'\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_hyper_parameters_change_what_is_done():
    given = encoding(24)
    for one, other in (
        ("vispruner(important=1.0)", "vispruner(important=0.0)"),
        ("vispruner(dropped=1)", "vispruner(dropped=500)"),
        ("prumerge-plus(neighbours=1)", "prumerge-plus(neighbours=600)"),
        ("prumerge-plus(outlying=0.0)", "prumerge-plus(outlying=1.0)"),
        ("prumerge-plus(spread=0.0)", "prumerge-plus(spread=50.0)"),
        ("tome(rounds=1)", "tome(rounds=500)"),
        ("visionzip(contextual=0.0)", "visionzip(contextual=1.0)"),
    ):
        tokens = [method(text).reduce(given, 64, has_cls=True).tokens for text in (one, other)]
        assert not torch.equal(*tokens), one
    attended = method("fastervlm").reduce(given, 64, has_cls=True)
    important = method("vispruner(important=1)").reduce(given, 64, has_cls=True)
    assert torch.equal(attended.places, important.places)
