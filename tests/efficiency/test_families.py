"""The benchmark's rows of families: that they measure what they say, at tiny sizes."""

import pytest
import torch

from tests.narrow import narrow
from vzlib.efficiency import timing
from vzlib.efficiency.bench import families as rows
from vzlib.efficiency.bench.scale import Scale
from vzlib.efficiency.families import CASES, build
from vzlib.models.families import FAMILIES

CPU = torch.device("cpu")
ONCE = Scale(repetitions=1, at_least=1, llava="tiny")


@pytest.fixture
def steady(monkeypatch):
    monkeypatch.setattr(timing, "_refuse", lambda limit, **times: None)


COSTS = {"LLaVA-1.5": 576, "LLaVA-NeXT": 2928, "LLaVA-OneVision": 2214, "Video-LLaVA": 2056,
         "Mini-Gemini": 576, "InternVL3": 768, "SmolVLM2": 243, "Qwen2.5-VL": 256,
         "Qwen3-VL": 256}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_a_case_costs_what_its_stock_model_encodes(name):
    case = narrow(CASES[name])
    model = build(case, rows.NO_TEXT, CPU, torch.float32)
    given = case.given(CPU, torch.float32)
    features = rows._encoded(model, case, given).pooler_output
    tokens = sum(part.numel() // part.shape[-1] for part in features)
    assert tokens == rows._cost(model, case, given) == COSTS[name]
    blocks = CASES[name].tower.get("num_hidden_layers", CASES[name].tower.get("depth"))
    assert blocks == {"LLaVA-OneVision": 26, "Qwen2.5-VL": 32}.get(name, blocks)


def test_every_family_has_a_case():
    made = {type(case.config(narrow(case).tower, rows.NO_TEXT)).__name__ for case in CASES.values()}
    classes = [names[0] for names in FAMILIES.values()] + ["Qwen3VLForConditionalGeneration"]
    assert made == {f"{name.removesuffix('ForConditionalGeneration')}Config" for name in classes}


def test_rows_of_towers(tiny, steady):
    *found, absent = rows.towers(ONCE, CPU, torch.float32)
    assert [(row.what, row.bar) for row in found] == [
        ("tower + zip ÷ stock tower, LLaVA-NeXT, float32", "≤ 0.98"),  # leaves a block out
        ("tower + zip ÷ stock tower, Qwen2.5-VL, float32", "≤ 1.02"),
    ]
    assert all(row.value.value > 0 for row in found)
    assert absent.outcome == "not measured" and absent.details.endswith(rows.TOWERS)


@pytest.mark.slow
def test_rows_of_the_first_token_have_parts(tiny, steady):
    *found, absent = rows.first_token(ONCE, CPU, torch.float32)
    costs = {"LLaVA-NeXT": "292 of 2928", "Qwen2.5-VL": "25 of 256"}
    assert [row.what for row in found] == [
        f"stock ÷ zipped, {costs[name]} tokens, {name}, tiny, {span}"
        for name in costs for span in ("first token", "encode", "prefill")
    ]  # fmt: skip
    assert all(row.value.value > 0 and row.outcome == "stated" for row in found)
    assert absent.outcome == "not measured" and absent.details.endswith(rows.FIRST)
