"""Models by name: what loads, what does not, and what is said about it."""

import http.server
import json
import shutil
import subprocess
import sys
import threading
import time

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

import vzlib
from tests import tiny
from vzlib.models import load as loading
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


def test_a_folder_in_the_format_of_the_hub_loads_bit_by_bit(checkpoint):
    on_disk = load_file(checkpoint / "model.safetensors")
    assert "language_model.model.embed_tokens.weight" in on_disk  # as llava-hf names them
    original, processor = tiny.llava(image_size=48)
    loaded = load(str(checkpoint))
    assert loaded.name == str(checkpoint)
    assert not loaded.model.training
    assert loaded.model.dtype == torch.float32
    assert loaded.model.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert vzlib.fingerprint(loaded.model) == vzlib.fingerprint(original)
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
    assert vzlib.fingerprint(again.model) == vzlib.fingerprint(loaded.model)
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


def test_pico_says_how_to_train_it(monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "PICO", tmp_path / "pico-llava")
    with pytest.raises(LoadError, match=r"pico-llava yet; .*python -m vzlib\.pico\.train$"):
        load("pico")


def test_pico_is_the_folder_of_the_repository(monkeypatch, checkpoint):
    monkeypatch.setattr(loading, "PICO", checkpoint)
    assert load("pico").name == "pico"


@pytest.mark.parametrize("name", ["nothing", "/no/such/folder", "a/b/c", "../x"])
def test_a_name_that_leads_nowhere(name):
    with pytest.raises(LoadError, match=f"'{name}' is neither 'pico' nor a folder nor a hub name"):
        load(name)


def test_an_unreachable_hub_gives_one_error_quickly(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    start = time.perf_counter()
    with pytest.raises(LoadError, match=r"vzlib/none is no folder .* cannot be reached") as error:
        load("vzlib/none")
    assert time.perf_counter() - start < loading.HUB_TIMEOUT + 1
    assert "\n" not in str(error.value)


def test_offline_by_choice_asks_nobody(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(loading, "get_session", None)
    with pytest.raises(LoadError, match="HF_HUB_OFFLINE is set"):
        load("vzlib/none")


def test_a_model_the_hub_does_not_know(monkeypatch):
    class Unknown(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Unknown)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    with pytest.raises(LoadError, match=r"no public model vzlib/none \(it answered 401\)"):
        load("vzlib/none")
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x"])
def test_unknown_device(checkpoint, device):
    with pytest.raises(LoadError, match=f"device='{device}'"):
        load(checkpoint, device=device)


@pytest.mark.parametrize("dtype", ["fp32", torch.int8])
def test_unknown_dtype(checkpoint, dtype):
    with pytest.raises(LoadError, match=r"dtype=.*allowed: auto, float32, bfloat16, float16"):
        load(checkpoint, dtype=dtype)


def test_command_line(checkpoint, tmp_path):
    tiny.image().save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "vzlib.models.load", str(checkpoint), "--device", "cpu"]
    command += ["--image", str(tmp_path / "photo.png"), "--ask", "how many ?", "--retain", "9"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = dict(line.split(None, 1) for line in run.stdout.splitlines() if " " in line)
    assert printed["model"].strip() == "LlavaForConditionalGeneration"
    assert "visual tokens    9" in run.stdout
    assert "CLS + 7 patches + 1 contextual = 9 tokens" in run.stdout
    assert "answer" in printed
