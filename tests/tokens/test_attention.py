import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vzlib.tokens import attention, cls_attention, received_attention
from vzlib.tokens.column_sum import column_sum

SCALE = 0.4


def heads(batch=2, queries=70, tokens=70, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, 3, queries, 8)
    return (
        torch.randn(shape, generator=generator).to(dtype),
        torch.randn(batch, 3, tokens, 8, generator=generator).to(dtype),
    )


def padding(batch=2, tokens=70):
    return torch.arange(tokens) < torch.tensor([[50], [tokens]])[:batch]


def whole_map(queries, keys, valid=None):
    """Attention as an eager model computes it, in float64: [B, H, Q, S]."""
    logits = torch.einsum("bhqd,bhsd->bhqs", queries.double(), keys.double()) * SCALE
    if valid is not None:
        logits = logits.masked_fill(~valid[:, None, None], -torch.inf)
    return logits.softmax(dim=-1)


BLOCKS = [1, 70 * 20, 70 * 70, 70 * 70 * 2, 70 * 70 * 4, None]  # rows, one head, two, an image


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_equals_the_column_mean_of_the_map(block, dtype):
    queries, keys = heads(dtype=dtype)
    received = received_attention(queries, keys, SCALE, block=block)
    assert received.dtype == torch.float32
    expected = whole_map(queries, keys).mean(dim=(1, 2)).float()
    torch.testing.assert_close(received, expected, rtol=2e-6, atol=0)
    torch.testing.assert_close(received.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("block", BLOCKS)
def test_padding_neither_votes_nor_receives(block):
    (queries, keys), valid = heads(), padding()
    received = received_attention(queries, keys, SCALE, valid, block=block)
    rows = whole_map(queries, keys, valid).mean(dim=1)
    expected = torch.stack([row[mask].mean(dim=0) for row, mask in zip(rows, valid, strict=True)])
    torch.testing.assert_close(received, expected.float(), rtol=2e-6, atol=0)
    assert (received[~valid] == 0).all()
    short = received_attention(queries[:1, :, :50], keys[:1, :, :50], SCALE)
    torch.testing.assert_close(received[:1, :50], short)


def test_values_in_padding_do_not_matter():
    (queries, keys), valid = heads(), padding()
    before = received_attention(queries, keys, SCALE, valid)
    queries[0, :, 50:], keys[0, :, 50:] = 1e4, -1e4
    torch.testing.assert_close(received_attention(queries, keys, SCALE, valid), before)


def test_an_image_that_is_all_padding_receives_nothing():
    queries, keys = heads()
    valid = torch.tensor([[True], [False]]).expand(2, 70)
    received = received_attention(queries, keys, SCALE, valid)
    assert (received[1] == 0).all()
    assert (cls_attention(queries, keys, SCALE, valid)[1] == 0).all()
    torch.testing.assert_close(received[:1], received_attention(queries[:1], keys[:1], SCALE))


def test_cls_row():
    queries, keys = heads()
    expected = whole_map(queries, keys)[:, :, 0].mean(dim=1).float()
    torch.testing.assert_close(cls_attention(queries, keys, SCALE), expected)
    torch.testing.assert_close(received_attention(queries[:, :, :1], keys, SCALE), expected)


def test_cls_row_with_padding():
    (queries, keys), valid = heads(), padding()
    expected = whole_map(queries, keys, valid)[:, :, 0].mean(dim=1).float()
    torch.testing.assert_close(cls_attention(queries, keys, SCALE, valid), expected)


def test_other_queries_than_the_tokens_all_vote():
    (queries, keys), valid = heads(queries=5), padding()
    expected = whole_map(queries, keys, valid).mean(dim=(1, 2)).float()
    torch.testing.assert_close(received_attention(queries, keys, SCALE, valid), expected)


def test_float64_stays_float64():
    queries, keys = heads(dtype=torch.float64)
    received = received_attention(queries, keys, SCALE, block=1)
    torch.testing.assert_close(received, whole_map(queries, keys).mean(dim=(1, 2)))


def test_large_logits_do_not_overflow():
    queries, keys = heads()
    assert received_attention(queries * 1e4, keys * 1e4, SCALE).isfinite().all()


def test_autocast_changes_nothing():
    queries, keys = heads()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = received_attention(queries, keys, SCALE)
    assert torch.equal(cast, received_attention(queries, keys, SCALE))


def test_no_gradient_keeps_the_map():
    queries, keys = heads()
    assert not received_attention(queries.requires_grad_(), keys.requires_grad_(), 1).requires_grad


class Largest(TorchDispatchMode):
    """The most elements any operation put out, views of what there is left out."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and not function.is_view:
            self.elements = max(self.elements, out.numel())
        return out


@pytest.mark.parametrize("rows", [30, 60, 100])
def test_never_more_than_a_block_of_the_map(rows):
    (queries, keys), valid = heads(queries=300, tokens=300), padding(tokens=300)
    with Largest() as largest:
        received_attention(queries, keys, SCALE, valid, block=rows * 300)
    assert largest.elements == rows * 300


@pytest.mark.parametrize(("batch", "heads", "tokens"), [(1, 4, 16384), (1, 1, 32768), (4, 16, 729)])
def test_memory_grows_with_the_tokens_and_not_with_their_square(batch, heads, tokens):
    queries = torch.empty(batch, heads, tokens, 64, device="meta")
    with Largest() as largest:
        column_sum(queries, queries, SCALE, block=2**19)
    assert largest.elements <= max(2**19, 16 * tokens, batch * heads * tokens)
    assert largest.elements < tokens**2


def test_meta_device_so_no_synchronisation():
    (queries, keys), valid = (tensor.to("meta") for tensor in heads()), padding().to("meta")
    received = received_attention(queries, keys, SCALE, valid, block=1)
    assert received.is_meta and received.shape == (2, 70) and received.dtype == torch.float32


def test_compiles_as_one_graph():
    (queries, keys), valid = heads(), padding()
    compiled = torch.compile(received_attention, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        compiled(queries, keys, SCALE, valid, block=1),
        received_attention(queries, keys, SCALE, valid),
    )


def test_a_graph_does_not_grow_with_the_tokens():
    sizes = []

    def backend(module, _):
        sizes.append(len(module.graph.nodes))
        return module

    for tokens in (64, 640):  # 4 and 40 blocks of rows for each head
        queries, keys = heads(queries=tokens, tokens=tokens)
        compiled = torch.compile(received_attention, fullgraph=True, dynamic=False, backend=backend)
        compiled(queries, keys, SCALE, block=1)
    assert sizes[0] == sizes[1]


def test_the_graph_node_keeps_what_it_promises():
    (queries, keys), valid = heads(dtype=torch.bfloat16), padding()
    checks = ("test_schema", "test_faketensor")
    arguments = (queries, keys, SCALE, valid, valid, None, None)
    torch.library.opcheck(attention._column_sum_op, arguments, test_utils=checks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda queries, keys: (queries[0], keys, SCALE), "queries must be"),
        (lambda queries, keys: (queries[:1], keys, SCALE), "must agree in B, H and d"),
        (lambda queries, keys: (queries[:, :2], keys, SCALE), "must agree in B, H and d"),
        (lambda queries, keys: (queries[..., :4], keys, SCALE), "must agree in B, H and d"),
        (lambda queries, keys: (queries, keys, SCALE, torch.ones(2, 70)), "bool of shape"),
        (lambda queries, keys: (queries, keys, SCALE, padding(tokens=69)), r"shape \(2, 70\)"),
        (lambda queries, keys: (queries.half(), keys, SCALE), "one dtype .* torch.float16"),
        (lambda queries, keys: (queries.int(), keys.int(), SCALE), "bfloat16.*not torch.int32"),
        (lambda queries, keys: (queries.to("meta"), keys, SCALE), "on meta, but keys on cpu"),
        (lambda queries, keys: (queries[:, :, :0], keys, SCALE), "at least one image, head, query"),
        (lambda queries, keys: (queries, keys[:, :, :0], SCALE), "at least one image, head, query"),
        (lambda queries, keys: (queries[:0], keys[:0], SCALE), "at least one image, head, query"),
    ],
)
def test_arguments_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        received_attention(*change(*heads()))


def test_options_that_do_not_fit():
    with pytest.raises(ValueError, match="block=0 must be at least 1"):
        received_attention(*heads(), SCALE, block=0)
    with pytest.raises(ValueError, match=r"log_sum_exp must be .* \(2, 3, 70\), not \(2, 70\)"):
        received_attention(*heads(), SCALE, log_sum_exp=torch.zeros(2, 70))
