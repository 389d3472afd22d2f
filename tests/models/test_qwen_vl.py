"""Qwen2.5-VL and Qwen3-VL: packed images of any size, original positions, the released rule."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import vzlib
from tests import families, tiny
from vzlib.methods import VisionZip, registry
from vzlib.models import qwen_vl
from vzlib.models.answer import prompt
from vzlib.models.packed_tower import overhearing, rating_block, units
from vzlib.models.positions import stretched
from vzlib.models.shape import Shape
from vzlib.models.views import Budgeted, ByView, Seen
from vzlib.tokens.evidence import Encoded

RETAIN = 9
SIZES = ((100, 100), (230, 90), (60, 170))


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl"])
def both(request):
    return families.made(request.param)


def inputs_of(processor, sizes=SIZES, together=False):
    """A prompt for each image, or one with all."""
    asked = [prompt(processor, words) for words in ("what is left of the shape ?", "how many", "?")]
    texts = [" and ".join(asked[: len(sizes)])] if together else asked[: len(sizes)]
    images = [tiny.image(number, size) for number, size in enumerate(sizes)]
    return processor(images=images, text=texts, return_tensors="pt", padding=True)


def positions_at_the_language_model(model, run):
    """All position ids [3 or 4, B, S] that the language model was given meanwhile."""
    seen = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda _, arguments, options: seen.append(options["position_ids"].clone()), with_kwargs=True
    )
    with torch.no_grad():
        run()
    hook.remove()
    return seen


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("method", ["visionzip", "divprune", "prumerge-plus"])
def test_every_token_has_the_position_it_has_in_the_whole_image(both, method, together):
    model, processor = both
    stock = inputs_of(processor, together=together)
    whole = positions_at_the_language_model(model, lambda: model(**stock))[0][-3:]
    with vzlib.zip_model(model, processor, retain=RETAIN, method=method) as zipped:
        inputs = inputs_of(zipped.processor, together=together)
        (called,) = positions_at_the_language_model(model, lambda: model(**inputs))
        made = positions_at_the_language_model(
            model, lambda: model.generate(**inputs, max_new_tokens=3, do_sample=False)
        )
        images = zipped.tokens
    assert torch.equal(called[-3:], made[0][-3:])
    image, number = model.config.image_token_id, 0
    for row in range(len(stock["input_ids"])):
        full = whole[:, row, stock["attention_mask"][row].bool()]
        ids = stock["input_ids"][row, stock["attention_mask"][row].bool()]
        expected, at = [], 0
        while at < len(ids):  # token by token, images by what is told of their tokens
            if ids[at] != image:
                expected.append(full[:, at])
                at += 1
                continue
            count = images[number].sources.shape[1]
            for place in images[number].places[0].tolist():
                expected.append(full[:, at + (place if place >= 0 else count - 1)])
            number, at = number + 1, at + count
        here = inputs["attention_mask"][row].bool()
        assert torch.equal(called[-3:, row, here], torch.stack(expected, dim=1))
        # The next tokens go on where the whole prompt ends.
        end = full.max() + 1
        for step, given in enumerate(made[1:]):
            assert (given[-3:, row] == end + step).all()
    assert number == len(images) == len(SIZES)


def test_positions_in_raster_order_and_text_rows_without_gaps(both):
    model, processor = both
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        inputs = inputs_of(zipped.processor)
        given = positions_at_the_language_model(
            model, lambda: model.generate(**inputs, max_new_tokens=2, do_sample=False)
        )
        assert given[0].shape[0] == 4  # the first row builds the mask and must be contiguous
        for row, mask in zip(given[0][0], inputs["attention_mask"].bool(), strict=True):
            assert torch.equal(row[mask], torch.arange(int(mask.sum())))
        for each in zipped.tokens:
            assert torch.equal(each.places, each.places.sort().values)


def eager_attention(model, inputs, block):
    """Maps [H, S, S] of each image in one block, as the eager implementation makes them."""
    maps = []
    attention = model.model.visual.blocks[block].attn
    module = __import__(type(attention).__module__, fromlist=["eager_attention_forward"])
    stock = module.eager_attention_forward

    def listening(owner, *arguments, **options):
        output, weights = stock(owner, *arguments, **options)
        if owner is attention:
            maps.append(weights[0])
        return output, weights

    before = model.model.visual.config._attn_implementation
    try:
        module.eager_attention_forward = listening
        model.model.visual.config._attn_implementation = "eager"
        with torch.no_grad():
            output = model.model.visual(inputs["pixel_values"], inputs["image_grid_thw"])
    finally:
        module.eager_attention_forward = stock
        model.model.visual.config._attn_implementation = before
    return maps, output


def raster(model, grid, values):
    """Sums over 2 x 2 patches, patch by patch, from the order in which the tower holds them."""
    sums = values.view(-1, 4).sum(1)
    if not hasattr(model.model.visual, "window_size"):
        return sums
    rows, columns = int(grid[1]) // 2, int(grid[2]) // 2
    order = [  # windows of 2 x 2 units, row by row, and units in a window row by row
        y * columns + x
        for wy in range(0, rows, 2)
        for wx in range(0, columns, 2)
        for y in range(wy, min(wy + 2, rows))
        for x in range(wx, min(wx + 2, columns))
    ]
    placed = torch.empty_like(sums)
    placed[torch.tensor(order)] = sums
    return placed


def test_scores_are_the_attention_that_a_units_patches_receive_from_their_image(both):
    model, processor = both
    inputs = inputs_of(processor)
    visual, grid = model.model.visual, inputs["image_grid_thw"]
    block = rating_block(visual)
    assert block == 3
    maps, _ = eager_attention(model, inputs, block)
    with torch.no_grad(), overhearing(visual, (block,), grid) as heard:
        visual(inputs["pixel_values"], grid)
    found = units(visual, heard.scores[block], grid, "sum")
    expected = torch.cat(
        [raster(model, *pair) for pair in zip(grid, [m.mean((0, 1)) for m in maps], strict=True)]
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)
    for part in found.split([len(m) // 4 for m in [each.mean(0) for each in maps]]):
        assert part.sum() == pytest.approx(1, abs=1e-5)


def test_windows_give_what_lies_outside_of_them_nothing():
    model, processor = families.made("qwen2_5_vl")
    inputs = inputs_of(processor, sizes=SIZES[:1])
    visual, grid = model.model.visual, inputs["image_grid_thw"]
    assert visual.fullatt_block_indexes == [1, 3]
    maps, _ = eager_attention(model, inputs, 2)
    assert len(maps) > 1
    with torch.no_grad(), overhearing(visual, (2,), grid) as heard:
        visual(inputs["pixel_values"], grid)
    patches = sum(len(each[0]) for each in maps)
    expected = torch.cat([each.mean(0).sum(0) for each in maps]) / patches
    torch.testing.assert_close(heard.scores[2], expected, rtol=1e-4, atol=1e-7)


def by_the_released_rule(scores, keys, dominant, contextual):
    """Kept units and targets with those that merge into them, read from the released code."""
    ranked = sorted(range(len(scores)), key=lambda unit: -float(scores[unit]))
    kept = sorted(ranked[:dominant])
    rest = [unit for unit in range(len(scores)) if unit not in kept]
    step = max(1, len(rest) // contextual)
    targets = rest[::step][:contextual]
    unit_keys = keys / keys.norm(dim=1, keepdim=True)
    joins = {target: [] for target in targets}
    for unit in rest:
        if unit not in targets:
            joins[max(targets, key=lambda t, u=unit: float(unit_keys[u] @ unit_keys[t]))].append(
                unit
            )
    return kept, joins


def test_200_images_are_chosen_and_merged_as_released():
    """65 % dominant and 5 % contextual, each at its own place, merged behind the merger."""
    model, _ = families.made("qwen2_5_vl")
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        count = int(torch.randint(8, 70, (1,), generator=generator))
        hidden = torch.randn(count, 6, generator=generator)
        scores = torch.rand(count, generator=generator)
        keys = torch.randn(count, 3, generator=generator)
        dominant, contextual = int(0.65 * count), max(int(0.05 * count), 1)
        retain = dominant + contextual
        method = VisionZip(contextual=contextual / retain)
        assert method.budget(retain, has_cls=False).dominant == dominant
        encoded = Encoded(*(part.unsqueeze(0) for part in (hidden, scores, keys)))
        seen = Seen(Shape(1, count, count), encoded, False, {})
        reduction = ByView(method, Budgeted(retain), seed=0)
        (made,) = reduction(model.model, [seen], qwen_vl._in_raster_order)
        kept, joins = by_the_released_rule(scores, keys, dominant, contextual)
        assert made.places[0].tolist() == sorted([*kept, *joins]), seed
        for number, place in enumerate(made.places[0].tolist()):
            expected = hidden[place]
            if joins.get(place):
                expected = expected + torch.stack([hidden[u] for u in joins[place]]).mean(0)
            torch.testing.assert_close(made.tokens[0, number], expected, rtol=1e-5, atol=1e-6)


def test_features_that_enter_early_layers_are_those_of_the_tokens_that_stay():
    model, processor = families.made("qwen3_vl")
    stock = inputs_of(processor)
    asked = stock["pixel_values"], stock["image_grid_thw"]
    with torch.no_grad():
        whole = model.get_image_features(*asked)
    with vzlib.zip_model(model, processor, retain=RETAIN, method="divprune") as zipped:
        with torch.no_grad():
            output = model.get_image_features(*asked)
        images = zipped.tokens
    assert len(output.deepstack_features) == 2
    for before, after in zip(whole.deepstack_features, output.deepstack_features, strict=True):
        for features, chosen, image in zip(before, after, images, strict=True):
            assert torch.equal(chosen, features[image.places[0]])
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        with torch.no_grad():
            output = model.get_image_features(*asked)
        image = zipped.tokens[0]
    for before, after in zip(whole.deepstack_features, output.deepstack_features, strict=True):
        for token in range(RETAIN):
            members = before[0][image.sources[0] == token]
            torch.testing.assert_close(after[0][token], members.mean(0), rtol=1e-5, atol=1e-6)


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that is made meanwhile."""

    found = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        made = function(*arguments, **(options or {}))
        for each in made if isinstance(made, tuple | list) else [made]:
            if isinstance(each, torch.Tensor):
                self.found = max(self.found, each.numel())
        return made


def test_an_image_of_4096_patches_needs_no_map(both):
    model, processor = both
    grid = torch.tensor([[1, 64, 64]])
    pixels = torch.randn(4096, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), Largest() as stock:
        model.get_image_features(pixels, grid)
    with vzlib.zip_model(model, processor, retain=102), torch.no_grad(), Largest() as zipped:
        (features,) = model.get_image_features(pixels, grid).pooler_output
    assert len(features) == 102
    # Blocks of rows, of a fixed size: a map has 16.8 million numbers for each head.
    assert zipped.found <= max(stock.found, 2**19) < 4096**2 / 8


def test_packed_images_are_reduced_as_each_alone(both):
    model, processor = both
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped, torch.no_grad():
        inputs = inputs_of(zipped.processor)
        together = model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"])
        counts = inputs["image_grid_thw"].prod(1).tolist()
        assert len(set(counts)) == 3
        for number, pixels in enumerate(inputs["pixel_values"].split(counts)):
            (alone,) = model.get_image_features(
                pixels, inputs["image_grid_thw"][[number]]
            ).pooler_output
            torch.testing.assert_close(together.pooler_output[number], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["uniform", "pooling", "hiprune", "holov"])
def test_methods_that_know_rows_run_on_images_that_are_no_square(both, name):
    model, processor = both
    for size in SIZES[1:]:
        with vzlib.zip_model(model, processor, retain=RETAIN, method=name) as zipped:
            inputs = inputs_of(zipped.processor, sizes=(size,))
            rows, columns = (inputs["image_grid_thw"][0, 1:] // 2).tolist()
            assert rows != columns
            model.generate(**inputs, max_new_tokens=1, do_sample=False)
            places = zipped.tokens[0].places[0]
            assert len(places.unique()) == RETAIN and places.max() < rows * columns
        if name == "uniform":  # spread over the whole image
            assert min(len((places % columns).unique()), len((places // columns).unique())) >= 2
    assert registry.row(name).place == "before"


def test_encoded_once_and_asked_twice(both):
    model, processor = both
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped, torch.no_grad():
        inputs = inputs_of(zipped.processor)
        expected = model(**inputs).logits
        words = model.generate(**inputs, max_new_tokens=3, do_sample=False)
        pixels = inputs.pop("pixel_values")
        calls = []
        hook = model.model.visual.register_forward_hook(lambda *_: calls.append(1))
        encoded = model.get_image_features(pixels, inputs["image_grid_thw"])
        other = model.get_image_features(pixels[:160], torch.tensor([[1, 10, 16]]))
        del other  # what was encoded last is not taken for what is passed
        found = model(**inputs, mm_encoder_outputs={"image": encoded}).logits
        assert torch.equal(found, expected)
        assert len(calls) == 2
        assert torch.equal(
            model.generate(**inputs, pixel_values=pixels, max_new_tokens=3, do_sample=False), words
        )
        assert len(calls) == 3  # once, though positions are asked for before
        hook.remove()


def test_videos_are_refused(both):
    model, processor = both
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        ids = torch.full((1, 4), model.config.video_token_id)
        video = {"pixel_values_videos": torch.zeros(16, 96),
                 "video_grid_thw": torch.tensor([[1, 4, 4]])}  # fmt: skip
        for call in (model, model.generate):
            with pytest.raises(ValueError, match="videos are not reduced in this family"):
                call(input_ids=ids, mm_token_type_ids=ids * 0 + 2, **video)
        with pytest.raises(ValueError, match="videos are not reduced"):
            zipped.shorten({"input_ids": ids, **video})


def test_placeholders_that_do_not_fit_are_told_in_tokens(both):
    model, processor = both
    stock = inputs_of(processor, sizes=SIZES[:1])
    with vzlib.zip_model(model, processor, retain=RETAIN):
        for call in (model, model.generate):
            with pytest.raises(ValueError, match=f"image placeholders in the text, but {RETAIN} v"):
                call(**stock)


def test_a_prompt_is_stretched_to_all_tokens_of_its_images():
    ids = torch.tensor([[0, 0, 7, 9, 9, 5, 9], [7, 9, 9, 9, 5, 5, 5]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1] * 7])
    places = [torch.tensor([1, 3]), torch.tensor([2]), torch.tensor([0, 1, 2])]
    full = stretched(ids, mask, ids == 9, [4, 3, 3], places)
    assert full.stretch(ids).tolist() == [
        [7, 9, 9, 9, 9, 5, 9, 9, 9], [0, 0, 7, 9, 9, 9, 5, 5, 5],
    ]  # fmt: skip
    assert full.mask.sum(1).tolist() == [9, 7]
    assert full.columns.tolist() == [[0, 0, 0, 2, 4, 5, 8], [2, 3, 4, 5, 6, 7, 8]]
    with pytest.raises(ValueError, match="6 image placeholders in the text, but 7 visual tokens"):
        stretched(ids, mask, ids == 9, [4, 3, 4], [*places[:2], torch.arange(4)])


def test_a_share_of_views_is_refused_as_an_image_is_one_view(both):
    model, processor = both
    with pytest.raises(ValueError, match="share='released' is a number of tokens for each view"):
        vzlib.zip_model(model, processor, retain=RETAIN, share="released")
