"""Training parts of a zipped model: what changes, what stays, and what a kill costs."""

import pytest
import torch

from tests import families, tiny
from vzlib.embedded.pico.architecture import build_tokenizer
from vzlib.evaluation.questions import Asked, Question
from vzlib.methods.registry import method
from vzlib.models.answer import prompt
from vzlib.models.load import Loaded
from vzlib.models.zip import zip_model
from vzlib.training import tuning
from vzlib.training.examples import training_questions
from vzlib.training.kept import kept_tokens
from vzlib.training.packing import ABSENT, packed

WAY = method("visionzip")


@pytest.fixture
def loaded():
    model, processor = tiny.llava(image_size=48)
    processor.tokenizer = build_tokenizer()
    model.resize_token_embeddings(len(processor.tokenizer))
    return Loaded(model, processor, "tiny")


@pytest.fixture
def asked(loaded):
    return training_questions("scenes", 6, 2, loaded.processor.tokenizer)


def run(loaded, asked, folder, steps=6, **changes):
    part = loaded.model.model.multi_modal_projector
    course = tuning.Course(rate=1e-2, batch=2, steps=steps, seed=0)
    given = {"way": WAY, "retain": 8, "course": course, "folder": folder, "progress": False}
    return tuning.train_parts(loaded, {"projector": part}, asked, **given | changes)


def test_packed_questions_have_the_loss_of_a_pass_each(loaded, asked):
    model, processor = loaded.model, loaded.processor
    with zip_model(model, processor, retain=8) as zipped, torch.no_grad():
        pixels = loaded.pixels([one.image for one in asked[:2]])
        batch = packed(processor, asked[:2], [8, 8], model.dtype)
        together = model(**batch, pixel_values=pixels)
        losses, words = [], 0
        for one in asked[:2]:
            for question in one.questions:
                begun = prompt(processor, question.text)
                text = f"{begun} {question.answers[0]} </s>"
                inputs = zipped.processor(images=one.image, text=text, return_tensors="pt")
                behind = len(processor.tokenizer(begun)["input_ids"]) - 1 + 8  # a token, now eight
                labels = inputs["input_ids"].clone()
                labels[:, :behind] = ABSENT
                count = int((labels != ABSENT).sum())
                losses.append(count * model(**inputs, labels=labels).loss)
                words += count
    assert words == int((batch["labels"] != ABSENT).sum()) > 20
    assert together.loss.item() == pytest.approx(sum(losses).item() / words, rel=1e-4)


def test_the_projector_alone_changes_and_the_model_is_as_before(loaded, asked, tmp_path):
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    trainable = {name: one.requires_grad for name, one in loaded.model.named_parameters()}
    curve = run(loaded, asked, tmp_path / "state", steps=20)
    assert curve["loss"].tail(5).mean() < curve["loss"].head(5).mean()
    assert curve["step"].tolist() == list(range(1, 21)) and curve["seconds"].is_monotonic_increasing
    after = loaded.model.state_dict()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed == {name for name in before if "multi_modal_projector" in name}
    assert trainable == {name: one.requires_grad for name, one in loaded.model.named_parameters()}
    assert not loaded.model.training and "get_image_features" not in vars(loaded.model.model)
    assert not (tmp_path / "state").exists()


def test_a_killed_tuning_goes_on_to_the_same_weights(loaded, asked, tmp_path, monkeypatch):
    part = loaded.model.model.multi_modal_projector
    start = {name: value.clone() for name, value in part.state_dict().items()}
    whole_curve = run(loaded, asked, tmp_path / "whole")
    whole = {name: value.clone() for name, value in part.state_dict().items()}
    monkeypatch.setattr(tuning, "SAVE_EVERY", 2)
    steps, once = [], tuning.packed

    def killed(*arguments):
        steps.append(len(steps))
        if len(steps) == 4:
            raise KeyboardInterrupt
        return once(*arguments)

    monkeypatch.setattr(tuning, "packed", killed)
    part.load_state_dict(start)
    with pytest.raises(KeyboardInterrupt):
        run(loaded, asked, tmp_path / "killed")
    part.load_state_dict(start)
    curve = run(loaded, asked, tmp_path / "killed")
    assert len(steps) < 4 + 6  # it did not begin anew
    assert all(value.equal(whole[name]) for name, value in part.state_dict().items())
    assert curve["loss"].tolist() == whole_curve["loss"].tolist()
    assert curve["cpu_seconds"].is_monotonic_increasing


def test_kept_tokens_train_as_images_do(loaded, asked, tmp_path):
    part = loaded.model.model.multi_modal_projector
    start = {name: value.clone() for name, value in part.state_dict().items()}
    looked = run(loaded, asked, tmp_path / "state")
    part.load_state_dict(start)
    kept = run(loaded, asked, tmp_path / "state", tokens=kept_tokens(loaded, WAY, 8, asked))
    assert kept["loss"].tolist() == pytest.approx(looked["loss"].tolist(), rel=0.02)
    with pytest.raises(ValueError, match=r"hiprune needs received"):
        kept_tokens(loaded, method("hiprune"), 8, asked)


def test_a_family_of_several_views_is_tuned_by_the_same_code(tmp_path):
    model, processor = families.llava_next()
    loaded = Loaded(model, processor, "tiny")
    questions = (
        Question("t", "what is the colour ?", ("red",)),
        Question("t", "how many ?", ("2",)),
    )
    asked = [Asked(str(seed), tiny.image(seed), questions) for seed in range(4)]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    curve = run(loaded, asked, tmp_path / "state", steps=2)
    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert len(curve) == 2 and changed
    assert all("multi_modal_projector" in name for name in changed)


def test_questions_in_words_that_are_not_known_are_left_out(loaded):
    found = training_questions("things", 3, 2, loaded.processor.tokenizer)
    vocabulary = loaded.processor.tokenizer.get_vocab()
    texts = [f"{q.text} {q.answers[0]}" for one in found for q in one.questions]
    assert len(found) == 3 and texts
    assert all(word in vocabulary for text in texts for word in text.split())
    with pytest.raises(ValueError, match="images=2: things has 0 to train on"):
        training_questions("things", 2, 2, tiny.tokenizer())
