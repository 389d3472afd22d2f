"""Files that survive a kill: written aside, published by one rename; locks that cannot go stale.

Readers see a whole file or none. A lock is a `flock`: the system gives it back when its process
dies, however it dies, so no lock can be stale.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)


class NotWritable(RuntimeError):
    """The store cannot be written: it is full, read-only or somebody else's. It lost nothing."""


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole, with the old content, or not at all."""
    with writing_whole(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def writing_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write piece by piece, that appears at `path` when the last piece is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    try:
        with aside.open("wb") as file:
            yield file
        publish(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def publish(aside: Path, path: Path) -> None:
    """Move a finished file, or a folder of files, to its place; on disk when this returns."""
    for part in (*aside.rglob("*"), aside):
        if not part.is_symlink():
            _synchronise(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(path)
    _synchronise(path.parent)


def remove(folder: Path, aside: Path) -> None:
    """Remove a folder by way of `aside`, so that nobody sees half of it."""
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(aside)
    shutil.rmtree(aside)


def check_writable(folder: Path) -> None:
    """Raise the OSError that keeps a folder from being written, if there is one, before work."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(2**16))
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def writing(root: Path, what: str = "the store", variable: str = "VZLIB_RESULTS") -> Iterator[None]:
    """Turn what the system says of a folder that cannot be written into one error for the user.

    variable: names the folder, in the environment.

    Raises:
        NotWritable: naming the folder, the reason and what to do.
    """
    try:
        yield
    except OSError as error:
        first = error.args[0][0][-1] if isinstance(error, shutil.Error) else error  # of many
        reason = os.strerror(error.errno) if error.errno else first
        where = f" ({error.filename})" if error.filename else ""
        raise NotWritable(
            f"{what} {root} cannot be written: {reason}{where}; free it, or name another folder "
            f"in ${variable}; what it holds is unharmed"
        ) from error


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock `path`, waiting for it if need be; `what` is told to who has to wait."""
    with try_lock(path) as handle:
        if handle is None:
            logger.warning("waiting for another process that computes %s", what)
            with path.open("a") as waiting:
                fcntl.flock(waiting, fcntl.LOCK_EX)
                yield
        else:
            yield


@contextmanager
def try_lock(path: Path, *, shared: bool = False) -> Iterator[IO[str] | None]:
    """Hold the lock `path` and give its file, or give None if another process holds it.

    Many may hold a lock that all of them hold `shared`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield handle


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
