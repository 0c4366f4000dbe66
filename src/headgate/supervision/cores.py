"""This file is where it is seen to that no crash leaves memory on disk."""

from __future__ import annotations

import resource


def forbid() -> None:
    """Have this process, and what it starts, leave no core file when it crashes: its memory holds secrets.

    One byte is the limit at which Linux also hands nothing to a program that collects them. A job that wants one raises
    the limit itself.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))
