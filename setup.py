"""What a built package carries beside the code; all else of it is in pyproject.toml.

A checkout, and an editable install of it, read these folders where they are.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# Of figures only what `vzlib compare` reads, of models the small one: `vzlib where` names the rest.
SHIPPED = (
    "Snakefile",
    "checkpoints/pico-llava/*",
    "figures/*.csv",
    "figures/*.json",
    "measured/**/*",
    "notebooks/*.ipynb",
    "params/**/*",
    "workflow/*.yaml",
)


class WithShipped(build_py):
    """Copies what ships into the package that is built."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        here = Path(__file__).parent
        target = Path(self.build_lib, "vzlib", "shipped")
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        for pattern in SHIPPED:
            files = [path for path in sorted(here.glob(pattern)) if path.is_file()]
            if not files:
                raise FileNotFoundError(f"{here} has no {pattern}, which the package carries")
            for path in files:
                place = target / path.relative_to(here)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)


setup(cmdclass={"build_py": WithShipped})
