"""Where a run of a sweep keeps what belongs to a point, and its locks."""

from pathlib import Path


def published(run: Path, label: str) -> Path:
    """The executed notebook of a point: there once the point is finished."""
    return run / "points" / f"{label}.ipynb"


def lock(run: Path, label: str) -> Path:
    """The lock that is held while a point is executed."""
    return run / "locks" / label


def record(run: Path, label: str) -> Path:
    """What is known of the last execution: state, process, host, attempt and what failed."""
    return run / "records" / f"{label}.json"


def code_lock(run: Path, copy: Path) -> Path:
    """The lock that every job which uses a copy of the code holds, shared."""
    return run / "locks" / f"code-{copy.name}"
