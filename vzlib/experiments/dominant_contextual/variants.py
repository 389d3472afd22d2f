"""VisionZip in all the variants that are compared: its choices changed one at a time."""

from dataclasses import replace
from typing import Any, NamedTuple

from vzlib.methods.visionzip import VisionZip
from vzlib.models.load import Loaded
from vzlib.models.tower_parts import depth_of

# Parts of the budget that contextual tokens get; the paper's 10 of 64 is measured anyway.
SHARES = {"none": 0.0, "8 %": 5 / 64, "25 %": 1 / 4, "50 %": 1 / 2, "75 %": 3 / 4, "all but one": 1}
RELEASED = VisionZip()


class Variant(NamedTuple):
    """VisionZip with some choices, and the tokens it is given to spend."""

    method: VisionZip
    retain: int


def choices(loaded: Loaded, factor: str, total: int) -> dict[str, Variant]:
    """What is measured for a factor of `dominant_contextual.FACTORS` at `total` tokens, by name.

    All but "released", "split, paper rule" and "all tokens" differ from the released method in this
    factor alone. Without a CLS token there is nothing to choose about it.
    """
    read = depth_of(loaded.tower, loaded.layer)
    layers = [n for n in range(1, loaded.tower.config.num_hidden_layers + 1) if n != read]
    split = {name: {"contextual": share} for name, share in SHARES.items()}
    changes: dict[str, dict[str, Any]] = {
        "released": {"released": {}},
        "split": split,
        "split, paper rule": {
            name: {**one, "merge": "paper"} for name, one in split.items() if one["contextual"]
        },
        "merge rule": {"mean of the group": {"merge": "paper"}},
        "compared": {"hidden states": {"compared": "hidden"}},
        "similarity": {"dot product": {"similarity": "dot"}},
        "leftovers": {"not merged": {"compared": "nothing"}},
        "targets": {"evenly spread": {"spacing": "even"}},
        "CLS": {"left out": {"cls": False}} if loaded.has_cls else {},
        "layer": {f"layer {one}": {"layer": one} for one in layers},
    }
    if factor == "all tokens":
        return {factor: Variant(replace(RELEASED, contextual=0, cls=False), loaded.patches)}
    found = {
        name: Variant(replace(RELEASED, **one), total) for name, one in changes[factor].items()
    }
    if factor == "leftovers":
        dominant = RELEASED.budget(total, loaded.has_cls).dominant
        found["no contextual tokens"] = Variant(replace(RELEASED, contextual=0), dominant)
    return found
