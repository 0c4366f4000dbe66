"""This file is where objects and events about them are told apart: which event repeats another, what nobody ingests.

The rules are those of `headgate.flow.match`, which takes them from here.
"""

from __future__ import annotations

import hashlib
from typing import Final

#: Names of objects that their writers have not finished, or that only say something about other objects.
_UNFINISHED: Final = (".tmp", ".part")
_MARKERS: Final = frozenset({"_SUCCESS"})


def family_of(kind: str) -> str:
    """What an event kind says about the object: `created`, `removed`, or the kind itself where it says neither."""
    name = kind.removeprefix("s3:")
    if name.startswith("ObjectCreated:"):
        return "created"
    if name.startswith(("ObjectRemoved:", "LifecycleExpiration:")):
        return "removed"
    return name


def identity_of(*, bucket: str, key: str, version: str, etag: str, sequencer: str, kind: str, fallback: str) -> str:
    """Return the identity (64 hex digits) of an event about an object: see `headgate.flow.match.object_identity`."""
    family = family_of(kind)
    content = version or etag
    if family == "removed" and sequencer:
        content = version
    if not content and not sequencer:
        content = "\0" + fallback  # no version or etag begins with a NUL
    return hashlib.sha256("\0".join(("object", bucket, key, content, sequencer.upper(), family)).encode()).hexdigest()


def unwanted(key: str, size: int | None) -> str | None:
    """Why an object of this name and size is never ingested, or None."""
    name = key.rpartition("/")[2]
    if not name:
        return f"folder marker: key {key!r} ends with '/'"
    if name in _MARKERS:
        return f"marker: {name!r} only says that a writer has finished"
    if name.startswith("."):
        return f"hidden: the name {name!r} starts with '.'"
    if name.lower().endswith(_UNFINISHED):
        return f"unfinished: the name {name!r} ends with {name[name.rindex('.') :]!r}"
    if size == 0:
        return f"empty: {key!r} has no bytes"
    return None
