"""The Triton kernels against float64: compiled where there is a GPU, interpreted elsewhere."""

import json
import os
import subprocess
import sys

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.tokens import random_attention
from vzlib.paths import REPOSITORY
from vzlib.tokens import attention

CASES = 9
interpreted = pytest.mark.slow  # a quarter of a minute where there is no GPU


@pytest.fixture(scope="module")
def found():
    interpret = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "tests.tokens.kernel_cases", str(CASES)],
        cwd=REPOSITORY,
        env=os.environ | interpret,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@interpreted
@pytest.mark.parametrize("name", ["both passes", "log-sum-exp given", "packed"])
def test_kernels_equal_float64(found, name):
    error, seed = found["worst"][name]
    assert 0 < error <= 1, f"worst in case {seed}"


@interpreted
@pytest.mark.parametrize("name", ["not repeated", "attention to padding"])
def test_same_sums_every_time_and_nothing_for_padding(found, name):
    error, seed = found["worst"][name]
    assert error == 0, f"case {seed}"


@interpreted
def test_wrong_lengths_that_nobody_looked_at_give_nan_and_no_attention(found):
    assert found["malformed"] == 0


@interpreted
def test_cases_reach_every_kind_of_logits(found):
    assert set(found["kinds"]) == set(random_attention.KINDS)


def placed(device, dtype=torch.bfloat16, tokens=729, width=72, heads=(1, 16)):
    """Queries without memory on any device, there or not."""
    with FakeTensorMode():
        return torch.empty(*heads, tokens, width, dtype=dtype, device=device)


@pytest.mark.parametrize(
    ("tensor", "taken"),
    [
        ({"device": "cuda"}, True),
        ({"device": "cuda", "dtype": torch.float16, "width": 64}, True),
        ({"device": "cuda", "dtype": torch.float32, "width": 128}, True),
        ({"device": "cuda", "dtype": torch.float64}, False),
        ({"device": "cuda", "width": 256}, False),
        ({"device": "cuda", "tokens": 1}, False),
        ({"device": "cpu"}, False),
        ({"device": "meta"}, False),
    ],
    ids=str,
)
def test_the_kernel_is_chosen_where_it_can_run(tensor, taken, monkeypatch):
    queries = placed(**tensor)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert attention.has_kernel(queries, queries) == taken
    packed = placed(**tensor, heads=(16,))
    assert attention.has_kernel(packed, packed) == taken
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert not attention.has_kernel(queries, queries)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(attention, "_triton_is_there", lambda: False)
    assert not attention.has_kernel(queries, queries)
