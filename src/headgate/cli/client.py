"""This file is where what a command may ask is listed, whoever answers: a running server, or the ledger itself.

Answers are the JSON objects of the REST API, so that a command is written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

Doc = Mapping[str, Any]  #: one JSON object, with the keys that headgate.shapes gives it


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsWanted:
    job: str | None = None
    state: str | None = None
    trigger: str | None = None
    external: bool = False  #: those that others run, as DataHub lists them


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsWanted:
    """`prefix` is `bucket/key…`, `s3://bucket/key…` or a key's beginning; times are by arrival here."""

    prefix: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    failed: bool = False
    door: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a log from the asked byte on, where to go on, and whether that was all there will be."""

    text: str
    next: int
    complete: bool


class Client(Protocol):
    """Lists are newest first and fetched as they are used. Every call raises the errors of headgate.errors."""

    where: str  #: who answers, for a person
    remote: bool  #: a server, which goes on without us

    def jobs(self) -> list[Doc]: ...
    def triggers(self) -> list[Doc]: ...
    def runs(self, wanted: RunsWanted) -> Iterator[Doc]: ...
    def run(self, name: str) -> Doc: ...
    def attempts(self, run: str) -> list[Doc]: ...
    def objects(self, run: str) -> list[Doc]: ...
    def decisions(self, run: str) -> Sequence[Doc]:
        """The decisions that led to the run, oldest first."""
        ...

    def decided(self, trigger: str) -> Iterator[Doc]:
        """What was decided at the trigger, newest first."""
        ...

    def last_writes(self, most: int) -> Sequence[Doc]:
        """Who wrote the catalog's datasets last, newest first; a sample."""
        ...

    def audit(self) -> Iterator[Doc]:
        """Who did what, to what, why, and when, newest first."""
        ...

    def status(self) -> Doc:
        """The server's replicas and how it is; empty where none runs."""
        ...

    def log(self, run: str, *, offset: int, attempt: int | None) -> Piece: ...
    def start(self, job: str, arguments: Mapping[str, str], reason: str | None) -> Doc: ...
    def stop(self, run: str, reason: str | None) -> Doc: ...
    def retry(self, run: str, reason: str | None) -> Doc: ...
    def switch(self, trigger: str, *, enabled: bool, reason: str | None) -> Doc: ...
    def start_trigger(self, trigger: str, reason: str | None) -> Doc:
        """`{id, duplicate, decisions}`: what firing it led to."""
        ...

    def events(self, wanted: EventsWanted) -> Iterator[Doc]: ...
    def replay(
        self,
        wanted: EventsWanted,
        *,
        events: Sequence[str],
        downstream: bool,
        dry_run: bool,
        reason: str | None,
    ) -> list[Doc]:
        """One object an event: `replay_of`, `object`, and the `receipt` of the new one, null in a dry run."""
        ...

    def dead_letters(self) -> Iterator[Doc]: ...
    def replay_dead(self, letter: str, reason: str | None) -> Doc:
        """`{id, events: [what each event led to]}`."""
        ...

    def delete_dead(self, letter: str, reason: str | None) -> Doc: ...
    def plan(self) -> list[Doc]: ...
    def apply(self) -> list[Doc]: ...
    def plan_glue(self) -> list[Doc]:
        """The differences on AWS Glue; none, and nobody is asked, where nothing of it is declared."""
        ...

    def apply_glue(self) -> list[Doc]: ...
    def explain(self, urn: str) -> Doc: ...
    def start_for(self, dataset: str, arguments: Mapping[str, str], reason: str | None) -> Doc: ...
    def rules(self, *, stale: bool) -> list[Doc]: ...
    def set_rule(self, asked: Mapping[str, Any]) -> Doc:
        """`asked` has the keys of a rule in headgate.yaml, and perhaps `reason`."""
        ...

    def delete_rule(self, name: str, reason: str | None) -> Doc: ...
    def keys(self) -> list[Doc]: ...
    def create_key(self, asked: Mapping[str, Any]) -> Doc:
        """`asked`: name, lasts (seconds), session, reason. The answer has `secret` and `session_token`, this once."""
        ...

    def revoke_key(self, key: str, reason: str | None) -> Doc: ...
    def secrets(self) -> list[Doc]: ...
    def set_secret(self, name: str, value: str, reason: str | None) -> Doc: ...
    def delete_secret(self, name: str, reason: str | None) -> Doc: ...
    def rotate_secrets(self, reason: str | None) -> Doc:
        """`{sealed: [names], closed: [names that no key opens]}`."""
        ...
