"""This file is where everything a person or a door may ask for is one call: the gate itself.

HTTP, the console and the command line (with no server running) all speak to this. It knows the ledger and the settings,
no engine and no wire.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from headgate.aws_lambda.messages import StateChange
from headgate.errors import Conflict, HeadgateError, Invalid, NotFound
from headgate.flow import targets
from headgate.gate.datasets import Datasets
from headgate.gate.definitions import Definitions
from headgate.gate.limits import check
from headgate.ledger import reading
from headgate.ledger.accepting import Ask, Receipt
from headgate.ledger.store import Ledger, wait_for
from headgate.model import (
    DEMAND,
    Cause,
    Event,
    EventId,
    Job,
    JobName,
    Json,
    Run,
    RunId,
    RunState,
    StoredObject,
    Trigger,
    TriggerName,
    TriggerType,
    new_event_id,
)
from headgate.ports import DataHub, Ending, Ingestion, LastWrite, Stop
from headgate.settings import Settings
from headgate.settings.reading import did_you_mean
from headgate.supervision.logs import read_log

MOST_REPLAYED = 10_000
#: Of the ingestions others run, that are looked through.
MOST_EXTERNAL = 1_000


@dataclass(frozen=True, slots=True)
class LogPart:
    """A piece of a log: the text from the asked offset on, where to go on, and whether that was all there will be."""

    text: str
    next: int
    complete: bool


class CalledBack(Protocol):
    """LambdaEngine.called_back, without knowing it."""

    def __call__(self, token: str, *, succeeded: bool, error: str | None, result: Mapping[str, Json]) -> str: ...


class Changed(Protocol):
    """Whoever follows runs on AWS. `trusted`: the change is believed; else it is the reason to look for oneself."""

    def __call__(self, change: StateChange, *, trusted: bool) -> bool: ...


def nobody_follows(change: StateChange, *, trusted: bool) -> bool:  # noqa: ARG001 - the shape is Changed's
    return False


class Gate:
    """All calls are durable when they return, and may come from any thread."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self.ledger = ledger
        self.definitions = Definitions(settings, ledger)
        self.datasets = Datasets(ledger, settings=lambda: self.settings, datahub=lambda: self.datahub)
        self.datahub: DataHub | None = None  #: set by the app: the client, or the embedded catalog
        self.functions: CalledBack | None = None  #: set by the app: who is told how a function ended
        self.changed: Changed = nobody_follows  #: set by the app: who is told what AWS says of the state of a run there

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self.definitions.settings

    # -- asking

    def accept(self, events: Sequence[Event]) -> list[Receipt]:
        """Record events and what they lead to; answers in their order."""
        return wait_for(self.ledger.accept(events))

    def start(
        self,
        job: str,
        *,
        arguments: Mapping[str, str],
        actor: str,
        reason: str | None = None,
        door: str = "manual",
        key: str | None = None,
        downstream: bool = True,
        implicit: Job | None = None,
    ) -> Run:
        """Start a run of a job. `key` makes the call repeatable: the same key answers the same run.

        Raises:
            NotFound: no such job. TooManyRuns: it is at its limit and does not queue. Invalid: bad arguments.
        """
        return wait_for(self.ask(job, arguments=arguments, actor=actor, reason=reason, door=door, key=key,
                                 downstream=downstream, implicit=implicit))  # fmt: skip

    def ask(
        self,
        job: str,
        *,
        arguments: Mapping[str, str],
        actor: str,
        reason: str | None = None,
        door: str = "manual",
        key: str | None = None,
        downstream: bool = True,
        previous: RunId | None = None,
        implicit: Job | None = None,
        timeout: float | None = None,
        queue: bool | None = None,
        details: Mapping[str, Json] | None = None,
    ) -> Future[Run]:
        """`start` without waiting for the commit.

        `implicit`: the job itself, as a Resolution gives it; made in the same transaction where there is none yet.
        `timeout` (seconds) and `queue` (whether it waits at the job's limit) are the call's own, over the job's.
        `details` are kept with the event.
        """
        check(arguments, reason)
        event = Event(
            id=new_event_id(),
            door=door,
            kind="Asked",
            identity=f"asked:{key or secrets.token_hex(16)}",
            at=datetime.now(UTC),
            payload={"job": job, "actor": actor, **({"reason": reason} if reason else {}), **(details or {})},
            downstream=downstream,
        )
        cause = Cause(actor=actor, reason=reason)
        return self.ledger.ask(
            Ask(
                job=JobName(job),
                event=event,
                cause=cause,
                arguments=dict(arguments),
                previous=previous,
                # by hand only: what other doors may start has to be there
                implicit=implicit or (targets.implied(job, arguments) if door == "manual" else None),
                timeout=timeout,
                queue=queue,
            )
        )

    def start_trigger(self, trigger: str, *, actor: str, reason: str | None = None, key: str | None = None) -> Receipt:
        """`fire` for a person: it stands in the audit, and a trigger that fires by itself is left alone.

        Raises:
            NotFound: no such trigger. Conflict: it is not ON_DEMAND, or not here. Invalid: the reason is too long.
        """
        check({}, reason)
        found = self.trigger(trigger)
        if found.type is not TriggerType.ON_DEMAND:
            raise Conflict(
                f"trigger {trigger!r} is {found.type.value}: it fires by itself; start its jobs with `headgate run JOB`"
                " or let its event happen again with `headgate events replay`"
            )
        receipt = self.fire(trigger, actor=actor, reason=reason, key=key)
        if not receipt.duplicate:
            wait_for(self.ledger.note(actor=actor, action="trigger.start", subject=trigger, reason=reason))
        return receipt

    def fire(
        self, trigger: str, *, actor: str, reason: str | None = None, door: str = "manual", key: str | None = None
    ) -> Receipt:
        """Fire an ON_DEMAND trigger: all its actions start. `key` makes the call repeatable.

        Raises:
            NotFound: no such trigger. Conflict: it fires on AWS Glue.
        """
        self.trigger(trigger)
        event = Event(
            id=new_event_id(),
            door=door,
            kind=DEMAND,
            identity=f"demanded:{key or secrets.token_hex(16)}",
            at=datetime.now(UTC),
            payload={"trigger": trigger, "actor": actor, **({"reason": reason} if reason else {})},
        )
        return self.accept([event])[0]

    def start_for(self, urn: str, *, arguments: Mapping[str, str], actor: str, reason: str | None = None) -> Run:
        """Start the job that refreshes a dataset. Raises what `resolve` raises, and NotFound where nothing does."""
        found = self.datasets.resolve(urn)
        if found.job is None:
            raise NotFound("job for the dataset", urn, found.message)
        return self.start(
            found.job, arguments=arguments, actor=actor, reason=reason or f"dataset {urn}", implicit=found.implicit
        )

    def called_back(self, token: str, *, succeeded: bool, error: str | None, result: Mapping[str, Json]) -> str:
        """Take in how a function says that it ended, by its token; answers the attempt's id.

        It goes through the ledger, so it may reach another replica than the one that has the run.

        Raises:
            NotFound: nobody has given that token. Conflict: its run has ended already. LedgerUnavailable.
        """
        state = RunState.SUCCEEDED if succeeded else RunState.FAILED
        said = None if succeeded else error or "the function says that it failed, and no more"
        ending = Ending(state=state, at=datetime.now(UTC), error=said, detail="called back", result=result)
        try:
            attempt = wait_for(self.ledger.end_by_token(token, ending))
        except NotFound:
            if self.functions is None:
                raise
            return self.functions(token, succeeded=succeeded, error=error, result=result)
        if self.functions is not None:
            with suppress(HeadgateError):  # the end is written; what is kept beside the run's log is for its reader
                self.functions(token, succeeded=succeeded, error=error, result=result)
        return attempt

    def stop(self, run: str, *, actor: str, reason: str | None = None) -> Run:
        """Stop a run and everything it started. Answers it STOPPED, or STOPPING until its engine has ended it."""
        check({}, reason)
        found = self.ledger.run(run)
        return wait_for(self.ledger.stop(Stop(found.id, actor, reason or "")))

    def retry(self, run: str, *, actor: str, reason: str | None = None) -> Run:
        """Run it again, with the same arguments and the same objects, as a new run."""
        found = self.ledger.run(run)
        asked = self.ask(
            found.job,
            arguments=found.arguments,
            actor=actor,
            reason=reason or f"retry of {found.id}",
            previous=found.id,
            downstream=found.downstream,
        )
        return wait_for(asked)

    def replay(
        self,
        wanted: reading.EventFilter,
        *,
        events: Sequence[str] = (),
        downstream: bool = True,
        actor: str,
        reason: str | None = None,
        dry_run: bool = False,
    ) -> list[tuple[Event, Receipt | None]]:
        """Let events happen again: those named, or those the filter finds (oldest first, at most MOST_REPLAYED).

        Each becomes a new event of the door `replay` that names the first one. `downstream=False`: the runs it starts
        fire nothing. With `dry_run` nothing is written and the receipts are None.
        """
        found = [self.ledger.event(EventId(name)).event for name in events] if events else self._find(wanted)
        again = [
            replace(
                one,
                door="replay",
                identity=f"replay:{one.id}:{secrets.token_hex(8)}",
                payload={**one.payload, "replay_of": one.id, "actor": actor},
                object=replace(one.object, sequencer="") if one.object else None,
                downstream=downstream and one.downstream,
            )
            for one in found
            if one.object is not None
        ]
        if dry_run:
            return [(one, None) for one in again]
        receipts: list[Receipt] = []
        for portion in range(0, len(again), 500):
            receipts.extend(self.accept(again[portion : portion + 500]))
        if again:
            subject = f"{len(again)} events"
            wait_for(self.ledger.note(actor=actor, action="events.replay", subject=subject, reason=reason))
        return list(zip(again, receipts, strict=True))

    def _find(self, wanted: reading.EventFilter) -> list[Event]:
        found: list[Event] = []
        before: int | None = None
        while len(found) <= MOST_REPLAYED:
            page = self.ledger.events(wanted, before=before, limit=500)
            found.extend(one.event for one in page.items if one.event.door != "replay")
            if page.next is None:
                return found[::-1]
            before = page.next
        raise Invalid(f"more than {MOST_REPLAYED:,} events fit; narrow the prefix or the time range")

    def switch(self, trigger: str, *, enabled: bool, actor: str, reason: str | None = None) -> Trigger:
        """Enable or disable a trigger. What passed while it was disabled is not made up.

        Raises:
            NotFound: no such trigger. Conflict: it fires on AWS Glue. Invalid: the reason is too long.
        """
        check({}, reason)
        self.trigger(trigger)
        return wait_for(
            self.ledger.set_enabled(TriggerName(trigger), enabled=enabled, actor=actor, reason=reason or "")
        )

    # -- looking

    def trigger(self, name: str) -> Trigger:
        """The trigger of this name that fires here.

        Raises:
            NotFound: there is none; a name that is near is told. Conflict: it is declared to fire on AWS Glue.
        """
        here, there = self.ledger.refresh().triggers, self.settings.glue.triggers
        if found := here.get(TriggerName(name)):
            return found
        if TriggerName(name) in there:
            raise Conflict(
                f"the trigger {name!r} fires on AWS Glue, and is started and switched there: with"
                f" `aws glue start-trigger --name {name}`, or by enabled: in headgate.yaml and `headgate apply`"
            )
        meant = did_you_mean(name, [*here, *there]).removeprefix("; ")
        raise NotFound("trigger", name, meant or "see `headgate triggers list`")

    def external_runs(self, *, most: int) -> Sequence[Ingestion]:
        """The newest ingestions that DataHub knows of and nobody asked us for, newest first.

        Raises:
            Unavailable: DataHub cannot be asked. Forbidden: it does not list them for us.
        """
        return self.datahub.ingestions(most=most) if self.datahub is not None else ()

    def last_writes(self, *, most: int) -> Sequence[LastWrite]:
        """Who wrote the catalog's datasets last, newest first; a sample. Raises Unavailable."""
        return self.datahub.last_writes(most=most) if self.datahub is not None else ()

    def log(self, name: str, *, offset: int = 0, limit: int = 1 << 16, attempt: int | None = None) -> LogPart:
        """A piece of the log of a run's attempt (the newest unless said). No log yet is an empty piece.

        `name` is any id of the run; one that ends in `_attempt_n` means that attempt.
        """
        run = self.ledger.run(name)
        if attempt is None:
            given = name.partition("_attempt_")[2]
            attempt = int(given) if given.isdigit() else run.attempt
        wanted = f"{run.id}_attempt_{attempt}" if attempt else run.id
        ended = run.ended_at is not None or attempt < run.attempt
        try:
            text, following, complete = read_log(self.settings.home / "logs", wanted, offset, limit)
        except NotFound:
            return LogPart("", offset, ended)
        return LogPart(text, following, complete or (ended and not text))

    def objects(self, run: str) -> list[StoredObject]:
        return list(self.ledger.manifest(self.ledger.run(run).id) or ())
