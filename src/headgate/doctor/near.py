"""This file is where an object that a trigger nearly takes is compared with what it asks for: what differs, and how.

What people get wrong: keys that are still URL-encoded (`+`, `%2F`), upper and lower case, slashes, a bucket's name, a
file with one more ending.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus

from headgate.doctor.records import Doc

_ALIKE = 0.8  #: of difflib's ratio; above it two names are one name misspelt


@dataclass(frozen=True, slots=True)
class Near:
    """`what` differs, said of the object; `key` is the setting to change, `value` what it would have to be."""

    what: str
    key: str = ""
    value: str = ""


def near(wanted: Doc, bucket: str, key: str) -> Near | None:
    """Why this object, which the filter does not take, was probably meant for it; None where it was not.

    `wanted` has bucket, prefix and suffix, as a trigger's `objects`.
    """
    if bucket != wanted["bucket"]:
        if not _alike(bucket, wanted["bucket"]) or not key.startswith(wanted["prefix"]):
            return None
        return Near(f"its bucket is {bucket!r}, and the trigger watches {wanted['bucket']!r}", "s3.bucket", bucket)
    if not key.startswith(wanted["prefix"]):
        return _prefix(wanted["prefix"], bucket, key)
    return _suffix(wanted["suffix"], key)


def setting(found: Near, wanted: Doc) -> str:
    """The setting as it would have to be: what else the filter takes, it takes as before."""
    if found.key != "s3.suffix":
        return f"{found.key}: {found.value}"
    return f"{found.key}: [{', '.join([*wanted['suffix'], found.value])}]"


def suspicious(wanted: Doc) -> Near | None:
    """What no key can ever begin with, though people write it."""
    prefix, bucket = str(wanted["prefix"]), str(wanted["bucket"])
    if prefix.startswith("s3://"):
        return Near("its prefix begins with s3://; keys do not", "s3.prefix", prefix.split("/", 3)[-1])
    if prefix.startswith(f"{bucket}/"):
        return Near(
            f"its prefix begins with the bucket's name {bucket!r}", "s3.prefix", prefix.removeprefix(f"{bucket}/")
        )
    if prefix.startswith("/"):
        return Near("its prefix begins with a slash; keys do not", "s3.prefix", prefix.lstrip("/"))
    if "%" in prefix and unquote_plus(prefix) != prefix:
        return Near(
            "its prefix is URL-encoded, and keys are compared as they were uploaded", "s3.prefix", unquote_plus(prefix)
        )
    return None


def _prefix(prefix: str, bucket: str, key: str) -> Near | None:
    said = f"key {key!r} does not begin with {prefix!r}"
    decoded = unquote_plus(key)
    if decoded.startswith(prefix):
        return Near(f"{said}: the key is still URL-encoded, and decoded it is {decoded!r}")
    for why, value in _instead(prefix, bucket, key):
        if value and value != prefix and key.startswith(value):
            return Near(f"{said}: {why}", "s3.prefix", value)
    return None


def _instead(prefix: str, bucket: str, key: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the prefix, and what it would have to be then; the surest first."""
    yield "the prefix is URL-encoded", unquote_plus(prefix)
    yield "the prefix has what no key begins with", prefix.removeprefix("s3://").removeprefix(f"{bucket}/").lstrip("/")
    if key.lower().startswith(prefix.lower()):
        yield "upper and lower case differ, and S3 tells them apart", key[: len(prefix)]
    folder, bare = key[: key.rfind("/") + 1], prefix.strip("/")
    if bare and (key.startswith(bare) or key.lstrip("/").startswith(prefix)):
        yield "a slash is missing or too many", folder or bare
    if folder and _alike(folder, prefix):
        yield "it is nearly so", folder


def _suffix(suffixes: list[str], key: str) -> Near | None:
    name = key.rpartition("/")[2]
    lower = name.lower()
    if not suffixes or any(lower.endswith(one.lower()) for one in suffixes):
        return None
    said = f"the name {name!r} ends with none of {', '.join(suffixes)}"
    ending = "." + name.rpartition(".")[2] if "." in name else ""
    for one in suffixes:
        if lower.strip() != lower and lower.strip().endswith(one.lower()):
            return Near(f"{said}: there is white space after it")
        if unquote_plus(lower).endswith(one.lower()):
            return Near(f"{said}: the key is still URL-encoded")
        if ending and lower.removesuffix(ending.lower()).endswith(one.lower()):
            return Near(f"{said}: it has one more ending", "s3.suffix", f"{one}{ending}")
    return Near(said, "s3.suffix", ending) if ending else Near(said)


def _alike(one: str, other: str) -> bool:
    if _letters(one) == _letters(other):
        return True
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() >= _ALIKE


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
