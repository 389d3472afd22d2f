"""Every folder of the repository, absolute and in one place."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CHECKPOINTS = REPOSITORY / "checkpoints"
FIGURES = REPOSITORY / "figures"
MEASURED = REPOSITORY / "measured"
NOTEBOOKS = REPOSITORY / "notebooks"
PARAMETERS = REPOSITORY / "params"
PAPER = PARAMETERS / "paper"
RESULTS = REPOSITORY / "results"


def from_environment(variable: str, default: Path) -> Path:
    """The folder that an environment variable names, or `default`; absolute.

    `~` and `~name` are homes; a relative folder counts from where the process works, which for a
    command is where it was typed.

    Raises:
        ValueError: a home that is not known.
    """
    text = os.environ.get(variable)
    return absolute(text, of=f"${variable}") if text else default


def absolute(text: str | Path, base: Path | None = None, of: str = "path") -> Path:
    """A path as a person writes it, absolute: counted from `base`, by default the working folder.

    Raises:
        ValueError: it begins with a home that is not known; `of` says whose path it is.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{of} = {str(text)!r}: nobody knows that home; write it out") from None
    return (base or Path.cwd()) / path
