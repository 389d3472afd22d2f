"""Every change of a tower does what it says, and is gone behind its `with`."""

import pytest
import torch

from tests import tiny
from vzlib.experiments.concentration import interventions
from vzlib.models.tower_parts import blocks_of
from vzlib.models.towers import encode, received_by_layer

FAMILIES = ("clip", "siglip", "dinov2")


def pixels(batch=2):
    return torch.randn(batch, 3, 48, 48, generator=torch.Generator().manual_seed(0))


def every(tower):
    """All changes of a tower, by name."""
    chosen = torch.tensor([[0, 5], [7, 35]])
    found = {
        "scaled": lambda: interventions.scaled_logits(tower, 2.0),
        "untrained": lambda: interventions.untrained(tower, 0),
        "content": lambda: interventions.without_content(tower, chosen),
        "inside": lambda: interventions.averaged_before(tower, 2, chosen),
    }
    if "Siglip" not in type(tower).__name__:
        neurons = {0: torch.tensor([1, 2]), 2: torch.tensor([3])}
        found["registers"] = lambda: interventions.registers(tower, 3, neurons)
    return found


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_each_changes_what_is_read_and_leaves_no_trace(family):
    tower, seen = tiny.tower(family), pixels()
    before = encode(tower, seen)
    for name, change in every(tower).items():
        with change():
            inside = encode(tower, seen)
        assert inside.hidden.shape == before.hidden.shape, name
        assert not torch.allclose(inside.scores, before.scores, atol=1e-4), name
        with pytest.raises(RuntimeError, match="inside"), change():
            raise RuntimeError("inside")
        for one, other in zip(encode(tower, seen), before, strict=True):
            assert torch.equal(one, other), name
    assert not getattr(tower.config, "num_register_tokens", 0)


@torch.no_grad()
def test_scaled_logits_are_those_of_scaled_weights():
    tower, other = tiny.tower("clip"), tiny.tower("clip")
    for block in blocks_of(other):
        block.self_attn.q_proj.weight.mul_(1.5)
        block.self_attn.q_proj.bias.mul_(1.5)
    with interventions.scaled_logits(tower, 1.5):
        found = received_by_layer(tower, pixels())
    torch.testing.assert_close(found, received_by_layer(other, pixels()))


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_content_that_is_gone_is_the_mean_and_positions_stay(family):
    tower, seen = tiny.tower(family), pixels(1)
    first = int(family != "siglip")
    plain = tower.embeddings(seen)
    blank = tower.embeddings(torch.zeros_like(seen))  # positions, and the same for every patch
    with interventions.without_content(tower, torch.tensor([[4, 9]])):
        found = tower.embeddings(seen)
    content = (plain - blank)[:, first:]
    gone = (found - blank)[:, first:]
    torch.testing.assert_close(gone[:, 4], content.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gone[:, 9], content.mean(1), rtol=1e-4, atol=1e-5)
    others = [n for n in range(36) if n not in (4, 9)]
    assert torch.equal(gone[:, others], content[:, others])


@torch.no_grad()
def test_averaged_patches_are_the_mean_of_all_where_it_is_said():
    tower, heard = tiny.tower("clip"), {}
    chosen = torch.tensor([[4, 9], [0, 1]])
    block = blocks_of(tower)[2]
    plain = []
    hook = block.register_forward_pre_hook(lambda module, inputs: plain.append(inputs[0]))
    encode(tower, pixels())
    hook.remove()
    with interventions.averaged_before(tower, 2, chosen):
        hook = block.register_forward_pre_hook(
            lambda module, inputs: heard.__setitem__("found", inputs[0])
        )
        encode(tower, pixels())
        hook.remove()
    found, mean = heard["found"], plain[0][:, 1:].mean(1)
    for image, own in enumerate(chosen.tolist()):
        for patch in own:
            torch.testing.assert_close(found[image, 1 + patch], mean[image])
    assert torch.equal(found[:, 0], plain[0][:, 0])
    assert torch.equal(found[0, 2:5], plain[0][0, 2:5])


@torch.no_grad()
@pytest.mark.parametrize("family", ["clip", "dinov2"])
def test_registers_take_the_activations_and_are_never_offered(family):
    tower, neurons = tiny.tower(family), {1: torch.tensor([2, 7])}
    heard = {}
    with interventions.registers(tower, 3, neurons):
        hook = blocks_of(tower)[1].mlp.fc2.register_forward_hook(
            lambda module, inputs, output: heard.__setitem__("active", inputs[0])
        )
        encoded = encode(tower, pixels())
        hook.remove()
    active = heard["active"]
    assert active.shape[1] == 1 + 3 + 36 and encoded.hidden.shape[1] == 1 + 36
    assert (active[:, 4:, [2, 7]] == 0).all() and (active[:, 4:, [3]] != 0).all()
    assert (active[:, 1:4, 2] == active[:, 1:2, 2]).all()
    assert (encoded.scores.sum(1) < 1).all()  # what is missing is on the registers


def test_towers_that_cannot_have_registers_are_refused():
    for family in ("siglip", "registers"):
        with (
            pytest.raises(ValueError, match="has no CLS token, or registers of its own"),
            interventions.registers(tiny.tower(family), 1),
        ):
            pass


def test_the_strongest_neurons_are_found_in_their_blocks():
    scores = [torch.tensor([0.0, 9.0, 1.0]), torch.tensor([2.0, 0.0]), torch.tensor([8.0])]
    found = interventions.strongest(scores, 3)
    assert {block: own.tolist() for block, own in found.items()} == {0: [1], 1: [0], 2: [0]}
    assert interventions.strongest(scores, 1)[0].tolist() == [1]
