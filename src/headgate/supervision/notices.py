"""This file is where a supervisor hears from its shims that something happened, without looking all the time."""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys


class Notices:
    """A datagram socket: shims say on it that something happened to an attempt, and we wake our own thread by it.

    Its name is in the abstract namespace (no file, no length limit) and random. Anyone on this machine could write
    to it; all that does is make us look.
    """

    def __init__(self) -> None:
        self.name = ""
        if sys.platform == "linux":
            self._in = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.name = f"headgate-{secrets.token_hex(12)}"
            self._in.bind(f"\0{self.name}")
            self._out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._out.connect(f"\0{self.name}")
        else:
            self._in, self._out = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._in.setblocking(False)
        self._out.setblocking(False)

    def fileno(self) -> int:
        return self._in.fileno()

    def wake(self) -> None:
        # full means that it wakes up anyhow
        with contextlib.suppress(OSError):
            self._out.send(b"!")

    def heard(self) -> set[str]:
        names: set[str] = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                names.add(self._in.recv(256).decode("ascii", "replace"))
        return names

    def close(self) -> None:
        self._in.close()
        self._out.close()
