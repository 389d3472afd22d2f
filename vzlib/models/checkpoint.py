"""Which model a name stands for, found out without loading it, so that stored results need none."""

import hashlib
from pathlib import Path
from typing import Any

from vzlib.paths import CHECKPOINTS

WHOLE = 256 * 2**20  # bytes up to which a file is read whole; of a larger one both ends are read
END = 2**20


def identity(name: str) -> str:
    """A name for exactly these weights, configuration, tokenizer and processor.

    name: "pico", a local folder, or a hub name, as `vzlib.load` takes them. A folder is identified
    by its files, a hub model by its commit: the one in the cache, else the newest on the hub.

    Raises ValueError for a name that leads nowhere.
    """
    folder = _folder(name)
    return _of_folder(folder) if folder.is_dir() else f"{name}@{_commit(name)}"


def configuration(name: str) -> Any:
    """The configuration of a model without its weights, named as for `identity`.

    Raises ValueError for a name that leads nowhere.
    """
    from transformers import AutoConfig

    folder = _folder(name)
    if not folder.is_dir():
        identity(name)  # says what is wrong with the name
    return AutoConfig.from_pretrained(folder if folder.is_dir() else name)


def shape_of(name: str) -> Any:
    """Layers of the language model and patches of an image, a `vzlib.methods.inside.Shape`.

    Raises ValueError for a name that leads nowhere.
    """
    from vzlib.methods.inside import Shape

    config = configuration(name)
    vision = config.vision_config
    side = vision.image_size // vision.patch_size
    return Shape(config.get_text_config().num_hidden_layers, side**2)


def _folder(name: str) -> Path:
    return CHECKPOINTS / "pico-llava" if name == "pico" else Path(name).expanduser()


def _of_folder(folder: Path) -> str:
    files = [path for path in sorted(folder.iterdir()) if path.suffix not in (".md", ".jsonl")]
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        if not path.is_file() or path.name.startswith("."):
            continue
        size = path.stat().st_size
        digest.update(f"{path.name} {size} ".encode())
        with path.open("rb") as file:
            if size <= WHOLE:
                digest.update(file.read())
            else:
                digest.update(file.read(END))
                file.seek(-END, 2)
                digest.update(file.read(END))
    return digest.hexdigest()


def _commit(name: str) -> str:
    from huggingface_hub import model_info, try_to_load_from_cache

    if name == "pico" or name.count("/") != 1 or name[0] in "/.~":
        from vzlib.models.load import load

        load(name)  # says what is wrong with the name
    cached = try_to_load_from_cache(name, "config.json")
    if isinstance(cached, str):
        return Path(cached).parent.name
    try:
        return str(model_info(name, timeout=5).sha)
    except Exception as error:  # of whichever HTTP library the hub client uses
        raise ValueError(
            f"{name} is not in the cache and the hub does not answer for it: {error}"
        ) from error
