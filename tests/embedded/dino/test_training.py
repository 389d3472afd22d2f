"""What dino is trained on: growth changes nothing, features and questions are true to the scene."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import Dinov2Config, Dinov2Model, LlamaConfig
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from vzlib import scenes
from vzlib.embedded.dino import architecture, decks, held_out, labels, language, lookup, stages
from vzlib.embedded.dino.export import SHARDS, export
from vzlib.embedded.dino.features import CHUNK, Features
from vzlib.embedded.pico.architecture import build_tokenizer, words
from vzlib.models.answer import prompt
from vzlib.scenes import sheets, things
from vzlib.training import loop
from vzlib.training.answers import ABSENT, hidden_states, pack

VISION = Dinov2Config(hidden_size=24, num_hidden_layers=7, num_attention_heads=2, image_size=336,
                      patch_size=14)  # fmt: skip
TEXT = LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                   num_attention_heads=2, num_key_value_heads=2, initializer_range=0.2)  # fmt: skip
EACH = dict.fromkeys(decks.TASKS, 2)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return architecture.build_llava(TEXT, VISION, things.vocabulary()).eval()


@pytest.fixture
def eye():
    torch.manual_seed(0)
    return Dinov2Model(VISION).eval().requires_grad_(False)


def test_known_words_keep_their_numbers_and_new_ones_follow():
    known, all_words = words(), words(things.vocabulary())
    assert all_words[: len(known)] == known and len(all_words) == len(set(all_words))
    tokenizer = build_tokenizer(things.vocabulary())
    assert tokenizer.convert_tokens_to_ids(["dog", "hedgehog", "?"]) == [
        all_words.index(word) for word in ("dog", "hedgehog", "?")
    ]


def test_the_language_model_taken_over_answers_as_before(model):
    torch.manual_seed(1)
    source = architecture.build_llava(TEXT, VISION)
    architecture.take_language_model(model, source)
    ids = torch.tensor([[1, 5, 20, 30, 40]])
    with torch.no_grad():
        old, new = source(input_ids=ids).logits, model(input_ids=ids).logits
    assert torch.equal(new[..., : old.shape[-1]], old)
    rows = model.get_input_embeddings().weight[old.shape[-1] :]
    assert len(rows) > 150 and (rows[0] - rows[1]).abs().max() > 1e-3


def test_growing_computes_the_same_and_learns_in_every_layer(model):
    grown = architecture.grow(model, 3)
    assert grown.config.text_config.num_hidden_layers == 3
    grown = architecture.grow(grown, 6)
    ids = torch.tensor([[1, 5, 20, 30, 40]])
    with torch.no_grad():
        assert torch.equal(grown(input_ids=ids).logits, model(input_ids=ids).logits)
    grown(input_ids=ids).logits.sum().backward()
    for layer in grown.model.language_model.layers:
        assert layer.mlp.down_proj.weight.grad.abs().max() > 0
    for layers in (1, 5):
        with pytest.raises(ValueError, match=f"layers={layers} must be 2 to 4, as there are 2"):
            architecture.grow(model, layers)


def test_new_words_find_their_patches_and_the_answer_finds_them():
    torch.manual_seed(0)
    text = LlamaConfig(hidden_size=128, intermediate_size=64, num_hidden_layers=1,
                       num_attention_heads=2, num_key_value_heads=2)  # fmt: skip
    source = architecture.build_llava(text, VISION, things.vocabulary()).eval()
    directions = torch.linalg.qr(torch.randn(128, 128)).Q.T
    dog, cat, animal, food, asking = 200, 201, 202, 203, 2
    names, groups = (
        {dog: directions[0], cat: directions[1]},
        {animal: directions[2], food: directions[3]},
    )
    patches = torch.randn(40, 128)
    patches[:4] += 40 * (directions[0] + directions[2])
    patches[4:8] += 40 * (directions[1] + directions[2])
    patches[8:12] += 40 * directions[3]
    begins = torch.randn(20, 128) + 3 * torch.randn(128)
    left = torch.randn(2000, 128)
    left -= 0.95 * (left @ directions[9])[:, None] * directions[9]  # what marks new words
    patches -= 0.99 * (patches @ directions[9])[:, None] * directions[9]
    model = lookup.with_lookups(source, left, begins, names, groups)
    assert model.config.text_config.num_hidden_layers == 1 + lookup.LOOKUPS
    embeddings = model.get_input_embeddings().weight
    finding, handing = model.model.language_model.layers[-lookup.LOOKUPS :]
    positions = model.model.language_model.rotary_emb

    def attention(layer, query, keys):
        """Mean over heads of who is attended to, from 300 places further on."""
        normed = layer.input_layernorm(torch.cat([keys, query[None]]))
        turn = positions(normed[None], torch.tensor([[*range(len(keys)), 300]]))
        parts = (p(normed).view(1, -1, 2, 64).transpose(1, 2)
                 for p in (layer.self_attn.q_proj, layer.self_attn.k_proj))  # fmt: skip
        queries, keys = apply_rotary_pos_emb(*parts, *turn)
        return (queries[:, :, -1:] @ keys.transpose(-1, -2) / 8).softmax(-1).mean(dim=1)[0, 0]

    with torch.no_grad():
        assert attention(finding, embeddings[dog], patches)[:4].sum() > 0.5
        assert attention(finding, embeddings[cat], patches)[4:8].sum() > 0.5
        assert attention(finding, embeddings[animal], patches)[:8].sum() > 0.5
        assert attention(finding, embeddings[food], patches)[8:12].sum() > 0.5
        prompt = torch.cat([patches, embeddings[[dog]], left[:2]])
        assert attention(finding, embeddings[dog], prompt)[:4].sum() > 0.5  # and never itself
        assert attention(handing, begins.mean(dim=0), prompt)[40] > 0.5
    out = model(input_ids=torch.tensor([[1, dog, asking]])).logits
    assert out.isfinite().all()


def test_a_baked_projector_computes_the_same(model):
    projector = language.StandardisedProjector(model.model.multi_modal_projector)
    features = torch.randn(3, 7, 48) * 5 + 2
    projector.mean.copy_(features.mean(dim=(0, 1)))
    projector.spread.copy_(features.std(dim=(0, 1)))
    with torch.no_grad():
        expected = projector(features)
        baked = projector.bake()
        torch.testing.assert_close(baked(features), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(projector(features), expected, rtol=1e-4, atol=1e-5)


def test_a_projector_standardised_anew_computes_the_same(model):
    projector = language.StandardisedProjector(model.model.multi_modal_projector)
    features = torch.randn(500, 48) * 5 + 2
    with torch.no_grad():
        expected = projector(features)
        for seen in (features, 3 * features[:200] - 1):
            projector.standardise(seen)
            torch.testing.assert_close(projector(features), expected, rtol=1e-4, atol=1e-4)
    assert not torch.equal(projector.mean, torch.zeros(48))
    torch.testing.assert_close(projector.spread, seen.std(dim=0))


def test_real_things_have_two_turns_of_three_and_no_turn_is_left_out():
    turns = [stages.deck_of(step) for step in range(loop.LOG_EVERY)]
    for deck, share in (("shapes", 1 / 3), ("things", 2 / 3)):
        own = [turn for name, turn in turns if name == deck]
        assert own == list(range(len(own)))
        assert len(own) / len(turns) == pytest.approx(share, abs=0.05)
    assert {stages.deck_of(step)[0] for step in range(0, 200, loop.LOG_EVERY)} == set(stages.EACH)


def test_a_full_window_is_the_stock_layer_and_a_part_takes_its_positions(eye):
    pixels = torch.randn(1, 3, 336, 336, generator=torch.Generator().manual_seed(0))
    states = eye(pixels, output_hidden_states=True).hidden_states
    stock = torch.cat([states[layer] for layer in architecture.FEATURE_LAYERS], dim=-1)
    assert torch.equal(architecture.encode_window(eye, pixels, torch.zeros(1, 2).long()), stock)
    eye.embeddings.patch_embeddings.projection.weight.zero_()
    for layer in eye.encoder.layer:
        layer.layer_scale1.lambda1.zero_()
        layer.layer_scale2.lambda1.zero_()
    corner = torch.tensor([[3, 7]])
    part = architecture.encode_window(eye, torch.zeros(1, 3, 168, 168), corner)[0, 1:]
    bias = eye.embeddings.patch_embeddings.projection.bias
    grid = eye.embeddings.position_embeddings[0, 1:].view(24, 24, -1)
    expected = bias + grid[3:15, 7:19].flatten(0, 1)
    torch.testing.assert_close(part, expected.repeat(1, len(architecture.FEATURE_LAYERS)))


@pytest.mark.parametrize("deck", list(decks.DECKS))
def test_features_are_those_of_the_processor_and_are_kept(deck, eye, tmp_path, monkeypatch):
    features = Features(eye, tmp_path, deck, grid=12)
    number = CHUNK + 3
    image = features.scene(number).image
    pixels = architecture.build_image_processor()(
        np.asarray(image), size={"shortest_edge": 168}, crop_size={"height": 168, "width": 168},
        return_tensors="pt",
    ).pixel_values  # fmt: skip
    seen = architecture.encode_window(eye, pixels, features.corners([number]))[0, 1:]
    torch.testing.assert_close(features([number])[0], seen, rtol=1e-3, atol=1e-2)
    monkeypatch.setattr(Features, "_write", None)  # would fail if it were computed again
    again = Features(eye, tmp_path, deck, grid=12)([number, CHUNK])
    assert torch.equal(again[0], features([number])[0]) and again.shape == (2, 144, 48)
    assert not list(tmp_path.glob("*.tmp"))


def test_every_scene_of_a_pool_is_visited_as_often_as_it_should():
    visits = language.Visits(pool=32, times=3, seed=1)
    seen = [visits.numbers(step, 8) for step in range(24)]
    for round_ in range(6):
        numbers = sorted(n for own, _ in seen[4 * round_ : 4 * round_ + 4] for n in own)
        assert numbers == list(range(32 * (round_ // 3), 32 * (round_ // 3) + 32))
        assert {visit for _, visit in seen[4 * round_ : 4 * round_ + 4]} == {round_ % 3}
    assert seen[0] != seen[4] and seen == [visits.numbers(step, 8) for step in range(24)]


@pytest.mark.parametrize("deck", decks.ASKED)
def test_yes_is_asked_for_as_often_as_no_where_it_can_be(deck):
    asked = [
        question.answer
        for index in range(12)
        for question in decks.questions(
            deck, decks.DECKS[deck].make(index, "train", grid=24), [0, 0], {"existence": 2}, 0
        )
    ]
    assert len(asked) == 24
    assert 10 <= asked.count("yes") <= 12


@pytest.mark.parametrize("deck", decks.ASKED)
def test_another_visit_asks_other_questions_and_never_too_many(deck):
    scene = decks.DECKS[deck].make(0, "train", grid=12)
    first, second, again = (decks.questions(deck, scene, [0, 0], EACH, v) for v in (0, 1, 0))
    assert first == again and first != second
    for task in decks.TASKS:
        assert sum(question.task == task for question in first) <= 2
    assert {"existence", "half"} <= {question.task for question in first}


def test_questions_behind_one_prefix_equal_stock_passes_of_their_own(model):
    processor = architecture.build_processor(things.vocabulary())
    scene = things.make(0)
    questions = things.ask(scene, 1)
    features = torch.randn(1, 576, 48, generator=torch.Generator().manual_seed(0))
    asked = pack([questions], processor.tokenizer.get_vocab(), decks.TASKS)
    with torch.no_grad():
        visual = model.model.multi_modal_projector(features)
        hidden, _ = hidden_states(model, visual, asked, language.OPENING)
        for number, question in enumerate(questions):
            text = prompt(processor, question.text)
            inputs = processor(images=scene.image, text=text, return_tensors="pt")
            embeds = model.get_input_embeddings()(inputs["input_ids"])
            image = inputs["input_ids"] == model.config.image_token_id
            assert image.sum() == 576
            embeds[image] = visual[0]
            stock = model(inputs_embeds=embeds).logits[0, -1]
            own = (asked.block[0] == number).nonzero()[:, 0]
            at = own[len(question.text.split())]
            torch.testing.assert_close(model.lm_head(hidden[0, at]), stock, rtol=1e-4, atol=1e-4)


def test_a_window_stands_where_its_corner_says(eye, tmp_path, monkeypatch):
    windows, whole = (Features(eye, tmp_path, "things", grid=grid) for grid in (12, 24))
    monkeypatch.setattr(windows, "corners", lambda numbers: torch.tensor([[0, 0], [2, 5]]))
    places = language.window_places(windows, [0, 1])
    assert places.shape == (2, 144) and places[0, :13].tolist() == [*range(12), 24]
    assert places[1, 0] == 2 * 24 + 5 and places[1, -1] == 13 * 24 + 16
    assert language.window_places(whole, [0, 1]) is None


@pytest.mark.parametrize(
    ("make", "patch"),
    [(sheets.shapes_sheet, 8), (sheets.things_sheet, 14), (scenes.make, 8), (things.make, 14)],
)
def test_labels_are_those_of_the_thing_on_the_patch(make, patch):
    shown = 0
    columns = list(labels.LABELS)
    for index in range(3):
        scene = make(index, "train", grid=12)
        told_of = labels.patch_labels(scene, patch).view(12, 12, -1).numpy()
        background = told_of[..., 0] == 0
        assert not (background & scene.patches(patch, share=0.0)).any()
        for number, thing in enumerate(scene.objects):
            core = scene.object_patches(number, patch, 0.5)
            shown += core.sum()
            assert (told_of[core][:, 0] == labels.KINDS.index(thing.kind)).all()
            if thing.kind == "picture":
                names = told_of[core][:, columns.index("name")]
                assert all(labels.NAMES[name] == thing.label for name in names)
            if thing.kind == "number":
                middle = thing.left + thing.width / 2
                told = {name: told_of[..., columns.index(name)] for name in ("tens", "units")}
                for (name, own), digit in zip(told.items(), thing.label, strict=True):
                    assert set(own[core]) <= {int(digit), ABSENT}
                    at = (np.argwhere(core & (own != ABSENT))[:, 1] + 0.5) * patch
                    assert (
                        (at < middle + patch / 4) if name == "tens" else (at > middle - patch / 4)
                    ).all()
                assert (told_of[core][:, columns.index("name")] == ABSENT).all()
    assert shown > 20


def test_the_loss_of_labels_falls_to_nothing_where_heads_are_right_and_asks_nothing_else():
    told_of = torch.full((6, len(labels.LABELS)), ABSENT)
    told_of[:4, 0] = torch.tensor([0, 1, 2, 0])
    heads = labels.label_heads(len(labels.KINDS))
    with torch.no_grad():
        heads["kind"].weight.copy_(40 * torch.eye(len(labels.KINDS)))
        heads["kind"].bias.zero_()
    tokens = torch.eye(len(labels.KINDS))[[0, 1, 2, 3, 4, 5]]
    value, right = labels.label_loss(heads, tokens[[0, 1, 2, 0, 4, 5]], told_of)
    assert value < 1e-6 and right == {"kind": 1.0}
    value, right = labels.label_loss(heads, tokens[[0, 1, 2, 3, 4, 5]], told_of)
    assert value.item() == pytest.approx(labels.WEIGHT * 40 / 4) and right == {"kind": 0.75}
    assert labels.label_loss(heads, tokens[4:], told_of[4:])[0] == 0


def test_sheets_are_crowded_and_repeat():
    for make in (sheets.shapes_sheet, sheets.things_sheet):
        counts = [len(make(index, grid=12).objects) for index in range(6)]
        assert np.mean(counts) >= 5
        assert (make(3, grid=12).image == make(3, grid=12).image).all()
        assert not (make(3, grid=12).image == make(4, grid=12).image).all()


def test_the_table_counts_what_was_right():
    import pandas as pd

    rows = pd.DataFrame(
        [("shapes", "reading", n, "7", n % 2 == 0) for n in range(4)],
        columns=["deck", "task", "scene", "answer", "right"],
    )
    row = held_out.table(rows).loc[("shapes", "reading")]
    assert row.to_dict() == {"accuracy": 50.0, "majority": 100.0, "n": 4.0}


def test_what_is_exported_is_a_stock_llava_in_two_files(model, tmp_path):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    projector = language.StandardisedProjector(model.model.multi_modal_projector)
    projector.mean.fill_(0.5)
    projector.spread.fill_(2)
    export(model, projector, things.vocabulary(), tmp_path)
    assert projector.spread[0] == 2  # the one in training stays as it is
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
    processor = AutoProcessor.from_pretrained(tmp_path)
    assert loaded.dtype == torch.float32 and loaded.config.vision_feature_layer == [-7, -2]
    scene = things.make(0)
    text = "USER: <image>\nwhich animal is there ? ASSISTANT:"
    inputs = processor(images=scene.image, text=text, return_tensors="pt")
    assert (inputs["input_ids"] == loaded.config.image_token_id).sum() == 576
    assert processor.tokenizer.unk_token_id not in inputs["input_ids"]
    with torch.no_grad():
        states = model.model.vision_tower(
            inputs["pixel_values"], output_hidden_states=True
        ).hidden_states
        seen = torch.cat([states[layer][:, 1:] for layer in architecture.FEATURE_LAYERS], dim=-1)
        embeds = model.get_input_embeddings()(inputs["input_ids"])
        embeds[inputs["input_ids"] == loaded.config.image_token_id] = projector(seen)[0]
        torch.testing.assert_close(
            loaded(**inputs).logits, model(inputs_embeds=embeds).logits, rtol=1e-2, atol=2e-2
        )
    tower_file, language_file = (tmp_path / name for name in SHARDS.values())
    with safe_open(tower_file, "pt") as own, safe_open(language_file, "pt") as other:
        assert all("vision_tower" in name for name in own.keys())  # noqa: SIM118
        assert not any("vision_tower" in name for name in other.keys())  # noqa: SIM118
