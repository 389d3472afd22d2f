import pytest
import torch

from vzlib.tokens import BudgetError, merge_contextual

# Tokens 0 and 3 are kept. Of the leftovers 1, 2, 4, 5, 6 every second is a target: 1 and 4.
KEPT = torch.tensor([[0, 3]])
HIDDEN = torch.tensor([[[100.0], [1.0], [2.0], [100.0], [10.0], [5.0], [6.0]]])
KEYS = torch.tensor([[[0.0, 0], [1, 0], [3, 1], [0, 0], [0, 2], [0, 9], [5, 1]]])


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        ("code", [[1 + (2 + 6) / 2], [10 + 5]]),
        ("paper", [[(1 + 2 + 6) / 3], [(10 + 5) / 2]]),
    ],
)
def test_both_rules_by_hand(merge, expected):
    tokens, targets, assignment = merge_contextual(HIDDEN, KEYS, KEPT, 2, merge)
    assert targets.tolist() == [[1, 4]]
    assert assignment.tolist() == [[-1, 0, 0, -1, 1, 1, 0]]
    torch.testing.assert_close(tokens, torch.tensor([expected]))


def test_similarity_is_cosine_and_not_dot_product():
    keys = KEYS.clone()
    keys[0, 4] *= 1000
    assert merge_contextual(HIDDEN, keys, KEPT, 2)[2].tolist() == [[-1, 0, 0, -1, 1, 1, 0]]


def test_dot_products_count_the_length_of_a_target_key():
    keys = KEYS.clone()
    keys[0, 4] *= 1000
    assignment = merge_contextual(HIDDEN, keys, KEPT, 2, similarity="dot")[2]
    assert assignment.tolist() == [[-1, 0, 1, -1, 1, 1, 1]]


@pytest.mark.parametrize(
    ("contextual", "targets"),
    [(1, [4]), (2, [2, 5]), (3, [1, 4, 6]), (4, [1, 2, 5, 6]), (5, [1, 2, 4, 5, 6])],
)
def test_even_targets_are_the_middles_of_equal_parts(contextual, targets):
    assert merge_contextual(HIDDEN, KEYS, KEPT, contextual, spacing="even")[1].tolist() == [targets]


@pytest.mark.parametrize(("dominant", "contextual"), [(54, 10), (162, 30), (129, 63), (1, 191)])
def test_even_targets_leave_no_end_bare(dominant, contextual):
    kept = torch.arange(dominant).unsqueeze(0)
    tokens = torch.zeros(1, 577, 1)
    ends = [-1, 577 - dominant]
    for spacing, even in (("stride", False), ("even", True)):
        targets = merge_contextual(tokens, tokens, kept, contextual, spacing=spacing)[1][0]
        places = torch.cat([torch.tensor(ends[:1]), targets - dominant, torch.tensor(ends[1:])])
        gaps = places.diff()
        widest = -(-(577 - dominant) // contextual)
        assert (gaps.max() <= widest) == even


@pytest.mark.parametrize(
    ("choice", "allowed"),
    [
        ({"merge": "sum"}, "'code', 'paper'"),
        ({"similarity": "l2"}, "'cosine', 'dot'"),
        ({"spacing": "random"}, "'stride', 'even'"),
    ],
)
def test_unknown_choices_are_named_with_what_is_allowed(choice, allowed):
    ((name, value),) = choice.items()
    with pytest.raises(ValueError, match=f"{name}='{value}' must be one of {allowed}"):
        merge_contextual(HIDDEN, KEYS, KEPT, 2, **choice)


@pytest.mark.parametrize(
    ("contextual", "targets"),
    [(1, [1]), (2, [1, 4]), (3, [1, 2, 4]), (4, [1, 2, 4, 5]), (5, [1, 2, 4, 5, 6])],
)
def test_targets_are_every_step_th_leftover(contextual, targets):
    assert merge_contextual(HIDDEN, KEYS, KEPT, contextual)[1].tolist() == [targets]


@pytest.mark.parametrize(
    ("dominant", "contextual", "step", "last"),
    [(54, 10, 52, 468), (108, 20, 23, 437), (162, 30, 13, 377), (27, 5, 110, 440)],
)
def test_targets_of_the_paper_budgets(dominant, contextual, step, last):
    kept = torch.arange(dominant).unsqueeze(0)
    targets = merge_contextual(torch.zeros(1, 577, 1), torch.zeros(1, 577, 2), kept, contextual)[1]
    assert (targets - dominant).tolist() == [list(range(0, last + 1, step))]


@pytest.mark.parametrize("merge", ["code", "paper"])
def test_targets_alone_stay_what_they_are(merge):
    tokens, _, assignment = merge_contextual(HIDDEN, KEYS, KEPT, 5, merge)
    assert torch.equal(tokens, HIDDEN[:, [1, 2, 4, 5, 6]])
    assert assignment.tolist() == [[-1, 0, 1, -1, 2, 3, 4]]


@pytest.mark.parametrize("merge", ["code", "paper"])
def test_zero_keys_go_to_the_first_target(merge):
    tokens, _, assignment = merge_contextual(HIDDEN, torch.zeros_like(KEYS), KEPT, 2, merge)
    assert tokens.isfinite().all()
    assert assignment.tolist() == [[-1, 0, 0, -1, 1, 0, 0]]


def test_no_contextual_tokens():
    tokens, targets, assignment = merge_contextual(HIDDEN, KEYS, KEPT, 0)
    assert tokens.shape == (1, 0, 1) and targets.shape == (1, 0)
    assert assignment.tolist() == [[-1] * 7]


@pytest.mark.parametrize("contextual", [-1, 6])
def test_more_targets_than_leftovers(contextual):
    message = f"contextual={contextual} must be between 0 and 5"
    with pytest.raises(BudgetError, match=message):
        merge_contextual(HIDDEN, KEYS, KEPT, contextual)


def test_half_precision_does_not_overflow():
    hidden = torch.full((1, 577, 4), 3e4, dtype=torch.float16)
    kept = torch.arange(54).unsqueeze(0)
    tokens, _, _ = merge_contextual(hidden, torch.ones(1, 577, 8).half(), kept, 10, "paper")
    torch.testing.assert_close(tokens, hidden[:, :10])


def test_low_precision_keys_are_compared_in_float32():
    # 512 / sqrt(2) and 513 / sqrt(2) are both 362 in bf16, and the first would win.
    keys = torch.tensor([[[1.0, 1, 0, 0], [0, 0, 1, 1], [512, 0, 512, 1]]]).bfloat16()
    hidden, nothing_kept = torch.zeros(1, 3, 1).bfloat16(), torch.empty(1, 0, dtype=torch.long)
    assert merge_contextual(hidden, keys, nothing_kept, 2)[2].tolist() == [[0, 1, 1]]


def test_other_choices_compile_as_one_graph_and_read_no_value():
    other = {"similarity": "dot", "spacing": "even"}
    compiled = torch.compile(merge_contextual, fullgraph=True, backend="aot_eager")
    for found, expected in zip(
        compiled(HIDDEN, KEYS, KEPT, 2, **other),
        merge_contextual(HIDDEN, KEYS, KEPT, 2, **other),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)
    nowhere = (tensor.to("meta") for tensor in (HIDDEN, KEYS, KEPT))
    assert all(part.is_meta for part in merge_contextual(*nowhere, 2, **other))
