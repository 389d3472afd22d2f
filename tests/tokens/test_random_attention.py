"""The path that is chosen here against float64, over more than a thousand random shapes."""

import random

import pytest
import torch

from tests.tokens import float64, random_attention
from vzlib.tokens import received_attention, received_attention_packed

CASES, PACKED, PARTS = 1200, 300, 4
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("part", range(PARTS))
def test_equals_float64(part):
    wrong = []
    for seed in range(part, CASES, PARTS):
        queries, keys, scale, valid, kind = random_attention.case(seed, DTYPES)
        here = (None if x is None else x.to(DEVICE) for x in (queries, keys, valid))
        dice = random.Random(seed)
        block = dice.choice([None, 1, dice.randint(1, queries[..., 0].numel() * keys.shape[2])])
        q, k, v = here
        found = received_attention(q, k, scale, v, block=block).cpu()
        allowed = float64.tolerance(queries, keys, scale)
        worst = float64.error(found, float64.received(queries, keys, scale, valid), allowed)
        if found.dtype != torch.float32 or not worst <= 1:
            wrong.append((seed, kind, tuple(queries.shape), tuple(keys.shape), worst))
    assert not wrong, f"{len(wrong)} of {CASES // PARTS} are wrong, such as {wrong[:3]}"


def test_packed_images_equal_float64():
    wrong = []
    for seed in range(PACKED):
        queries, keys, scale, ends, kind = random_attention.packed_case(seed, DTYPES)
        here = (x.to(DEVICE) for x in (queries, keys))
        found = received_attention_packed(*here, scale, ends.to(DEVICE)).cpu()
        allowed = float64.tolerance(queries, keys, scale)
        worst = float64.error(found, float64.packed(queries, keys, scale, ends), allowed)
        if found.dtype != torch.float32 or not worst <= 1:
            wrong.append((seed, kind, tuple(queries.shape), ends.tolist(), worst))
    assert not wrong, f"{len(wrong)} of {PACKED} are wrong, such as {wrong[:3]}"


def test_cases_reach_the_extremes():
    seen, shapes, highest = set(), set(), 0.0
    for seed in range(CASES):
        queries, keys, scale, valid, kind = random_attention.case(seed, DTYPES)
        shapes.add((queries.shape, keys.shape))
        seen |= {kind, str(keys.dtype), keys.is_contiguous(), f"{keys.shape[3]} wide"}
        seen |= {"one token"} if keys.shape[2] == 1 else set()
        seen |= {"other queries"} if queries.shape[2] != keys.shape[2] else set()
        seen |= {"all padding"} if valid is not None and not valid.any(dim=1).all() else set()
        seen |= {"beside a block"} if keys.shape[2] in (63, 65, 127, 129) else set()
        if kind == "large" and seed < 100:
            logits = queries.float() @ keys.float().transpose(2, 3) * scale
            highest = max(highest, float(logits.abs().max()))
    assert len(shapes) >= 1000 and highest >= 1e4
    assert seen >= {*random_attention.KINDS, *map(str, DTYPES), True, False, "64 wide", "72 wide"}
    assert seen >= {"80 wide", "128 wide", "one token", "other queries", "all padding"}
    assert "beside a block" in seen


PACKED_ERRORS = [
    (lambda q, k, e: (q[None], k, 1.0, e), r"\[H, T, d\] of one shape"),
    (lambda q, k, e: (q, k[:, 1:], 1.0, e), r"\[H, T, d\] of one shape"),
    (lambda q, k, e: (q, k.half(), 1.0, e), "one dtype"),
    (lambda q, k, e: (q.long(), k.long(), 1.0, e), "one dtype"),
    (lambda q, k, e: (q[:, :0], k[:, :0], 1.0, e), "at least one"),
    (lambda q, k, e: (q, k, 1.0, e.float()), "int32 or int64"),
    (lambda q, k, e: (q, k, 1.0, e[:1]), r"shape \[N \+ 1\]"),
    (lambda q, k, e: (q, k, 1.0, e.to("meta")), "on meta, but keys on cpu"),
    (lambda q, k, e: (q, k, 1.0, torch.tensor([0, 4, 4, 9])), r"at least one token.*\[0, 4, 4, 9"),
    (lambda q, k, e: (q, k, 1.0, torch.tensor([0, 5, 4, 9])), "must rise from 0 to 9"),
    (lambda q, k, e: (q, k, 1.0, torch.tensor([1, 4, 9])), "must rise from 0 to 9"),
    (lambda q, k, e: (q, k, 1.0, torch.tensor([0, 4, 8])), "must rise from 0 to 9"),
]


@pytest.mark.parametrize(("change", "message"), PACKED_ERRORS)
def test_packed_arguments_that_do_not_fit(change, message):
    queries, keys, ends = torch.ones(2, 9, 4), torch.ones(2, 9, 4), torch.tensor([0, 4, 9])
    with pytest.raises(ValueError, match=message):
        received_attention_packed(*change(queries, keys, ends))


def test_packed_images_each_sum_to_one():
    queries, keys, scale, ends, _ = random_attention.packed_case(3, DTYPES)
    received = received_attention_packed(
        queries.to(DEVICE), keys.to(DEVICE), scale, ends.to(DEVICE)
    )
    sums = [float(image.sum()) for image in received.split(ends.diff().tolist())]
    assert sums == pytest.approx([1.0] * len(sums), abs=1e-5)


def test_packed_images_compile_as_one_graph():
    queries, keys, scale, ends, _ = random_attention.packed_case(3, DTYPES)
    here = (queries.to(DEVICE), keys.to(DEVICE), scale, ends.to(DEVICE))
    compiled = torch.compile(received_attention_packed, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*here), received_attention_packed(*here))
