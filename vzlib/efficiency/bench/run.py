"""Run rows of the benchmark, print them and keep the last whole run of every device."""

import gc
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vzlib.efficiency.bench import column_sum, families, language, merging, towers
from vzlib.efficiency.bench.row import Row
from vzlib.efficiency.bench.scale import Scale
from vzlib.efficiency.device import describe, slug
from vzlib.efficiency.timing import LIMIT
from vzlib.results import durable, provenance

Group = Callable[[Scale, torch.device, torch.dtype], list[Row]]
GROUPS: dict[str, Group] = {
    merging.GROUP: merging.rows,
    towers.CLIP: towers.clip,
    towers.SIGLIP: towers.siglip,
    column_sum.GROUP: column_sum.rows,
    towers.USUAL: towers.usual,
    language.PREFILL: language.prefill,
    language.LARGER: language.larger,
    families.TOWERS: families.towers,
    families.FIRST: families.first_token,
}


def run(
    names: Sequence[str], scale: Scale, device: torch.device, dtype: torch.dtype
) -> dict[str, Any]:
    """The record of one run: what was measured, where, and with which code.

    Raises ValueError for a name that is none of `GROUPS`.
    """
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise ValueError(f"unknown rows: {', '.join(unknown)}; allowed: {', '.join(GROUPS)}")
    rows = []
    for name in names:
        rows += GROUPS[name](scale, device, dtype)
        gc.collect()  # models of this row make room for those of the next
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return {
        "device": describe(device),
        "threads": torch.get_num_threads(),
        "dtype": str(dtype).removeprefix("torch."),
        "finished_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance.commit(),
        **{name: version(name) for name in ("torch", "transformers")},
        "widest_spread": LIMIT,
        "scale": asdict(scale),
        "rows": rows,
    }


def keep(record: dict[str, Any], folder: Path) -> Path:
    """Write a run as `bench_<device>.json`, over the last one of the same device."""
    path = folder / f"bench_{slug(record['device'])}.json"
    durable.write_whole(path, as_json(record))
    return path


def as_json(record: dict[str, Any]) -> str:
    """The record as JSON text."""
    plain = record | {"rows": [row.as_dict() for row in record["rows"]]}
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
