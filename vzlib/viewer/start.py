"""Hand the page to gradio's server."""

from collections.abc import Sequence

import gradio as gr

from vzlib.viewer.models import borrowed
from vzlib.viewer.page import CSS, page
from vzlib.viewer.pictures import MEGABYTES

WAITING = 16  # requests, at most, before the page says that it is busy
SESSIONS = 16  # whose images are kept in memory
FONTS = ["system-ui", "sans-serif"]  # those of the reader: nothing is fetched


def start(models: Sequence[str], first: str, host: str, port: int | None) -> None:
    """Load the first model, and serve until interrupted.

    Raises ValueError for a model that cannot be loaded or shown.
    """
    with borrowed(first):
        pass
    blocks = page(models, first)
    blocks.queue(max_size=WAITING, default_concurrency_limit=4)
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,
        prevent_thread_lock=True,
        footer_links=[],
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=f"{MEGABYTES}mb",
        state_session_capacity=SESSIONS,
        theme=gr.themes.Base(
            primary_hue="blue", neutral_hue="gray", font=FONTS, font_mono=["monospace"]
        ),
        css=CSS.read_text(encoding="utf-8"),
    )
    print(f"open {address} in a browser; Ctrl+C stops", flush=True)
    blocks.block_thread()
