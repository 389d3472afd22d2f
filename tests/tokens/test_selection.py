from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import vzlib.tokens
from vzlib.tokens import Budget, BudgetError, check_finite, select_and_merge, select_dominant


def inputs(batch=2, tokens=60, width=16, depth=8, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(batch, tokens, width, generator=generator).to(dtype)
    scores = torch.rand(batch, tokens, generator=generator)
    return hidden, scores, torch.randn(batch, tokens, depth, generator=generator).to(dtype)


def test_every_public_name_loads():
    for name in vzlib.tokens.__all__:
        assert callable(getattr(vzlib.tokens, name))
    with pytest.raises(AttributeError, match="no_such_name"):
        vzlib.tokens.no_such_name  # noqa: B018


def test_highest_scores_in_spatial_order():
    scores = torch.tensor([[0.1, 0.5, 0.2, 0.9, 0.3]])
    assert select_dominant(scores, 3, cls=False).tolist() == [[1, 3, 4]]


def test_cls_stays_whatever_its_score():
    scores = torch.tensor([[0.0, 0.5, 0.2, 0.9, 0.3]])
    assert select_dominant(scores, 3).tolist() == [[0, 1, 3]]
    assert select_dominant(scores, 1).tolist() == [[0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_equal_scores_keep_the_lower_index(dtype):
    scores = torch.ones(1, 1000, dtype=dtype)
    scores[0, 700] = 2
    assert select_dominant(scores, 4, cls=False).tolist() == [[0, 1, 2, 700]]
    assert select_dominant(scores, 4).tolist() == [[0, 1, 2, 700]]


@pytest.mark.parametrize("dominant", [0, 6])
def test_dominant_out_of_range(dominant):
    with pytest.raises(BudgetError, match=f"dominant={dominant} must be between 1 and 5"):
        select_dominant(torch.rand(2, 5), dominant)


def test_all_tokens_kept_are_the_features_themselves():
    hidden, scores, keys = inputs()
    zipped = select_and_merge(hidden, scores, keys, Budget.all(60))
    assert torch.equal(zipped.tokens, hidden)
    assert zipped.targets.shape == (2, 0)
    assert (zipped.assignment == -1).all()


def test_same_answer_every_time_and_in_any_batch():
    hidden, scores, keys = inputs(batch=4)
    once, again = (select_and_merge(hidden, scores, keys, Budget(20, 5)) for _ in range(2))
    alone = select_and_merge(hidden[2:3], scores[2:3], keys[2:3], Budget(20, 5))
    for one, other, single in zip(once, again, alone, strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one[2:3], single)


@pytest.mark.parametrize("merge", ["code", "paper"])
def test_meta_device_so_no_synchronisation(merge):
    with torch.device("meta"):
        tensors = torch.empty(2, 577, 64), torch.empty(2, 577), torch.empty(2, 577, 16)
    zipped = select_and_merge(*tensors, Budget(54, 10), merge, validate=True)
    assert [tuple(tensor.shape) for tensor in zipped] == [(2, 64, 64), (2, 54), (2, 10), (2, 577)]
    assert all(tensor.is_meta for tensor in zipped)


@pytest.mark.parametrize("merge", ["code", "paper"])
def test_compiles_as_one_graph(merge):
    compiled = torch.compile(select_and_merge, fullgraph=True, backend="aot_eager")
    for expected, got in zip(
        select_and_merge(*inputs(), Budget(20, 5), merge),
        compiled(*inputs(), Budget(20, 5), merge, validate=True),
        strict=True,
    ):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("merge", ["code", "paper"])
def test_gradient_reaches_every_merged_token_by_its_weight(merge):
    hidden, scores, keys = inputs(batch=1)
    hidden.requires_grad_(), scores.requires_grad_(), keys.requires_grad_()
    zipped = select_and_merge(hidden, scores, keys, Budget(20, 5), merge)
    zipped.tokens.sum().backward()
    assert scores.grad is None and keys.grad is None
    assignment = zipped.assignment[0].tolist()
    for index, number in enumerate(assignment):
        size = assignment.count(number)
        alone = number == -1 or (merge == "code" and index in zipped.targets[0].tolist())
        weight = 1 if alone else 1 / (size if merge == "paper" else size - 1)
        torch.testing.assert_close(hidden.grad[0, index], torch.full((16,), float(weight)))


def test_gradient_is_right():
    hidden, scores, keys = inputs(batch=1, tokens=12, width=2, depth=3, dtype=torch.float64)

    def tokens(features, merge):
        return select_and_merge(features, scores, keys, Budget(4, 3), merge).tokens

    for merge in ("code", "paper"):
        assert torch.autograd.gradcheck(partial(tokens, merge=merge), hidden.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_changes_nothing(dtype):
    tensors = inputs(dtype=dtype)
    plain = select_and_merge(*tensors, Budget(20, 5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = select_and_merge(*tensors, Budget(20, 5))
    for one, other in zip(plain, cast, strict=True):
        assert torch.equal(one, other)
        assert one.dtype == other.dtype


class LargestCopy(TorchDispatchMode):
    """The most feature rows in any new tensor, views of the features themselves left out."""

    def __init__(self, hidden):
        super().__init__()
        self.width, self.features, self.rows = hidden.shape[-1], hidden.data_ptr(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if (
            isinstance(out, torch.Tensor)  # sort gives two
            and out.is_floating_point()
            and out.shape[-1:] == (self.width,)
            and out.data_ptr() != self.features
        ):
            self.rows = max(self.rows, out.numel() // self.width)
        return out


def test_leftovers_are_never_copied():
    hidden, scores, keys = inputs(batch=1, tokens=577, width=41)
    with LargestCopy(hidden) as largest:
        select_and_merge(hidden, scores, keys, Budget(54, 10))
    assert largest.rows == 64


def test_too_large_a_budget():
    with pytest.raises(BudgetError, match="between 1 and 60"):
        select_and_merge(*inputs(), Budget(54, 10))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hidden, scores, keys: (hidden[0], scores, keys), r"hidden must be \[B, S, D\]"),
        (lambda hidden, scores, keys: (hidden, scores[:, 1:], keys), r"scores .*not \(2, 59\)"),
        (lambda hidden, scores, keys: (hidden, scores[..., None], keys), "scores must be"),
        (lambda hidden, scores, keys: (hidden, scores, keys[:1]), r"keys .*not \(1, 60, 8\)"),
        (lambda hidden, scores, keys: (hidden, scores, keys[:, None]), "keys must be"),
        (lambda hidden, scores, keys: (hidden, scores.long(), keys), "scores .*torch.int64"),
        (lambda hidden, scores, keys: (hidden.long(), scores, keys), "hidden .*torch.int64"),
        (lambda hidden, scores, keys: (hidden, scores.to("meta"), keys), "scores is on meta"),
    ],
)
def test_tensors_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        select_and_merge(*change(*inputs()), Budget(20, 5))


def test_unknown_merge_rule():
    for budget in (Budget(20, 5), Budget(20, 0)):
        with pytest.raises(ValueError, match="merge='mean' must be one of 'code', 'paper'"):
            select_and_merge(*inputs(), budget, "mean")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_values_that_are_not_finite(value, position):
    tensors = inputs()
    tensors[position].view(-1)[7] = value
    name = ("hidden", "scores", "keys")[position]
    with pytest.raises(ValueError, match=f"{name} must be finite, but 1 of"):
        select_and_merge(*tensors, Budget(20, 5), validate=True)
    with pytest.raises(ValueError, match=name):
        check_finite(**{name: tensors[position]})


def test_finite_values_pass():
    check_finite(hidden=torch.zeros(3), scores=torch.full((2,), 1e38))
    check_finite(no_values=torch.empty(2, device="meta"))
