"""Fixtures of many rooms; they import for themselves, as who hands out the tests needs no torch."""

import gc

import pytest


def pytest_collection_finish():
    """What is imported by now stays: nobody needs to look through it for garbage again."""
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """Folders with a tiny LLaVA of 36 patches, by family of its tower."""
    from tests import tiny

    folders = {}

    def of(family="clip"):
        if family not in folders:
            model, processor = tiny.llava(
                family, image_size=48, strategy="default" if family == "clip" else "full"
            )
            folders[family] = tmp_path_factory.mktemp(family)
            model.save_pretrained(folders[family])
            processor.save_pretrained(folders[family])
        return str(folders[family])

    return of


@pytest.fixture
def own_store(tmp_path, monkeypatch):
    from vzlib.models import load as loading

    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("VZLIB_STORE_ONLY", raising=False)
    loading._loaded.cache_clear()


@pytest.fixture(scope="session")
def eager_attention():
    """Function: head means [N, L, S, S] of the stock attention maps on the first N images."""
    import torch

    from vzlib.evaluation.pictures import pictures
    from vzlib.models import load as loading

    def maps(folder, kind, count):
        loaded = loading.load(folder)
        vision = loaded.tower
        vision.set_attn_implementation("eager")
        images = [picture.image for picture in pictures(kind, count)]
        with torch.no_grad():
            output = vision(loaded.pixels(images), output_attentions=True)
        return torch.stack(output.attentions, 1).mean(2)

    return maps


@pytest.fixture(scope="session")
def scene_folder(tmp_path_factory):
    """A folder with a tiny LLaVA of 24 x 24 patches, as scenes have."""
    from tests import tiny

    folder = tmp_path_factory.mktemp("scene-sized")
    model, processor = tiny.llava()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def reader_folder(tmp_path_factory):
    """The same, of one that knows the words of scenes."""
    from tests import tiny
    from vzlib.embedded.pico.architecture import build_tokenizer

    folder = tmp_path_factory.mktemp("reader")
    model, processor = tiny.llava()
    processor.tokenizer = build_tokenizer()
    model.resize_token_embeddings(len(processor.tokenizer))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def never_loads(monkeypatch):
    """Function: from its call on no analysis can load a model."""
    from vzlib.models import load as loading

    def forbid():
        loading._loaded.cache_clear()
        monkeypatch.delattr(loading, "load")

    return forbid
