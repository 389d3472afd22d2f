"""What pico is trained on: labels true to the scene, questions as if each stood alone."""

import numpy as np
import pytest
import torch

from vzlib import scenes
from vzlib.embedded.pico import architecture, examples, language, tower
from vzlib.models.answer import prompt
from vzlib.training import answers

TWO = dict.fromkeys(language.TASKS, 2)
CORNER = torch.zeros(1, 2, dtype=torch.long)


def test_the_prompt_is_the_one_the_processor_makes():
    processor = architecture.build_processor()
    model = architecture.build_llava(0)
    ids = processor.tokenizer(prompt(processor, "is there a red circle ?"))["input_ids"]
    image = model.config.image_token_id
    assert ids[: ids.index(image)] == language.OPENING
    assert processor.tokenizer.unk_token_id not in ids
    words = processor.tokenizer.convert_tokens_to_ids(scenes.vocabulary())
    assert len(set(words)) == len(words) and processor.tokenizer.unk_token_id not in words


def test_a_full_window_is_the_stock_forward():
    model = architecture.build_tower(0).eval()
    pixels = torch.randn(2, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = architecture.encode_window(model, pixels, CORNER.expand(2, -1))
        stock = model(pixels, output_hidden_states=True)
    assert len(ours) == len(stock.hidden_states)
    for own, other in zip(ours, stock.hidden_states, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5)


def test_a_window_takes_the_positions_of_its_place():
    model = architecture.build_tower(0)
    with torch.no_grad():
        model.embeddings.patch_embedding.weight.zero_()
        model.pre_layrnorm = torch.nn.Identity()
        corners = torch.tensor([[3, 7]])
        states = architecture.encode_window(model, torch.zeros(1, 3, 96, 96), corners, depth=0)
    positions = model.embeddings.position_embedding.weight[1:].view(24, 24, -1)
    expected = positions[3:15, 7:19].flatten(0, 1)
    assert torch.equal(states[0][0, 1:], expected)


def test_patch_labels_are_those_of_the_object_on_the_patch():
    batch = examples.tower_batch(0, 4, 24, seed=0)
    for i in range(4):
        scene = scenes.make(i, "train")
        kinds = batch.patch_labels["kind"][i].view(24, 24).numpy()
        assert not (scene.patches(share=0.0) & (kinds == 0)).any()
        for number, thing in enumerate(scene.objects):
            core = scene.object_patches(number, share=0.8)
            own = kinds == examples.KINDS.index(thing.kind)
            assert own[core].all() and own[scene.object_patches(number, share=0.2)].any()
            for name, value in examples.labels_of(thing).items():
                assert (batch.patch_labels[name][i].view(24, 24).numpy()[core] == value).all()
            centre = batch.centres[i].view(24, 24, 2).numpy()[core] * 24 * scenes.PATCH
            assert np.allclose(centre, thing.centre, atol=1e-3)
        shapes = [thing for thing in scene.objects if thing.kind == "shape"]
        assert batch.image_labels["count"][i] == len(shapes)
        assert batch.present[i].sum() == len({thing.label for thing in shapes})


def test_batches_follow_from_their_numbers():
    one, other = (examples.tower_batch(7, 2, 12, seed=1) for _ in range(2))
    assert torch.equal(one.pixels, other.pixels) and torch.equal(one.corners, other.corners)
    assert not torch.equal(one.pixels, examples.tower_batch(7, 2, 12, seed=2).pixels)


@pytest.mark.parametrize("dense", [0.0, 1.0])
def test_the_tower_loss_reaches_every_layer_it_should(dense):
    model, heads = architecture.build_tower(0), tower.TowerHeads()
    loss, logs = tower.tower_loss(model, heads, examples.tower_batch(0, 3, 12, seed=0), dense)
    loss.backward()
    assert all(torch.isfinite(torch.tensor(value)) for value in logs.values())
    for layer in model.encoder.layers:
        assert layer.mlp.fc1.weight.grad.abs().max() > 0
    dense_grad = heads.patch["kind"].weight.grad
    assert (dense_grad is not None and dense_grad.abs().max() > 0) == bool(dense)


def test_questions_behind_one_prefix_equal_stock_passes_of_their_own():
    model, processor = architecture.build_llava(0).eval(), architecture.build_processor()
    encoder = model.model.vision_tower
    batch = language.language_batch(processor.tokenizer, 0, 1, 24, TWO, seed=0)
    scene = scenes.make(0, "train")
    with torch.no_grad():
        depth = architecture.FEATURE_LAYER % (architecture.VISION.num_hidden_layers + 1)
        features = architecture.encode_window(encoder, batch.pixels, CORNER, depth)[-1][:, 1:]
        visual = model.model.multi_modal_projector(features)
        hidden, prefix = answers.hidden_states(model, visual, batch, language.OPENING)
        logits = model.lm_head(hidden)[0]
        assert prefix == 578
        for number, question in enumerate(scenes.ask(scene, each=2)):
            text = prompt(processor, question.text)
            inputs = processor(images=scene.image, text=text, return_tensors="pt")
            stock = model(**inputs).logits[0, -1]
            own = (batch.block[0] == number).nonzero()[:, 0]
            at = own[len(question.text.split())]
            torch.testing.assert_close(logits[at], stock, rtol=1e-5, atol=1e-5)
            answer = processor.tokenizer.convert_tokens_to_ids(question.answer.split()[0])
            assert batch.target[0, at] == answer


def test_some_prefixes_are_shortened_and_stay_in_order():
    features = torch.arange(2 * 576.0).view(2, 576, 1)
    lengths = []
    for step in range(200):
        kept = language.keep_some(features, step, whole=0.7)
        assert (kept.diff(dim=1) > 0).all()
        lengths.append(kept.shape[1])
    full = sum(length == 576 for length in lengths) / len(lengths)
    assert 0.6 < full < 0.8 and 64 <= min(lengths) < 120
