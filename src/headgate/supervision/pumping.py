"""This file is where what a run with secrets writes goes through a mask on its way to the log.

Without secrets a job appends to its log itself, and nobody stands between. With secrets the shim does: should it be
killed, the job's next output fails, and the job most likely with it. That is the price; its exit code is still known.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from typing import Final

from headgate.supervision.masking import Masker

_CHUNK: Final = 1 << 16
_PATIENCE: Final = 10.0  #: seconds for the rest of the output once the tree is empty


class Pump:
    """A pipe, and the thread that empties it."""

    def __init__(self, log: int, values: Iterable[str]) -> None:
        """Take the log over, open for appending."""
        self._log = log
        self._masker = Masker(values)
        self._read, self.end = os.pipe2(os.O_CLOEXEC)
        self._thread: threading.Thread | None = None

    @property
    def mine(self) -> tuple[int, int]:
        """The descriptors the job must not have: with them it would never learn that nobody reads any more."""
        return self._read, self._log

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="headgate-mask", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait until all of the output is in the log. A writer outside of the tree is not waited for for ever."""
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while chunk := os.read(self._read, _CHUNK):
            self._put(self._masker.feed(chunk))
        self._put(self._masker.close())

    def _put(self, data: bytes) -> None:
        """Append it all. A full disk costs output, as it would without us; the job is not made to wait for it."""
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._log, data) :]
