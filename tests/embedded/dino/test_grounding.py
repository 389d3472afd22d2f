"""Where the words of a question are to look: at what they name, or at the first token."""

import pytest
import torch
from transformers import Dinov2Config, LlamaConfig

from vzlib.embedded.dino import architecture, decks, grounding, labels
from vzlib.embedded.dino.language import OPENING
from vzlib.embedded.pico.architecture import build_tokenizer
from vzlib.models.shared_prefix import block_mask
from vzlib.scenes import things
from vzlib.training.answers import hidden_states, pack

TEXT = LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=10,
                   num_attention_heads=2, num_key_value_heads=2, initializer_range=0.2)  # fmt: skip
VISION = Dinov2Config(hidden_size=24, num_hidden_layers=7, num_attention_heads=2, image_size=336,
                      patch_size=14)  # fmt: skip
VOCABULARY = build_tokenizer(things.vocabulary()).get_vocab()
WORDS = {number: word for word, number in VOCABULARY.items()}


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = architecture.build_llava(TEXT, VISION, things.vocabulary()).eval()
    model.set_attn_implementation("eager")
    return model


def asked_and_labels(numbers):
    scenes = [things.make(number, "train", grid=12) for number in numbers]
    asked = pack(
        [things.ask(scene, {"existence": 4, "counting": 2, "which": 1}) for scene in scenes],
        VOCABULARY,
        decks.TASKS,
    )
    return asked, torch.stack([labels.patch_labels(scene, 14) for scene in scenes]), scenes


def test_words_name_the_patches_that_show_it_or_none():
    asked, told, scenes = asked_and_labels(range(8))
    words, found = grounding.targets(asked, told, scenes, VOCABULARY)
    absent = 0
    for (number, place), shown in zip(words.tolist(), found, strict=True):
        word, scene = WORDS[asked.ids[number, place].item()], scenes[number]
        called = [
            i
            for i, thing in enumerate(scene.objects)
            if word in (thing.label, thing.group, f"{thing.group}s", thing.kind)
        ]
        patches = [scene.object_patches(i, 14, labels.COVERED) for i in called]
        right = torch.from_numpy(sum(patches, start=scene.patches(14) & False)).flatten()
        assert torch.equal(shown, right.bool())
        absent += not called
        assert called == [] or shown.any()
    assert 0 < absent < len(words)


def test_the_loss_is_that_of_the_attention_that_the_layers_give(model):
    asked, told, scenes = asked_and_labels([0, 1, 2])
    words, found = grounding.targets(asked, told, scenes, VOCABULARY)
    visual = torch.randn(3, 144, 32)
    with torch.no_grad(), grounding.attended(model) as caught:
        hidden_states(model, visual, asked, OPENING)
    prefix = len(OPENING) + 144
    with torch.no_grad():
        value, share = grounding.grounding_loss(caught, asked, words, found, len(OPENING))
        opening = model.get_input_embeddings()(torch.tensor([OPENING])).expand(3, -1, -1)
        maps = model.model.language_model(
            inputs_embeds=torch.cat(
                [opening, visual, model.get_input_embeddings()(asked.ids)], dim=1
            ),
            attention_mask=block_mask(asked.block, prefix),
            position_ids=torch.cat(
                [torch.arange(prefix).expand(3, -1), prefix + asked.place], dim=1
            ),
            output_attentions=True,
            use_cache=False,
        ).attentions
    on = []
    for layer in grounding.GROUNDED:
        for (number, place), shown in zip(words.tolist(), found, strict=True):
            row = maps[layer][number, :, prefix + place]
            patches = row[:, len(OPENING) : prefix][:, shown].sum(dim=1)
            on.append(patches if shown.any() else row[:, 0])
    assert value.item() == pytest.approx(-torch.stack(on).log().mean().item(), rel=1e-4)
    assert share == pytest.approx(torch.stack(on).mean().item(), rel=1e-4)


def test_the_hooks_are_gone_after_a_pass_and_shallow_models_have_none(model):
    with grounding.attended(model) as caught:
        pass
    with torch.no_grad():
        model.model.language_model(inputs_embeds=torch.zeros(1, 3, 32))
    assert caught == []
    model.model.language_model.layers = model.model.language_model.layers[:4]
    with grounding.attended(model) as caught, torch.no_grad():
        model.model.language_model(inputs_embeds=torch.zeros(1, 3, 32), use_cache=False)
    assert caught == []
