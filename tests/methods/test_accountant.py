"""Tokens and FLOPs of methods before and inside the language model."""

import pytest
from transformers import LlamaConfig

from vzlib.methods.accountant import account, account_of, prefill_flops
from vzlib.methods.fastv import FastV
from vzlib.methods.pyramid_drop import PyramidDrop
from vzlib.methods.sparsevlm import AdaptiveSparseVLM, SparseVLM

SEVEN = LlamaConfig()  # 32 layers, d = 4096, m = 11008: Vicuna-7B
THIRTEEN = LlamaConfig(hidden_size=5120, intermediate_size=13824, num_hidden_layers=40)
TEXT = 36


def test_flops_by_hand():
    assert prefill_flops([1], width=1, inner=1) == 4 + 2 + 2
    assert prefill_flops([3, 5], width=2, inner=7) == sum(
        4 * n * 4 + 2 * n * n * 2 + 2 * n * 2 * 7 for n in (3, 5)
    )


def test_vanilla_and_reduced_before():
    vanilla, reduced = (account(SEVEN, text=TEXT, visual=visual) for visual in (576, 64))
    assert vanilla.by_layer == (576,) * 32 and reduced.by_layer == (64,) * 32
    assert (reduced.at_input, reduced.average, reduced.average_of_outputs) == (64, 64, 64)
    assert "64 visual tokens at the input, 64.0 per layer" in str(reduced)


def test_fastv_saves_what_its_abstract_says():
    """45 % of the FLOPs of LLaVA-1.5-13B, with K = 2 and R = 50 %."""
    whole = account(THIRTEEN, text=TEXT, visual=576).flops
    pruned = account(THIRTEEN, text=TEXT, visual=576, method=FastV(2, 0.5)).flops
    assert 1 - pruned / whole == pytest.approx(0.45, abs=0.01)


@pytest.mark.parametrize(
    "retain, average, outputs", [(192, 206.5, 192.0), (128, 145.4, 128.6), (64, 82.3, 64.8)]
)
def test_sparsevlm_in_both_ways_of_counting(retain, average, outputs):
    spent = account(SEVEN, text=TEXT, visual=576, method=SparseVLM.released(retain))
    assert spent.at_input == 576
    assert spent.average == pytest.approx(average, abs=0.05)
    assert spent.average_of_outputs == pytest.approx(outputs, abs=0.05)


def test_before_and_inside_together():
    spent = account(SEVEN, text=TEXT, visual=128, method=PyramidDrop())
    assert spent.by_layer == (128,) * 8 + (64,) * 8 + (32,) * 8 + (16,) * 8
    lengths = [TEXT + count for count in spent.by_layer]
    assert spent.flops == prefill_flops(lengths, 4096, 11008)


def test_counts_seen_in_a_prefill():
    spent = account_of(SEVEN, text=TEXT, by_layer=[576] * 3 + [40] * 29)
    assert spent.average == (3 * 576 + 29 * 40) / 32
    with pytest.raises(ValueError, match="depend on the prompt"):
        account(SEVEN, text=TEXT, visual=576, method=AdaptiveSparseVLM.released(64))


def test_refusals():
    with pytest.raises(ValueError, match="2 counts for 32 layers"):
        account_of(SEVEN, text=TEXT, by_layer=[1, 2])
    for wrong in ({"text": -1, "visual": 1}, {"text": 1, "visual": 0}):
        with pytest.raises(ValueError, match="must be at least"):
            account(SEVEN, **wrong)
