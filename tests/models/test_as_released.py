"""Every family chooses, merges and packs as a plain reading of the released code's rule does."""

import random

import pytest
import torch
from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape

import vzlib
from tests import families, tiny
from vzlib import Budget
from vzlib.models.answer import prompt
from vzlib.models.host import host_of
from vzlib.models.views import ByView

CLIPS = {"clips of video_llava": "video_llava", "clips of llava_onevision": "llava_onevision"}
# How what stays in the views of an image goes on.
ON_A_CANVAS = ("llava_next", "llava_onevision")
IN_RASTER_ORDER = ("internvl", "smolvlm", "qwen2_5_vl", "qwen3_vl")


def of_a_view(scores, keys, quota, cls):
    """Tokens that stay, in raster order, and where others merge: of one view, as released.

    CLS stays, and of the others those that receive most; of the rest every step-th is a target.
    Similarities [rest, targets] are told for those that merge.
    """
    budget, first = Budget.retain(quota), int(cls)
    ranked = sorted(range(first, len(scores)), key=lambda token: -float(scores[token]))
    kept = [*range(first), *sorted(ranked[: budget.dominant - first])]
    rest = [token for token in range(len(scores)) if token not in kept]
    targets = []
    if budget.contextual:
        targets = rest[:: max(1, len(rest) // budget.contextual)][: budget.contextual]
    unit = keys / keys.norm(dim=1, keepdim=True)
    alike = {
        token: [float(unit[token] @ unit[target]) for target in targets]
        for token in rest
        if targets and token not in targets
    }
    return kept, targets, alike


def packed(family, parts, count, cls, grid, side):
    """Places of all views' tokens, view and token as one number, in the order they go on."""
    views = [[view * count + place for place in kept + targets]
             for view, (kept, targets, _) in enumerate(parts)]  # fmt: skip
    if family in IN_RASTER_ORDER:
        return [place for own in views for place in sorted(own)]
    if family not in ON_A_CANVAS or len(parts) == 1:
        return [place for own in views for place in own]
    raster, after = [], []
    for tile, (kept, _, _) in enumerate(parts[1:]):
        for place in kept[int(cls) :]:
            y = tile // grid[1] * side + (place - cls) // side
            x = tile % grid[1] * side + (place - cls) % side
            raster.append((y * grid[1] * side + x, (tile + 1) * count + place))
        after += [(tile + 1) * count] * cls
    merged = [(tile + 1) * count + place for tile, (_, targets, _) in enumerate(parts[1:])
              for place in targets]  # fmt: skip
    return [*views[0], *(place for _, place in sorted(raster)), *after, *merged]


def seen_of(family, model, processor, chance, monkeypatch):
    """What the tower told of an image or a clip of any size, what was made of it, and its size."""
    seen, stock = [], ByView.__call__

    def listening(self, core, images, *others):
        seen.extend(images)
        return stock(self, core, images, *others)

    monkeypatch.setattr(ByView, "__call__", listening)
    with torch.no_grad():
        if family in CLIPS:
            pixels = torch.randn(1, chance.randrange(2, 9), 3, 40, 40)
            (shape,) = host_of(model).clips(model.config, {"pixel_values_videos": pixels})
            retain = chance.randrange(2 * shape.views, shape.stock // 2)
            with vzlib.zip_model(model, retain=retain) as zipped:
                model.model.get_video_features(pixels)
                (made,), size = zipped.tokens, None
        else:
            size = chance.randrange(30, 240), chance.randrange(30, 240)
            given = {"images": [tiny.image(chance.randrange(10**6), size)], "return_tensors": "pt"}
            given["text"] = [prompt(processor, "how many")]
            (shape,) = host_of(model).shapes(model.config, processor(**given))
            retain = chance.randrange(2 * shape.views, max(shape.stock // 2, 2 * shape.views + 1))
            with vzlib.zip_model(model, processor, retain=retain) as zipped:
                model(**zipped.processor(**given))
                (made,) = zipped.tokens
    monkeypatch.undo()
    (told,) = seen
    return told, made, retain, size


@pytest.mark.parametrize("cases", [2, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("family", [*families.MADE, *CLIPS])
def test_images_of_any_size_are_chosen_merged_and_packed_as_released(family, cases, monkeypatch):
    model, processor = families.made(CLIPS.get(family, family))
    merged, numbers = 0, set()
    for seed in range(cases):
        torch.manual_seed(seed)
        told, made, retain, size = seen_of(
            family, model, processor, random.Random(seed), monkeypatch
        )
        hidden, scores, keys = told.encoded
        views, count, cls = len(hidden), hidden.shape[1], told.has_cls
        each, more = divmod(retain, views)
        quotas = [each + (view < more) for view in range(views)]
        parts = [of_a_view(scores[v], keys[v], quotas[v], cls) for v in range(views)]
        grid = side = None
        if family in ON_A_CANVAS:
            eye = model.config.vision_config
            grid = get_anyres_image_grid_shape(
                size[::-1], model.config.image_grid_pinpoints, eye.image_size
            )
            side = eye.image_size // eye.patch_size
        expected = packed(family, parts, count, cls, grid, side)
        assert made.places[0].tolist() == expected, seed
        assert len(expected) == retain
        tokens = hidden.flatten(0, 1)
        joined = {place: [] for place in expected}
        for view, (_, targets, alike) in enumerate(parts):
            for token, likeness in alike.items():
                into = expected[int(made.sources[0, view * count + token])]
                # The most alike by key, or level with it to the last digits.
                assert likeness[targets.index(into - view * count)] > max(likeness) - 1e-5, seed
                joined[into].append(view * count + token)
                merged += 1
        for token, place in zip(made.tokens[0], expected, strict=True):
            own = tokens[place]
            if joined[place]:
                own = own + tokens[joined[place]].mean(0)
            torch.testing.assert_close(token, own, rtol=1e-4, atol=1e-5)
        numbers.add(views)
    assert merged > 5 * cases
    one_view = ("mini_gemini", "video_llava", "qwen2_5_vl", "qwen3_vl")
    if cases > 2:
        assert (len(numbers) == 1) == (family in one_view)
