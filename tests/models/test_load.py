"""Models by name: what loads, what does not, and what is said about it."""

import http.server
import json
import shutil
import subprocess
import sys
import threading
import time

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

import vzlib
from tests import tiny
from vzlib.models import checkpoint as places
from vzlib.models import hub
from vzlib.models.load import LoadError, load


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    model, processor = tiny.llava(image_size=48)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def damaged(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "damaged")


def same_weights(one, other) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_a_folder_in_the_format_of_the_hub_loads_bit_by_bit(checkpoint):
    on_disk = load_file(checkpoint / "model.safetensors")
    assert "language_model.model.embed_tokens.weight" in on_disk  # as llava-hf names them
    original, processor = tiny.llava(image_size=48)
    loaded = load(str(checkpoint))
    assert loaded.name == str(checkpoint)
    assert not loaded.model.training
    assert loaded.model.dtype == torch.float32
    assert loaded.model.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert same_weights(loaded.model, original)
    with vzlib.zip_model(original, processor, retain=8) as ours:
        expected = original(**tiny.batch(ours.processor)).logits
    with vzlib.zip_model(loaded.model, loaded.processor, retain=8) as theirs:
        assert torch.equal(loaded.model(**tiny.batch(theirs.processor)).logits, expected)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_dtype_on_request(checkpoint, dtype):
    assert load(checkpoint, device="cpu", dtype=dtype).model.dtype == torch.bfloat16


def test_a_zipped_model_and_processor_are_saved_as_stock_ones(checkpoint, tmp_path):
    loaded = load(checkpoint)
    with vzlib.zip_model(loaded.model, loaded.processor, retain=8) as zipped:
        zipped.model.save_pretrained(tmp_path)
        zipped.processor.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert same_weights(again.model, loaded.model)
    assert tiny.batch(again.processor)["input_ids"].shape[1] > 36


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("config.json", "config"),
        ("model.safetensors", "weights"),
        ("tokenizer.json", "tokenizer"),
        ("processor_config.json", "processor"),
    ],
)
def test_a_missing_part_is_named(damaged, file, part):
    (damaged / file).unlink()
    with pytest.raises(LoadError, match=rf"damaged has no {part} \({file}"):
        load(damaged)


@pytest.mark.parametrize(
    "names",
    [
        ["model.fp16.safetensors"],
        ["pytorch_model.fp16.bin"],
        ["adapter_model.safetensors"],
        ["consolidated.00.pth"],
        ["model-Q4_K_M.gguf"],
        ["model.fp16-00001-of-00002.safetensors", "model.safetensors.index.fp16.json"],
    ],
)
def test_weights_of_another_name_are_told(damaged, names):
    weights = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").unlink()
    for name in names:
        (damaged / name).write_bytes(weights)
    with pytest.raises(LoadError) as refusal:
        load(damaged)
    said = str(refusal.value)
    assert "has no weights (model.safetensors or " in said
    assert f"there are weights called {', '.join(names)}, which are not looked for" in said


def test_without_any_weights_none_are_told(damaged):
    (damaged / "model.safetensors").unlink()
    with pytest.raises(LoadError) as refusal:
        load(damaged)
    assert "there are weights" not in str(refusal.value)


def test_all_missing_parts_are_named_at_once(tmp_path):
    with pytest.raises(LoadError, match=r"no config .* no weights .* no tokenizer .* no processor"):
        load(tmp_path)


def test_a_missing_shard_is_named(damaged):
    (damaged / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (damaged / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(LoadError, match=r"no weights \(model-00001-of-00002\.safetensors\)"):
        load(damaged)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "llama9"}'),
        ("model.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"),
        ("model.safetensors.index.json", b"{}"),
        ("tokenizer.json", b"{}"),
    ],
)
def test_a_damaged_part_gives_one_error(damaged, file, content):
    (damaged / file).write_bytes(content)
    if file.endswith("index.json"):
        (damaged / "model.safetensors").unlink()
    with pytest.raises(LoadError, match="damaged") as error:
        load(damaged)
    assert "\n" not in str(error.value)


def test_a_missing_tensor_is_not_made_up(damaged):
    weights = load_file(damaged / "model.safetensors")
    del weights["multi_modal_projector.linear_1.weight"]
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        LoadError, match=r"lack 1 tensors .*multi_modal_projector\.linear_1\.weight"
    ):
        load(damaged)


def test_a_short_name_is_a_folder_of_checkpoints(monkeypatch, checkpoint, tmp_path):
    monkeypatch.setattr(places, "checkpoint_folders", lambda: [tmp_path / "none", tmp_path])
    shutil.copytree(checkpoint, tmp_path / "tiny-llava")
    shutil.copytree(checkpoint, tmp_path / "other")
    assert load("tiny").checkpoint.source == str(tmp_path / "tiny-llava")
    assert load("other").name == "other"
    with pytest.raises(LoadError, match="'thing' is neither 'other' nor 'tiny' nor a folder"):
        load("thing")


def test_a_model_that_is_not_in_the_package_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(places, "checkpoint_folders", lambda: [tmp_path])
    monkeypatch.setattr(places, "HOME", tmp_path / "home")
    monkeypatch.setattr(places, "INSTALLED", True)
    where = f"export VZLIB_HOME=/path/to/the/checkout, or copy .* to {tmp_path}/home/checkpoints"
    for name in ("dino", "dino-llava", "pico"):
        with pytest.raises(LoadError, match=f"'{name}' is in the repository of vzlib.*{where}"):
            load(name)
    monkeypatch.setattr(places, "INSTALLED", False)
    with pytest.raises(LoadError, match=r"missing from this checkout: git restore checkpoints/"):
        load("pico")
    with pytest.raises(LoadError, match="neither the short name of a model that is here nor a fol"):
        load("thing")


def test_weights_in_several_old_files_load(checkpoint, damaged):
    state = load_file(damaged / "model.safetensors")
    (damaged / "model.safetensors").unlink()
    names, where = sorted(state), {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"pytorch_model-0000{number}-of-00002.bin"
        torch.save({name: state[name] for name in part}, damaged / file)
        where |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": where}
    (damaged / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert same_weights(load(damaged).model, load(checkpoint).model)
    (damaged / file).unlink()
    with pytest.raises(LoadError, match=rf"no weights \({file}\)"):
        load(damaged)


@pytest.mark.parametrize("name", ["x" * 300, "~nobodyatall/model", "", "a\0b", None, 7])
def test_a_name_that_is_none(name):
    with pytest.raises(LoadError, match=r"allowed: .*a hub name|is neither 'dino' nor 'pico' nor"):
        load(name)


@pytest.mark.parametrize("name", ["nothing", "/no/such/folder", "a/b/c", "../x"])
def test_a_name_that_leads_nowhere(name):
    with pytest.raises(
        LoadError,
        match=f"'{name}' is neither 'dino' nor 'pico' nor 'pico-video' nor a folder nor a hub name",
    ):
        load(name)


def test_an_unreachable_hub_gives_one_error_quickly(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    start = time.perf_counter()
    with pytest.raises(LoadError, match=r"vzlib/none is no folder .* cannot be reached") as error:
        load("vzlib/none")
    assert time.perf_counter() - start < hub.TIMEOUT + 1
    assert "\n" not in str(error.value)


def test_offline_by_choice_asks_nobody(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", None)
    with pytest.raises(LoadError, match="HF_HUB_OFFLINE is set"):
        load("vzlib/none")


COMMIT = "a1" * 20


@pytest.fixture
def local_hub(monkeypatch, checkpoint, tmp_path):
    """A server that gives the checkpoint as me/private, in COMMIT, to those with a token."""

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            file = checkpoint / self.path.rsplit("/", 1)[1]
            known = self.headers.get("Authorization") == "Bearer hf_secret"
            code = 401 if not known else 200 if file.is_file() else 404
            data = file.read_bytes() if code == 200 else b"{}"
            self.send_response(code)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{file.name:0<40.40}"'.replace(".", "0"))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    environment = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1",
                   "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield
    server.shutdown()
    server.server_close()


# In a process of its own, as the hub's address is read when it is imported.
PRIVATE = """
import os
import vzlib
from vzlib.models.checkpoint import identity

try:
    vzlib.load("me/private")
except ValueError as error:
    print(type(error).__name__, error)
os.environ["HF_TOKEN"] = "hf_secret"
print(identity("me/private"))
print(vzlib.load("me/private").checkpoint.revision)
"""


def test_a_private_model_is_refused_and_with_a_token_loaded_in_the_commit_that_names_it(
    local_hub, monkeypatch
):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    done = subprocess.run([sys.executable, "-c", PRIVATE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    refused, known, revision = done.stdout.splitlines()
    assert "LoadError the hub does not let me/private be read (it answered 401); no tok" in refused
    assert known.startswith(f"me/private@{COMMIT} float32")
    assert revision == COMMIT


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x"])
def test_unknown_device(checkpoint, device):
    with pytest.raises(LoadError, match=f"device='{device}'"):
        load(checkpoint, device=device)


@pytest.mark.parametrize("dtype", ["fp32", torch.int8])
def test_unknown_dtype(checkpoint, dtype):
    with pytest.raises(LoadError, match=r"dtype=.*allowed: auto, float32, bfloat16, float16"):
        load(checkpoint, dtype=dtype)
