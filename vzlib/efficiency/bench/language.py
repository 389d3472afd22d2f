"""LLaVAs from pixels to words: what fewer visual tokens save of the prefill and of the answer."""

from typing import Any

import pandas as pd
import torch

from vzlib.efficiency import flops, timing
from vzlib.efficiency.bench.row import Bar, Row, not_measured, ratio
from vzlib.efficiency.bench.scale import Scale
from vzlib.efficiency.geometry import LLAVAS, build
from vzlib.efficiency.pipeline import (
    FIRST_TOKEN,
    compiled,
    inside,
    request,
    schedule,
    vanilla,
    visionzip,
)
from vzlib.tokens import Budget

PREFILL, LARGER = "prefill", "larger"
COMPILED = ", compiled"
TEXT = {"before": 35, "after": 25}
RETAIN, LARGER_RETAIN = 160, 640  # of 2 880
FOLLOWS_FLOPS = Bar(at_least=0.8)
BARS = {"prefill": Bar(at_least=12), "first token": Bar(at_least=6)}
LARGER_BAR = Bar(at_most=0.6)
SPANS: dict[str, tuple[str, ...]] = {"prefill": ("prefill",), "first token": FIRST_TOKEN}


@torch.no_grad()
def prefill(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """All tokens over 160, and over FastV and SparseVLM at that layer average, or their lowest."""
    model, views = build(scale.llava, device, dtype), LLAVAS[scale.llava].views
    asked = request(model, views, **TEXT, new_tokens=2)
    layers, visual = model.config.text_config.num_hidden_layers, 576 * views
    variants = {
        "vanilla": vanilla(model, asked),
        "visionzip": visionzip(model, asked, Budget.retain(RETAIN // views)),
    }
    told = {"visionzip": f"{RETAIN} tokens"}
    if scale.compiled:
        for name in ("vanilla", "visionzip"):
            variants[f"{name}{COMPILED}"] = compiled(model, variants[name])
    for name in ("fastv", "sparsevlm"):
        fitted = schedule(name, RETAIN, layers, visual)
        variants[name] = inside(model, asked, fitted.method)
        told[name] = f"{fitted.average:.0f} tokens per layer"
    times = _both(scale, variants, device, f"answers of {scale.llava}")
    counts = {name: flops.count(variants[name])["prefill"] for name in ("vanilla", "visionzip")}
    expected = counts["vanilla"] / counts["visionzip"]
    gpu, found = device.type == "cuda", []
    for name in told:
        for span, stages in SPANS.items():
            what = f"vanilla ÷ {name}, {told[name]}, {scale.llava}, {span}"
            bar = BARS[span] if gpu and name == "visionzip" else None
            found.append(ratio(PREFILL, what, times[span], "vanilla", name, bar, stages))
    what = f"vanilla ÷ visionzip, prefill, over its FLOPs ratio of {expected:.1f}"
    bar = None if gpu else FOLLOWS_FLOPS
    stages = ("prefill",)
    follows = ratio(
        PREFILL, what, times["prefill"], "vanilla", "visionzip", bar, stages, over=expected
    )
    found.insert(2, follows)
    if scale.compiled:
        for span, stages in SPANS.items():
            zipped, full = f"visionzip{COMPILED}", f"vanilla{COMPILED}"
            what = f"vanilla ÷ visionzip, both compiled, {scale.llava}, {span}"
            bar = BARS[span] if gpu else None
            found.append(ratio(PREFILL, what, times[span], full, zipped, bar, stages))
            for name in ("vanilla", "visionzip"):
                what = f"{name}, eager ÷ compiled, {scale.llava}, {span}"
                own = f"{name}{COMPILED}"
                found.append(ratio(PREFILL, what, times[span], name, own, None, stages))
    if not gpu:
        found += [
            not_measured(PREFILL, f"vanilla ÷ visionzip, llava-next-7b on a GPU, {span}", own)
            for span, own in BARS.items()
        ]
    return found


@torch.no_grad()
def larger(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """The zipped larger model over the smaller one with all tokens; on a GPU only."""
    if device.type != "cuda":
        return [
            not_measured(LARGER, f"zipped 13B at {LARGER_RETAIN} ÷ vanilla 7B, {span}", LARGER_BAR)
            for span in ("prefill", "total")
        ]
    return compare_sizes(scale, device, dtype)


def compare_sizes(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """What `larger` measures, on any device."""
    small, large = (build(name, device, dtype) for name in (scale.llava, scale.larger))
    views = LLAVAS[scale.llava].views
    budget = Budget.retain(LARGER_RETAIN // views)

    def asked(model: Any) -> Any:
        return request(model, views, **TEXT, new_tokens=scale.new_tokens)

    variants: dict[str, timing.Variant] = {
        f"{scale.larger} zipped": visionzip(large, asked(large), budget),
        f"{scale.llava} vanilla": vanilla(small, asked(small)),
    }
    times = _both(scale, variants, device, "two sizes")
    spans: dict[str, tuple[str, ...]] = {"prefill": ("prefill",), "total": ()}
    zipped, full = variants
    what = f"{zipped} at {LARGER_RETAIN} ÷ {full}"
    return [
        ratio(LARGER, f"{what}, {span}", times[span], zipped, full, LARGER_BAR, stages)
        for span, stages in spans.items()
    ]


def _both(
    scale: Scale, variants: dict[str, timing.Variant], device: torch.device, what: str
) -> dict[str, pd.DataFrame]:
    """Times by span: of the prefill with the device waited for after every part, of others not."""
    whole = scale.measure(variants, device, what)
    apart = whole
    if device.type == "cuda":
        apart = scale.measure(variants, device, f"{what}, apart", apart=True)
    return {"prefill": apart, "first token": whole, "total": whole}
