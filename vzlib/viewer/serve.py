"""Start the page: on this machine alone unless asked, telling nobody, within limits."""

import importlib.util
import os
import tempfile
from collections.abc import Sequence

from vzlib.models.checkpoint import embedded, resolve

LOOPBACK = "127.0.0.1"
SILENT = {  # gradio, and what it imports, tell nobody of their use
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


def view(models: Sequence[str] = (), host: str = LOOPBACK, port: int | None = None) -> None:
    """Serve the page until it is stopped.

    models: checkpoint folders or hub names to choose from beside the embedded ones, the first of
    them shown first; else dino. host: the address to listen at.
    Raises ValueError without gradio, and for a model that there is not.
    """
    if importlib.util.find_spec("gradio") is None:
        raise ValueError("vzlib view needs gradio: pip install 'vzlib[viewer]'")
    for name in models:
        resolve(name)
    offered = list(dict.fromkeys([*models, *embedded()]))
    if not offered:
        raise ValueError("there is no model: name a checkpoint folder or a hub name")
    first = models[0] if models else "dino" if "dino" in offered else offered[0]
    with tempfile.TemporaryDirectory(prefix="vzlib-view-") as folder:  # uploads go with it
        os.environ.update(SILENT, GRADIO_TEMP_DIR=folder)  # read when gradio is imported, and later
        from vzlib.viewer.start import start

        start(offered, first, host, port)
