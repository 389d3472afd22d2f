"""Sizes of towers and families that keep all their tokens and cost next to nothing."""

BLOCK = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
         "num_attention_heads": 2}  # fmt: skip
EYE = {**BLOCK, "image_size": 336, "patch_size": 14}
NARROW = {**BLOCK, "num_hidden_layers": 2}
NARROW_QWEN = {"hidden_size": 32, "intermediate_size": 64, "depth": 2, "num_heads": 2}
AUX = {"hidden_sizes": [4, 4, 4, 4], "depths": [1, 1, 1, 1]}


def narrow(case):
    """A family with a tower of two narrow blocks, and all the tokens that it has."""
    sizes = NARROW_QWEN if "depth" in case.tower else NARROW
    sizes = {**sizes, "aux": AUX} if "aux" in case.tower else sizes
    return case._replace(tower={**case.tower, **sizes})
