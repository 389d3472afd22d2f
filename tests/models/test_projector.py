"""A projector as a file of its own: it fits or says why not, and makes another model of its own."""

import pytest
import torch
from safetensors.torch import save_file

from vzlib.models import projector
from vzlib.models.checkpoint import identity, resolve, stamp
from vzlib.models.hub import LoadError
from vzlib.models.load import load
from vzlib.models.tuned import apart


def test_a_name_is_taken_apart_at_the_last_plus_and_a_path_at_the_first():
    assert apart("pico+projector-64") == ("pico", "projector-64")
    assert apart("org/model@main+projector-64-things") == ("org/model@main", "projector-64-things")
    assert apart("c++/model+projector-64") == ("c++/model", "projector-64")
    assert apart("pico+/a+b/one.safetensors") == ("pico", "/a+b/one.safetensors")
    for whole in ("pico", "pico+", "+projector-64", "a/c++", "org/model"):
        assert apart(whole) == (whole, None)


def test_a_file_in_place_of_the_own_projector(tiny_folder, tmp_path):
    folder, file = tiny_folder(), tmp_path / "one.safetensors"
    own = load(folder)
    part = own.model.model.multi_modal_projector
    file.write_bytes(projector.kept(part))
    name = f"{folder}+{file}"
    same = load(name)
    given = part.linear_1.weight.half().float()
    assert same.model.model.multi_modal_projector.linear_1.weight.equal(given)
    assert identity(name).split(" ")[0].startswith(identity(folder).split(" ")[0] + "+")
    before = identity(name), stamp(resolve(name))
    with torch.no_grad():
        part.linear_1.bias.add_(1)
    file.write_bytes(projector.kept(part))
    assert load(name).model.model.multi_modal_projector.linear_1.bias.mean() > 0.5
    assert identity(name) != before[0] and stamp(resolve(name)) != before[1]


def test_a_file_that_does_not_fit_says_which_shape_it_has_and_which_is_wanted(
    tiny_folder, tmp_path, monkeypatch
):
    folder, file = tiny_folder(), tmp_path / "other.safetensors"
    state = load(folder).model.model.multi_modal_projector.state_dict()
    wanted = list(state["linear_1.weight"].shape)
    state["linear_1.weight"] = torch.zeros(3, 5)
    del state["linear_2.bias"]
    save_file(state | {"more": torch.zeros(2)}, file)
    monkeypatch.setattr("vzlib.models.load.AutoModelForImageTextToText.from_pretrained", None)
    with pytest.raises(LoadError) as error:  # before any weights are read
        load(f"{folder}+{file}")
    said = str(error.value)
    assert f"linear_1.weight is [3, 5] there, wanted is {wanted}" in said
    assert "linear_2.bias is missing there, wanted is [64]" in said
    assert "more is [2] there, wanted is missing" in said
    file.write_bytes(b"nothing")
    with pytest.raises(LoadError, match="cannot be read"):
        load(f"{folder}+{file}")
    with pytest.raises(LoadError, match="no file /nowhere"):
        resolve(f"{folder}+/nowhere/one.safetensors")
