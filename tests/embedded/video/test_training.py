"""What pico-video starts from and learns from: pico as it is, and clips in a fixed order."""

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.pico.architecture import encode_window
from vzlib.embedded.video import architecture, language, seen, train
from vzlib.paths import CHECKPOINTS
from vzlib.scenes import clips


@pytest.fixture(scope="module")
def pico():
    return LlavaForConditionalGeneration.from_pretrained(
        CHECKPOINTS / "pico-llava", dtype=torch.float32
    )


@pytest.fixture(scope="module")
def built(pico):
    return architecture.build(pico, 0).eval()


def test_it_starts_as_pico_with_a_smaller_grid_and_more_words(pico, built):
    pixels = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    corner = torch.full((1, 2), architecture.CORNER)
    with torch.no_grad():
        ours = built.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2]
        window = encode_window(pico.model.vision_tower, pixels, corner)[-2]
        torch.testing.assert_close(ours, window, rtol=1e-4, atol=1e-4)
        features = built.model.get_image_features(pixels).pooler_output[0]
    assert features.shape == (257, 192)  # CLS with the patches, as Video-LLaVA's frames
    before, after = (model.get_input_embeddings().weight for model in (pico, built))
    assert torch.equal(after[: len(before)], before)
    assert len(after) == len(before) + len(clips.new_words()) == len(built.lm_head.weight)
    ids = torch.tensor([[1, 5, 7, 9, 6]])
    with torch.no_grad():
        own, other = (model(input_ids=ids).logits for model in (built, pico))
    torch.testing.assert_close(own[..., : len(before)], other, rtol=1e-4, atol=1e-4)


def test_a_batch_is_the_same_whatever_was_asked_for_before(pico):
    def sequence():
        return seen.Sequence(pico.model.vision_tower, "album", count=1, grid=12, first=5, seed=0)

    going, fresh = sequence(), sequence()
    visits = [going(turn)[0] for turn in range(seen.BLOCK + 2)]
    (one,) = fresh(seen.BLOCK + 1)
    assert one.clip.index == visits[-1].clip.index
    assert torch.equal(one.features, visits[-1].features)
    numbers = [visit.clip.index for visit in visits[: seen.BLOCK]]
    assert sorted(numbers) == list(range(5, 5 + seen.BLOCK))
    assert one.features.shape == (clips.IMAGES, 145, 192)
    assert torch.equal(one.touched.view(-1, 12, 12), torch.from_numpy(one.clip.patches(share=0.05)))


def test_tokens_are_dropped_from_the_background_first():
    generator = torch.Generator().manual_seed(0)
    touched = torch.zeros(2, 9, dtype=torch.bool)
    touched[0, 3:5] = True
    features = torch.arange(20.0).view(2, 10, 1)
    one = seen.Seen(clips.clip(0), features, touched)
    kept = language.some_tokens(one, 4, True, 1.0, generator)[..., 0]
    assert {0.0, 4.0, 5.0} <= set(kept[0].tolist()) and kept[1, 0] == 10
    assert (kept.diff(dim=1) > 0).all()
    without = language.some_tokens(one, 4, False, 1.0, generator)[..., 0]
    assert {4.0, 5.0} <= set(without[0].tolist()) and not {0.0, 10.0} & set(
        without.flatten().tolist()
    )
    every = language.some_tokens(one, 10, True, 1.0, generator)
    assert torch.equal(every, features)


def test_the_loss_is_that_of_the_prompts_as_the_processor_makes_them(built, monkeypatch):
    """Answers behind numbered frames, every token there: the stock model's own cross-entropy."""
    monkeypatch.setattr(language, "EACH", {"image": 1, "shared": 1})
    processor, album = architecture.build_processor(), clips.album(3, "train", images=2)
    pixels = processor.image_processor(
        images=[frame.image for frame in album.frames], return_tensors="pt"
    ).pixel_values
    with torch.no_grad():
        states = built.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2]
    one = seen.Seen(album, states, torch.from_numpy(album.patches()).flatten(1))
    with torch.no_grad():
        loss, _ = language.clip_loss(built, processor.tokenizer.get_vocab(), [one], 257, 0, 1.0)
    total, weights = 0.0, 0.0
    for question in clips.ask(album, language.EACH, lessons=True):
        text = f"USER: image 1 <image> image 2 <image> {question.text} ASSISTANT:"
        inputs = processor(text=text, images=list(pixels), return_tensors="pt", do_rescale=False,
                           do_normalize=False, do_resize=False)  # fmt: skip
        answer = processor.tokenizer(f"{question.answer} </s>", add_special_tokens=False,
                                     return_tensors="pt")["input_ids"]  # fmt: skip
        ids = torch.cat([inputs["input_ids"], answer], dim=1)
        with torch.no_grad():
            logits = built(input_ids=ids, pixel_values=pixels).logits[0, -answer.shape[1] - 1 : -1]
        weight = language.WEIGHTS.get(question.task, 1.0)
        total += weight * float(
            torch.nn.functional.cross_entropy(logits, answer[0], reduction="sum")
        )
        weights += weight * answer.shape[1]
    assert float(loss) == pytest.approx(total / weights, rel=1e-3)


@pytest.mark.slow
def test_a_stage_that_was_stopped_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    stage = {"grid": 12, "steps": 2, "rate": 1e-3, "decay": 0.0, "count": 1, "first": 0,
             "keep": ((3, 1),)}  # fmt: skip
    monkeypatch.setitem(train.STAGES, "windows", stage)
    monkeypatch.setattr(seen, "BLOCK", 1)
    tower, model = train.start(0)
    started = {name: value.clone() for name, value in model.state_dict().items()}
    weights = {}
    for folder, stops in (("once", (2,)), ("stopped", (1, 2))):
        for steps in stops:
            model.load_state_dict(started)
            train.run(tower, model, "windows", tmp_path / folder, 0, steps)
        weights[folder] = model.lm_head.weight.detach().clone()
    assert torch.equal(weights["once"], weights["stopped"])
    assert not torch.equal(weights["once"], started["lm_head.weight"])
