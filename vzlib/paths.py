"""Every folder of the repository, absolute and in one place."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CHECKPOINTS = REPOSITORY / "checkpoints"
FIGURES = REPOSITORY / "figures"
NOTEBOOKS = REPOSITORY / "notebooks"
PARAMETERS = REPOSITORY / "params"
PAPER = PARAMETERS / "paper"
RESULTS = REPOSITORY / "results"
