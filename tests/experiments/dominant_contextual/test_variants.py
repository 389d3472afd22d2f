"""The variants of VisionZip that are compared: each changes one thing and spends the total."""

import dataclasses

import pytest

from tests import tiny
from vzlib.experiments.dominant_contextual.measure import FACTORS
from vzlib.experiments.dominant_contextual.variants import choices
from vzlib.methods.visionzip import VisionZip
from vzlib.models.load import Loaded


@pytest.mark.parametrize("total", [12, 16, 64, 192, 576])
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_every_choice_spends_the_total_and_changes_one_thing(family, total):
    strategy = "default" if family == "clip" else "full"
    loaded = Loaded(*tiny.llava(family, strategy=strategy), "tiny")
    assert choices(loaded, "released", total) == {"released": (VisionZip(), total)}
    seen = set()
    for factor in FACTORS:
        for name, (method, retain) in choices(loaded, factor, total).items():
            changed = {
                field.name
                for field in dataclasses.fields(method)
                if getattr(method, field.name) != field.default
            }
            if name == "no contextual tokens":
                released = VisionZip().budget(total, loaded.has_cls)
                assert changed == {"contextual"} and retain == released.dominant
                assert method.budget(retain, loaded.has_cls).contextual == 0
                continue
            assert retain == total
            if factor == "split, paper rule":
                assert changed == {"contextual", "merge"}
            elif factor != "released":
                assert len(changed) == 1, (factor, name, changed)
            assert method not in seen
            seen.add(method)
    assert bool(choices(loaded, "CLS", total)) == (family == "clip")
    assert list(choices(loaded, "layer", total)) == ["layer 1", "layer 2", "layer 4"]


def test_splits_are_the_shares_that_they_are_named_after():
    loaded = Loaded(*tiny.llava(), "tiny")
    split = choices(loaded, "split", 64)
    contextual = {name: one.method.budget(64, True).contextual for name, one in split.items()}
    assert contextual == {
        "none": 0, "8 %": 5, "25 %": 16, "50 %": 32, "75 %": 48, "all but one": 63,
    }  # fmt: skip
