"""Digests of files, of which large ones are read once per change, whichever process asks."""

import contextlib
import functools
import hashlib
import json
import os
from pathlib import Path

from vzlib.results import durable

LARGE = 64 * 2**20  # bytes from which a digest is kept; smaller ones take no time to read


def digest(path: Path) -> str:
    """Of all bytes of a file, as 32 hex digits.

    That of a large file is kept by its path, size and time of change, in this process and, if the
    user's cache folder can be written, on disk. Raises OSError for a file that cannot be read.
    """
    state = _state(path)
    return _kept(path.resolve(), *state) if state[0] >= LARGE else _read(path)


def cache() -> Path | None:
    """Where digests are kept: $XDG_CACHE_HOME/vzlib or ~/.cache/vzlib; None without a home."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:  # nobody knows where the home is
        return None
    return base / "vzlib" / "digests"


@functools.cache
def _kept(path: Path, size: int, changed: int) -> str:
    folder = cache()
    name = f"{hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()}.json"
    try:
        known = json.loads((folder / name).read_text(encoding="utf-8")) if folder else {}
        if (known["size"], known["changed"]) == (size, changed):
            return str(known["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = _read(path)
    if folder and _state(path) == (size, changed):  # else somebody writes it meanwhile
        entry = {"path": str(path), "size": size, "changed": changed, "digest": found}
        with contextlib.suppress(OSError):  # read-only, full, or somebody else's
            durable.write_whole(folder / name, json.dumps(entry))
    return found


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
