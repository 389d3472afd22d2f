"""Memory, FLOPs and geometries against what can be worked out by hand."""

import pytest
import torch

from vzlib.efficiency import flops, geometry, memory, pipeline
from vzlib.efficiency.device import choose, describe, precision, slug
from vzlib.efficiency.timing import single
from vzlib.experiments.efficiency.measure import VISUAL
from vzlib.methods.accountant import account
from vzlib.tokens import Budget

CPU = torch.device("cpu")
MILLIONS = {"llava-1.5-7b": 7063, "llava-1.5-13b": 13351, "llava-next-7b": 7063,
            "llava-next-13b": 13351, "clip-l-336": 304, "siglip-so400m": 413}  # fmt: skip


@pytest.mark.parametrize(("name", "millions"), MILLIONS.items())
def test_geometries_have_the_weights_of_the_published_checkpoints(name, millions):
    model = geometry.build(name, torch.device("meta"), torch.bfloat16)
    assert round(sum(weight.numel() for weight in model.parameters()) / 1e6) == millions
    assert all(weight.is_meta and weight.dtype == torch.bfloat16 for weight in model.parameters())


def test_the_larger_small_model_stands_to_the_smaller_as_13b_to_7b():
    counts = []
    for name in ("llava-small", "llava-small-2x"):
        model = geometry.build(name, torch.device("meta"), torch.float32)
        counts.append(
            sum(weight.numel() for weight in model.model.language_model.layers.parameters())
        )
        assert geometry.LLAVAS[name].views * VISUAL == 2880
    assert counts[1] / counts[0] == pytest.approx(13.0 / 6.5, rel=0.05)


def test_an_unknown_geometry_is_refused():
    with pytest.raises(ValueError, match="'llava-7b' is unknown; allowed: llava-"):
        geometry.config("llava-7b")


def test_peak_memory_is_the_most_that_lives_at_a_time():
    def function():
        first = torch.ones(1000, 250)  # 1 MB
        second = first + 1  # 2 MB
        del first
        third = second + 1  # 2 MB
        return third.sum()

    kept = torch.ones(1000, 1000)  # from before: does not count
    assert memory.peak(function, CPU) == pytest.approx(2e6, rel=0.01)
    assert memory.weights(torch.nn.Linear(10, 10, dtype=torch.bfloat16)) == 220
    del kept


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_fused_attention_of_the_cpu_is_counted(dtype):
    query = torch.randn(1, 2, 300, 64, dtype=dtype)

    def attend():
        torch.nn.functional.scaled_dot_product_attention(query, query, query)

    assert flops.count(single(attend)) == {"all": 2 * 2 * 2 * 300 * 300 * 64}


def test_flops_are_told_by_stage_and_near_the_formula(tiny):
    model = geometry.build("tiny", CPU, torch.float32)
    asked = pipeline.request(model, 5, before=3, after=4, new_tokens=2)
    counted = flops.count(pipeline.visionzip(model, asked, Budget(27, 5)))
    assert list(counted) == list(pipeline.STAGES)
    n, width, inner = 167, 32, 64
    layer = 2 * (4 * n * width**2 + 3 * n * width * inner + 2 * n**2 * width)
    assert counted["prefill"] == 8 * layer + 2 * 32064 * width  # and the head, for one word
    third = 8 * 2 * n * width * inner  # the matrix that the paper's formula leaves out
    formula = 2 * account(model, text=7, visual=160).flops
    assert counted["prefill"] - 2 * 32064 * width == formula + third


def test_nothing_can_be_faster_than_the_least_at_the_peak():
    config = geometry.config("llava-next-7b")
    least = flops.prefill(config, 2940)
    assert flops.floor(least, "NVIDIA A800-SXM4-80GB") == pytest.approx(0.129, abs=0.001)
    assert flops.floor(least, "AMD EPYC, 2 cores") is None
    matrices = 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    assert least == 2 * (2940 * matrices + 32 * 2940**2 * 4096)


def test_devices_have_names_and_unknown_ones_are_refused():
    assert slug(describe(CPU)) == slug(slug(describe(CPU))) != ""
    assert slug("NVIDIA H200") == "nvidia-h200"
    assert choose("cpu") == CPU
    assert precision("float32", CPU) == torch.float32
    for name in ("gpu", "meta", "cuda:1"):
        with pytest.raises(ValueError, match=f"'{name}'.*allowed: auto, cpu"):
            choose(name)
