"""This file is where our records become the JSON people and programs see: REST and `--output json` share it.

Times are RFC 3339 in UTC with microseconds and `Z`, durations are seconds, sizes are bytes. What is not known is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headgate.adopt.compare import GlueChange
from headgate.adopt.showing import change_json as adopted_json
from headgate.errors import Invalid
from headgate.flow import external, lineage
from headgate.flow.cron import EPOCH, parse
from headgate.flow.origin import origin_of
from headgate.flow.resolution import Resolution
from headgate.flow.resolve import Rule, precision
from headgate.ledger.accepting import Receipt
from headgate.ledger.access_keys import AccessKey
from headgate.ledger.catalogs import Change
from headgate.ledger.dead import KeptLetter
from headgate.ledger.reading import AuditEntry, DatedDecision, DecidedEvent
from headgate.ledger.rules import KeptRule
from headgate.ledger.secrets import KeptSecret
from headgate.model import (
    Attempt,
    CatalogWatch,
    Cause,
    Decision,
    Event,
    Job,
    Json,
    ObjectFilter,
    Predicate,
    Run,
    StoredObject,
    Trigger,
    TriggerType,
)
from headgate.ports import Ingestion, LastWrite
from headgate.settings.record import Glue

Shape = dict[str, Json]


def time_json(at: datetime | None) -> str | None:
    """2026-01-31T12:00:00.000000Z; always the same length, so that text order is time order."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def seconds_json(at: float | None) -> str | None:
    """`time_json` of seconds since the epoch."""
    return None if at is None else time_json(datetime.fromtimestamp(at, UTC))


def cause_json(cause: Cause) -> Shape:
    return {"event": cause.event, "trigger": cause.trigger, "actor": cause.actor, "reason": cause.reason}


def external_json(one: Ingestion) -> Shape:
    """An ingestion somebody else runs, in the shape of a run, with its `origin`."""
    return {
        "id": one.urn,
        "job": one.name,
        "engine": "datahub",
        "origin": external.ORIGIN,
        "state": one.state.value,
        "detail": one.detail,
        "attempt": 0,
        "cause": {"event": None, "trigger": None, "actor": one.actor, "reason": None},
        "arguments": {},
        "external_id": one.urn,
        "created_at": time_json(one.requested_at),
        "started_at": time_json(one.started_at),
        "ended_at": time_json(one.ended_at),
        "error": None,
        "result": {},
        "predecessors": [],
        "executor": one.executor,
    }


def last_write_json(one: LastWrite) -> Shape:
    return {
        "dataset": one.dataset,
        "aspect": one.aspect,
        "at": time_json(one.at),
        "run": one.run,
        "pipeline": one.pipeline,
        "actor": one.actor,
        "client": one.client,
    }


def run_json(run: Run) -> Shape:
    return {
        "id": run.id,
        "job": run.job,
        "engine": run.engine,
        "origin": origin_of(run).value,
        "state": run.state.value,
        "detail": run.detail,
        "attempt": run.attempt,
        "cause": cause_json(run.cause),
        "arguments": dict(run.arguments),
        "external_id": run.external_id,
        "created_at": time_json(run.created_at),
        "started_at": time_json(run.started_at),
        "ended_at": time_json(run.ended_at),
        "error": run.error,
        "result": {name: value for name, value in run.result.items() if name != lineage.KEY},
        "predecessors": [{"job": one.job, "run": one.run} for one in run.predecessors],
        "objects": run.objects,
        "progress": dict(run.progress),
        "not_before": time_json(run.not_before),
        "timeout": run.timeout,
        "max_retries": run.max_retries,
    }


def attempt_json(attempt: Attempt) -> Shape:
    return {
        "id": attempt.id,
        "run": attempt.run,
        "number": attempt.number,
        "state": attempt.state.value,
        "external_id": attempt.external_id,
        "started_at": time_json(attempt.started_at),
        "ended_at": time_json(attempt.ended_at),
        "error": attempt.error,
    }


def decision_json(decision: Decision) -> Shape:
    return {
        "event": decision.event,
        "trigger": decision.trigger,
        "outcome": decision.outcome.value,
        "reason": decision.reason,
        "run": decision.run,
        "job": decision.job,
    }


def dated_decision_json(decided: DatedDecision) -> Shape:
    """A decision of a list: `id` is what `/decisions/{id}` takes."""
    return {"id": decided.seq, **decision_json(decided.decision), "seq": decided.seq, "at": time_json(decided.at)}


def receipt_json(receipt: Receipt) -> Shape:
    """What the events door answers for one event."""
    return {
        "id": receipt.event,
        "duplicate": receipt.duplicate,
        "decisions": [decision_json(one) for one in receipt.decisions],
    }


def object_json(one: StoredObject) -> Shape:
    return {
        "uri": one.uri,
        "bucket": one.bucket,
        "key": one.key,
        "size": one.size,
        "etag": one.etag,
        "version": one.version,
        "sequencer": one.sequencer,
        "path": one.path,
        "source_id": one.source_id,
    }


def plain_event_json(event: Event) -> Shape:
    """An event without what the ledger knows of it."""
    return {
        "id": event.id,
        "door": event.door,
        "kind": event.kind,
        "at": time_json(event.at),
        "object": object_json(event.object) if event.object else None,
        "payload": dict(event.payload),
        "downstream": event.downstream,
    }


def event_json(decided: DecidedEvent) -> Shape:
    return {
        **plain_event_json(decided.event),
        "seq": decided.seq,
        "received_at": time_json(decided.received_at),
        "decisions": [decision_json(one) for one in decided.decisions],
    }


def replayed_json(event: Event, receipt: Receipt | None) -> Shape:
    """One line of a replay: the earlier event, and what the new one led to (null in a dry run)."""
    return {
        "replay_of": event.payload.get("replay_of"),
        "kind": event.kind,
        "at": time_json(event.at),
        "object": object_json(event.object) if event.object else None,
        "receipt": receipt_json(receipt) if receipt else None,
    }


def job_json(job: Job, *, last: Run | None = None, counts: Mapping[str, int] | None = None) -> Shape:
    """A job with its policy; `last_run` is its newest run, `runs` counts those under way by state."""
    return {
        "name": job.name,
        "engine": job.engine,
        "target": dict(job.target),
        "arguments": dict(job.arguments),
        "max_concurrent_runs": job.max_concurrent_runs,
        "queue": job.queue,
        "max_retries": job.max_retries,
        "backoff": {"base": job.backoff.base, "factor": job.backoff.factor, "cap": job.backoff.cap},
        "timeout": job.timeout,
        "notify": [dict(one) for one in job.notify],
        "description": job.description,
        "origin": job.origin.value,
        "runs": dict(counts or {}),
        "last_run": run_json(last) if last else None,
    }


def trigger_state(trigger: Trigger, *, touched: bool = True) -> str:
    """Glue's word for it: ACTIVATED, or DEACTIVATED; CREATED where it was never switched (`touched`) since it was made.

    ON_DEMAND triggers are CREATED whatever happens.
    """
    if trigger.type is TriggerType.ON_DEMAND:
        return "CREATED"
    if trigger.enabled:
        return "ACTIVATED"
    return "DEACTIVATED" if touched else "CREATED"


def trigger_json(
    trigger: Trigger, *, touched: bool = True, last_tick: datetime | None = None, next_tick: datetime | None = None
) -> Shape:
    """A trigger; the ticks are of SCHEDULED ones only (see `next_tick`)."""
    return {
        "name": trigger.name,
        "on": "here",
        "type": trigger.type.value,
        "state": trigger_state(trigger, touched=touched),
        "enabled": trigger.enabled,
        "description": trigger.description,
        "actions": [
            {
                "job": one.job,
                "arguments": dict(one.arguments),
                "from_result": dict(one.from_result),
                "timeout": one.timeout,
            }
            for one in trigger.actions
        ],
        "predicate": _predicate(trigger.predicate),
        "fires_for": trigger.fires_for.value if trigger.fires_for else None,
        "schedule": trigger.schedule,
        "timezone": trigger.timezone,
        "missed": trigger.missed.value,
        "at_first_start": trigger.at_first_start,
        "unless_datahub_schedules": trigger.unless_datahub_schedules,
        "objects": _filter(trigger.objects),
        "catalog": _watch(trigger.catalog),
        "settle": trigger.settle,
        "max_objects": trigger.max_objects,
        "workflow": trigger.workflow,
        "origin": trigger.origin.value,
        "last_tick": time_json(last_tick),
        "next_tick": time_json(next_tick),
    }


def glue_trigger_json(trigger: Trigger, *, workflow: str | None) -> Shape:
    """A trigger that is declared here and fires on AWS Glue: only AWS knows its state, and the plan asks for it."""
    return {**trigger_json(replace(trigger, workflow=workflow)), "on": "glue", "state": None}


def glue_triggers_json(glue: Glue) -> list[Shape]:
    return [glue_trigger_json(one.trigger, workflow=one.workflow) for _, one in sorted(glue.triggers.items())]


def next_tick(trigger: Trigger, now: datetime, *, anchor: datetime = EPOCH) -> datetime | None:
    """When an enabled SCHEDULED trigger fires next. None for any other, and for one whose schedule cannot be read."""
    if trigger.type is not TriggerType.SCHEDULED or not trigger.enabled:
        return None
    try:
        return parse(trigger.schedule or "").next_after(now, ZoneInfo(trigger.timezone), anchor=anchor)
    except (Invalid, ZoneInfoNotFoundError, ValueError, OSError):
        return None


def change_json(change: Change) -> Shape:
    """One line of `plan` and `apply`. `drift`: only `apply` mends it."""
    return {
        "kind": change.kind,
        "name": change.name,
        "does": change.does.value,
        "drift": change.drift,
        "before": dict(change.before) if change.before is not None else None,
        "after": dict(change.after) if change.after is not None else None,
    }


def glue_change_json(change: GlueChange) -> Shape:
    """The same for AWS Glue, with `on: glue`. `drift`: somebody changed it there since it was last applied."""
    return adopted_json(change)


def rule_json(rule: Rule) -> Shape:
    return {
        "kind": rule.kind.value,
        "value": rule.value,
        "job": rule.job,
        "lambda": rule.function,
        "state_machine_arn": rule.state_machine_arn,
        "region": rule.region or None,
        "place": rule.place,
        "source": rule.source.name.lower(),
    }


def kept_rule_json(kept: KeptRule) -> Shape:
    """A rule of the ledger. `starts` is its target in words."""
    return {
        "id": kept.id,
        **rule_json(kept.rule),
        "starts": kept.rule.target,
        "actor": kept.actor,
        "updated_at": time_json(kept.updated_at),
    }


def rules_json(rules: Sequence[Rule], kept: Sequence[KeptRule]) -> list[Shape]:
    """Every rule in force, in the order of precision; `id`, `actor` and `updated_at` are null where a file has it."""
    by_place = {one.rule.place: one for one in kept}
    nobody = {"actor": None, "updated_at": None}
    return [
        kept_rule_json(by_place[one.place])
        if one.place in by_place
        else {"id": None, **rule_json(one), "starts": one.target, **nobody}
        for one in sorted(rules, key=precision)
    ]


def explanation_json(found: Resolution) -> Shape:
    """For operators: it names targets. `implicit`: the job is made when it is first started."""
    return {
        "job": found.job,
        "implicit": found.implicit is not None,
        "words": found.words,
        "rule": rule_json(found.rule) if found.rule else None,
        "losers": [{**rule_json(rule), "reason": reason} for rule, reason in found.losers],
        "message": found.message,
        "notes": list(found.notes),
        "refused": found.refused,
    }


def dead_letter_json(kept: KeptLetter) -> Shape:
    """A message that could not be read, word for word."""
    letter = kept.letter
    return {
        "id": kept.id,
        "queue": letter.source,
        "message": letter.message,
        "error": letter.error,
        "receives": letter.receives,
        "sent_at": time_json(letter.sent_at),
        "at": time_json(kept.at),
        "body": letter.body,
    }


def kept_secret_json(kept: KeptSecret) -> Shape:
    """A secret by its name; its value is told to nobody."""
    return {
        "name": kept.name,
        "actor": kept.actor,
        "created_at": time_json(kept.created_at),
        "updated_at": time_json(kept.updated_at),
    }


def audit_json(entry: AuditEntry) -> Shape:
    return {
        "at": time_json(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "reason": entry.reason,
        "detail": dict(entry.detail),
    }


def worker_json(worker: Mapping[str, Any], now: datetime) -> Shape:
    """A replica. `alive`: its lease has not run out at `now`."""
    return {
        "id": worker["id"],
        "host": worker["host"],
        "pid": worker["pid"],
        "alive": worker["until"] > now.timestamp(),
        "lease_until": seconds_json(worker["until"]),
        "started_at": seconds_json(worker["started_at"]),
    }


def access_key_json(key: AccessKey) -> Shape:
    """A key that AWS calls are signed with; its secret is told to nobody but its maker, once."""
    over = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    return {
        "id": key.id,
        "name": key.name,
        "state": "revoked" if key.revoked_at else "expired" if over else "active",
        "session": key.session is not None,
        "actor": key.actor,
        "created_at": time_json(key.created_at),
        "expires_at": time_json(key.expires_at),
        "revoked_at": time_json(key.revoked_at),
    }


def outbox_json(state: tuple[int, float | None, str | None]) -> Shape:
    count, oldest, error = state
    return {"waiting": count, "oldest_at": seconds_json(oldest), "last_error": error}


def page_json(items: Sequence[Shape], following: str | None) -> Shape:
    """A list as every listing has it; `next` is what `?before=` takes for the following page, null on the last."""
    return {"items": list(items), "next": following}


def _predicate(predicate: Predicate | None) -> Shape | None:
    if predicate is None:
        return None
    return {
        "logical": predicate.logical.value,
        "conditions": [{"job": one.job, "state": one.state.value} for one in predicate.conditions],
    }


def _watch(watch: CatalogWatch | None) -> Shape | None:
    """Without the role it is looked at with."""
    if watch is None:
        return None
    return {
        "name": watch.name,
        "databases": list(watch.databases),
        "changes": list(watch.changes),
        "every": watch.every,
    }


def _filter(objects: ObjectFilter | None) -> Shape | None:
    if objects is None:
        return None
    return {
        "bucket": objects.bucket,
        "prefix": objects.prefix,
        "suffix": list(objects.suffix),
        "events": list(objects.events),
    }
