"""The training loop: a killed run ends with the weights of one that was not."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from vzlib.training import loop as stage


def run(folder, steps, *, stop_at=None):
    torch.manual_seed(0)
    linear = nn.Linear(4, 1)

    def loss(step):
        if step == stop_at:
            raise KeyboardInterrupt
        inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        value = (linear(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean()
        return value, {"error": value.item()}

    stage.train({"linear": linear}, loss, name="fit", folder=folder, steps=steps,
                rate=1e-2, warmup=3, decay=0.3)  # fmt: skip
    return linear.weight.detach().clone()


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "SAVE_EVERY", 10)
    whole = run(tmp_path / "whole", 45)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", 45, stop_at=33)
    assert torch.equal(run(tmp_path / "killed", 45), whole)
    curves = [(tmp_path / name / "fit.jsonl").read_text() for name in ("whole", "killed")]
    losses = [[json.loads(line)["loss"] for line in curve.splitlines()] for curve in curves]
    assert losses[0] == losses[1] and losses[0][-1] < losses[0][0]


def test_a_complete_stage_is_not_trained_again(tmp_path):
    whole = run(tmp_path, 12)
    assert torch.equal(run(tmp_path, 12, stop_at=0), whole)


def test_no_half_written_state_is_left(tmp_path):
    run(tmp_path, 12)
    assert {path.name for path in tmp_path.iterdir()} == {"fit.pt", "fit.jsonl"}


def test_bfloat16_is_not_used_where_one_dnn_does_without(monkeypatch):
    program = "from vzlib.training.loop import working_dtype; print(working_dtype('cpu'))"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == "torch.float32\n"
