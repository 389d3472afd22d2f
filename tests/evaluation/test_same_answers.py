"""Every method says under stock generate what it says in the evaluation loop."""

from functools import cache

import pytest
import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

import vzlib
from vzlib import scenes
from vzlib.evaluation.evaluate import Way, evaluate
from vzlib.evaluation.questions import Asked, Question
from vzlib.methods import registry
from vzlib.methods.inside.schedule import Inside
from vzlib.methods.vanilla import Vanilla
from vzlib.models import load
from vzlib.models.answer import prompt
from vzlib.models.images import open_image

RETAIN, AVERAGE, LONGEST = 64, 224, 8


def spends(name):
    if registry.row(name).compared is None:
        return {"retain": 576} if name == "vanilla" else {}
    return {"retain": RETAIN if registry.row(name).place == "before" else AVERAGE}


@torch.no_grad()
def generated(loaded, zipped, image, texts):
    """The answers to a batch of questions, padded on the left."""
    model, processor = loaded.model, zipped.processor
    prompts = [prompt(processor, text) for text in texts]
    pictures = [open_image(image)] * len(texts)
    inputs = processor(images=pictures, text=prompts, padding=True, return_tensors="pt")
    if "text" not in getattr(zipped.method, "needs", ()):  # encoded once, asked often
        features = model.get_image_features(inputs.pop("pixel_values")[:1]).pooler_output
        encoded = BaseModelOutputWithPooling(pooler_output=list(features) * len(texts))
        inputs["mm_encoder_outputs"] = {"image": encoded}
    ids = model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
    new = ids[:, inputs["input_ids"].shape[1] :]
    return [words.strip() for words in processor.batch_decode(new, skip_special_tokens=True)]


def different(name, images, texts):
    """Of all questions about all images: how many are answered differently, and all answers."""
    loaded = load.loaded("pico-llava")  # once for all methods
    zipped = vzlib.zip_model(loaded.model, loaded.processor, method=name, **spends(name))
    with zipped:
        said = {number: generated(loaded, zipped, image, texts)
                for number, image in enumerate(images)}  # fmt: skip
    method = zipped.method
    before, inside = (Vanilla(), method) if isinstance(method, Inside) else (method, None)
    way = Way(name, before, loaded.patches if inside else zipped.retain, inside)
    wrong = 0
    for number, image in enumerate(images):
        for scoring in ("exact", "verbatim"):  # decoded word by word, and told by one pass
            questions = tuple(
                Question("any", text, (answer,), scoring=scoring)
                for text, answer in zip(texts, said[number], strict=True)
            )
            asked = [Asked(str(number), image, questions)]
            found = evaluate(loaded, [way], asked, progress=False, max_new_tokens=LONGEST)
            if scoring == "exact":
                wrong += sum(a != b for a, b in zip(found["said"], said[number], strict=True))
            else:
                wrong += int((found["score"] != 1).sum())
    return wrong, [answer for own in said.values() for answer in own]


@cache
def asked(images, each):
    """Pictures of scenes, and questions about these and others."""
    known = [scenes.make(index) for index in range(max(images, each // 2))]
    texts = dict.fromkeys(question.text for scene in known for question in scenes.ask(scene))
    return [scene.image for scene in known[:images]], list(texts)[:each]


@pytest.mark.parametrize("name", [*registry.names("inside"), "visionzip", "cdpruner"])
def test_a_few_questions(name):
    wrong, said = different(name, *asked(1, 5))
    assert wrong == 0 and len(set(said)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names())
def test_sixteen_questions(name):
    wrong, said = different(name, *asked(2, 8))
    assert wrong == 0 and len(said) == 16 and len(set(said)) > 2


@pytest.mark.long
@pytest.mark.parametrize("name", registry.names())
def test_two_hundred_questions(name):
    wrong, said = different(name, *asked(8, 25))
    assert wrong == 0 and len(said) == 200 and len(set(said)) > 10
