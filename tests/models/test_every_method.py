"""Every method x everything a stock model can be asked for: it works, or is refused by name.

On a tiny model; on pico what is most often asked for.
"""

from functools import cache, partial
from threading import Thread
from typing import NamedTuple

import pytest
import torch
from transformers import TextIteratorStreamer, pipeline
from transformers.modeling_outputs import BaseModelOutputWithPooling

import vzlib
from tests import tiny
from tests.methods.inside.conftest import deep
from tests.methods.inside.oracle import embedded, masked_forward
from vzlib.evaluation.evaluate import Way, evaluate
from vzlib.evaluation.questions import Asked, Question
from vzlib.methods import registry
from vzlib.methods.inside.schedule import Inside
from vzlib.methods.vanilla import Vanilla
from vzlib.models import load
from vzlib.models.answer import answer, prompt
from vzlib.models.load import Loaded
from vzlib.models.zipped import ZippedModel
from vzlib.scenes import make

NAMES = registry.names()
QUESTIONS = ["what colour is the shape ?", "how many", "what is left of the blue shape ?"]


class Case(NamedTuple):
    """A model, what it is zipped with, and pictures to ask about."""

    loaded: Loaded
    name: str
    zipped: ZippedModel
    pictures: list

    @property
    def inside(self):
        return isinstance(self.zipped.method, Inside)

    @property
    def draws(self):  # anew for each row
        return registry.row(self.name).draws and not self.inside

    def inputs(self, *texts, images=None):
        """Of prompts about the first images, one each unless told otherwise."""
        images = range(len(texts)) if images is None else images
        return self.zipped.processor(
            images=[self.pictures[number] for number in images] or None,
            text=list(texts),
            padding=True,
            return_tensors="pt",
        )

    def asks(self, *questions):
        return [prompt(self.zipped.processor, question) for question in questions]

    @torch.no_grad()
    def says(self, inputs, **options):
        """New tokens [B, n]."""
        chosen = {"max_new_tokens": 3, "do_sample": False, "eos_token_id": None, **options}
        ids = self.zipped.model.generate(**inputs, **chosen)
        return ids[:, inputs["input_ids"].shape[1] :]


def spends(name, patches):
    """What each method is asked to leave: a budget, or nothing where there is none."""
    if name == "sparsevlm-v1":
        return {}
    if registry.row(name).place == "inside":
        return {"retain": round(0.6 * patches)}
    return {"retain": patches if name == "vanilla" else patches // 6}


def plainly(case):
    """As the evaluation loop answers, one prompt after the other."""
    question = Question("any", QUESTIONS[0], ("red",), scoring="exact")
    asked = [Asked("one", case.pictures[0], (question,))]
    method, given = case.zipped.method, spends(case.name, case.loaded.patches)
    before, inside = (Vanilla(), method) if case.inside else (method, None)
    retain = case.loaded.patches if case.inside else given["retain"]
    way = Way("way", before, retain, inside)
    told = evaluate(case.loaded, [way], asked, progress=False, max_new_tokens=5)["said"]
    model, processor = case.zipped.model, case.zipped.processor
    assert [answer(model, processor, case.pictures[0], QUESTIONS[0], max_new_tokens=5)] == [*told]


def a_batch_of_three_padded_on_the_left(case):
    together = case.inputs(*case.asks(*QUESTIONS))
    assert (together["attention_mask"][:, 0] == 0).any()
    words = case.says(together)
    for row, text in enumerate(case.asks(*QUESTIONS)):
        if row == 0 or not case.draws:
            assert torch.equal(words[row : row + 1], case.says(case.inputs(text, images=[row])))


def two_images(case):
    """In one prompt, beside a prompt with one and a prompt with none."""
    texts = [" ".join(case.asks(*QUESTIONS[:2])), *case.asks(QUESTIONS[2]), "how many ?"]
    both = case.inputs(texts[0], images=[0, 1])
    words = case.says(both)
    image = case.zipped.model.config.image_token_id
    one = case.inputs(texts[1], images=[2])
    count = int((one["input_ids"] == image).sum())
    assert int((both["input_ids"] == image).sum()) == 2 * count
    together = case.says(case.inputs(*texts, images=[0, 1, 2]))
    assert torch.equal(together[:1], words)
    if not case.draws:
        assert torch.equal(together[1:2], case.says(one))
    assert torch.equal(together[2:], case.says(case.inputs(texts[2], images=[])))


def a_static_cache(case):
    inputs = case.inputs(*case.asks(*QUESTIONS))
    assert torch.equal(case.says(inputs, cache_implementation="static"), case.says(inputs))


def streaming(case):
    inputs = case.inputs(*case.asks(QUESTIONS[0]))
    streamer = TextIteratorStreamer(case.zipped.processor.tokenizer, skip_prompt=True, timeout=60)
    thread = Thread(target=partial(case.says, inputs, streamer=streamer))
    thread.start()
    text = "".join(streamer)
    thread.join()
    assert text == case.zipped.processor.decode(case.says(inputs)[0])


def a_second_turn_over_the_same_cache(case):
    """It sees of the image what the first turn chose."""
    model, image = case.zipped.model, case.zipped.model.config.image_token_id
    inputs = case.inputs(*case.asks(QUESTIONS[0]))
    with torch.no_grad():
        asked = {"max_new_tokens": 3, "do_sample": False, "suppress_tokens": [image]}
        first = model.generate(**inputs, **asked, return_dict_in_generate=True)
    chosen = case.zipped.tokens
    more = torch.tensor([[9, 12, 7, 9]])
    follow = {"input_ids": torch.cat([first.sequences, more], dim=1)}
    follow["attention_mask"] = torch.ones_like(follow["input_ids"])
    words = case.says(follow, past_key_values=first.past_key_values, suppress_tokens=[image])
    if case.inside:
        ids = torch.cat([follow["input_ids"], words[:, :-1]], dim=1)
        hidden, visual = embedded(model, {**inputs, "input_ids": ids})
        language_model, end = model.model.language_model, inputs["input_ids"].shape[1]
        hidden, _ = masked_forward(language_model, hidden, visual, [end], case.zipped.method)
        logits = model.lm_head(hidden[:, -words.shape[1] :])
        logits[..., image] = float("-inf")
        assert torch.equal(logits.argmax(-1), words)
    else:
        with torch.no_grad():
            features = list(model.model.multi_modal_projector(chosen.tokens))
        encoded = {"image": BaseModelOutputWithPooling(pooler_output=features)}
        again = case.says(follow, mm_encoder_outputs=encoded, suppress_tokens=[image])
        assert torch.equal(words, again)


def beams(case):
    inputs = case.inputs(*case.asks(*QUESTIONS))
    words = case.says(inputs, num_beams=3, num_return_sequences=2)
    assert words.shape[0] == 6
    for row, text in enumerate(case.asks(*QUESTIONS)):
        if row == 0 or not case.draws:
            alone = case.inputs(text, images=[row])
            alone = case.says(alone, num_beams=3, num_return_sequences=2)
            assert torch.equal(words[2 * row : 2 * row + 2, : alone.shape[1]], alone)


def sampling(case):
    inputs, options = case.inputs(*case.asks(QUESTIONS[0])), {"do_sample": True, "top_k": 7}
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(case.says(inputs, temperature=3.0, num_return_sequences=3, **options))
    assert torch.equal(*found) and len(found[0].unique(dim=0)) > 1
    options["top_k"] = 1
    assert torch.equal(case.says(inputs, **options), case.says(inputs))


def a_pipeline(case):
    parts = [{"type": "image", "image": case.pictures[0]}, {"type": "text", "text": QUESTIONS[0]}]
    messages = [{"role": "user", "content": parts}]
    model, processor = case.zipped.model, case.zipped.processor
    ask = pipeline("image-text-to-text", model=model, processor=processor)
    reply = ask(text=messages, max_new_tokens=4, do_sample=False, return_full_text=False)
    words = answer(model, processor, case.pictures[0], QUESTIONS[0], max_new_tokens=4)
    assert reply[0]["generated_text"].strip() == words


def a_plain_pass(case):
    """Without a cache, and with more text behind it than there is need of."""
    inputs = case.inputs(*case.asks(QUESTIONS[0]))
    with torch.no_grad():
        logits = case.zipped.model(**inputs, use_cache=False, logits_to_keep=1).logits
        cached = case.zipped.model(**inputs).logits[:, -1:]
    torch.testing.assert_close(logits, cached, atol=1e-5, rtol=0)
    assert torch.equal(logits[:, 0].argmax(-1), case.says(inputs)[:, 0])


def what_may_be_refused(case, options):
    """As greedy decoding, or refused by name before anything runs."""
    inputs = case.inputs(*case.asks(QUESTIONS[0]))
    if not case.inside:
        assert torch.equal(case.says(inputs, **options), case.says(inputs))
        return
    tower, (option,) = case.zipped.model.model.vision_tower, options
    hook = tower.register_forward_hook(lambda *_: pytest.fail("the tower ran"))
    try:
        with pytest.raises(ValueError, match=f"{case.name}.* cannot generate with {option}"):
            case.says(inputs, **options)
    finally:
        hook.remove()


def labels(case):
    inputs = case.inputs(*case.asks(QUESTIONS[0]))
    words = inputs["input_ids"].masked_fill(
        inputs["input_ids"] == case.zipped.model.config.image_token_id, -100
    )
    if case.inside:
        with pytest.raises(ValueError, match=f"{case.name}.* cannot take labels"):
            case.zipped.model(**inputs, labels=words)
    else:
        assert case.zipped.model(**inputs, labels=words).loss.isfinite()


def no_words(case):
    """An image without a question: refused where the question chooses."""
    inputs = case.inputs(*case.asks(QUESTIONS[0]))
    image = inputs["input_ids"][0] == case.zipped.model.config.image_token_id
    for name in ("input_ids", "attention_mask"):
        inputs[name] = inputs[name][:, image]
    if case.inside or "text" in case.zipped.method.needs:
        with pytest.raises(ValueError, match=r"needs a question about each|text must follow"):
            case.says(inputs)
    else:
        assert case.says(inputs).shape == (1, 3)


WAYS = {
    "generate": plainly,
    "batch": a_batch_of_three_padded_on_the_left,
    "two images": two_images,
    "static cache": a_static_cache,
    "streaming": streaming,
    "turns": a_second_turn_over_the_same_cache,
    "beams": beams,
    "sampling": sampling,
    "pipeline": a_pipeline,
    "forward": a_plain_pass,
    "use_cache": partial(what_may_be_refused, options={"use_cache": False}),
    "prompt_lookup": partial(what_may_be_refused, options={"prompt_lookup_num_tokens": 2}),
    "chunks": partial(what_may_be_refused, options={"prefill_chunk_size": 16}),
    "labels": labels,
    "no words": no_words,
}


@cache
def pictures(kind):
    if kind == "tiny":
        return [tiny.image(seed) for seed in range(3)]
    return [make(index).image for index in range(3)]


@pytest.fixture(scope="module")
def llava():
    return deep(image_size=48, layers=5)


def cells():
    """All of them; fast are each method once, and each way once before and once inside."""
    fast = set()
    for place in ("before", "inside"):
        names = registry.names(place)
        for turn in range(max(len(names), len(WAYS))):
            fast.add((names[turn % len(names)], [*WAYS][turn % len(WAYS)]))
    for name in NAMES:
        for way in WAYS:
            marks = () if (name, way) in fast else pytest.mark.slow
            yield pytest.param(name, way, marks=marks)


@pytest.mark.parametrize(("name", "way"), [*cells()])
def test_on_a_tiny_model(llava, name, way):
    loaded = Loaded(*llava, "tiny")
    with vzlib.zip_model(*llava, method=name, **spends(name, loaded.patches)) as zipped:
        WAYS[way](Case(loaded, name, zipped, pictures("tiny")))


@pytest.mark.long
@pytest.mark.parametrize("way", [*WAYS][:6])
@pytest.mark.parametrize("name", NAMES)
def test_on_pico(name, way):
    loaded = load.loaded("pico-llava")
    given = spends(name, loaded.patches)
    with vzlib.zip_model(loaded.model, loaded.processor, method=name, **given) as zipped:
        WAYS[way](Case(loaded, name, zipped, pictures("pico")))
