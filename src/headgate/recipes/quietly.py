"""This file is where a recipe's process hands on what libraries look for in its environment, without putting it there.

What the kernel shows of a process's environment, and what a process hands to those it starts, is the environment of C.
Python's own view of it (`os.environ`) is another one, made when the interpreter started: what is in there alone is
found by Python's libraries and by nobody else. AWS's keys are not even there, since programs are often started with a
copy of `os.environ`: they are given to botocore, which looks for them first in an environment of its own choice.
"""

from __future__ import annotations

import importlib
import os
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

#: What botocore's provider of credentials `env` reads.
KEYS: Final = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})


def hand(values: Mapping[str, str]) -> None:
    """Have Python's libraries find these variables in this process, and nobody else."""
    keys = {name: value for name, value in values.items() if name in KEYS}
    if not keys or not _to_botocore(keys):
        keys = {}
    for name, value in values.items():
        if name not in keys:
            os.environ[name] = value
            os.unsetenv(name)  # takes it from C's environment alone


def _to_botocore(keys: Mapping[str, str]) -> bool:
    """Have botocore find AWS's keys where it looks into the environment; whether there is a botocore.

    All sessions of the process are made so, those of aiobotocore and s3fs, too: which source makes one when is not ours
    to know.
    """
    try:
        credentials: Any = importlib.import_module("botocore.credentials")
    except ImportError:
        return False
    provider = credentials.EnvProvider
    plain = provider.__init__

    def init(self: Any, environ: MutableMapping[str, str] | None = None, mapping: Any = None) -> None:
        plain(self, ChainMap(dict(keys), os.environ) if environ is None else environ, mapping)

    provider.__init__ = init
    return True
