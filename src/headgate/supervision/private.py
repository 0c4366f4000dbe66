"""This file is where it is said what of an environment is secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote

#: Names that say that their value is a secret: DB_PASSWORD, API_KEY, AWS_SESSION_TOKEN.
_NAME: Final = re.compile(r"secret|token|passw(?:or)?d|passphrase|credential|(?:^|_|[a-z])key$", re.IGNORECASE)
#: Passwords of URLs: up to the last @ before the path, and up to the first, as drivers of databases read it.
_PASSWORDS: Final = [re.compile(r"://[^/@:\s]*:([^/\s\"']+)@"), re.compile(r"://[^/@:\s]*:([^@\s\"']+)@")]
#: Values that would be masked in every second word, and tell nothing.
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "none", "null"})


def names(environ: Mapping[str, str]) -> list[str]:
    """Which variables are secrets, by their names, or hold one: the password of a URL."""
    return [name for name, value in environ.items() if _NAME.search(name) or passwords(value)]


def texts(environ: Mapping[str, str], among: Iterable[str]) -> list[str]:
    """What is to be masked of these variables."""
    found: dict[str, None] = {}
    for name in among:
        value = environ.get(name, "")
        if _NAME.search(name) and value.lower() not in _WORDS:
            found[value] = None
        found.update(dict.fromkeys(passwords(value)))
    return [text for text in found if text]


def passwords(value: str) -> list[str]:
    """The passwords of the URLs in a text, as they stand there and as they are."""
    written = [match[1] for one in _PASSWORDS for match in one.finditer(value)] if "://" in value else []
    return [text for one in written for text in (one, unquote(one))]
