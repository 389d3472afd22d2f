"""A short name for exactly these weights in exactly this architecture."""

import hashlib
import json
from typing import Any

import torch

# Where a checkpoint came from and what wrote it do not change what it computes; class and dtypes
# are read from the model itself, since saving and loading fill these in.
IGNORED = ("_name_or_path", "transformers_version", "architectures", "dtype")


def fingerprint(model: Any) -> str:
    """16 hex digits that change with any weight, its dtype or the config, and with nothing else.

    Zipping a model does not change it. Reads every weight once, at about 1 GB/s.
    """
    digest = hashlib.blake2b(digest_size=8)
    config = json.dumps(_plain(model.config.to_dict()), sort_keys=True, default=str)
    digest.update(f"{type(model).__name__} {config}".encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(
            f"{name} {getattr(value, 'dtype', '')} {getattr(value, 'shape', '')}".encode()
        )
        if isinstance(value, torch.Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
        else:  # quantised modules keep packed parameters
            digest.update(str(value).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if key not in IGNORED}
    return value
