"""Whole towers: with selection and merging against the stock ones, and against the usual way."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from vzlib.efficiency import memory, usual_way
from vzlib.efficiency.bench.row import Bar, Row, counted, not_measured, ratio
from vzlib.efficiency.bench.scale import Scale
from vzlib.efficiency.geometry import build
from vzlib.efficiency.pipeline import stock_features
from vzlib.efficiency.timing import single
from vzlib.models.towers import encode
from vzlib.tokens import Budget, select_and_merge

CLIP, SIGLIP, USUAL = "clip_tower", "siglip_tower", "usual_way"
BARS = {CLIP: Bar(at_most=0.98), SIGLIP: Bar(at_most=1.02)}
USUAL_BARS = {"cpu": Bar(at_least=1.15), "cuda": Bar(at_least=2)}


@torch.no_grad()
def clip(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """CLIP-L/336 with selection and merging over the stock tower as LLaVA runs it."""
    tower, found = build(scale.clip, device, dtype), []
    for batch in scale.tower_batches:
        pixels = _pixels(tower, batch, device, dtype)
        variants = {
            "stock": single(partial(stock_features, tower, pixels)),
            "zipped": single(partial(_zipped, tower, pixels, scale.budget)),
        }
        what = f"tower + zip ÷ stock tower, {scale.clip}, B = {batch}, {_name(dtype)}"
        times = scale.measure(variants, device, what)
        found.append(ratio(CLIP, what, times, "zipped", "stock", BARS[CLIP]))
    if device.type != "cuda":
        found.append(not_measured(CLIP, "tower + zip ÷ stock tower on a GPU", BARS[CLIP]))
    return found


@torch.no_grad()
def siglip(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """SigLIP, which has no CLS token, up to the last layer but one and up to the last."""
    tower = build(scale.siglip, device, dtype)
    pixels = _pixels(tower, 1, device, dtype)
    budget = Budget.retain(scale.retain, has_cls=False)
    variants = {
        "stock": single(partial(stock_features, tower, pixels)),
        "zipped": single(partial(_zipped, tower, pixels, budget)),
        "zipped, all layers": single(partial(_zipped, tower, pixels, budget, layer=-1)),
    }
    what = f"tower + zip ÷ stock tower, {scale.siglip}, B = 1, {_name(dtype)}"
    times = scale.measure(variants, device, what)
    found = [
        ratio(SIGLIP, what, times, "zipped", "stock", BARS[SIGLIP]),
        ratio(SIGLIP, f"{what}, every layer run", times, "zipped, all layers", "stock"),
    ]
    if device.type != "cuda":
        found.append(not_measured(SIGLIP, "tower + zip ÷ stock tower on a GPU", BARS[SIGLIP]))
    return found


@torch.no_grad()
def usual(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """The usual way over ours, CLIP-L/336 with selection and merging: time and peak memory."""
    tower, found = build(scale.clip, device, dtype), []
    for batch in scale.usual_batches:
        pixels = _pixels(tower, batch, device, dtype)

        def theirs(pixels: Tensor = pixels) -> None:
            kept = usual_way.encode(tower, pixels)
            usual_way.select_and_merge(*kept.layer, scale.budget)

        def ours(pixels: Tensor = pixels) -> None:
            _zipped(tower, pixels, scale.budget)

        what = f"usual ÷ ours, tower + zip, {scale.clip}, B = {batch}, {_name(dtype)}"
        calls = max(1, scale.usual_calls // batch)
        variants = {"usual": single(theirs, calls), "ours": single(ours, calls)}
        times = scale.measure(variants, device, what)
        bar = USUAL_BARS[device.type]
        found.append(ratio(USUAL, what, times, "usual", "ours", bar, calls=calls))
        peaks = [memory.peak(way, device) / 1e6 for way in (theirs, ours)]
        details = f"usual {peaks[0]:.4g} MB, ours {peaks[1]:.4g} MB, beyond the weights"
        found.append(counted(USUAL, f"{what}: peak memory", peaks[0] / peaks[1], details))
    if device.type != "cuda":
        found.append(not_measured(USUAL, "usual ÷ ours on a GPU", USUAL_BARS["cuda"]))
    return found


def _zipped(tower: torch.nn.Module, pixels: Tensor, budget: Budget, layer: int = -2) -> None:
    select_and_merge(*encode(tower, pixels, layer=layer), budget)


def _pixels(tower: Any, batch: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    side = tower.config.image_size
    return torch.randn(batch, 3, side, side, device=device, dtype=dtype)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
