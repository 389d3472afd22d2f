"""Every folder that vzlib reads or writes, absolute and in one place.

In a checkout they are its own. An installed package carries what it reads in `vzlib/shipped`, where
`setup.py` puts it, and keeps results in $VZLIB_HOME, by default ~/.vzlib. Models are also looked
for in the folder `checkpoints` of $VZLIB_HOME, so that one checkout can serve as it.
"""

import os
from pathlib import Path


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


PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent  # holds the package; with a checkout, all the rest too
INSTALLED = (PACKAGE / "shipped").is_dir()
SHIPPED = PACKAGE / "shipped" if INSTALLED else REPOSITORY
HOME = from_environment(
    "VZLIB_HOME", absolute("~/.vzlib", of="$VZLIB_HOME") if INSTALLED else REPOSITORY
)

CHECKPOINTS = SHIPPED / "checkpoints"
FIGURES = SHIPPED / "figures"
MEASURED = SHIPPED / "measured"
NOTEBOOKS = SHIPPED / "notebooks"
PARAMETERS = SHIPPED / "params"
PAPER = PARAMETERS / "paper"
RESULTS = HOME / "results"
COMMAND = "vzlib" if INSTALLED else ".venv/bin/vzlib"  # as a person types it


def checkpoint_folders() -> list[Path]:
    """Where models with short names lie: those that ship, then those of $VZLIB_HOME."""
    return list(dict.fromkeys((CHECKPOINTS, HOME / "checkpoints")))
