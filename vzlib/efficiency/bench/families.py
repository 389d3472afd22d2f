"""Each family: what encodes an image, zipped over stock, and the first word of its answer."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

import vzlib
from vzlib.efficiency.bench.row import Bar, Row, not_measured, ratio
from vzlib.efficiency.bench.scale import Scale
from vzlib.efficiency.families import CASES, Case, build
from vzlib.efficiency.geometry import LLAVAS, SMALL_TOWER
from vzlib.efficiency.timing import Variant, single
from vzlib.models.host import host_of

TOWERS, FIRST = "family_towers", "family_first_token"
SKIPS, WHOLE = Bar(at_most=0.98), Bar(at_most=1.02)
# Language models are not run by the rows of towers.
NO_TEXT = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1,
           "num_attention_heads": 2, "head_dim": 128}  # fmt: skip
SHARE = 10  # of the tokens one in so many stays
PARTS = ("encode", "prefill")
QWEN_EYE = {"hidden_size": 128, "intermediate_size": 256, "depth": 8, "num_heads": 2}


@torch.no_grad()
def towers(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """From pixels to tokens for the language model, a tenth of them over all of them."""
    found = []
    for name, case in CASES.items():
        model = build(case, NO_TEXT, device, dtype)
        given = case.given(device, dtype)
        zipped = vzlib.zip_model(model, retain=_cost(model, case, given) // SHARE)
        zipped.undo()
        variants = {
            "stock": single(partial(_encoded, model, case, given)),
            "zipped": single(partial(_zipped, zipped, case, given)),
        }
        what = f"tower + zip ÷ stock tower, {name}, {str(dtype).removeprefix('torch.')}"
        times = scale.measure(variants, device, what)
        found.append(ratio(TOWERS, what, times, "zipped", "stock", SKIPS if case.skips else WHOLE))
    if device.type != "cuda":
        found.append(not_measured(TOWERS, "tower + zip ÷ stock tower on a GPU", WHOLE))
    return found


@torch.no_grad()
def first_token(scale: Scale, device: torch.device, dtype: torch.dtype) -> list[Row]:
    """Time to the first word, stock over a tenth of the tokens, whole and by part."""
    found, gpu = [], device.type == "cuda"
    for name, small in (("LLaVA-NeXT", SMALL_TOWER), ("Qwen2.5-VL", QWEN_EYE)):
        case = CASES[name]
        model = build(case, LLAVAS[scale.llava].text, device, dtype, **({} if gpu else small))
        given = case.given(device, dtype)
        cost = _cost(model, case, given)
        zipped = vzlib.zip_model(model, retain=cost // SHARE)
        zipped.undo()
        variants = {
            "stock": _answering(model, case, given, cost, nullcontext()),
            "zipped": _answering(model, case, given, cost // SHARE, zipped),
        }
        what = f"stock ÷ zipped, {cost // SHARE} of {cost} tokens, {name}, {scale.llava}"
        times = scale.measure(variants, device, what, apart=gpu)
        spans: dict[str, tuple[str, ...]] = {"first token": (), **{part: (part,) for part in PARTS}}
        found += [
            ratio(FIRST, f"{what}, {span}", times, "stock", "zipped", None, stages)
            for span, stages in spans.items()
        ]
    if not gpu:
        found.append(not_measured(FIRST, "stock ÷ zipped, first token on a GPU"))
    return found


def _cost(model: Any, case: Case, given: dict[str, Tensor]) -> int:
    """Tokens of the image or clip in the stock model."""
    host, config = host_of(model), model.config
    count = host.clips if "video" in case.method else host.shapes
    if not host.VIEWS:
        return int(model.config.image_seq_length)
    told = {} if case.tiles is None else {"num_tiles": [case.tiles]}
    return sum(shape.stock for shape in count(config, {**given, **told}))


def _encoded(model: Any, case: Case, given: dict[str, Tensor]) -> Any:
    with case.told():
        return getattr(model.base_model, case.method)(**given, return_dict=True)


def _zipped(zipped: Any, case: Case, given: dict[str, Tensor]) -> Any:
    with zipped:
        return _encoded(zipped.model, case, given)


def _answering(
    model: Any, case: Case, given: dict[str, Tensor], tokens: int, context: Any
) -> Variant:
    """Encode an image between 35 words and 25, as the paper's prompts have, and read it all."""
    visual = model.config.image_token_id
    ids = torch.full((1, 35 + tokens + 25), 20, device=model.device)
    ids[0, 35 : 35 + tokens] = visual
    told = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if (grid := given.get("image_grid_thw")) is not None:
        told |= {"image_grid_thw": grid, "mm_token_type_ids": (ids == visual).int()}

    def run() -> Iterator[str]:
        with context:
            output = _encoded(model, case, given)
            yield PARTS[0]
            logits = model(**told, mm_encoder_outputs={"image": output}, logits_to_keep=1).logits
            logits.argmax(-1)
            yield PARTS[1]

    return run
