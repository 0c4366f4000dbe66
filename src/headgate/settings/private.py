"""This file is where everything secret in the settings is found, so that nothing that is shown or logged holds it.

Whatever field of the record is a `Secret` is found, new ones too; so are the passwords of URLs, and the parts of a
notification's address: who sends there calls another address with the same parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

from headgate.settings.nodes import Items, Node, Place, Text
from headgate.settings.record import Secret, Settings
from headgate.supervision import private

_SHORTEST: Final = 8  #: characters of a part of an address that may be a key; shorter ones are words
_KEY: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])\S+|[A-Za-z]{20,}")


def secret_texts(settings: Settings) -> list[str]:
    """Every text of the settings that is secret, each once."""
    found = [text for secret in _secrets(settings) for text in (secret, *_parts(secret))]
    datahub = settings.datahub
    for url in (settings.database_url, datahub.gms_url, datahub.frontend_url, settings.openlineage.receiver):
        found += private.passwords(url)
    return list(dict.fromkeys(text for text in found if text))


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif is_dataclass(value):
        for field in fields(value):
            yield from _secrets(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for one in cast("Mapping[Any, object]", value).values():
            yield from _secrets(one)
    elif isinstance(value, list | tuple):
        for one in cast("list[object]", value):
            yield from _secrets(one)


def _parts(text: str) -> list[str]:
    """What may be a key in an address; nothing of what is no address."""
    if "://" not in text:
        return []
    try:
        address = urlsplit(text)
        words = [*address.path.split("/"), *(value for _, value in parse_qsl(address.query))]
        words += [address.username or "", *(address.netloc.rpartition("@")[2].split("/"))]
    except ValueError:
        return []
    return [*private.passwords(text), *(word for word in words if len(word) >= _SHORTEST and _KEY.fullmatch(word))]


def interpolated(node: Node, environ: Mapping[str, str]) -> dict[str, list[Place]]:
    """The variables of the environment that are secrets, by their names, and where in the file they are put in."""
    found: dict[str, list[Place]] = {}
    left: list[Node] = [node]
    while left:
        one = left.pop()
        if isinstance(one, Text):
            for name in one.variables:
                if private.texts({name: environ.get(name, "")}, [name]):
                    found.setdefault(name, []).append(one.place)
        else:
            left += one.items if isinstance(one, Items) else one.entries.values()
    return found
