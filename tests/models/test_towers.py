"""Towers against eager attention, layer by layer."""

import re

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests import tiny
from vzlib.models.tower_parts import depth_of, family_of, has_cls, token_count
from vzlib.models.towers import attention_rows, encode, received_by_layer
from vzlib.tokens import Budget, select_and_merge
from vzlib.tokens.column_sum import BLOCK

FAMILIES = ["clip", "siglip", "siglip2", "dinov2", "registers"]
SINGLE = [family for family in FAMILIES if family != "siglip2"]  # inputs are pixel values alone


def stock(tower, family, inputs, valid):
    """All hidden states and attention maps, by eager attention, without registers."""
    names = ("pixel_values", "spatial_shapes")
    arguments = dict(zip(names, inputs, strict=False))
    if valid is not None:
        arguments["pixel_attention_mask"] = valid
    before = tower.config._attn_implementation
    tower.set_attn_implementation("eager")
    with torch.no_grad():
        output = tower(**arguments, output_hidden_states=True, output_attentions=True)
    tower.set_attn_implementation(before)
    keep = torch.arange(output.hidden_states[0].shape[1])
    if family == "registers":
        keep = torch.cat([keep[:1], keep[1 + tower.config.num_register_tokens :]])
    return output.hidden_states, output.attentions, keep


def mean_received(attention, by_cls, valid):
    rows = attention.mean(1)
    if by_cls:
        return rows[:, 0]
    votes = torch.ones(rows.shape[:2]) if valid is None else valid.float()
    return (rows * votes.unsqueeze(-1)).sum(1) / votes.sum(1, keepdim=True)


def relative(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize("layer", [-2, -1, 3, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_features_and_scores_equal_eager_attention(family, layer):
    tower = tiny.tower(family)
    inputs, valid = tiny.tower_inputs(family)
    hidden_states, attentions, keep = stock(tower, family, inputs, valid)
    with torch.no_grad():
        hidden, scores, keys = encode(tower, *inputs, layer=layer, valid=valid)
    block = layer - 1 if layer > 0 else layer
    expected = mean_received(attentions[block], has_cls(tower), valid)[:, keep]
    assert relative(hidden, hidden_states[layer][:, keep]) <= 1e-5
    assert relative(scores, expected) <= 1e-5
    assert scores.dtype == torch.float32
    assert keys.shape == (*hidden.shape[:2], 8)
    # Far enough from uniform that a wrong layer or a wrong query would show.
    spread = expected.std(1) / expected.mean(1)
    assert spread.min() > 0.05
    wrong = mean_received(attentions[block - 1], has_cls(tower), valid)[:, keep]
    assert relative(scores, wrong) > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_keys_are_the_head_mean_of_the_block_that_rates(family):
    tower = tiny.tower(family)
    inputs, valid = tiny.tower_inputs(family)
    seen = []
    block = getattr(tower.encoder, family_of(tower).blocks)[2]
    projection = getattr(block, family_of(tower).attention).k_proj
    projection.register_forward_hook(lambda module, arguments, output: seen.append(output))
    keep = stock(tower, family, inputs, valid)[2]
    with torch.no_grad():
        keys = encode(tower, *inputs, layer=-2, valid=valid).keys
    assert relative(keys, seen[0].unflatten(-1, (4, 8)).mean(2)[:, keep]) <= 1e-5


@pytest.mark.parametrize("family", ["clip", "dinov2", "registers"])
def test_mean_over_queries_on_request_where_there_is_a_cls_token(family):
    tower = tiny.tower(family)
    inputs, _ = tiny.tower_inputs(family)
    _, attentions, keep = stock(tower, family, inputs, None)
    with torch.no_grad():
        scores = encode(tower, *inputs, cls=False).scores
    assert relative(scores, mean_received(attentions[-2], False, None)[:, keep]) <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_and_single_rows_equal_eager_attention(family):
    tower = tiny.tower(family)
    inputs, valid = tiny.tower_inputs(family)
    _, attentions, keep = stock(tower, family, inputs, valid)
    with torch.no_grad():
        layers = received_by_layer(tower, *inputs, valid=valid)
        rows = attention_rows(tower, *inputs, layer=-1, queries=[0, 5], valid=valid)
        each = attention_rows(
            tower, *inputs, layer=-1, queries=torch.tensor([[7], [2]]), valid=valid
        )
    expected = [mean_received(a, has_cls(tower), valid)[:, keep] for a in attentions]
    assert relative(layers, torch.stack(expected, 1)) <= 1e-5
    maps = attentions[-1].mean(1)[:, keep][:, :, keep]
    assert relative(rows, maps[:, [0, 5]]) <= 1e-5
    assert relative(each, torch.stack([maps[0, [7]], maps[1, [2]]])) <= 1e-5


def test_registers_are_not_returned_and_take_their_share():
    tower = tiny.tower("registers")
    (pixels,), _ = tiny.tower_inputs("registers")
    with torch.no_grad():
        hidden, scores, keys = encode(tower, pixels)
    assert hidden.shape[1] == scores.shape[1] == keys.shape[1] == 36 + 1 == token_count(tower)
    assert (scores.sum(1) < 0.999).all()
    kept = select_and_merge(hidden, scores, keys, Budget(37, 0)).tokens
    assert torch.equal(kept, hidden)


@pytest.mark.parametrize("family", SINGLE)
@pytest.mark.parametrize(("layer", "calls"), [(-2, 3), (-1, 4), (1, 1)])
def test_blocks_behind_the_layer_do_not_run(family, layer, calls):
    tower = tiny.tower(family)
    (pixels,), _ = tiny.tower_inputs(family)
    ran = []
    for block in getattr(tower.encoder, family_of(tower).blocks):
        block.register_forward_hook(lambda module, arguments, output: ran.append(module))
    with torch.no_grad():
        encode(tower, pixels, layer=layer)
    assert len(ran) == calls


class LargestTensor(TorchDispatchMode):
    """Remembers the shape of the largest tensor made."""

    def __init__(self):
        super().__init__()
        self.largest = torch.Size([0])

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor) and tensor.numel() > self.largest.numel():
                self.largest = tensor.shape
        return result


@pytest.mark.parametrize("family", ["clip", "dinov2", "registers"])
def test_no_attention_map_is_ever_made(family):
    tower = tiny.tower(family, image_size=192)  # 577 tokens, 32 wide, 4 heads
    pixels = torch.randn(1, 3, 192, 192)
    with torch.no_grad():
        with LargestTensor() as ours:
            select_and_merge(*encode(tower, pixels), Budget(54, 10))
        tower.set_attn_implementation("eager")
        with LargestTensor() as eager:
            tower(pixels)
    assert ours.largest.numel() < 577 * 577
    assert eager.largest.numel() >= 4 * 577 * 577  # the probe sees maps where there are some


def test_without_cls_at_most_a_block_of_one_map_is_made():
    tower = tiny.tower("siglip", image_size=256)  # 1024 tokens, 4 heads
    with torch.no_grad(), LargestTensor() as ours:
        encode(tower, torch.randn(1, 3, 256, 256))
    assert ours.largest.numel() <= BLOCK["cpu"] < 1024 * 1024


@pytest.mark.parametrize("family", SINGLE)
def test_runs_without_values_so_nothing_waits_for_a_device(family):
    with torch.device("meta"):
        tower = tiny.tower(family)
        pixels = torch.randn(2, 3, 48, 48)
        zipped = select_and_merge(
            *encode(tower, pixels, cls=None), Budget(10, 4, cls=has_cls(tower))
        )
        assert received_by_layer(tower, pixels).is_meta
    assert zipped.tokens.is_meta and zipped.tokens.shape == (2, 14, 32)


@pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=() if name == "clip" else pytest.mark.slow) for name in SINGLE],
)
def test_compiles_as_one_graph_even_after_outputs_were_captured(family):
    tower = tiny.tower(family)
    (pixels,), _ = tiny.tower_inputs(family)
    budget = Budget(10, 4, cls=has_cls(tower))

    def tower_and_zip(pixels):
        return select_and_merge(*encode(tower, pixels), budget)

    with torch.no_grad():
        tower(pixels, output_hidden_states=True)  # installs the capture hooks for good
        expected = tower_and_zip(pixels)
        compiled = torch.compile(tower_and_zip, fullgraph=True, backend="aot_eager")(pixels)
    torch.testing.assert_close(compiled.tokens, expected.tokens)
    assert torch.equal(compiled.kept, expected.kept)


def test_config_that_asks_for_attentions_is_not_followed():
    tower = tiny.tower("clip")
    (pixels,), _ = tiny.tower_inputs()
    expected = encode(tower, pixels)
    tower.set_attn_implementation("eager")
    tower.config.output_attentions = True
    tower.config.return_dict = False
    assert relative(encode(tower, pixels).hidden, expected.hidden) <= 1e-5


def test_bfloat16_keeps_features_and_rates_in_float32():
    tower = tiny.tower("clip").bfloat16()
    (pixels,), _ = tiny.tower_inputs()
    hidden, scores, keys = encode(tower, pixels)
    assert (hidden.dtype, scores.dtype, keys.dtype) == (
        torch.bfloat16,
        torch.float32,
        torch.bfloat16,
    )


def test_gradients_reach_the_blocks_that_ran_and_no_other():
    tower = tiny.tower("clip")
    (pixels,), _ = tiny.tower_inputs()
    select_and_merge(*encode(tower, pixels), Budget(10, 4)).tokens.sum().backward()
    used, unused = tower.encoder.layers[2], tower.encoder.layers[3]
    assert used.mlp.fc1.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in unused.parameters())


def test_depth_counts_the_blocks_behind_a_hidden_state():
    tower = tiny.tower("clip")  # 4 blocks
    assert [depth_of(tower, layer) for layer in (-4, -2, -1, 1, 3, 4)] == [1, 3, 4, 1, 3, 4]


@pytest.mark.parametrize("layer", [0, 5, -5, 99])
def test_layer_without_attention_is_refused(layer):
    with pytest.raises(ValueError, match=rf"layer {layer} .*allowed: 1 to 4 and -4 to -1"):
        encode(tiny.tower("clip"), torch.zeros(1, 3, 48, 48), layer=layer)


@pytest.mark.parametrize("layer", [[-2, -1], None, -2.0, True, "-2"])
def test_what_is_no_layer_is_refused(layer):
    with pytest.raises(ValueError, match=f"one whole number, not {re.escape(repr(layer))}"):
        depth_of(tiny.tower("clip"), layer)


def test_unknown_tower_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^Linear is not a supported .*CLIPVisionModel.*Dinov2"):
        encode(torch.nn.Linear(2, 2), torch.zeros(1, 2))


def test_cls_is_refused_where_there_is_none():
    with pytest.raises(ValueError, match=r"cls=True, but SiglipVisionModel has no CLS token"):
        encode(tiny.tower("siglip"), torch.zeros(1, 3, 48, 48), cls=True)


@pytest.mark.parametrize(
    "queries", [[-1], [37], [[[0]]], [], None, "a", [1.5], [True], [[1], [2]], torch.tensor([37])]
)
def test_queries_outside_of_the_tokens_are_refused(queries):
    with pytest.raises(ValueError, match=r"queries must be indices 0 to 36"):
        attention_rows(tiny.tower("clip"), torch.zeros(1, 3, 48, 48), queries=queries)


@pytest.mark.parametrize(
    "inputs", [(), (torch.zeros(3, 48, 48),), (torch.zeros(1, 3, 48, 48), torch.zeros(1)), ("a",)]
)
def test_inputs_that_a_tower_does_not_take_are_refused(inputs):
    with pytest.raises(ValueError, match=r"CLIPVisionModel takes pixel_values \[B, 3, H, W\], not"):
        encode(tiny.tower("clip"), *inputs)


def test_padding_counts_as_the_processor_gives_it():
    tower = tiny.tower("siglip2")
    inputs, valid = tiny.tower_inputs("siglip2")
    for ours, theirs in zip(
        encode(tower, *inputs, valid=valid.long()), encode(tower, *inputs, valid=valid), strict=True
    ):
        assert torch.equal(ours, theirs)
    scores = encode(tower, *inputs, valid=valid).scores
    assert (scores[~valid] == 0).all() and (scores[valid] > 0).all()


def test_siglip2_has_no_fixed_number_of_tokens():
    with pytest.raises(ValueError, match="no fixed number of tokens"):
        token_count(tiny.tower("siglip2"))
