"""Ways to spend a budget of visual tokens, each a frozen dataclass: `VisionZip(merge="paper")`.

`vzlib.methods.registry` has a row for each and knows them by name; their classes load on first use.
"""

import importlib
from typing import Any

from vzlib.methods.registry import METHODS
from vzlib.parameters import unknown

__all__ = list(dict.fromkeys(row.where.partition(":")[2] for row in METHODS.values()))


def __getattr__(name: str) -> Any:
    for row in METHODS.values():
        if row.where.endswith(f":{name}"):
            return getattr(importlib.import_module(row.module), name)
    raise AttributeError(f"vzlib.methods has no {unknown(name, __all__)}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
