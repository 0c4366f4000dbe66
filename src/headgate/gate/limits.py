"""This file is where what a person may write into an ask, an arguments' table or a reason, is measured."""

from __future__ import annotations

from collections.abc import Mapping

from headgate.errors import Invalid
from headgate.flow import targets

REASON_LENGTH = 2_000


def check(arguments: Mapping[str, str], reason: str | None) -> None:
    """Raises Invalid, naming what is too long, or what no process can be handed."""
    if reason is not None and len(reason) > REASON_LENGTH:
        raise Invalid(f"reason: {len(reason)} characters; at most {REASON_LENGTH} are kept")
    for key, value in arguments.items():
        if len(key) > 255 or len(value) > targets.longest(key):
            raise Invalid(f"arguments.{key[:40]}: too long (keys 255, values {targets.longest(key):,} characters)")
        if "\0" in key or "\0" in value:
            raise Invalid(f"arguments.{key[:40]!r}: has a NUL character, which no process can be handed; leave it out")
