"""What pico-video starts from and learns from: pico as it is, and clips in a fixed order."""

import copy

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.pico.architecture import encode_window
from vzlib.embedded.video import architecture, attention, language, notes, seen, train
from vzlib.paths import CHECKPOINTS
from vzlib.scenes import clips
from vzlib.training import card


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
    one = seen.Seen(clips.clip(0), torch.zeros(2, 10, 1), touched, torch.zeros(2, 9))
    kept = language.some_tokens(one, language.Shown(4), True, generator)
    assert {0, 4, 5} <= set(kept[0].tolist()) and kept[1, 0] == 0
    assert (kept.diff(dim=1) > 0).all()
    without = language.some_tokens(one, language.Shown(4), False, generator)
    assert {4, 5} <= set(without[0].tolist()) and 0 not in without
    every = language.some_tokens(one, language.Shown(10), True, generator)
    assert torch.equal(every, torch.arange(10).expand(2, -1))


def test_what_happens_is_told_of_the_patches_of_things():
    clip = clips.clip(3, "train")
    told = notes.events(clip).view(clips.FRAMES, 16, 16)
    assert (told[torch.from_numpy(~clip.patches(share=0.0))] == notes.BACKGROUND).all()
    for name, places in clip.shown.items():
        touched = torch.from_numpy(clip.name_patches(name, share=0.3))
        for number, where in enumerate(places):
            later = notes.MOVED if name in clip.moved else notes.STAYS
            own = told[where.frame][touched[where.frame]]
            assert (own == (later if number else notes.NEW)).all() and len(own)
    album = clips.album(3, "train")
    again = [number for number, one in enumerate(notes.events(album)) if notes.AGAIN in one]
    (twice,) = (places for places in album.shown.values() if len(places) == 2)
    assert again == [twice[1].frame]


def test_questions_on_first_frames_are_those_of_the_shorter_clip():
    one = seen.Seen(clips.clip(0, "train"), torch.zeros(1), torch.zeros(1), torch.zeros(1))
    asked = language.asked_of(one, 2, torch.Generator().manual_seed(0))
    assert [q.task for q, count in asked if count == clips.FRAMES] == [
        q.task for q in clips.ask(one.clip, language.EACH, lessons=True)
    ]
    shorter = {count for q, count in asked if q.task == language.BEGINNING}
    assert len(shorter) == 2 and max(shorter) < clips.FRAMES
    for question, count in asked:
        if question.text == "how many shapes are there in all ?":
            shown = {t.name for frame in one.clip.frames[:count] for t in frame.objects}
            assert question.answer == str(len(shown))


def test_attention_in_parts_is_that_of_one_mask(monkeypatch):
    monkeypatch.setattr(attention, "LONGEST", 2)
    monkeypatch.setattr(attention, "TOGETHER", 3)
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, 9, 8, generator=generator)
    block = torch.tensor([[0, 0, 1, 1], [0, 1, 1, -1]])
    reach = torch.tensor([[5, 5, 2, 2], [3, 5, 5, 0]])
    mask = attention.question_mask(block, reach, 5)
    whole = torch.ones(2, 1, 9, 9, dtype=torch.bool).tril()
    whole[:, :, 5:] = mask
    ours, _ = attention.attend(None, query, key, value, mask)
    theirs = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=whole)
    torch.testing.assert_close(ours, theirs.transpose(1, 2))
    assert mask[0, 0, 2, :5].tolist() == [True, True, False, False, False]
    assert not mask[0, 0, 2, 5:7].any()  # another question


@pytest.mark.parametrize("images", [2, 3])
def test_the_loss_is_that_of_the_prompts_as_the_processor_makes_them(built, monkeypatch, images):
    """Answers behind numbered frames, every token there: the stock model's own cross-entropy.

    Of three images, two are asked about too, as if there were no third.
    """
    for each in ("EACH", "EACH_OF_FIRST"):
        monkeypatch.setattr(language, each, {"image": 1, "shared": 1})
    processor, album = architecture.build_processor(), clips.album(3, "train", images=images)
    pixels = processor.image_processor(
        images=[frame.image for frame in album.frames], return_tensors="pt"
    ).pixel_values
    with torch.no_grad():
        states = built.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2]
    touched = torch.from_numpy(album.patches()).flatten(1)
    one = seen.Seen(album, states, touched, notes.events(album))
    heads, words = notes.Notes(192), processor.tokenizer.get_vocab()
    attention.use(built)
    with torch.no_grad():
        loss, noted, _ = language.clip_loss(built, heads, words, [one], language.Shown(257), 0)
    built.model.language_model.set_attn_implementation("sdpa")
    assert 0 < float(noted) < 10
    total, weights = 0.0, 0.0
    for question, count in language.asked_of(one, images, torch.Generator()):
        shown = " ".join(f"image {1 + number} <image>" for number in range(count))
        text = f"USER: {shown} {question.text} ASSISTANT:"
        inputs = processor(text=text, images=list(pixels[:count]), return_tensors="pt",
                           do_rescale=False, do_normalize=False, do_resize=False)  # fmt: skip
        answer = processor.tokenizer(f"{question.answer} </s>", add_special_tokens=False,
                                     return_tensors="pt")["input_ids"]  # fmt: skip
        ids = torch.cat([inputs["input_ids"], answer], dim=1)
        with torch.no_grad():
            logits = built(input_ids=ids, pixel_values=pixels[:count]).logits[
                0, -answer.shape[1] - 1 : -1
            ]
        weight = language.WEIGHTS.get(question.task, 1.0)
        total += weight * float(
            torch.nn.functional.cross_entropy(logits, answer[0], reduction="sum")
        )
        weights += weight * answer.shape[1]
    assert float(loss) == pytest.approx(total / weights, rel=1e-3)


@pytest.mark.slow
def test_a_stage_that_was_stopped_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    stage = {"steps": 2, "rate": 1e-3, "decay": 0.0, "count": 1, "first": 0, "keep": ((3, 1),),
             "stretched": 0.5}  # fmt: skip
    monkeypatch.setitem(train.STAGES, "few", stage)
    monkeypatch.setattr(seen, "BLOCK", 1)
    tower, model, heads = train.start(0)
    modules = {**architecture.trained(model), "notes": heads}
    started = {name: copy.deepcopy(module.state_dict()) for name, module in modules.items()}
    weights = {}
    for folder, stops in (("once", (2,)), ("stopped", (1, 2))):
        for steps in stops:
            for name, module in modules.items():
                module.load_state_dict(started[name])
            train.run(tower, model, heads, "few", tmp_path / folder, 0, steps)
        weights[folder] = model.lm_head.weight.detach().clone()
    assert torch.equal(weights["once"], weights["stopped"])
    assert not torch.equal(weights["once"], started["head"]["weight"])


def test_training_goes_on_from_a_checkpoint_and_its_curve(tmp_path):
    shipped = CHECKPOINTS / "pico-video"
    _, model, _ = train.start(0, shipped)
    loaded = LlavaForConditionalGeneration.from_pretrained(shipped, dtype=torch.float32)
    weights = loaded.state_dict()
    assert model.state_dict().keys() == weights.keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    train.keep_curve(shipped, tmp_path / "run")
    kept = (tmp_path / "run" / card.CURVE).read_bytes()
    assert kept == (shipped / card.CURVE).read_bytes()
