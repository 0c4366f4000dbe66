"""This file is where events come in: written once each, matched, and turned into runs, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite

from headgate.catalog import Catalog
from headgate.flow import accept
from headgate.ledger import catalogs, dialects, glue_workflows, rows, schema
from headgate.ledger.recorder import Made, Recorder
from headgate.ledger.runs import Row, Wanted
from headgate.ledger.writer import Batch
from headgate.model import (
    DEMAND,
    FIRST_START,
    TICK,
    Action,
    Cause,
    Decision,
    Event,
    EventId,
    Job,
    JobName,
    Outcome,
    RunId,
    Trigger,
    TriggerType,
    new_run_id,
    sequencer_order,
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a door may answer with: the event's id, whether it had been here before, and what was decided then."""

    event: EventId
    duplicate: bool
    decisions: Sequence[Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A run asked for by name, by a person or a door that already knows the job."""

    job: JobName
    event: Event
    cause: Cause
    run: RunId = field(default_factory=new_run_id)
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout: float | None = None
    previous: RunId | None = None  #: take over the manifest of this earlier run
    implicit: Job | None = None  #: the job itself, made with the run where there is none of its name yet
    queue: bool | None = None  #: whether it waits where the job is at its limit; None: as the job says


_KNOWN = sa.select(schema.event.c.id, schema.event.c.seq).where(schema.event.c.id.in_(bindparam("ids", expanding=True)))
_DECISIONS = (
    sa.select(
        schema.event.c.id.label("event"),
        schema.decision.c.trigger,
        schema.decision.c.outcome,
        schema.decision.c.reason,
        schema.decision.c.run,
        schema.decision.c.job,
    )
    .join(schema.event, schema.event.c.seq == schema.decision.c.event_seq)
    .where(schema.decision.c.event_seq.in_(bindparam("seqs", expanding=True)))
    .order_by(schema.decision.c.seq)
)
_NEWEST = sa.select(schema.newest.c.object, schema.newest.c.sequencer).where(
    schema.newest.c.object.in_(bindparam("objects", expanding=True))
)
_JOINABLE = (
    sa.select(schema.run)
    .where(
        schema.run.c.trigger == bindparam("trigger"),
        schema.run.c.job == bindparam("job"),
        schema.IS_WAITING,
        schema.run.c.attempt == 0,
        schema.run.c.downstream == bindparam("downstream"),
    )
    .order_by(schema.run.c.seq.desc())
    .limit(1)
)
_GROWN = (
    schema.run.update()
    .where(schema.run.c.seq == bindparam("b_seq"))
    .values(objects=bindparam("b_objects"), not_before=bindparam("b_not_before"))
)
_TICKED = (
    schema.trigger.update()
    .where(
        schema.trigger.c.name == bindparam("b_name"),
        sa.func.coalesce(schema.trigger.c.last_tick, 0) < bindparam("b_tick"),
    )
    .values(last_tick=bindparam("b_tick"))
)


def accept_events(batch: Batch, catalog: Catalog, deliveries: Sequence[Sequence[Event]]) -> list[list[Receipt]]:
    """Write every event not seen before, with its decisions and runs; answer each delivery in its own order."""
    events = [replace(event, id=rows.event_id(event.identity)) for delivery in deliveries for event in delivery]
    known = decided_before(batch, events)
    work = _Accepting(Recorder(batch, catalog), _newest(batch, events))
    fresh: dict[EventId, list[Decision]] = {}
    receipts: list[Receipt] = []
    for event in events:
        if event.id in known:
            receipts.append(Receipt(event.id, True, known[event.id]))
        elif event.id in fresh:
            receipts.append(Receipt(event.id, True, fresh[event.id]))
        else:
            fresh[event.id] = work.take(event)
            receipts.append(Receipt(event.id, False, fresh[event.id]))
    work.write()
    answers = iter(receipts)
    return [[next(answers) for _ in delivery] for delivery in deliveries]


@dataclass(slots=True)
class _Accepting:
    recorder: Recorder
    newest: dict[str, str]
    open: dict[tuple[str, str, bool], Made | None] = field(default_factory=dict[tuple[str, str, bool], "Made | None"])
    grown: dict[int, Made] = field(default_factory=dict[int, Made])
    seen: dict[str, str] = field(default_factory=dict[str, str])
    ticks: dict[str, float] = field(default_factory=dict[str, float])

    def take(self, event: Event) -> list[Decision]:
        row = self.recorder.event(event)
        late = self._late(event)
        if event.kind == TICK:
            name = str(event.payload.get("trigger", ""))
            self.ticks[name] = max(self.ticks.get(name, 0.0), event.at.timestamp())
        decisions: list[Decision] = []
        for answer in accept.match(event, self.recorder.catalog):
            if isinstance(answer, accept.Skip):
                decisions.append(self._skip(row, answer.trigger, answer.reason))
            elif late:
                decisions.append(self._skip(row, answer.trigger.name, late))
            elif event.kind == FIRST_START and not catalogs.begin(self.recorder.batch, answer.trigger.name):
                decisions.append(self._skip(row, answer.trigger.name, "begun: the trigger had its first start before"))
            elif answer.trigger.workflow is not None:
                decisions.extend(self._into_workflow(row, event, answer.trigger))
            else:
                decisions.extend(self._start(row, event, answer.trigger, action) for action in answer.trigger.actions)
        return decisions

    def _skip(self, row: Row, trigger: str, reason: str) -> Decision:
        return self.recorder.decide(row, trigger=trigger, outcome=Outcome.SKIPPED, reason=reason)

    def _late(self, event: Event) -> str | None:
        if event.object is None or not event.object.sequencer:
            return None
        name = object_name(event)
        order = sequencer_order(event.object.sequencer)
        newest = self.newest.get(name, "")
        if order < newest:
            return "late: a newer event of this object has been seen"
        if order > newest:
            self.newest[name] = self.seen[name] = order
        return None

    def _start(self, row: Row, event: Event, trigger: Trigger, action: Action) -> Decision:
        if why := accept.left_to_others(event, action.job):
            return self.recorder.decide(row, trigger=trigger.name, outcome=Outcome.SKIPPED, reason=why, job=action.job)
        joined = self._join(event, trigger, action) if trigger.type is TriggerType.EVENT else None
        if joined is not None:
            count = joined.row["objects"]
            reason = f"joined the waiting run, which now holds {count} objects"
            return self.recorder.decide(
                row, trigger=trigger.name, outcome=Outcome.JOINED, reason=reason, job=action.job, run=joined
            )
        made = self.recorder.make(
            Wanted(
                action=action,
                cause=_cause(event, trigger),
                root=f"{event.id}:{trigger.name}",
                downstream=event.downstream,
                settle=trigger.settle,
                objects=1 if event.object else 0,
            )
        )
        if trigger.type is TriggerType.EVENT and not made.over:
            self.open[trigger.name, action.job, event.downstream] = made
        reason = str(made.row["error"]) if made.over else _why(event)
        if unasked := event.payload.get(accept.UNASKED):
            reason = f"{reason}; {unasked}"
        return self.recorder.decide(
            row, trigger=trigger.name, outcome=Outcome.FIRED, reason=reason, job=action.job, run=made
        )

    def _into_workflow(self, row: Row, event: Event, trigger: Trigger) -> list[Decision]:
        """Start a run of the trigger's workflow; an event for which one still waits, for more of them, joins that."""
        waiting = self._collecting(trigger) if trigger.type is TriggerType.EVENT and trigger.max_objects > 1 else []
        if not waiting:
            decisions = glue_workflows.fired(self.recorder, row, event, trigger)
            begun = {decision.run for decision in decisions}
            for made in self.recorder.made:
                if made.id in begun and not made.over:
                    self.open[trigger.name, str(made.row["job"]), True] = made
            return decisions
        return [self._joined(row, trigger, made) for made in waiting]

    def _collecting(self, trigger: Trigger) -> list[Made]:
        """The runs that a batch of the trigger's events will start, while there is room for one more."""
        found: list[Made] = []
        for action in trigger.actions:
            key = (trigger.name, action.job, True)
            if key not in self.open:
                self.open[key] = self._joinable(*key)
            made = self.open[key]
            if made is not None and made.row["not_before"] and int(str(made.row["objects"])) < trigger.max_objects:
                found.append(made)
        return found

    def _joined(self, row: Row, trigger: Trigger, made: Made) -> Decision:
        count = int(str(made.row["objects"])) + 1
        made.row["objects"] = count
        if count >= trigger.max_objects:  # full: nothing is waited for any more
            made.row["not_before"] = None
            self.recorder.batch.to_claim.add(str(made.row["job"]))
        if seq := int(str(made.row["seq"])):
            self.grown[seq] = made
        reason = f"event {count} of {trigger.max_objects} of its batch"
        job = str(made.row["job"])
        return self.recorder.decide(row, trigger=trigger.name, outcome=Outcome.JOINED, reason=reason, job=job, run=made)

    def _join(self, event: Event, trigger: Trigger, action: Action) -> Made | None:
        key = (trigger.name, action.job, event.downstream)
        if trigger.max_objects <= 1:
            return None
        if key not in self.open:
            self.open[key] = self._joinable(*key)
        made = self.open[key]
        if made is None or int(str(made.row["objects"])) >= trigger.max_objects:
            return None
        now = self.recorder.batch.now
        made.row["objects"] = int(str(made.row["objects"])) + 1
        if trigger.settle and made.row["settle_until"] is not None:
            made.row["not_before"] = min(now + trigger.settle, float(str(made.row["settle_until"])))
        seq = int(str(made.row["seq"]))
        if seq:  # made in an earlier batch: its row is written already
            self.grown[seq] = made
        return made

    def _joinable(self, trigger: str, job: str, downstream: bool) -> Made | None:
        connection = self.recorder.batch.connection
        found = (
            connection.execute(
                dialects.for_update(_JOINABLE, connection), {"trigger": trigger, "job": job, "downstream": downstream}
            )
            .mappings()
            .first()
        )
        return Made(dict(found)) if found else None

    def write(self) -> None:
        self.recorder.flush()
        connection = self.recorder.batch.connection
        if self.grown:
            connection.execute(
                _GROWN,
                [
                    {"b_seq": seq, "b_objects": made.row["objects"], "b_not_before": made.row["not_before"]}
                    for seq, made in sorted(self.grown.items())
                ],
            )
        if self.seen:
            connection.execute(
                _REMEMBER_NEWEST[connection.dialect.name],
                [{"object": name, "sequencer": order} for name, order in sorted(self.seen.items())],
            )
        if self.ticks:
            connection.execute(_TICKED, [{"b_name": name, "b_tick": tick} for name, tick in sorted(self.ticks.items())])


def object_name(event: Event) -> str:
    return f"{event.object.bucket}/{event.object.key}" if event.object else ""


def _cause(event: Event, trigger: Trigger) -> Cause:
    """With a person where one fired the trigger."""
    if event.kind != DEMAND:
        return Cause(event=event.id, trigger=trigger.name)
    actor, reason = (event.payload.get(name) for name in ("actor", "reason"))
    return Cause(
        event=event.id,
        trigger=trigger.name,
        actor=actor if isinstance(actor, str) else None,
        reason=reason if isinstance(reason, str) else None,
    )


def _why(event: Event) -> str:
    if event.object:
        return f"{event.kind} {event.object.uri}"
    if event.kind == TICK:
        return f"the schedule ticked at {event.payload.get('tick', event.at.isoformat())}"
    if event.kind == FIRST_START:
        return "the trigger is active for the first time here (at_first_start)"
    if event.kind == DEMAND:
        return f"fired by {event.payload.get('actor', 'someone')}"
    return event.kind


def decided_before(batch: Batch, events: Sequence[Event]) -> dict[EventId, list[Decision]]:
    """The decisions of those of the events that are written already."""
    ids = sorted({event.id for event in events})
    if not ids:
        return {}
    found = {row.id: row.seq for row in batch.connection.execute(_KNOWN, {"ids": ids})}
    known: dict[EventId, list[Decision]] = {EventId(id_): [] for id_ in found}
    if found:
        for row in batch.connection.execute(_DECISIONS, {"seqs": sorted(found.values())}):
            known[EventId(row.event)].append(rows.to_decision(row))
    return known


def _newest(batch: Batch, events: Sequence[Event]) -> dict[str, str]:
    names = sorted({object_name(event) for event in events if event.object and event.object.sequencer})
    if not names:
        return {}
    return {row.object: row.sequencer for row in batch.connection.execute(_NEWEST, {"objects": names})}


def _newest_upsert(made: sqlite.Insert | postgresql.Insert) -> sa.Insert:
    return made.on_conflict_do_update(
        index_elements=["object"],
        set_={"sequencer": made.excluded.sequencer},
        where=made.excluded.sequencer > schema.newest.c.sequencer,
    )


_REMEMBER_NEWEST = {
    "sqlite": _newest_upsert(sqlite.insert(schema.newest)),
    "postgresql": _newest_upsert(postgresql.insert(schema.newest)),
}
