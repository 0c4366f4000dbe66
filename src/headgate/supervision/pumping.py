"""This file is where what a run with secrets writes goes through a mask on its way to the log.

Without secrets a job appends to its log itself, and nobody stands between. With secrets the shim does: should it be
killed, the job's next output fails, and the job most likely with it. That is the price; its exit code is still known.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Final

from headgate.supervision import limiting
from headgate.supervision.masking import Masker

_CHUNK: Final = 1 << 16
_PATIENCE: Final = 10.0  #: seconds for the rest of the output once the tree is empty


class Pump:
    """A pipe, and the thread that empties it."""

    def __init__(self, log: int, values: Iterable[str], limit: int | None = None) -> None:
        """Take the log over, open for appending; `limit` is how many bytes of it are kept (None: all)."""
        self._log = log
        self._bounded = Bounded(log, limit)
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
            self._bounded.put(self._masker.feed(chunk))
        self._bounded.put(self._masker.close())
        self._bounded.close()


class Bounded:
    """A log of which the beginning and the end are kept: as `headgate.supervision.limiting` has it, without holes.

    A full disk costs output, as it would without us; the job is not made to wait for it, and the log says how much it
    was once there is room to say so.
    """

    def __init__(self, log: int, limit: int | None) -> None:
        self._log = log
        self._limit = limit
        self._written = os.fstat(log).st_size
        self._end = bytearray()  #: what follows upon the limit, the last of it
        self._left_out = 0  #: bytes that were in `_end`
        self._told = False
        self._lost = 0  #: bytes that the disk did not take, not told yet
        self._why = ""
        self._at_a_line = True

    def put(self, data: bytes) -> None:
        room = len(data) if self._limit is None else max(self._limit - self._written, 0)
        if data[:room]:
            self._write(data[:room])
        self._end += data[room:]
        if len(self._end) > limiting.SLACK and self._limit is not None:
            if not self._told:
                self._told = True
                self._say(limiting.notice(self._limit))
            self._left_out += len(self._end) - limiting.END
            del self._end[: -limiting.END]

    def close(self) -> None:
        """Write the end. Nothing may be put afterwards."""
        end = bytes(self._end)
        if self._told:
            end = limiting.whole_lines(end[-limiting.END :])
            self._say(limiting.left_out(self._left_out + len(self._end) - len(end)))
        self._write(end)

    def _say(self, line: bytes) -> None:
        self._write(line if self._at_a_line else b"\n" + line)

    def _write(self, data: bytes) -> None:
        if self._lost:
            words = f"headgate: {self._lost:,} bytes could not be written here: {self._why}\n".encode()
            if self._appended(words if self._at_a_line else b"\n" + words):
                self._lost += len(data)
                return
            self._lost = 0
        self._lost += self._appended(data)

    def _appended(self, data: bytes) -> int:
        """Append it; answers how many bytes the disk did not take."""
        try:
            while data:
                done = os.write(self._log, data)
                self._written += done
                self._at_a_line = data[:done].endswith(b"\n")
                data = data[done:]
        except OSError as error:
            self._why = error.strerror
        return len(data)
