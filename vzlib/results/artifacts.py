"""Artifacts: what an experiment made besides rows, such as a tuned projector, found by its name.

An artifact is a file of an entry, hashed and shipped with it. `about` of the entry says what it is
called (`artifact`), whose it is (`model`), and from how much it was made (`made_from`).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vzlib.paths import MEASURED
from vzlib.results import location, reading_only
from vzlib.results.entry import DamagedEntry, provenance_of
from vzlib.results.shipped import OFF


def find(experiment: str, name: str, weights: str) -> Path | None:
    """The entry that holds an artifact, of one's own store or of those that ship.

    name: such as "projector-64". weights: of the model it belongs to, the first word of its
        fingerprint. Of several, the one that was made from most, and of these the newest.
    """
    fitting = [
        (record["about"]["made_from"], record["finished_utc"], str(folder))
        for folder, record in _records(experiment, weights)
        if record["about"]["artifact"] == name
    ]
    return Path(max(fitting)[2]) if fitting else None


def names(experiment: str, weights: str) -> list[str]:
    """What can be found for a model, by name."""
    return sorted({record["about"]["artifact"] for _, record in _records(experiment, weights)})


def _records(experiment: str, weights: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    anew = os.environ.get(OFF) == "0" and not reading_only()
    for root in (location(), *([] if anew else [MEASURED])):
        for folder in sorted((root / experiment).glob("*/")):
            try:
                record = provenance_of(folder)
            except DamagedEntry:
                continue
            if "artifact" in record["about"] and str(record["model"]).split(" ")[0] == weights:
                yield folder, record
