"""This file is where secrets are handed to a process that is about to be executed: by pipe, and by nothing else."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import Final

#: Names the descriptor an executed process finds its secrets on, as JSON.
VARIABLE: Final = "HEADGATE_SECRETS_FD"
#: Where the process finds the pipe. Far from the descriptors a shim has open.
DESCRIPTOR: Final = 99
_SOURCE: Final = DESCRIPTOR + 1
_LARGEST: Final = 1 << 20  #: bytes; as much as a request may have


def hand_over(secrets: dict[str, str], environ: dict[str, str]) -> tuple[int | None, dict[str, str]]:
    """Return the end of a pipe that holds the secrets as JSON (None: there are none), and the environment beside it.

    The end is to become DESCRIPTOR in the process. All of it is written before anybody reads.

    Raises:
        OSError: they do not fit into a pipe.
    """
    if not secrets:
        return None, environ
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        data = json.dumps(secrets).encode()
        os.set_blocking(write, False)  # who writes more than fits would wait for a reader that is not there yet
        if len(data) > 1 << 16:
            with contextlib.suppress(OSError):
                fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _LARGEST)
        if os.write(write, data) != len(data):
            raise OSError(0, f"the secrets of the run ({len(data)} bytes) do not fit into a pipe")
        high = fcntl.fcntl(read, fcntl.F_DUPFD_CLOEXEC, _SOURCE)
    finally:
        os.close(read)
        os.close(write)
    return high, {**environ, VARIABLE: str(DESCRIPTOR)}
