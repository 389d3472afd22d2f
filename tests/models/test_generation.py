"""A zipped LLaVA under everything transformers can do with a stock one."""

import pytest
import torch
from torch.utils._pytree import tree_leaves
from transformers import pipeline

import vzlib
from tests import tiny

RAGGED = [
    "USER: <image><image> what left ? ASSISTANT:",
    "USER: how many ? ASSISTANT:",
    "USER: <image> what is the colour of the shape ? ASSISTANT:",
]


@pytest.fixture(scope="module")
def zipped():
    model, processor = tiny.llava(image_size=96)
    with vzlib.zip_model(model, processor, retain=32) as zipped:
        yield zipped


def generate(zipped, inputs, new=5, **options):
    options = {"do_sample": False, **options}
    output = zipped.model.generate(**inputs, max_new_tokens=new, **options)
    return output[:, inputs["input_ids"].shape[1] :]


def one_by_one(zipped, **options):
    images = [tiny.image(seed) for seed in range(3)]
    alone = [([0, 1], RAGGED[0]), ([], RAGGED[1]), ([2], RAGGED[2])]
    return torch.cat(
        [
            generate(
                zipped,
                zipped.processor(
                    images=[images[i] for i in mine] or None, text=[text], return_tensors="pt"
                ),
                **options,
            )
            for mine, text in alone
        ]
    )


def count_tower_calls(zipped):
    calls = []
    block = zipped.model.model.vision_tower.encoder.layers[0]
    hook = block.register_forward_hook(lambda *_: calls.append(1))
    return calls, hook


def test_batched_equals_one_by_one_with_several_images_and_none(zipped):
    inputs = tiny.batch(zipped.processor, RAGGED, images=3)
    assert (inputs["input_ids"] == 4).sum(1).tolist() == [64, 0, 32]
    batched = generate(zipped, inputs)
    assert torch.equal(batched, one_by_one(zipped))
    assert len({tuple(row.tolist()) for row in batched}) > 1  # answers differ


def test_beams_equal_one_by_one(zipped):
    inputs = tiny.batch(zipped.processor, RAGGED, images=3)
    assert torch.equal(generate(zipped, inputs, num_beams=3), one_by_one(zipped, num_beams=3))
    several = generate(zipped, inputs, num_beams=3, num_return_sequences=2)
    assert torch.equal(several[::2], generate(zipped, inputs, num_beams=3))


@pytest.mark.parametrize(
    "options",
    [
        {"cache_implementation": "static", "disable_compile": True},
        {"use_cache": False},
        {"prompt_lookup_num_tokens": 3},
        {"prefill_chunk_size": 16},
    ],
    ids=lambda options: next(iter(options)),
)
def test_other_ways_to_decode_equal_greedy(zipped, options):
    rows = 1 if "prompt_lookup_num_tokens" in options else 2  # transformers: one row only
    inputs = tiny.batch(zipped.processor, tiny.QUESTIONS[:rows], images=rows)
    assert torch.equal(generate(zipped, inputs, **options), generate(zipped, inputs))


def test_second_turn_reuses_the_cache_and_never_the_tower(zipped):
    inputs = tiny.batch(zipped.processor, tiny.QUESTIONS[:1], images=1)
    first = zipped.model.generate(
        **inputs, max_new_tokens=4, do_sample=False, return_dict_in_generate=True
    )
    more = zipped.processor.tokenizer(
        "USER: how many ? ASSISTANT:", add_special_tokens=False, return_tensors="pt"
    )["input_ids"]
    ids = torch.cat([first.sequences, more], dim=1)
    mask = torch.ones_like(ids)  # else transformers takes an answer's <pad> for padding
    calls, hook = count_tower_calls(zipped)
    second = generate(
        zipped,
        {"input_ids": ids, "attention_mask": mask},
        past_key_values=first.past_key_values,
    )
    assert calls == []
    again = generate(zipped, {**inputs, "input_ids": ids, "attention_mask": mask})
    assert len(calls) == 1
    hook.remove()
    assert torch.equal(second, again)


def test_generate_runs_the_tower_once_and_its_last_block_never(zipped):
    calls, hook = count_tower_calls(zipped)
    last = []
    block = zipped.model.model.vision_tower.encoder.layers[-1]
    other = block.register_forward_hook(lambda *_: last.append(1))
    generate(zipped, tiny.batch(zipped.processor))
    hook.remove(), other.remove()
    assert (len(calls), len(last)) == (1, 0)


def test_encoded_once_asked_twice(zipped):
    inputs = tiny.batch(zipped.processor)
    pixels = inputs.pop("pixel_values")
    with torch.no_grad():
        expected = zipped.model(**inputs, pixel_values=pixels).logits
        encoded = zipped.model.get_image_features(pixels)
        for _ in range(2):
            output = zipped.model(**inputs, mm_encoder_outputs={"image": encoded})
            assert torch.equal(output.logits, expected)


def test_labels_give_a_loss_and_gradients_to_all_parts_that_ran():
    model, processor = tiny.llava(image_size=96)
    model.train()
    with vzlib.zip_model(model, processor, retain=32) as zipped:
        inputs = tiny.batch(zipped.processor)
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        labels = labels.masked_fill(labels == model.config.image_token_id, -100)
        loss = model(**inputs, labels=labels).loss
        loss.backward()
    assert loss.isfinite()
    core = model.model
    for part in (core.multi_modal_projector, core.language_model, core.vision_tower.encoder):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    last = core.vision_tower.encoder.layers[-1]
    assert all(parameter.grad is None for parameter in last.parameters())


def test_a_frozen_tower_leaves_gradients_to_the_projector():
    model, processor = tiny.llava(image_size=96)
    model.model.vision_tower.requires_grad_(False)
    with vzlib.zip_model(model, processor, retain=32) as zipped:
        inputs = tiny.batch(zipped.processor)
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
    assert model.model.multi_modal_projector.linear_1.weight.grad.abs().sum() > 0


def test_gradient_checkpointing_gives_the_same_gradients():
    gradients = []
    for checkpointing in (False, True):
        model, processor = tiny.llava(image_size=48)
        model.train()
        if checkpointing:
            model.activation_checkpointing_enable()
        with vzlib.zip_model(model, processor, retain=8) as zipped:
            inputs = tiny.batch(zipped.processor)
            model(**inputs, labels=inputs["input_ids"], use_cache=False).loss.backward()
        gradients.append(model.model.vision_tower.encoder.layers[0].mlp.fc1.weight.grad)
    torch.testing.assert_close(*gradients)


def test_chat_template_and_pipeline_use_the_zipped_processor(zipped):
    image = tiny.image()
    messages = [
        {
            "role": "user",
            "content": [{"type": "image", "image": image}, {"type": "text", "text": "how many ?"}],
        }
    ]
    inputs = zipped.processor.apply_chat_template(
        messages,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    assert (inputs["input_ids"] == 4).sum() == 32
    ask = pipeline("image-text-to-text", model=zipped.model, processor=zipped.processor)
    reply = ask(text=messages, max_new_tokens=3, do_sample=False, return_full_text=False)
    words = zipped.processor.decode(generate(zipped, inputs, new=3)[0], skip_special_tokens=True)
    assert reply[0]["generated_text"].strip() == words.strip()


@pytest.mark.slow  # tower, selection and prefill are compiled apart in fast tests
def test_the_zipped_model_compiles_as_one_graph(zipped):
    inputs = dict(tiny.batch(zipped.processor))
    with torch.no_grad():
        expected = zipped.model(**inputs, use_cache=False).logits
        compiled = torch.compile(zipped.model, fullgraph=True, backend="aot_eager")
        logits = compiled(**inputs, use_cache=False).logits
    torch.testing.assert_close(logits, expected)


WAYS = [
    {},
    {"num_beams": 3, "num_return_sequences": 2},
    {"do_sample": True, "temperature": 2.0, "top_k": 7},
    {"do_sample": True, "num_beams": 2},
    {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
    {"output_hidden_states": True, "output_logits": True, "output_scores": True},
    {"output_attentions": True},
    {"cache_implementation": "static", "disable_compile": True},
    {"use_cache": False},
    {"guidance_scale": 1.5},
]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_with_all_tokens_generate_gives_what_stock_gives(options):
    model, processor = tiny.llava(image_size=48)
    model.set_attn_implementation("eager" if "output_attentions" in options else "sdpa")
    inputs = tiny.batch(processor)
    options = {"max_new_tokens": 4, "do_sample": False, "return_dict_in_generate": True, **options}

    def said():
        torch.manual_seed(0)
        return model.generate(**inputs, **options)

    expected = said()
    with vzlib.zip_model(model, processor, vzlib.Budget.all(36)):
        found = said()
    assert type(found) is type(expected) and list(found) == list(expected)
    for name in set(expected) - {"past_key_values", "cache"}:
        ours, theirs = (tree_leaves(each[name]) for each in (found, expected))
        assert len(ours) == len(theirs) > 0 and all(map(torch.equal, ours, theirs))


class LowRank(torch.nn.Module):
    """A linear layer wrapped as LoRA wraps it, whose weight alone is not the whole truth."""

    def __init__(self, base):
        super().__init__()
        self.base_layer = base
        self.down = torch.nn.Linear(base.in_features, 2, bias=False)
        self.up = torch.nn.Linear(2, base.out_features, bias=False)

    def forward(self, x):
        return self.base_layer(x) + self.up(self.down(x))


def test_wrapped_linears_count_in_features_and_scores():
    model, processor = tiny.llava(image_size=48)
    tower = model.model.vision_tower
    inputs = tiny.tower_inputs()[0]
    before = vzlib.encode(tower, *inputs).scores
    attention = tower.encoder.layers[2].self_attn
    attention.q_proj, attention.k_proj = LowRank(attention.q_proj), LowRank(attention.k_proj)
    tower.set_attn_implementation("eager")
    with torch.no_grad():
        maps = tower(*inputs, output_attentions=True).attentions
        scores = vzlib.encode(tower, *inputs).scores
    torch.testing.assert_close(scores, maps[-2][:, :, 0].mean(1))
    assert not torch.allclose(scores, before, rtol=1e-2)
    with vzlib.zip_model(model, processor, retain=8) as zipped:
        assert generate(zipped, tiny.batch(zipped.processor)).shape == (2, 5)


@pytest.mark.filterwarnings("ignore")  # torch announces the successor of its quantiser
def test_quantised_weights():
    model, processor = tiny.llava(image_size=48)
    with vzlib.zip_model(model, processor, retain=8) as zipped:
        inputs = tiny.batch(zipped.processor)
        with torch.no_grad():
            expected = zipped.model(**inputs).logits
    small = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)
    with vzlib.zip_model(small, processor, retain=8) as zipped, torch.no_grad():
        logits = zipped.model(**inputs).logits
        assert generate(zipped, inputs).shape == (2, 5)
    likeness = torch.cosine_similarity(logits.flatten(), expected.flatten(), dim=0)
    assert 0.8 < likeness < 0.999999
