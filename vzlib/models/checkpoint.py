"""Which model a name stands for, found out without loading it, so that stored results need none."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vzlib.models.device import device_named, dtype_named
from vzlib.models.digests import digest
from vzlib.models.families import modules_of
from vzlib.models.hub import LoadError, commit, first_line
from vzlib.models.tuned import apart, find
from vzlib.paths import COMMAND, HOME, INSTALLED, PACKAGE, checkpoint_folders

# What a model computes depends on these files of its folder, and on no others.
COUNTS = (
    "*config*.json",
    "*.safetensors",
    "*.bin",
    "*.index.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "*tokens*.json",
    "*.model",
    "chat_template*",
    "additional_chat_templates/*",
)
HUB_NAME = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@(.+))?")


@dataclass(frozen=True)
class Checkpoint:
    """A model, its weights and the numbers it computes in.

    name: as it was typed. source: a folder (absolute) or a name on the hub. revision: its commit
    there, None for a folder. device: "cpu", "cuda:0". dtype: "float32", "bfloat16" or "float16".
    projector: the file of a tuned projector in place of its own. offline: whether all of it has to
    come from this machine.
    """

    name: str
    source: str
    revision: str | None
    device: str
    dtype: str
    quantisation: str | None = None
    projector: str | None = None
    offline: bool = field(default=True, compare=False)


def resolve(
    name: "str | Path | Checkpoint", *, device: Any = "auto", dtype: Any = "auto"
) -> Checkpoint:
    """What a name stands for. Reads no weights, and asks no hub where a folder is meant.

    name: a folder below `checkpoints/` ("pico" for pico-llava), any other folder, relative ones
        from where the process is, or a hub name such as "llava-hf/llava-1.5-7b-hf", with
        "@revision" behind it for another branch, tag or commit than main. Behind any of these
        "+projector-64" is a projector that was tuned for it, or "+/a/path.safetensors" the file of
        one. A `Checkpoint` stays what it is, but for a device or dtype that is named.
    device: "auto" takes a GPU if there is one. dtype: "auto" is float32 on the CPU, else bfloat16.

    Raises LoadError (a ValueError) for a name that leads nowhere, and for a device or dtype that
    there is not.
    """
    if isinstance(name, Checkpoint):
        place = name.device if device == "auto" else device_named(device)
        number = name.dtype if dtype == "auto" else dtype_named(dtype, place)
        return replace(name, device=place, dtype=number)
    place = device_named(device)
    number = dtype_named(dtype, place)
    if not isinstance(name, str | Path):
        raise LoadError(f"model {name!r} is no name; {_allowed()}")
    typed = str(name)
    if folder := _folder(typed):
        return Checkpoint(typed, str(folder), None, place, number)
    model, projector = apart(typed)
    if projector:
        own = resolve(model, device=place, dtype=number)
        file = find(projector, model, weights(own))
        return replace(own, name=typed, projector=str(file))
    hub = HUB_NAME.fullmatch(typed)
    if isinstance(name, Path) or not hub or not _valid(hub[1]):
        raise LoadError(_nowhere(typed))
    revision, offline = commit(hub[1], hub[2] or "main")
    return Checkpoint(typed, hub[1], revision, place, number, offline=offline)


def identity(name: "str | Path | Checkpoint") -> str:
    """Names exactly these weights, configuration, tokenizer and processor, and how they compute.

    A folder is known by every byte of the files that count, a hub model by the commit that `load`
    takes; both further by dtype and kind of device, as they give different numbers.

    Raises LoadError for a name that leads nowhere and for a folder without a model.
    """
    checkpoint = resolve(name)
    what, kind = weights(checkpoint), checkpoint.device.partition(":")[0]
    return " ".join(filter(None, (what, checkpoint.dtype, kind, checkpoint.quantisation)))


def weights(checkpoint: Checkpoint) -> str:
    """The first word of `identity`: all bytes of a model, however it computes.

    A projector in place of its own counts with its bytes, wherever they stand.
    """
    if checkpoint.revision:
        what = f"{checkpoint.source}@{checkpoint.revision}"
    else:
        what = _of_folder(Path(checkpoint.source))
    if checkpoint.projector is None:
        return what
    return f"{what}+{digest(Path(checkpoint.projector))[:16]}"


def stamp(checkpoint: Checkpoint) -> tuple[object, ...]:
    """Changes when files of a folder that count do; asks for their sizes and times alone."""
    files = [] if checkpoint.revision else list(_counting(Path(checkpoint.source)))
    if checkpoint.projector:
        files.append(Path(checkpoint.projector))
    stats = [(path, path.stat()) for path in files]
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


def configuration(name: "str | Path | Checkpoint") -> Any:
    """The configuration of a model without its weights.

    Raises LoadError for a name that leads nowhere and a configuration that cannot be read.
    """
    from transformers import AutoConfig

    checkpoint = resolve(name)
    try:
        return AutoConfig.from_pretrained(
            checkpoint.source, revision=checkpoint.revision, local_files_only=checkpoint.offline
        )
    except Exception as error:  # whatever transformers meets in a damaged or foreign checkpoint
        raise LoadError(
            f"cannot read the configuration of {checkpoint.name}: {first_line(error)}"
        ) from error


def keyed(name: "str | Path | Checkpoint") -> dict[str, Any]:
    """A model as `vzlib.results.compute` puts it into keys: its identity, its family's code.

    Raises LoadError as `identity` and `configuration` do.
    """
    return {"model_fingerprint": identity(name), "family": modules_of(_architectures(name))}


def embedded() -> list[str]:
    """The short names of the models that are here."""
    files = (file for place in checkpoint_folders() for file in place.glob("*/config.json"))
    return sorted({file.parent.name.removesuffix("-llava") for file in files})


def _architectures(name: "str | Path | Checkpoint") -> list[str]:
    """The classes that a model was saved as; of a folder without transformers, which takes long."""
    checkpoint = resolve(name)
    if checkpoint.revision:
        return configuration(checkpoint).architectures or []
    file = Path(checkpoint.source) / "config.json"
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("architectures") or []
    except (OSError, ValueError, AttributeError) as error:
        raise LoadError(f"cannot read {file}: {first_line(error)}") from error


def _folder(typed: str) -> Path | None:
    """The folder that a name stands for, absolute, if there is one."""
    short = re.fullmatch(r"[\w-][\w.-]*", typed) is not None
    names = (typed, f"{typed}-llava") if short else ()
    own = [place / name for place in checkpoint_folders() for name in names]
    try:
        places = [*own, Path(typed).expanduser()] if typed else []
        for place in places:
            if place.is_dir():
                return Path(os.path.abspath(place))
    except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown home, no text
        reason = error.strerror if isinstance(error, OSError) else first_line(error)
        raise LoadError(f"model {_shown(typed)} is no folder: {reason}; {_allowed()}") from error
    return None


def _valid(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _nowhere(typed: str) -> str:
    names = embedded()
    if typed.removesuffix("-llava") in _of_the_repository():
        where = HOME / "checkpoints"
        return (
            f"model {typed!r} is in the repository of vzlib, not in the installed package: name a "
            f"checkout of it by export VZLIB_HOME=/path/to/the/checkout, or copy the folder of the "
            f"model from its checkpoints/ to {where}"
            if INSTALLED
            else f"model {typed!r} is missing from this checkout: git restore checkpoints/"
        )
    short = " nor ".join(map(repr, names)) or "the short name of a model that is here"
    return (
        f"{_shown(typed)} is neither {short} nor a folder nor a hub name such as "
        f"llava-hf/llava-1.5-7b-hf; {COMMAND} where names the folders"
    )


def _of_the_repository() -> set[str]:
    """The short names of the models that the repository trains."""
    return {card.parent.name for card in PACKAGE.glob("embedded/*/card.md")}


def _allowed() -> str:
    return f"allowed: {', '.join([*embedded(), 'a folder', 'a hub name'])}"


def _shown(typed: str) -> str:
    return repr(typed) if len(typed) <= 100 else f"{typed[:100]!r}... ({len(typed)} characters)"


def _counting(folder: Path) -> Iterator[Path]:
    found = {path for pattern in COUNTS for path in folder.glob(pattern)}
    return (path for path in sorted(found) if path.is_file() and not path.name.startswith("."))


def _of_folder(folder: Path) -> str:
    total = hashlib.blake2b(digest_size=8)
    files = list(_counting(folder))
    if not files:
        raise LoadError(f"folder {folder} holds no model: neither config.json nor weights")
    for path in files:
        name = path.relative_to(folder).as_posix()
        total.update(f"{name} {path.stat().st_size} {digest(path)}\n".encode())
    return total.hexdigest()
