"""This file is where the environment of a process of ours is made: by allow-list, never by leaving out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

_ALLOWED: Final = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "LOGNAME", "VIRTUAL_ENV"})
_DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


def ordinary(environ: Mapping[str, str], *, python: str = sys.executable) -> dict[str, str]:
    """Return the variables any process may have. The folder of our own interpreter is on PATH, before the others.

    So `command: [python, …]` is the interpreter whose packages the project installed, also where no virtual
    environment is activated.
    """
    allowed = {name: value for name, value in environ.items() if name in _ALLOWED or name.startswith("LC_")}
    folders = allowed.get("PATH", _DEFAULT_PATH).split(os.pathsep)
    own = str(Path(python).parent)
    if own not in folders:
        folders.insert(0, own)
    return {**allowed, "PATH": os.pathsep.join(folders), "PYTHONUNBUFFERED": "1"}


def named(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the variables a job asked for by name; those that are not set are left out."""
    return {name: environ[name] for name in names if name in environ}
