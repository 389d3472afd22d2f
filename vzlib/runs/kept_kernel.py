"""One kernel for several notebooks: what they import and load is imported and loaded once."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from vzlib.runs.kernel import as_it_is


class KeptKernel:
    """Starts with the first notebook and ends with `close`; another follows one that failed."""

    def __init__(self, config: Config) -> None:
        """`config` is of `own_kernel`."""
        self.config = config
        self._manager = self._new()

    @contextmanager
    def without_variables(self) -> Iterator[AsyncKernelManager]:
        """Inside, a notebook can run in it and finds no variables of the one before."""
        if self._manager.has_kernel and not run_sync(self._manager.is_alive)():
            self.close()
        try:
            if self._manager.has_kernel:
                self._reset()
            yield self._manager
        except BaseException:  # the notebook may have killed it, or have been told to stop
            self.close()
            raise

    def close(self) -> None:
        if self._manager.has_kernel:
            run_sync(self._manager.shutdown_kernel)(now=True)
        self._manager = self._new()  # one that was ended cannot start again

    def _new(self) -> AsyncKernelManager:
        return AsyncKernelManager(kernel_name="python3", config=self.config)

    def _reset(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "reset.ipynb")
            nbformat.write(new_notebook(cells=[new_code_cell("%reset -f")]), path)
            quiet: dict[str, Any] = {"progress_bar": False, "kernel_name": "python3"}
            quiet |= {"km": self._manager, "config": self.config}
            papermill.execute_notebook(as_it_is(path), None, language="python", **quiet)
