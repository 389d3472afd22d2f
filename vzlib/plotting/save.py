"""Write figures as PDF and PNG, the same bytes whenever the data are the same."""

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from vzlib.paths import FIGURES
from vzlib.plotting.style import STYLE, in_style

# Times and versions would change the bytes without changing the figure.
NOT_WRITTEN = {
    "pdf": dict.fromkeys(("CreationDate", "ModDate", "Creator", "Producer")),
    "png": {"Software": None},
}


@dataclass(frozen=True)
class Saved:
    """The two files of a figure; as the last value of a notebook cell it shows the figure."""

    pdf: Path
    png: Path
    width: float

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.png.read_bytes(), {"width": round(self.width * STYLE["figure.dpi"])}


def folder() -> Path:
    """Where figures go: $VZLIB_FIGURES, or figures/ of the repository."""
    return Path(os.environ.get("VZLIB_FIGURES") or FIGURES).absolute()


def save(figure: Figure, name: str) -> Saved:
    """Write `<name>.pdf` and `<name>.png` (300 dpi, fonts embedded as type 42) into `folder()`.

    Each file appears by one rename, so a reader never sees half of it. Raises ValueError for a name
    that is no plain file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"figure name {name!r}: use letters, digits, '_' and '-' only")
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    paths = {}
    with in_style():  # parts of a figure, such as ticks, are only made when it is drawn
        for kind, metadata in NOT_WRITTEN.items():
            content = io.BytesIO()
            figure.savefig(content, format=kind, metadata=metadata)
            aside = place / f".{name}.{os.getpid()}.{kind}"
            aside.write_bytes(content.getvalue())
            paths[kind] = aside.replace(place / f"{name}.{kind}")
    return Saved(paths["pdf"], paths["png"], float(figure.get_figwidth()))
