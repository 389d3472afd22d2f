"""Random queries and keys for received attention, from the harmless to the extreme."""

import random

import torch

WIDTHS = [64, 72, 80, 88, 96, 104, 112, 120, 128]
BLOCKS = [16, 32, 64, 128]  # of the kernels; lengths beside their multiples are the risky ones
KINDS = ["gaussian", "large", "offset", "equal", "sharp", "tiny"]


def length(dice, longest):
    """Tokens: any number, or one beside a multiple of a block."""
    near = dice.choice(BLOCKS) * dice.randint(1, 3) + dice.choice([-1, 0, 1])
    return min(longest, dice.choice([near, dice.randint(1, longest), dice.randint(1, 20)]))


def values(dice, generator, shape, kind):
    """Queries and keys whose logits, scaled by d ** -0.5, are of that kind."""
    queries, keys = (torch.randn(shape_, generator=generator) for shape_ in shape)
    width = queries.shape[-1]
    if kind == "large":  # logits to +-1e4 and beyond
        factor = 1e4**0.5 / 1.5
        return queries * factor, keys * factor
    if kind == "offset":  # 1e4 in every logit, and small differences
        queries[..., 0], keys[..., 0] = 1e2 * width**0.25, dice.choice([-1, 1]) * 1e2 * width**0.25
    if kind == "equal":
        return torch.ones_like(queries), torch.ones_like(keys)
    if kind == "sharp":
        return 3 * queries, 3 * keys
    if kind == "tiny":
        return 1e-6 * queries, 1e-6 * keys
    return queries, keys


def padding(dice, batch, tokens):
    """[B, S] bool: any tokens, the last or the first ones, all, or none of an image."""
    places = torch.arange(tokens)
    rows = []
    for _ in range(batch):
        cut = dice.randint(0, tokens)
        rows.append(
            dice.choice(
                [
                    places < cut,
                    places >= cut,
                    places % dice.randint(1, 5) == 0,
                    places >= 0,
                    places < 0,
                ]
            )
        )
    return torch.stack(rows)


def layout(dice, tensor):
    """The same numbers with the strides a projection, or a slice of one, leaves behind."""
    kind = dice.choice(["contiguous", "projection", "slice", "transposed"])
    if kind == "projection":
        return tensor.transpose(1, 2).contiguous().transpose(1, 2)
    if kind == "slice":
        return torch.cat([tensor, tensor], dim=-1)[..., : tensor.shape[-1]]
    if kind == "transposed":
        return tensor.transpose(2, 3).contiguous().transpose(2, 3)
    return tensor


def case(seed, dtypes, longest=200, heads=3):
    """(queries, keys, scale, valid, kind); every fourth with other queries than the tokens."""
    dice, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    batch, heads = dice.randint(1, 2), dice.randint(1, heads)
    tokens, width = length(dice, longest), dice.choice([*WIDTHS, dice.randint(64, 128)])
    queries = length(dice, longest) if dice.random() < 0.25 else tokens
    kind, dtype = dice.choice(KINDS), dice.choice(dtypes)
    shape = (batch, heads, queries, width), (batch, heads, tokens, width)
    q, k = (layout(dice, x.to(dtype)) for x in values(dice, generator, shape, kind))
    valid = padding(dice, batch, tokens) if dice.random() < 0.5 else None
    return q, k, width**-0.5, valid, kind


def packed_case(seed, dtypes, longest=200, heads=3):
    """(queries, keys, scale, cumulative lengths, kind) of one to six images in one sequence."""
    dice, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    heads, width = dice.randint(1, heads), dice.choice([*WIDTHS, dice.randint(64, 128)])
    lengths = [length(dice, longest // 2) for _ in range(dice.randint(1, 6))]
    kind, dtype = dice.choice(KINDS), dice.choice(dtypes)
    shape = (1, heads, sum(lengths), width)
    q, k = (layout(dice, x.to(dtype))[0] for x in values(dice, generator, (shape, shape), kind))
    ends = torch.tensor([0, *lengths]).cumsum(0).to(dice.choice([torch.int32, torch.int64]))
    return q, k, width**-0.5, ends, kind
