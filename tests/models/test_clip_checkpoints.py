"""Checkpoints of CLIP by others, OpenCLIP's and LanguageBind's, through the same files."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel

import vzlib
from tests import families, tiny
from vzlib.models.tower_parts import has_cls
from vzlib.models.towers import encode
from vzlib.tokens import Budget, select_and_merge

GRID = {"image_size": 48, "patch_size": 8}


def by_eager_attention(tower, pixels):
    """Features and received attention of the last layer but one."""
    before = tower.config._attn_implementation
    tower.set_attn_implementation("eager")
    with torch.no_grad():
        output = tower(pixels, output_hidden_states=True, output_attentions=True)
    tower.set_attn_implementation(before)
    return output.hidden_states[-2], output.attentions[-2].mean(1)[:, 0]


def agrees(tower, pixels):
    """The evidence, which is that of eager attention."""
    with torch.no_grad():
        evidence = encode(tower, pixels)
    hidden, received = by_eager_attention(tower, pixels)
    torch.testing.assert_close(evidence.hidden, hidden, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(evidence.scores, received, rtol=1e-4, atol=1e-6)
    return evidence


@pytest.fixture(scope="module")
def openclip(tmp_path_factory):
    """A checkpoint of both towers, as OpenCLIP's are published for transformers: with GELU."""
    torch.manual_seed(0)
    both = CLIPModel(CLIPConfig(
        vision_config={**tiny.SIZE, **GRID, "hidden_act": "gelu"},
        text_config={**tiny.SIZE, "vocab_size": 20, "hidden_act": "gelu"},
        projection_dim=16,
    ))  # fmt: skip
    tiny.sharpen(both.vision_model, tiny.SHARPER["clip"])
    for block in both.vision_model.encoder.layers:
        torch.nn.init.normal_(block.mlp.fc1.weight, std=1.0)  # where GELUs differ
    folder = tmp_path_factory.mktemp("openclip")
    both.save_pretrained(folder)
    return folder


def test_an_openclip_tower_is_read_with_its_own_gelu(openclip):
    (pixels,), _ = tiny.tower_inputs()
    tower = CLIPVisionModel.from_pretrained(openclip).eval()
    assert tower.config.hidden_act == "gelu" and has_cls(tower)
    evidence = agrees(tower, pixels)
    quick = CLIPVisionModel.from_pretrained(openclip, hidden_act="quick_gelu").eval()
    other = agrees(quick, pixels)
    assert (evidence.hidden - other.hidden).abs().max() > 1e-3
    budget = Budget(8, 2)
    kept = [select_and_merge(*each, budget).kept for each in (evidence, other)]
    assert kept[0].shape == kept[1].shape == (2, 8)


def test_a_llava_sees_with_an_openclip_tower(openclip):
    model, processor = tiny.llava(image_size=48)
    model.model.vision_tower = CLIPVisionModel.from_pretrained(openclip).eval()
    inputs = tiny.batch(processor)
    with torch.no_grad():
        expected = model(**inputs).logits
    with vzlib.zip_model(model, processor, budget=Budget.all(36)) as zipped, torch.no_grad():
        assert torch.equal(model(**tiny.batch(zipped.processor)).logits, expected)
    with vzlib.zip_model(model, processor, retain=10) as zipped, torch.no_grad():
        short = tiny.batch(zipped.processor)
        assert model(**short).logits.shape[1] == expected.shape[1] - 26
        kept = encode(model.model.vision_tower, short["pixel_values"])
        best = kept.scores[:, 1:].topk(7, dim=1).indices.sort(dim=1).values
        assert torch.equal(zipped.tokens.places[:, 1:8], best + 1)


@pytest.fixture(scope="module")
def languagebind(tmp_path_factory):
    """A checkpoint with the names, the positions and the config of LanguageBind's image tower."""
    own = tiny.tower("clip", hidden_act="gelu")
    tensors = {f"vision_model.{name}": value for name, value in own.state_dict().items()}
    tensors["vision_model.embeddings.position_ids"] = torch.arange(37)[None]
    tensors["logit_scale"] = torch.zeros(())
    tensors["visual_projection.weight"] = torch.zeros(16, 32)
    folder = tmp_path_factory.mktemp("languagebind")
    save_file({name: value.contiguous() for name, value in tensors.items()},
              folder / "model.safetensors")  # fmt: skip
    beyond = {"add_time_attn": False, "force_patch_dropout": 0.5, "lora_r": 2, "num_frames": 1}
    told = {**tiny.SIZE, **GRID, "hidden_act": "gelu", **beyond}
    config = {"model_type": "LanguageBindImage", "vision_config": told, "projection_dim": 16}
    (folder / "config.json").write_text(json.dumps(config))
    return folder, own


def test_languagebinds_tower_is_a_clip_tower(languagebind):
    folder, own = languagebind
    told = json.loads((folder / "config.json").read_text())["vision_config"]
    tower = CLIPVisionModel.from_pretrained(folder, config=CLIPVisionConfig(**told)).eval()
    assert tower.config.hidden_act == "gelu"
    (pixels,), _ = tiny.tower_inputs()
    with torch.no_grad():
        ours, expected = agrees(tower, pixels), encode(own, pixels)
    assert all(torch.equal(one, other) for one, other in zip(ours, expected, strict=True))


def test_each_frame_of_video_llava_is_rated_by_its_own_cls():
    model, processor = families.MADE["video_llava"]()
    size = model.config.vision_config.image_size
    frames = tiny.tower("clip", size, 8, hidden_act="gelu")
    model.model.video_tower = frames
    clip = torch.randn(1, 8, 3, size, size, generator=torch.Generator().manual_seed(0))
    with vzlib.zip_model(model, processor, retain=8 * 5, method="fastervlm") as zipped:
        with torch.no_grad():
            model.model.get_video_features(clip)
        (found,) = zipped.tokens
    _, received = by_eager_attention(frames, clip[0])
    tokens = received.shape[1]
    for frame in range(8):
        here = found.places[0][found.places[0] // tokens == frame] % tokens
        assert torch.equal(here, received[frame, 1:].topk(5).indices.sort().values + 1)
