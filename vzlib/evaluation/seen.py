"""What a tower saw in an image, kept on disk: one pass for all methods, budgets and notebooks.

Kept under `seen/` in the store of results, a file for every image, by its pixels, the model and the
code that looks. Files are hidden states, keys and received attention, about a megabyte each; the
oldest go when there are more than `LIMIT` bytes of them. Losing all of it costs time alone.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from vzlib import results
from vzlib.models.checkpoint import identity
from vzlib.models.closer_look import Seen, look_closely
from vzlib.models.load import Loaded
from vzlib.results import durable, sources

LIMIT = 4 * 2**30


def seen(loaded: Loaded, pixels: Tensor) -> Seen:
    """What the tower of a model sees in images [B, 3, H, W], from disk where it looked before.

    On a CPU it looks at one image at a time, which takes no longer and gives the same numbers
    whatever images stand beside it. A `loaded` that names no checkpoint is looked at anew.
    """
    folder = _folder(loaded)
    if folder is None:
        return _look(loaded, pixels)
    files = [folder / f"{digest}.safetensors" for digest in _digests(pixels)]
    found = {file: _read(file) for file in files}
    missing = [place for place, file in enumerate(files) if found[file] is None]
    at_once = 1 if pixels.device.type == "cpu" else len(missing) or 1
    for places in (missing[i : i + at_once] for i in range(0, len(missing), at_once)):
        looked = _look(loaded, pixels[places])
        for number, place in enumerate(places):
            found[files[place]] = own = Seen(*(part[number : number + 1] for part in looked))
            _write(files[place], own)
    if missing:
        _forget_oldest(folder.parent)
    parts = [found[file] for file in files]
    return Seen(*(torch.cat(same).to(pixels.device) for same in zip(*parts, strict=True)))


def _look(loaded: Loaded, pixels: Tensor) -> Seen:
    return look_closely(loaded.tower, pixels, layer=loaded.layer, beside=loaded.beside)


def _folder(loaded: Loaded) -> Path | None:
    """Where what this model saw is kept; the weights, the layer and the code that looks decide."""
    if loaded.checkpoint is None:
        return None
    layers = f"{loaded.beside} {loaded.layer}"
    own = identity(replace(loaded.checkpoint, projector=None))  # no projector is looked through
    told = f"{own} {layers} {sources.fingerprint(look_closely)}"
    return results.location() / "seen" / hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def _digests(pixels: Tensor) -> Iterator[str]:
    for one in pixels.cpu():
        content = one.contiguous().view(torch.uint8).numpy()
        yield hashlib.blake2b(content, digest_size=16).hexdigest()


def _read(file: Path) -> Seen | None:
    try:
        content = file.read_bytes()
        os.utime(file)  # the oldest are those not asked for
        return Seen(**load(content))
    except (OSError, SafetensorError, TypeError):  # never seen, or torn
        return None


def _write(file: Path, one: Seen) -> None:
    try:
        durable.write_whole(
            file, save({name: part.cpu().clone() for name, part in one._asdict().items()})
        )
    except OSError:
        return  # a full disk, or one that may not be written: it will look again


def _forget_oldest(folder: Path) -> None:
    files = []
    for file in folder.glob("*/*.safetensors"):
        try:
            files.append((file.stat(), file))
        except OSError:  # another process forgot it
            continue
    files.sort(key=lambda one: one[0].st_mtime_ns)
    total = sum(stat.st_size for stat, _ in files)
    for stat, file in files:
        if total <= LIMIT:
            return
        file.unlink(missing_ok=True)
        total -= stat.st_size
