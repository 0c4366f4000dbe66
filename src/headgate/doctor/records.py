"""This file is where what the doctor asks of Headgate itself is listed, and how the JSON it gets is read.

The objects are those of the REST API (headgate.shapes), so that a running server and a ledger of this machine are
asked alike.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

Doc = Mapping[str, Any]

#: The states a run holds one of its job's places in.
OCCUPYING = ("STARTING", "RUNNING", "STOPPING")


class Records(Protocol):
    """Lists are newest first. Every call raises the errors of headgate.errors."""

    served: bool  #: whether a server runs: without one nothing fires by itself

    def jobs(self) -> Sequence[Doc]: ...
    def triggers(self) -> Sequence[Doc]: ...
    def runs(self, *, job: str | None = None, trigger: str | None = None, most: int) -> Sequence[Doc]: ...
    def external(self, *, most: int) -> Sequence[Doc]:
        """The ingestions others run, as DataHub lists them."""
        ...

    def last_writes(self, *, most: int) -> Sequence[Doc]:
        """Who wrote the datasets' metadata last, as DataHub (or the embedded catalog) knows it; a sample."""
        ...

    def decided(self, trigger: str, *, most: int) -> Sequence[Doc]: ...
    def events(self, *, prefix: str | None = None, door: str | None = None, most: int) -> Sequence[Doc]: ...
    def explain(self, urn: str) -> Doc: ...
    def rules(self, *, stale: bool) -> Sequence[Doc]: ...
    def status(self) -> Doc:
        """`{workers, readiness}`; empty where no server runs."""
        ...


def moment(text: str | None) -> datetime | None:
    """A time as shapes.time_json writes it."""
    return None if text is None else datetime.fromisoformat(text)


def told(at: datetime | None) -> str:
    """A time as people read it, in UTC, to the second."""
    return "never" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def short(run: Doc) -> str:
    return str(run["id"])[:15]


def word(name: object) -> str:
    """A name as a shell takes it."""
    return shlex.quote(str(name))


def nearest(name: str, among: Iterable[str]) -> str:
    """The name that was probably meant; "" where none is near."""
    found = difflib.get_close_matches(name, list(among), n=1, cutoff=0.75)
    return found[0] if found else ""
