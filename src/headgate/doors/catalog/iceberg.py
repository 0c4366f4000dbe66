"""This file is where Iceberg tables below an S3 prefix are looked at, by their metadata and nothing else of them.

A table is a folder with a folder `metadata` in it, at most DEEPEST folders below the prefix. Its version is that of
`metadata/version-hint.text` where there is one, else the newest `*.metadata.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from headgate.aws import Clients, Fault
from headgate.doors.catalog.glue import place_of
from headgate.doors.catalog.reading import Broken, Look
from headgate.flow.match import watches_database
from headgate.model import CatalogWatch

DEEPEST: Final = 4
_PAGES: Final = 10_000
_TRIES: Final = 3
_METADATA: Final = "metadata/"
_HINT: Final = "version-hint.text"
_VERSION: Final = re.compile(r"v?(\d+)[-.]?[^/]*\.metadata\.json(?:\.gz)?")


def look_at_s3(clients: Clients, watch: CatalogWatch) -> Look:
    """Find the tables and their newest metadata. Raises Broken."""
    bucket, _, prefix = watch.place.removeprefix("s3://").partition("/")
    prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    tables: dict[str, str] = {}
    folders = [(prefix, 0)]
    while folders:
        folder, depth = folders.pop()
        found = _list(clients, watch, bucket, folder)
        if f"{folder}{_METADATA}" in found.folders:
            name = ".".join(folder[len(prefix) :].strip("/").split("/")) or folder.strip("/").rpartition("/")[2]
            version = _newest(clients, watch, bucket, f"{folder}{_METADATA}")
            if version and watches_database(watch, name.rpartition(".")[0]):
                tables[name] = version
        elif depth < DEEPEST:
            folders += [(one, depth + 1) for one in found.folders]
    return Look(tables=tables, databases=sorted({name.rpartition(".")[0] for name in tables} - {""}))


class _Listed(NamedTuple):
    folders: set[str]
    objects: list[Mapping[str, Any]]


def _newest(clients: Clients, watch: CatalogWatch, bucket: str, folder: str) -> str:
    """What changes with each commit; "" where no commit was made yet."""
    hint = [one for one in _list(clients, watch, bucket, folder + _HINT).objects if one["Key"] == folder + _HINT]
    if hint:
        return f"{_HINT}/{str(hint[0].get('ETag') or '').strip(chr(34))}/{_time(hint[0])}"
    found = _list(clients, watch, bucket, folder).objects
    files = [one for one in found if str(one["Key"]).endswith((".metadata.json", ".metadata.json.gz"))]
    newest = max(files, key=lambda one: (_number(str(one["Key"])), _time(one)), default=None)
    return str(newest["Key"]).rpartition("/")[2] if newest is not None else ""


def _number(key: str) -> int:
    found = _VERSION.fullmatch(key.rpartition("/")[2])
    return int(found[1]) if found else -1


def _time(one: Mapping[str, Any]) -> str:
    at: Any = one.get("LastModified")
    return at.isoformat() if at is not None else ""


def _list(clients: Clients, watch: CatalogWatch, bucket: str, prefix: str) -> _Listed:
    listed = _Listed(set(), [])
    for page in _pages(clients, watch, bucket, prefix):
        listed.folders.update(str(one["Prefix"]) for one in page.get("CommonPrefixes") or ())
        listed.objects.extend(page.get("Contents") or ())
    return listed


def _pages(clients: Clients, watch: CatalogWatch, bucket: str, prefix: str) -> Iterator[Mapping[str, Any]]:
    doing = f"listing s3://{bucket}/{prefix}"
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/"}
    for _ in range(_PAGES):
        answer = clients.call(place_of(watch), "s3", "list_objects_v2", asked, doing=doing, attempts=_TRIES)
        if isinstance(answer, Fault):
            raise Broken(answer.code, str(answer), answer.wait)
        yield answer
        following = answer.get("NextContinuationToken")
        if not answer.get("IsTruncated") or not following or following == asked.get("ContinuationToken"):
            return
        asked["ContinuationToken"] = following
    raise Broken("endless list", f"{doing}: more than {_PAGES} pages")
