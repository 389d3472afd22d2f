"""What a tower saw is kept: the same numbers as before, and one pass for everything."""

import shutil

import pytest
import torch

from tests.permissions import obeyed, read_only
from vzlib import results
from vzlib.evaluation import seen as keeping
from vzlib.evaluation.seen import seen
from vzlib.experiments.dominant_contextual import measure as dominant_contextual
from vzlib.experiments.misalignment_ablation import measure as misalignment_ablation
from vzlib.experiments.token_budget import measure as token_budget
from vzlib.models import load
from vzlib.models.towers import encode, received_by_layer
from vzlib.notebooks import settings


@pytest.fixture
def loaded(tiny_folder, own_store):
    return load.loaded(tiny_folder())


@pytest.fixture
def passes(loaded):
    """How many images the tower was given so far."""
    images = []
    hook = loaded.tower.register_forward_hook(lambda _, args, kwargs, out: images.append(
        len(kwargs.get("pixel_values") if "pixel_values" in kwargs else args[0])),
        with_kwargs=True)  # fmt: skip
    yield lambda: sum(images)
    hook.remove()


def pixels(loaded, count=3, seed=0):
    size = loaded.tower.config.image_size
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, size, size, generator=generator)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_it_is_what_the_separate_passes_tell(family, tiny_folder, own_store):
    model = load.loaded(tiny_folder(family))
    images = pixels(model)
    with torch.no_grad():
        found = seen(model, images)
        for one, other in zip(found.encoded, encode(model.tower, images, layer=-2), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
        for part, cls in ((found.received, None), (found.received_from_all, False)):
            expected = received_by_layer(model.tower, images, cls=cls)
            torch.testing.assert_close(part, expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_an_image_is_looked_at_once_whatever_stands_beside_it(loaded, passes):
    images = pixels(loaded, 4)
    first = seen(loaded, images[:3])
    again = seen(loaded, images[[2, 3, 0]])
    assert passes() == 4
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one[[2, 0]], other[[0, 2]])
    shutil.rmtree(results.location() / "seen")
    for one, other in zip(first, seen(loaded, images[:1]), strict=True):
        assert torch.equal(one[:1], other)


@torch.no_grad()
def test_other_weights_look_for_themselves(loaded, passes, tiny_folder, tmp_path):
    images = pixels(loaded)
    seen(loaded, images)
    folder = tmp_path / "other"
    shutil.copytree(tiny_folder(), folder)
    (file,) = folder.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    before = len(list((results.location() / "seen").glob("*")))
    seen(load.load(folder), images)
    assert len(list((results.location() / "seen").glob("*"))) == before + 1


@torch.no_grad()
def test_a_torn_file_is_looked_at_again(loaded, passes):
    images = pixels(loaded, 1)
    first = seen(loaded, images)
    (file,) = results.location().glob("seen/*/*")
    for content in (b"", file.read_bytes()[:-9], b"{}"):
        file.write_bytes(content)
        for one, other in zip(first, seen(loaded, images), strict=True):
            assert torch.equal(one, other)
    assert passes() == 4


@torch.no_grad()
def test_the_oldest_go_when_there_is_too_much(loaded, passes, monkeypatch):
    images = pixels(loaded, 3)
    for one in images[:2]:
        seen(loaded, one[None])
    size = max(file.stat().st_size for file in results.location().glob("seen/*/*"))
    monkeypatch.setattr(keeping, "LIMIT", 2 * size)
    seen(loaded, images[:1])  # asked for again, so no longer the oldest
    seen(loaded, images[2:])
    assert len(list(results.location().glob("seen/*/*"))) == 2 and passes() == 3
    seen(loaded, images[:1])
    assert passes() == 3
    seen(loaded, images[1:2])
    assert passes() == 4


@torch.no_grad()
def test_a_store_that_cannot_be_written_costs_time_alone(loaded, tmp_path, monkeypatch):
    images = pixels(loaded, 1)
    expected = seen(loaded, images)
    (tmp_path / "closed").mkdir()
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "closed"))
    with obeyed(), read_only(tmp_path / "closed"):
        assert torch.equal(seen(loaded, images).hidden, expected.hidden)


def test_all_that_asks_about_scenes_looks_at_each_once(scene_folder, own_store):
    model = load.loaded(scene_folder)
    images = []
    hook = model.tower.register_forward_hook(lambda _, __, out: images.append(1))
    same = {"model": scene_folder, "each": 2}
    rows = token_budget.measure(
        settings("06_token_budget", budgets=[400, 64], methods=["visionzip", "hiprune"], **same)
    )
    once = len(images)
    assert once == rows["image"].nunique()
    dominant_contextual.measure(settings("07_dominant_contextual", totals=[64, 32], **same))
    misalignment_ablation.measure(
        settings("05_misalignment_ablation", selectors=["fastv"], seeds=[0, 1], **same)
    )
    hook.remove()
    assert len(images) == once
