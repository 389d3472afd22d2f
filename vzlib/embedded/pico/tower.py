"""What the tower is trained on: a caption, what the image holds, and what each patch shows."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionModel

from vzlib import scenes
from vzlib.embedded.pico.architecture import FEATURE_LAYER, VISION, encode_window
from vzlib.embedded.pico.examples import ABSENT, IMAGE_LABELS, KINDS, PATCH_LABELS, TowerBatch

TEXT_WIDTH = 128


class TowerHeads(nn.Module):
    """The heads that training needs and the checkpoint leaves out."""

    def __init__(self) -> None:
        super().__init__()
        width = VISION.hidden_size
        self.patch = nn.ModuleDict({n: nn.Linear(width, k) for n, k in PATCH_LABELS.items()})
        self.centre = nn.Linear(width, 2)
        self.image = nn.ModuleDict({n: nn.Linear(width, k) for n, k in IMAGE_LABELS.items()})
        self.present = nn.Linear(width, 42)
        self.project = nn.Linear(width, TEXT_WIDTH, bias=False)
        words = 1 + len(scenes.vocabulary()) + len(KINDS)
        self.words = nn.Embedding(words, TEXT_WIDTH, padding_idx=0)
        self.places = nn.Parameter(torch.randn(24, TEXT_WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(
            TEXT_WIDTH, 4, 256, dropout=0.0, batch_first=True, norm_first=True
        )
        self.text = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.temperature = nn.Parameter(torch.tensor(2.66))  # log of CLIP's first 1 / 0.07

    def caption(self, captions: Tensor) -> Tensor:
        """Captions `[B, T]` as vectors `[B, TEXT_WIDTH]`."""
        empty = captions == 0
        hidden = self.text(self.words(captions) + self.places, src_key_padding_mask=empty)
        weight = (~empty).unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1)


def tower_loss(
    tower: CLIPVisionModel, heads: TowerHeads, batch: TowerBatch, dense: float
) -> tuple[Tensor, dict[str, float]]:
    """The loss and what to log. `dense` weighs the labels of single patches."""
    states = encode_window(tower, batch.pixels, batch.corners)
    pooled = tower.post_layernorm(states[-1][:, 0])
    patches = states[FEATURE_LAYER][:, 1:]

    image, text = heads.project(pooled).float(), heads.caption(batch.captions).float()
    alike = F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T * heads.temperature.exp()
    same = torch.arange(len(alike))
    contrast = (F.cross_entropy(alike, same) + F.cross_entropy(alike.T, same)) / 2

    whole = 4 * F.binary_cross_entropy_with_logits(heads.present(pooled).float(), batch.present)
    for name, labels in batch.image_labels.items():
        whole = whole + _known_loss(heads.image[name](pooled), labels) / len(IMAGE_LABELS)

    logs = {"contrast": contrast.item(), "whole": whole.item()}
    parts = torch.zeros(())
    for name, labels in batch.patch_labels.items():
        known = (labels != ABSENT).nonzero(as_tuple=True)
        if len(known[0]):
            scores, right = heads.patch[name](patches[known]), labels[known]
            parts = parts + F.cross_entropy(scores.float(), right) / 2
            logs[name] = (scores.argmax(-1) == right).float().mean().item()
    objects = (~batch.centres[..., 0].isnan()).nonzero(as_tuple=True)
    offset = heads.centre(patches[objects]).float() - batch.centres[objects]
    parts = parts + 4 * offset.abs().mean()
    logs |= {"centre": offset.abs().mean().item(), "dense": parts.item()}
    logs["match"] = (alike.argmax(1) == same).float().mean().item()
    return contrast + whole + dense * parts, logs


def _known_loss(scores: Tensor, labels: Tensor) -> Tensor:
    known = (labels != ABSENT).nonzero(as_tuple=True)[0]
    return F.cross_entropy(scores[known].float(), labels[known]) if len(known) else scores.sum() * 0
