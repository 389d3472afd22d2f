"""InternVL: tiles rated by CLS behind the projector, told apart by what the processor says."""

import pytest
import torch

import vzlib
from tests import families, tiny
from vzlib.models import internvl
from vzlib.models.answer import prompt
from vzlib.models.shape import Shape

RETAIN = 12
SIZES = ((100, 100), (128, 40), (40, 60))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "normed keys"])
def made(request):
    return families.internvl(use_qk_norm=request.param)


def inputs_of(processor, sizes=SIZES):
    texts = [prompt(processor, words) for words in ("what is left ?", "how many", "is ?")]
    images = [tiny.image(number, size) for number, size in enumerate(sizes)]
    return processor(images=images, text=texts[: len(sizes)], return_tensors="pt", padding=True)


def test_images_are_told_apart_by_their_tiles(made):
    model, processor = made
    stock = inputs_of(processor)
    found = internvl.shapes(model.config, stock)
    assert sum(shape.views for shape in found) == len(stock["pixel_values"])
    assert len({shape.views for shape in found}) > 1
    assert all(shape == Shape(shape.views, 16, 16 * shape.views) for shape in found)
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        inputs = inputs_of(zipped.processor)
        assert inputs["num_tiles"].tolist() == [shape.views for shape in found]
        del inputs["num_tiles"]
        for call in (model, model.generate):
            with pytest.raises(ValueError, match=r"not said which tiles .* pass num_tiles"):
                call(**inputs)
        with pytest.raises(ValueError, match=r"tiles, but num_tiles=\[1, 1, 1\]"):
            model(**inputs, num_tiles=[1, 1, 1])


def test_a_token_is_rated_by_what_cls_gives_its_four_patches(made):
    model, processor = made
    tower = model.model.vision_tower
    before = tower.config._attn_implementation
    with vzlib.zip_model(model, processor, retain=1, method="fastervlm") as zipped:
        inputs = inputs_of(zipped.processor, SIZES[2:])
        with torch.no_grad():
            model(**inputs)
        (found,) = zipped.tokens
    tower.set_attn_implementation("eager")
    with torch.no_grad():
        maps = tower(inputs["pixel_values"], output_attentions=True).attentions[-1]
    tower.set_attn_implementation(before)
    cls = maps.mean(1)[:, 0, 1:].view(-1, 8, 8)
    sums = torch.stack([
        cls[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].sum((1, 2)) for y in range(4) for x in range(4)
    ], dim=1)  # fmt: skip
    assert int(found.places[0, 0]) == int(sums[0].argmax())  # the first tile has the one token


def test_a_pruned_token_is_what_the_projector_made_of_its_place(made):
    model, processor = made
    inputs = inputs_of(processor)
    with torch.no_grad():
        whole = model.get_image_features(inputs["pixel_values"]).pooler_output
    with vzlib.zip_model(model, processor, retain=RETAIN, method="divprune") as zipped:
        short = inputs_of(zipped.processor)
        seen = []
        hook = model.model.language_model.register_forward_pre_hook(
            lambda _, arguments, options: seen.append(options["inputs_embeds"]), with_kwargs=True
        )
        with torch.no_grad():
            model(**short)
        hook.remove()
        images = zipped.tokens
    counts = short["num_tiles"].tolist()
    for row, (tiles, image) in enumerate(zip(whole.split(counts), images, strict=True)):
        here = short["input_ids"][row] == model.config.image_token_id
        assert torch.equal(seen[0][row, here], tiles.flatten(0, 1)[image.places[0]])
        assert torch.equal(image.places, image.places.sort().values)
        shares = (image.places[0] // 16).bincount(minlength=len(tiles))
        assert shares.sum() == RETAIN and shares.max() - shares.min() <= 1


def test_beams_of_a_batch_whose_images_cost_different_numbers(made):
    model, processor = made
    costs = {shape.stock for shape in internvl.shapes(model.config, inputs_of(processor))}
    with vzlib.zip_model(model, processor, retain=min(costs)) as zipped:  # some stay whole
        inputs = inputs_of(zipped.processor)
        asked = {"max_new_tokens": 3, "do_sample": False, "num_beams": 2}
        together = model.generate(**inputs, **asked)[:, -3:]
        assert {each is None for each in zipped.tokens} == {True, False}
        for number, size in enumerate(SIZES):
            text = [prompt(processor, words) for words in ("what is left ?", "how many", "is ?")]
            image = tiny.image(number, size)
            alone = zipped.processor(images=image, text=text[number], return_tensors="pt")
            assert torch.equal(model.generate(**alone, **asked)[0, -3:], together[number])


@pytest.mark.parametrize("layer", [-2, 3])
def test_another_layer_is_rated_by_its_own_block(layer):
    model, processor = families.internvl()
    model.config.vision_feature_layer = layer
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped, torch.no_grad():
        model(**inputs_of(zipped.processor))
        assert zipped.tokens[0].tokens.shape[1] == RETAIN
    for wrong in (0, 9, [-1, -2]):
        model.config.vision_feature_layer = wrong
        with pytest.raises(ValueError, match=r"vision_feature_layer=.* must be one layer: 1 to 4"):
            vzlib.zip_model(model, processor, retain=RETAIN)
