"""Mini-Gemini: mining, choosing before and after it, and the names of the released checkpoint."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

import vzlib
from tests import families, tiny
from vzlib.models import mini_gemini
from vzlib.models.answer import prompt
from vzlib.models.hub import LoadError
from vzlib.models.mini_gemini_checkpoint import load_released, processor_of

RETAIN = 12
SIZES = ((100, 100), (230, 90))


@pytest.fixture(params=["all", "kept"])
def mined(request):
    """The tiny model, set to mine for all tokens or for those that are kept."""
    model, processor = families.made("mini_gemini")
    model.config.mined = request.param
    yield model, processor
    model.config.mined = "all"


def inputs_of(processor):
    texts = [prompt(processor, words) for words in ("what is left ?", "how many")]
    images = [tiny.image(number, size) for number, size in enumerate(SIZES)]
    return processor(images=images, text=texts, return_tensors="pt", padding=True)


@torch.no_grad()
def mined_by_hand(core, pixels):
    """The tokens of one picture [3, H, W], token by token, from the paper's equations."""
    tower = core.vision_tower(core.seen_small(pixels[None]), output_hidden_states=True)
    low = tower.hidden_states[core.config.vision_feature_layer][0, 1:]
    stages = core.vision_tower_aux(pixels[None], output_hidden_states=True).hidden_states[1:]
    side, size = 6, stages[0].shape[-1]
    fine = torch.cat([
        torch.nn.functional.interpolate(one, (size, size), mode="bilinear") for one in stages
    ], dim=1)[0]  # fmt: skip
    each, found = size // side, []
    for number, token in enumerate(low):
        y, x = divmod(number, side)
        window = fine[:, y * each : (y + 1) * each, x * each : (x + 1) * each].flatten(1).T
        keys = core.vlm_uni_aux_projector(window)
        weights = (keys @ core.vlm_uni_query_projector(token) / len(token) ** 0.5).softmax(0)
        found.append(token + weights @ core.vlm_uni_val_projector(window))
    return low, torch.stack(found)


def test_a_token_finds_what_is_in_its_own_window():
    model, processor = families.made("mini_gemini")
    pixels = inputs_of(processor)["pixel_values"]
    low, expected = mined_by_hand(model.model, pixels[0])
    with torch.no_grad():
        output = model.get_image_features(pixels)
    torch.testing.assert_close(output.last_hidden_state[0], expected, rtol=1e-4, atol=1e-4)
    assert (expected - low).norm() > 0.2 * low.norm()  # mining counts
    with torch.no_grad():
        projected = model.model.multi_modal_projector(output.last_hidden_state)
    assert torch.equal(torch.stack(output.pooler_output), projected)


def test_tokens_that_stay_are_alike_before_and_after_and_mined(mined):
    model, processor = mined
    with vzlib.zip_model(model, processor, retain=RETAIN, method="divprune") as zipped:
        inputs = inputs_of(zipped.processor)
        with torch.no_grad():
            output = model.get_image_features(inputs["pixel_values"])
        found = zipped.tokens
    for number, image in enumerate(found):
        _, expected = mined_by_hand(model.model, inputs["pixel_values"][number])
        mine = output.last_hidden_state[number]
        torch.testing.assert_close(mine, expected[image.places[0]], rtol=1e-4, atol=1e-4)


def test_a_merged_token_is_what_was_mined_or_mines_where_it_stands(mined):
    model, processor = mined
    core = model.model
    with vzlib.zip_model(model, processor, retain=RETAIN) as zipped:
        inputs = inputs_of(zipped.processor)
        with torch.no_grad():
            output = model.get_image_features(inputs["pixel_values"])
        image = zipped.tokens[0]
    low, expected = mined_by_hand(core, inputs["pixel_values"][0])
    last, parts = RETAIN - 1, (image.sources[0] == RETAIN - 1).nonzero().squeeze(1)
    target = int(image.places[0, last])
    others = parts[parts != target]
    assert len(others) > 1  # something merged
    tokens = expected if core.config.mined == "all" else low
    merged = tokens[target] + tokens[others].mean(0)  # the released rule
    if core.config.mined == "kept":
        with torch.no_grad():
            window = core.windows(inputs["pixel_values"][:1])[:, target : target + 1]
            merged = core.mined(merged[None, None], window)[0, 0]
    torch.testing.assert_close(output.last_hidden_state[0, last], merged, rtol=1e-4, atol=1e-4)


def test_cls_rates_and_does_not_go_on():
    model, processor = families.made("mini_gemini")
    tower, before = model.model.vision_tower, model.model.vision_tower.config._attn_implementation
    with vzlib.zip_model(model, processor, retain=5, method="fastervlm") as zipped:
        inputs = inputs_of(zipped.processor)
        with torch.no_grad():
            model.get_image_features(inputs["pixel_values"])
        found = zipped.tokens[0].places[0]
    tower.set_attn_implementation("eager")
    with torch.no_grad():
        small = model.model.seen_small(inputs["pixel_values"])
        maps = tower(small, output_attentions=True).attentions[-2]
    tower.set_attn_implementation(before)
    best = maps[0].mean(0)[0, 1:].topk(5).indices.sort().values
    assert torch.equal(found.sort().values, best)
    assert mini_gemini.largest(model.config).stock == 36


def released(name):
    """The name that a tensor of ours has in a released checkpoint."""
    for old, new in (
        (r"^model\.language_model\.", "model."),
        (r"^model\.vision_tower\.", "model.vision_tower.vision_tower.vision_model."),
        (r"multi_modal_projector\.linear_1", "mm_projector.0"),
        (r"multi_modal_projector\.linear_2", "mm_projector.2"),
        (r"vision_tower_aux\.embeddings\.patch_embeddings", "vision_tower_aux.vision_stem.0"),
        (r"vision_tower_aux\.embeddings\.layernorm", "vision_tower_aux.vision_stem.1"),
        (r"vision_tower_aux\.encoder\.stages", "vision_tower_aux.vision_stages"),
        (r"\.downsampling_layer\.", ".downsample."),
        (r"(vision_stages\.\d+)\.layers\.", r"\1.blocks."),
        (r"\.dwconv\.", ".conv_dw."),
        (r"(blocks\.\d+)\.layernorm\.", r"\1.norm."),
        (r"\.pwconv([12])\.", r".mlp.fc\1."),
        (r"\.layer_scale_parameter$", ".gamma"),
    ):
        name = re.sub(old, new, name)
    return name


@pytest.fixture(scope="module")
def wide():
    """As the tiny one, with heads of 64 channels as every CLIP of OpenAI has."""
    return families.mini_gemini(width=128)


def saved(folder, tensors, **changes):
    model_type = {"model_type": "mgm_llama", "mm_vision_select_layer": -2}
    config = {**families.TEXT, **model_type, **changes}
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()},
              folder / "model.safetensors")  # fmt: skip
    return folder


def test_a_checkpoint_with_released_names_gives_the_same_logits(wide, tmp_path):
    model, processor = wide
    tensors = {released(name): value for name, value in model.state_dict().items()}
    assert "model.vision_tower_aux.vision_stages.2.blocks.1.mlp.fc1.weight" in tensors
    loaded = load_released(saved(tmp_path / "mgm", tensors))
    its_own = processor_of(loaded, tiny.tokenizer(), pixels=96)
    its_own.chat_template = tiny.CHAT
    inputs, expected = inputs_of(its_own), inputs_of(processor)
    assert all(torch.equal(inputs[name], expected[name]) for name in expected)
    with torch.no_grad():
        assert torch.equal(loaded(**inputs).logits, model(**expected).logits)


def test_towers_that_a_checkpoint_lacks_come_from_their_own_folders(wide, tmp_path):
    model, _ = wide
    tensors = {released(name): value for name, value in model.state_dict().items()}
    clip, fine, rest = {}, {}, {}
    for name, value in tensors.items():
        if (short := name.removeprefix("model.vision_tower.vision_tower.")) != name:
            clip[short] = value
        elif (short := name.removeprefix("model.vision_tower_aux.vision_")) != name:
            fine[f"visual.trunk.{short}"] = value
        else:
            rest[name] = value
    clip["text_model.embeddings.token_embedding.weight"] = torch.zeros(1)  # is not read
    folder = saved(tmp_path / "mgm", rest)
    with pytest.raises(LoadError, match=r"has no model\.vision_tower\..*as clip and convnext"):
        load_released(folder)
    towers = saved(tmp_path / "clip", clip), saved(tmp_path / "convnext", fine)
    loaded = load_released(folder, *towers)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    del rest["lm_head.weight"]
    with pytest.raises(LoadError, match=r"lacks 1 tensors, such as lm_head\.weight"):
        load_released(saved(folder, rest), *towers)


def test_a_tokenizer_without_a_token_for_images_is_given_one(wide, tmp_path):
    model, _ = wide
    tensors = {released(name): value for name, value in model.state_dict().items()}
    loaded = load_released(saved(tmp_path / "mgm", tensors))
    words = tiny.tokenizer().backend_tokenizer.to_str().replace("<image>", "<unused>")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(words), pad_token="<pad>", padding_side="left"
    )
    before = len(tokenizer)
    its_own = processor_of(loaded, tokenizer, pixels=96)
    its_own.chat_template = tiny.CHAT
    assert loaded.config.image_token_id == before
    assert loaded.get_input_embeddings().num_embeddings == before + 1
    with vzlib.zip_model(loaded, its_own, retain=RETAIN) as zipped, torch.no_grad():
        inputs = inputs_of(zipped.processor)
        assert (inputs["input_ids"] == before).sum(1).tolist() == [RETAIN] * 2
        words = loaded.generate(**inputs, max_new_tokens=2, do_sample=False)
        assert words.shape == (2, inputs["input_ids"].shape[1] + 2)


def test_what_was_read_and_saved_loads_by_its_folder(wide, tmp_path):
    model, _ = wide
    tensors = {released(name): value for name, value in model.state_dict().items()}
    read = load_released(saved(tmp_path / "mgm", tensors))
    own = processor_of(read, tiny.tokenizer(), pixels=96)
    own.chat_template = tiny.CHAT
    read.save_pretrained(tmp_path / "saved")
    own.save_pretrained(tmp_path / "saved")
    loaded = vzlib.load(str(tmp_path / "saved"), dtype="float32", device="cpu")
    inputs, expected = inputs_of(loaded.processor), inputs_of(own)
    with torch.no_grad():
        assert torch.equal(loaded.model(**inputs).logits, read(**expected).logits)


@pytest.mark.parametrize("changes", [{"image_grid": 2}, {"model_type": "mgm_gemma"}])
def test_other_variants_are_refused_before_weights_are_read(changes, tmp_path):
    folder = saved(tmp_path / "mgm", {}, **changes)
    with pytest.raises(LoadError, match=r"model_type=.* image_grid=.*; allowed: a Llama whose"):
        load_released(folder)


def test_pictures_that_do_not_divide_into_windows_are_refused():
    model, _ = families.made("mini_gemini")
    with pytest.raises(ValueError, match=r"must be square, with a side that is a multiple of 24"):
        model.get_image_features(torch.randn(1, 3, 100, 100))
