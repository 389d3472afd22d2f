"""select_and_merge against plain float64 loops on thousands of random cases.

Kept indices, targets and dominant tokens must be equal exactly. A token may go to another target
than the reference's only if the two are equally similar within the rounding of an fp32 dot product;
where keys are one-hot or zero every product is exact, and so must be the choice of the first among
equals. Contextual tokens are computed by the reference from the choice made, and the difference
must lie within the bound of the rounding errors.
"""

import random

import pytest
import torch

from tests.tokens import reference
from vzlib.tokens import Budget, select_and_merge

CASES, PARTS = 4000, 8


def random_budget(dice, tokens):
    cls = dice.random() < 0.5
    dominant = dice.choice([1, 1, tokens, max(1, tokens - 1), dice.randint(1, tokens)])
    rest = tokens - dominant
    contextual = dice.choice([0, rest, min(1, rest), dice.randint(0, rest), dice.randint(0, rest)])
    return Budget(dominant, contextual, cls=cls)


def random_scores(dice, generator, shape):
    kind = dice.choice(["distinct", "ties", "equal", "softmax", "signed zeros"])
    noise = torch.randn(shape, generator=generator)
    return {
        "distinct": noise,
        "ties": (noise * 1.5).round() / 4,
        "equal": torch.full(shape, 0.25),
        "softmax": (4 * noise).softmax(dim=-1),
        "signed zeros": noise.round() * 0.0,
    }[kind]


def random_keys(dice, generator, shape):
    """Keys, and whether their dot products are free of rounding."""
    kind = dice.choice(["gaussian", "clustered", "integers", "one-hot", "some zero", "duplicates"])
    noise = torch.randn(shape, generator=generator)
    if kind == "one-hot":
        places = torch.randint(shape[-1], shape[:2], generator=generator)
        lengths = torch.randint(-2, 3, (*shape[:2], 1), generator=generator)
        return torch.nn.functional.one_hot(places, shape[-1]).float() * lengths, True
    if kind == "clustered":
        noise = noise[:, :1] + 1e-3 * noise
    if kind == "integers":
        noise = noise.round()
    if kind == "some zero":
        noise = noise * (torch.rand(*shape[:2], 1, generator=generator) < 0.6)
    if kind == "duplicates":
        noise = noise[:, torch.randint(shape[1], (shape[1],), generator=generator) // 3]
    return noise, False


def random_case(seed):
    dice, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    large = seed % 200 == 0
    batch = 1 if large else dice.randint(1, 3)
    tokens = dice.randint(300, 577) if large else dice.randint(1, 40)
    width, depth = dice.randint(1, 9), dice.randint(1, 12)
    dtype = dice.choice([torch.float32, torch.bfloat16, torch.float16, torch.float64])
    hidden = torch.randn(batch, tokens, width, generator=generator) * dice.choice([1e-3, 1, 100])
    scores = random_scores(dice, generator, (batch, tokens))
    keys, exact = random_keys(dice, generator, (batch, tokens, depth))
    budget = Budget.retain(64) if large else random_budget(dice, tokens)
    merge = dice.choice(["code", "paper"])
    # Towers hand over fp32 scores beside bf16 features; both may also come in one dtype.
    scores = scores.to(dice.choice([torch.float32, dtype]))
    return hidden.to(dtype), scores, keys.to(dtype), budget, merge, exact


def faults(zipped, hidden, scores, keys, budget, merge, exact):
    """What differs from the reference, image by image."""
    unit = torch.finfo(hidden.dtype).eps / 2
    # The reference rounds as well, so float64 sums are allowed twice their own errors.
    sum_unit = 2.0**-52 if hidden.dtype == torch.float64 else 2.0**-24
    for image in range(hidden.shape[0]):
        rows, key_rows = hidden[image].tolist(), keys[image].tolist()
        kept = reference.kept_indices(scores[image].tolist(), budget.dominant, budget.cls)
        targets = reference.target_indices(kept, len(rows), budget.contextual)
        assignment = zipped.assignment[image].tolist()
        tokens = zipped.tokens[image].tolist()
        if zipped.kept[image].tolist() != kept:
            yield f"kept {zipped.kept[image].tolist()}, not {kept}"
            continue
        if zipped.targets[image].tolist() != targets:
            yield f"targets {zipped.targets[image].tolist()}, not {targets}"
            continue
        if tokens[: budget.dominant] != [rows[index] for index in kept]:
            yield "dominant tokens are not the features themselves"
        if len(tokens) != budget.total:
            yield f"{len(tokens)} tokens, not {budget.total}"

        target_keys = [key_rows[index] for index in targets]
        tolerance = 0.0 if exact else (len(key_rows[0]) + 4) * 2.0**-23
        for index, number in enumerate(assignment):
            if index in kept or not targets:
                if number != -1:
                    yield f"token {index} went to {number}, not -1"
            elif index in targets:
                if number != targets.index(index):
                    yield f"target {index} went to {number}"
            else:
                best, similarities = reference.best_target(key_rows[index], target_keys)
                equal = not exact and similarities[best] - similarities[number] <= tolerance
                if number != best and not equal:
                    yield f"token {index} went to {number}, not {best}: {similarities}"

        for number, target in enumerate(targets):
            merged = [i for i, to in enumerate(assignment) if to == number and i != target]
            expected, magnitude = reference.group(rows, target, merged, merge)
            # One rounding each of weight and result; sums, in fp32 at least, add one per term.
            bound = 2.1 * unit + (len(merged) + 3) * sum_unit
            for got, want, scale in zip(
                tokens[budget.dominant + number], expected, magnitude, strict=True
            ):
                if not abs(got - want) <= bound * scale:
                    yield f"contextual token {number}: {got}, not {want}"


@pytest.mark.parametrize("part", range(PARTS))
def test_equals_plain_loops(part):
    wrong = []
    for seed in range(part, CASES, PARTS):
        *inputs, exact = random_case(seed)
        zipped = select_and_merge(*inputs)
        assert zipped.tokens.dtype == inputs[0].dtype
        wrong += [(seed, fault) for fault in faults(zipped, *inputs, exact)]
    assert not wrong, f"{len(wrong)} faults, the first in case {wrong[0]}"


def test_cases_reach_the_extremes():
    seen = set()
    for seed in range(CASES):
        hidden, _, keys, budget, merge, exact = random_case(seed)
        tokens = hidden.shape[1]
        seen |= {merge, str(hidden.dtype), f"cls {budget.cls}", f"exact {exact}"}
        seen |= {"one dominant"} if budget.dominant == 1 else set()
        seen |= {"no contextual"} if budget.contextual == 0 else set()
        seen |= {"all kept"} if budget.dominant == tokens else set()
        seen |= {"nothing dropped"} if budget.total == tokens and budget.contextual > 1 else set()
        seen |= {"zero key"} if (keys == 0).all(dim=-1).any() else set()
        seen |= {"one token"} if tokens == 1 else set()
    assert seen == {
        "code", "paper", "torch.float64", "torch.float32", "torch.bfloat16", "torch.float16",
        "cls True", "cls False", "exact True", "exact False", "one dominant", "no contextual",
        "all kept", "nothing dropped", "zero key", "one token",
    }  # fmt: skip
