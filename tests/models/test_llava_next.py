"""LLaVA-NeXT: one budget whatever the aspect ratio, the authors' way, and the released packing."""

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
)

import vzlib
from tests import families, tiny
from vzlib import Budget, BudgetError
from vzlib.methods import VisionZip
from vzlib.models import llava_next
from vzlib.models.shape import Shape
from vzlib.models.tiles import on_a_canvas
from vzlib.models.views import Budgeted, ByView, Joined, seen_apart
from vzlib.tokens.evidence import Encoded

TEXT = "USER: <image> what is left ? ASSISTANT:"
# Width and height of 1:1, 1:2, 2:1, 3:1, 1:3.
SIZES = {"1:1": (672, 672), "1:2": (300, 600), "2:1": (600, 300), "3:1": (900, 300),
         "1:3": (300, 900)}  # fmt: skip


@pytest.fixture(scope="module")
def real():
    """The geometry of the 7B and 13B models: 336 pixels, patches of 14, five arrangements."""
    torch.manual_seed(0)
    pinpoints = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**tiny.SIZE, image_size=336, patch_size=14),
        text_config=LlamaConfig(**families.TEXT),
        image_token_id=tiny.SPECIAL.index("<image>"),
        image_grid_pinpoints=pinpoints,
    )
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 336},
            crop_size={"height": 336, "width": 336},
            image_grid_pinpoints=pinpoints,
        ),
        tokenizer=tiny.tokenizer(),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    return families.awake(LlavaNextForConditionalGeneration(config)), processor


def spent(model, processor, size):
    """Placeholders, and visual tokens that reach the language model."""
    inputs = processor(images=tiny.image(size=size), text=TEXT, return_tensors="pt")
    with torch.no_grad():
        features = model.get_image_features(inputs["pixel_values"], inputs["image_sizes"])
    return int((inputs["input_ids"] == 4).sum()), len(features.pooler_output[0])


@pytest.mark.parametrize("share", ["evenly", "attention"])
@pytest.mark.parametrize("retain", [160, 640])
def test_a_budget_is_what_an_image_costs_at_every_aspect_ratio(real, retain, share):
    model, processor = real
    with vzlib.zip_model(model, processor, retain=retain, share=share) as zipped:
        for size in SIZES.values():
            assert spent(model, zipped.processor, size) == (retain, retain)


@pytest.mark.parametrize(
    ("retain", "costs"),
    [(160, (160, 96, 96, 128, 128)), (320, (320, 192, 192, 256, 256)),
     (640, (640, 384, 384, 512, 512))],
)  # fmt: skip
def test_as_released_every_view_has_the_same_and_small_images_cost_less(real, retain, costs):
    model, processor = real
    with vzlib.zip_model(model, processor, retain=retain, share="released") as zipped:
        found = [spent(model, zipped.processor, size) for size in SIZES.values()]
    assert found == [(cost, cost) for cost in costs]
    # 27 + 5 tokens a view at 160, as Table 9 counts them.
    assert VisionZip().budget(retain // 5, has_cls=True) == Budget.retain(retain // 5)
    assert VisionZip().budget(32, has_cls=True) == Budget(27, 5)


def test_what_the_stock_model_costs_is_known_of_every_shape(real):
    model, processor = real
    assert llava_next.largest(model.config) == Shape(5, 576, 2928)
    for size in (*SIZES.values(), (50, 1000), (641, 333), (1, 1)):
        inputs = processor(images=tiny.image(size=size), text=TEXT, return_tensors="pt")
        (shape,) = llava_next.shapes(model.config, inputs)
        assert shape.stock == (inputs["input_ids"] == 4).sum()
        assert shape.views == inputs["pixel_values"].shape[1]


def test_no_newline_stands_among_chosen_tokens_and_all_of_them_in_a_whole_image():
    model, processor = families.made("llava_next")
    inputs = processor(images=tiny.image(size=(100, 100)), text=TEXT, return_tensors="pt")
    asked = inputs["pixel_values"], inputs["image_sizes"]

    def newlines():
        with torch.no_grad():
            (features,) = model.get_image_features(*asked).pooler_output
        return int((features == model.model.image_newline).all(1).sum()), len(features)

    assert newlines() == (12, 36 + 12 * 13)
    with vzlib.zip_model(model, processor, retain=192):
        assert newlines() == (12, 192)
    # 191 is more than there are patches: all 180 stay, and none of the ends of rows.
    with vzlib.zip_model(model, processor, retain=191, method="fastervlm") as zipped:
        assert newlines() == (0, 180)
        assert spent(model, zipped.processor, (100, 100)) == (180, 180)


def random_views(seed, views, side=4, heads=2):
    """Scores, keys and hidden states [V, 1 + side^2, ...] of the views of one image."""
    generator = torch.Generator().manual_seed(seed)
    count = 1 + side * side
    hidden = torch.randn(views, count, 6, generator=generator)
    scores = torch.rand(views, count, generator=generator)
    return Encoded(hidden, scores, torch.randn(views, count, 3, generator=generator))


def by_the_released_rule(encoded, rows, columns, dominant, contextual, side=4):
    """Places, as view and token, and tokens of one image, read from the released code.

    Each crop alone: CLS, the patches CLS attends to most, in raster order, then targets at every
    step-th leftover, to which the mean of the leftovers most like it by key is added. Packed: the
    base crop; the dominant patches of all tiles in raster order of the joined grid; the tiles' CLS
    tokens; the tiles' contextual tokens.
    """
    crops = []
    for hidden, scores, keys in zip(*encoded, strict=True):
        ranked = sorted(range(1, len(scores)), key=lambda token, s=scores: -float(s[token]))
        kept = [0, *sorted(ranked[: dominant - 1])]
        rest = [token for token in range(len(scores)) if token not in kept]
        step = max(1, len(rest) // contextual)
        targets = rest[::step][:contextual]
        unit = keys / keys.norm(dim=1, keepdim=True)
        joins = {target: [] for target in targets}
        for token in rest:
            if token not in targets:
                best = max(targets, key=lambda target, t=token: float(unit[t] @ unit[target]))
                joins[best].append(token)
        merged = [
            hidden[target] + sum((hidden[t] for t in joins[target]), torch.zeros(6))
            / max(1, len(joins[target]))
            for target in targets
        ]  # fmt: skip
        crops.append((kept, [hidden[token] for token in kept], targets, merged))
    (kept, tokens, targets, merged), *tiles = crops
    packed = [*zip([(0, place) for place in [*kept, *targets]], tokens + merged, strict=True)]
    raster = []
    for tile, (kept, tokens, _, _) in enumerate(tiles):
        for place, token in [*zip(kept, tokens, strict=True)][1:]:
            y = tile // columns * side + (place - 1) // side
            x = tile % columns * side + (place - 1) % side
            raster.append((y * columns * side + x, (tile + 1, place), token))
    packed += [each[1:] for each in sorted(raster, key=lambda each: each[0])]
    packed += [((tile + 1, 0), tokens[0]) for tile, (_, tokens, _, _) in enumerate(tiles)]
    for tile, (_, _, targets, merged) in enumerate(tiles):
        packed += [((tile + 1, each), token) for each, token in zip(targets, merged, strict=True)]
    return packed


def test_200_images_are_chosen_merged_and_packed_as_released():
    model, _ = families.made("llava_next")
    for seed in range(200):
        rows, columns = [(1, 2), (2, 1), (2, 2), (3, 1), (1, 3)][seed % 5]
        contextual = 1 + seed % 3
        dominant = 2 + seed % 7
        views, each = 1 + rows * columns, dominant + contextual
        encoded = random_views(seed, views)
        method = VisionZip(contextual=contextual / each)
        assert method.budget(each, True) == Budget(dominant, contextual)
        reduction = ByView(method, Budgeted(5 * each, "released", 5), seed=0)
        shape = Shape(views, 16, 10**6)
        size = torch.tensor([[rows * 32, columns * 32]])

        def order(number, joined, size=size):
            return on_a_canvas(4, (int(size[0, 0]) // 32, int(size[0, 1]) // 32), joined)

        (made,) = reduction(model.model, seen_apart([shape], encoded, True, {}), order)
        expected = by_the_released_rule(encoded, rows, columns, dominant, contextual)
        places = [(int(place) // 17, int(place) % 17) for place in made.places[0]]
        assert places == [place for place, _ in expected], seed
        tokens = torch.stack([token for _, token in expected])
        torch.testing.assert_close(made.tokens[0], tokens, rtol=1e-5, atol=1e-6)


def test_shared_by_attention_a_view_has_as_many_as_it_has_among_the_most_attended():
    encoded = random_views(3, 5)
    reduction = ByView(VisionZip(), Budgeted(20, "attention", 5), seed=0)
    shape = Shape(5, 16, 10**6)
    (made,) = reduction(
        families.made("llava_next")[0].model,
        seen_apart([shape], encoded, True, {}),
        lambda _, joined: joined.views.argsort(stable=True),
    )
    ranked = encoded.scores[:, 1:].flatten().argsort(descending=True)[:20] // 16
    assert (made.places[0] // 17).bincount(minlength=5).tolist() == ranked.bincount(
        minlength=5
    ).tolist()


def test_a_view_that_has_no_share_is_left_out_and_the_base_view_comes_first():
    assert Budgeted(3, "evenly", 5).quotas(Shape(5, 36, 200)) == (1, 1, 1, 0, 0)
    assert Budgeted(12, "evenly", 5).quotas(Shape(5, 36, 200)) == (3, 3, 2, 2, 2)
    assert Budgeted(300, "evenly", 5).quotas(Shape(3, 36, 301)) == (36, 36, 36)
    model, processor = families.made("llava_next")
    with vzlib.zip_model(model, processor, retain=3) as zipped:
        assert spent(model, zipped.processor, (100, 100)) == (3, 3)
        assert zipped.tokens[0].places.tolist() == [[0, 37, 74]]  # CLS of three views


def test_tokens_reordered_are_the_same_tokens():
    reduction = ByView(VisionZip(), Budgeted(30, "evenly", 5), seed=0)
    (seen,) = seen_apart([Shape(5, 16, 10**6)], random_views(1, 5), True, {})
    joined = reduction._joined(seen, {})
    assert isinstance(joined, Joined)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    moved = joined.ordered(order)
    for token in range(30):
        before, after = joined.reduced, moved
        assert torch.equal(after.tokens[0, token], before.tokens[0, order[token]])
        assert after.places[0, token] == before.places[0, order[token]]
        came = (after.sources[0] == token).nonzero()
        assert torch.equal(came, (before.sources[0] == order[token]).nonzero())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"retain": 42, "share": "released"}, "retain=42 .* 5 views .* nearest that can is 40"),
        ({"retain": 185, "share": "released"}, "between 1 and 180"),
        ({"retain": 193}, "between 1 and 192"),
    ],
)
def test_budgets_that_cannot_be_shared_are_refused(arguments, message):
    model, processor = families.made("llava_next")
    with pytest.raises(BudgetError, match=message):
        vzlib.zip_model(model, processor, **arguments)


def test_a_budget_is_shared_in_its_own_split():
    model, processor = families.made("llava_next")
    with vzlib.zip_model(model, processor, Budget(30, 10), merge="paper") as zipped:
        assert zipped.method.contextual == 0.25 and zipped.method.merge == "paper"
        assert spent(model, zipped.processor, (100, 100)) == (40, 40)
    with vzlib.zip_model(model, processor, Budget(40, 0, cls=False)) as zipped:
        assert spent(model, zipped.processor, (100, 100)) == (40, 40)
        assert (zipped.tokens[0].places % 37 != 0).all()


def test_a_tower_without_cls_is_rated_by_all_its_tokens():
    model, processor = families.llava_next("siglip", strategy="full")
    inputs = processor(images=tiny.image(size=(100, 100)), text=TEXT, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits
    for retain in (20, 192):
        with vzlib.zip_model(model, processor, retain=retain) as zipped:
            assert spent(model, zipped.processor, (100, 100)) == (retain, retain)
            with torch.no_grad():
                given = zipped.processor(
                    images=tiny.image(size=(100, 100)), text=TEXT, return_tensors="pt"
                )
                found = model(**given).logits
    assert torch.equal(found, expected)


def test_a_processor_of_another_family_is_refused():
    model, _ = families.made("llava_next")
    with vzlib.zip_model(model, tiny.processor(image_size=48), retain=20) as zipped:  # noqa: SIM117
        with pytest.raises(ValueError, match="no image_sizes; make the inputs with a LlavaNextPro"):
            zipped.processor(images=tiny.image(), text=TEXT, return_tensors="pt")
