"""This file is where everything a person or a door may ask for is one call: the gate itself.

HTTP, the console and the command line (with no server running) all speak to this. It knows the ledger and the settings,
no engine and no wire.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from headgate.adopt import Adoption, GlueChange
from headgate.aws_lambda.messages import StateChange
from headgate.errors import Conflict, Forbidden, HeadgateError, Invalid, NotFound, Unavailable
from headgate.flow import click as clicking
from headgate.flow import resolution, targets
from headgate.flow.resolution import Resolution
from headgate.flow.resolve import Rule, RuleKind, RuleSource
from headgate.ledger import clicks, reading
from headgate.ledger import rules as kept
from headgate.ledger.accepting import Ask, Receipt
from headgate.ledger.catalogs import Change, Declaration, Does
from headgate.ledger.rules import KeptRule
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
from headgate.ports import DataHub, DatasetFacts, Ending, Ingestion, LastWrite, Stop
from headgate.settings import Settings, again
from headgate.settings.mapping import MappingFile
from headgate.supervision.logs import read_log

MOST_REPLAYED = 10_000
#: Of the ingestions others run, that are looked through.
MOST_EXTERNAL = 1_000
REASON_LENGTH = 2_000
#: Of a job that refreshes many datasets, so many runs are looked through for one dataset's last.
LOOKED_BACK, _PORTION = 1_000, 200
_ASKING = 8  #: questions to DataHub that may be under way for one person
_UNKNOWN = "DataHub knows no dataset {}"
_NOT_EMBEDDED = (
    "the embedded catalog knows no dataset {}; name it in a rule under datasets:, or write it there"
    " (`datahub put`, see docs/embedded-catalog.md)"
)


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
        self.settings = settings
        self.ledger = ledger
        self.adoption = Adoption(ledger)
        self.datahub: DataHub | None = None  #: set by the app: the client, or the embedded catalog
        self.functions: CalledBack | None = None  #: set by the app: who is told how a function ended
        self.changed: Changed = nobody_follows  #: set by the app: who is told what AWS says of the state of a run there
        #: set where a server runs: reads its file again, for plan and apply
        self.read_again: Callable[[], Settings] = lambda: self.settings
        self._applying = threading.Lock()
        self._restart: Sequence[str] = ()
        self._mapping = MappingFile.of(settings)

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
        _check(arguments, reason)
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
            NotFound: no such trigger. Conflict: it is not ON_DEMAND. Invalid: the reason is too long.
        """
        _check({}, reason)
        found = self.ledger.refresh().triggers.get(TriggerName(trigger))
        if found is not None and found.type is not TriggerType.ON_DEMAND:
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
            NotFound: no such trigger.
        """
        if TriggerName(trigger) not in self.ledger.refresh().triggers:
            raise NotFound("trigger", trigger, "see `headgate triggers list`")
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
        found = self.resolve(urn)
        if found.job is None:
            raise NotFound("job for the dataset", urn, found.message)
        return self.start(
            found.job, arguments=arguments, actor=actor, reason=reason or f"dataset {urn}", implicit=found.implicit
        )

    # -- datasets

    def resolve(self, urn: str, *, job_urn: str | None = None, facts: DatasetFacts | None = None) -> Resolution:
        """What a click on the dataset starts; `job` is None where nothing. Hand `implicit` on to `ask` or `start`.

        `facts`: what DataHub knows of the dataset, where the caller has asked it already.

        Raises:
            Invalid: a malformed URN. Forbidden: `job_urn` does not produce the dataset, or the target is not allowed.
            Unavailable: DataHub can not be asked.
        """
        found = resolution.resolve_dataset(urn, self._grounds(), job_urn=job_urn, facts=facts)
        if found.refused is not None:
            raise Forbidden(found.refused)
        return found

    def explain(self, urn: str, *, job_urn: str | None = None) -> Resolution:
        """The same, with why every other rule lost; goes on when DataHub is away. Raises Invalid and, for a `job_urn`
        that does not produce the dataset, Forbidden.
        """
        found = resolution.resolve_dataset(urn, self._grounds(), job_urn=job_urn, thorough=True)
        return replace(found, notes=[*self.warnings(), *found.notes])

    def rules(self) -> list[Rule]:
        """The rules in force, from every source; the mapping file as it is now."""
        declared = [one for one in self.settings.rules if one.source is not RuleSource.ENVIRONMENT_FILE]
        from_file = self._mapping.rules() if self._mapping is not None else ()
        return [*declared, *from_file, *(one.rule for one in self.kept_rules())]

    def kept_rules(self) -> list[KeptRule]:
        """Those of the ledger."""
        return self.ledger.read(kept.read)

    def set_rule(self, rule: Rule, *, actor: str, reason: str | None = None) -> KeptRule:
        """Keep a rule in the ledger, in place of the one that covers the same. Raises Invalid and Forbidden."""
        _check({}, reason)
        grounds = self._grounds()
        checked = targets.checked(rule, grounds.jobs, arns=grounds.arns, region=grounds.region)
        return wait_for(self.ledger.write(lambda batch: kept.put(batch, checked, actor=actor, reason=reason)))

    def delete_rule(self, name: str, *, actor: str, reason: str | None = None) -> KeptRule:
        """Take a rule of the ledger away, by its id or by what it covers. Raises NotFound."""
        _check({}, reason)
        return wait_for(self.ledger.write(lambda batch: kept.delete(batch, name, actor=actor, reason=reason)))

    def stale_rules(self) -> list[Rule]:
        """The rules for datasets that DataHub does not know: renamed, removed, or misspelt. One question a rule.

        Raises:
            Unavailable: there is no DataHub, or it can not be asked.
        """
        datahub = self.datahub
        if datahub is None:
            raise Unavailable("no DataHub is configured, so nobody knows which datasets there are (datahub.gms_url)")
        rules = [one for one in self.rules() if one.kind is RuleKind.URN]
        with ThreadPoolExecutor(_ASKING) as pool:
            facts = list(pool.map(datahub.dataset, [one.value for one in rules]))
        return [one for one, known in zip(rules, facts, strict=True) if not known.exists]

    def warnings(self) -> list[str]:
        """What is wrong and hinders nobody yet, for /readyz and `explain`."""
        return [self._mapping.problem] if self._mapping is not None and self._mapping.problem else []

    def _grounds(self) -> resolution.Grounds:
        datahub = self.settings.datahub
        return resolution.Grounds(
            rules=self.rules(),
            jobs=self.ledger.refresh().jobs,
            datahub=self.datahub,
            job_arn_property=datahub.job_arn_property,
            arns=datahub.arns,
            region=self.settings.lambda_region,
            strict=datahub.strict,
        )

    # -- clicks

    def consider(self, click: clicking.Click, who: clicking.Who) -> clicking.Wish | clicking.Refusal:
        """What a click would start, or why it may not. Starts and writes nothing. Raises Unavailable."""
        return clicking.consider(
            click,
            who,
            datahub=self.datahub,
            resolve=lambda urn, job_urn, facts: resolution.resolve_dataset(
                urn, self._grounds(), job_urn=job_urn, facts=facts
            ),
            privileges=self.settings.datahub.privileges,
            unknown=_UNKNOWN if self.settings.datahub.configured else _NOT_EMBEDDED,
        )

    def click(self, wish: clicking.Wish) -> Future[Run]:
        """Start what a click may start, or be given the run of another click on the dataset within the window.

        The future fails with TooManyRuns, NotFound (the job was deleted meanwhile) or LedgerUnavailable.
        """
        asked = wish.click
        _check(wish.arguments, asked.reason)
        event = Event(
            id=new_event_id(),
            door=clicking.DOOR,
            kind="Asked",
            identity=f"asked:{secrets.token_hex(16)}",
            at=datetime.now(UTC),
            payload={"job": wish.job, "actor": wish.actor, "dataset": asked.dataset,
                     **({"reason": asked.reason} if asked.reason else {})},
        )  # fmt: skip
        ask = Ask(
            job=wish.job,
            event=event,
            cause=Cause(actor=wish.actor, reason=asked.reason),
            arguments=wish.arguments,
            implicit=wish.implicit,
        )
        known, window = self.ledger.catalog, self.settings.datahub.click_window
        return self.ledger.write(
            lambda batch: clicks.take(batch, known, ask, dataset=asked.dataset, key=clicking.DATASET, window=window)
        )

    def now_of(self, runs: Sequence[RunId]) -> dict[RunId, Run]:
        """These runs as they are now, read in one go."""
        return self.ledger.read(lambda connection: clicks.find(connection, runs))

    def last_for(self, job: JobName, dataset: str) -> Run | None:
        """The newest run of the job that was not asked for another dataset; of its newest LOOKED_BACK."""
        return next(iter(self.runs_for(job, dataset, most=1)), None)

    def runs_for(self, job: JobName, dataset: str, *, most: int) -> list[Run]:
        """The newest such runs, at most so many."""
        found: list[Run] = []
        before: int | None = None
        for _ in range(0, LOOKED_BACK, _PORTION):
            page = self.ledger.runs(job=job, before=before, limit=_PORTION)
            found += [run for run in page.items if run.arguments.get(clicking.DATASET, dataset) == dataset]
            before = page.next
            if before is None or len(found) >= most:
                break
        return found[:most]

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
        _check({}, reason)
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
        """Enable or disable a trigger. What passed while it was disabled is not made up."""
        _check({}, reason)
        return wait_for(
            self.ledger.set_enabled(TriggerName(trigger), enabled=enabled, actor=actor, reason=reason or "")
        )

    # -- definitions

    @property
    def declaration(self) -> Declaration:
        """What was declared when the file was last put in force."""
        return Declaration(self.settings.jobs, self.settings.triggers)

    def plan(self) -> list[Change]:
        """What `apply` would do with headgate.yaml as it is now, and which settings wait for a restart.

        Raises:
            InvalidConfiguration: the file is wrong; every place is named.
        """
        read = self.read_again()
        waiting = self._waiting(read)
        return [*self.ledger.plan(Declaration(read.jobs, read.triggers)), *_rule_changes(self.settings, read), *waiting]

    def apply(self, *, everything: bool, actor: str) -> list[Change]:
        """Put in force what headgate.yaml declares now; answers what was done, and which settings wait for a restart.

        Jobs and triggers go to the ledger, the rules of `datasets:` are this server's. `everything`: mend drift too
        (delete, restore, switch).

        Raises:
            InvalidConfiguration: the file is wrong, so nothing was done. LedgerUnavailable.
        """
        with self._applying:
            read = self.read_again()
            rules, waiting = _rule_changes(self.settings, read), self._waiting(read)
            declared = Declaration(read.jobs, read.triggers)
            done = wait_for(self.ledger.apply(declared, everything=everything, actor=actor, beside=rules))
            self.settings = again.with_definitions(self.settings, read)
        return [*done, *rules, *waiting]

    def plan_glue(self) -> list[GlueChange]:
        """What `apply_glue` would do on AWS, and what is there and not ours. AWS is asked only where it has a part.

        Raises:
            InvalidConfiguration. Unavailable: AWS cannot be asked. Invalid: it refuses to answer.
        """
        return self.adoption.plan(self.read_again())

    def apply_glue(self, *, actor: str) -> list[GlueChange]:
        """Make AWS Glue what headgate.yaml declares of it; answers what was done. The same errors."""
        return self.adoption.apply(self.read_again(), actor=actor)

    def restart_warnings(self) -> list[str]:
        """Which settings headgate.yaml said otherwise when it was last read, for /readyz."""
        if not self._restart:
            return []
        named = ", ".join(self._restart[:5]) + (", …" if len(self._restart) > 5 else "")
        return [f"headgate.yaml has changed in what only a restart puts in force: {named}"]

    def _waiting(self, read: Settings) -> list[Change]:
        """What is not put in force while the server runs."""
        found = again.needs_restart(self.settings, read)
        self._restart = [one.name for one in found]
        return [Change("setting", one.name, Does.RESTART, False, {"value": one.before}, {"value": one.after})
                for one in found]  # fmt: skip

    # -- looking

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


def _check(arguments: Mapping[str, str], reason: str | None) -> None:
    if reason is not None and len(reason) > REASON_LENGTH:
        raise Invalid(f"reason: {len(reason)} characters; at most {REASON_LENGTH} are kept")
    for key, value in arguments.items():
        if len(key) > 255 or len(value) > targets.longest(key):
            raise Invalid(f"arguments.{key[:40]}: too long (keys 255, values {targets.longest(key):,} characters)")


def _rule_changes(running: Settings, read: Settings) -> list[Change]:
    """Which rules of `datasets:` differ, by what they cover; one that only stands elsewhere in the file does not."""
    before, after = again.declared_rules(running), again.declared_rules(read)
    changes: list[Change] = []
    for name in sorted({*before, *after}):
        old, new = (again.rule_spec(those[name]) if name in those else None for those in (before, after))
        if old != new:
            does = Does.CREATE if old is None else Does.DELETE if new is None else Does.UPDATE
            changes.append(Change("rule", name, does, False, old, new))
    return changes
