"""Let root obey file permissions, as everybody else does: without that nothing is read-only."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IGNORING = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH of <linux/capability.h>
VERSION, DROP_BOUND = 0x20080522, 24  # _LINUX_CAPABILITY_VERSION_3, PR_CAPBSET_DROP
# Code after which what this process starts obeys permissions; who is not root does anyhow.
OBEY_FROM_NOW_ON = f"""
import ctypes
for number in {IGNORING}:
    ctypes.CDLL(None).prctl({DROP_BOUND}, number, 0, 0, 0)
"""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("thread", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


@contextmanager
def obeyed() -> Iterator[None]:
    """This thread obeys permissions."""
    if os.geteuid() != 0:
        yield
        return
    libc, header, sets = ctypes.CDLL(None, use_errno=True), _Header(VERSION, 0), (_Sets * 2)()
    assert libc.capget(ctypes.byref(header), sets) == 0
    before = sets[0].effective
    sets[0].effective &= ~sum(1 << number for number in IGNORING)
    assert libc.capset(ctypes.byref(header), sets) == 0
    try:
        yield
    finally:
        sets[0].effective = before
        assert libc.capset(ctypes.byref(header), sets) == 0


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing below `folder` can be written by a process that obeys permissions."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    modes = {path: path.stat().st_mode for path in (*folders, *files)}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
