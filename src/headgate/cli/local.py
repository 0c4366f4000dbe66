"""This file is where commands are answered by the ledger itself, in this process, when no server runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from headgate import shapes
from headgate.cli.client import Doc, EventsWanted, Piece, RunsWanted
from headgate.cli.session import ACTOR
from headgate.errors import Invalid
from headgate.flow.cron import EPOCH
from headgate.flow.resolve import Rule, RuleKind, RuleSource
from headgate.gate import MOST_EXTERNAL, Gate
from headgate.ledger.reading import EventFilter, Page
from headgate.model import RunState, TriggerType
from headgate.runtime.access_keys import AccessKeys
from headgate.runtime.dead_letters import DeadLetters
from headgate.runtime.secrets import SecretStore

T = TypeVar("T")
_PAGE = 200


class Local:
    """A `Client` on a gate of this process."""

    remote = False

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._ledger = gate.ledger
        self._dead = DeadLetters(gate.ledger)
        self._keys = AccessKeys(gate.ledger, gate.settings)
        self._secrets = SecretStore(gate.ledger, gate.settings)
        self.where = f"the ledger in {gate.settings.home}"

    def jobs(self) -> list[Doc]:
        catalog = self._ledger.refresh()
        last, counts = self._ledger.last_runs(list(catalog.jobs)), self._ledger.counts()
        return [
            shapes.job_json(job, last=last.get(name), counts=counts.get(name))
            for name, job in sorted(catalog.jobs.items())
        ]

    def triggers(self) -> list[Doc]:
        catalog, ticks = self._ledger.refresh(), self._ledger.last_ticks()
        created = self._ledger.created()
        here = [
            shapes.trigger_json(
                one,
                touched=name not in catalog.untouched,
                last_tick=ticks.get(name) if one.type is TriggerType.SCHEDULED else None,
                next_tick=shapes.next_tick(one, datetime.now(UTC), anchor=created.get(name, EPOCH)),
            )
            for name, one in sorted(catalog.triggers.items())
        ]
        return [*here, *shapes.glue_triggers_json(self._gate.settings.glue)]

    def runs(self, wanted: RunsWanted) -> Iterator[Doc]:
        state = _state(wanted.state)
        if wanted.external:
            those = self._gate.external_runs(most=MOST_EXTERNAL)
            fits = [one for one in those if wanted.job in (None, one.name) and state in (None, one.state)]
            return map(shapes.external_json, () if wanted.trigger else fits)
        found = _pages(
            lambda before: self._ledger.runs(
                job=wanted.job, state=state, trigger=wanted.trigger, before=before, limit=_PAGE
            )
        )
        return map(shapes.run_json, found)

    def run(self, name: str) -> Doc:
        return shapes.run_json(self._ledger.run(name))

    def attempts(self, run: str) -> list[Doc]:
        return [shapes.attempt_json(one) for one in self._ledger.attempts(self._ledger.run(run))]

    def objects(self, run: str) -> list[Doc]:
        return [shapes.object_json(one) for one in self._gate.objects(run)]

    def decisions(self, run: str) -> Sequence[Doc]:
        found = _pages(lambda before: self._ledger.decisions(run=run, before=before, limit=_PAGE))
        return [shapes.dated_decision_json(one) for one in found][::-1]

    def decided(self, trigger: str) -> Iterator[Doc]:
        found = _pages(lambda before: self._ledger.decisions(trigger=trigger, before=before, limit=_PAGE))
        return map(shapes.dated_decision_json, found)

    def last_writes(self, most: int) -> Sequence[Doc]:
        return [shapes.last_write_json(one) for one in self._gate.last_writes(most=most)]

    def audit(self) -> Iterator[Doc]:
        return map(shapes.audit_json, _pages(lambda before: self._ledger.audit(before=before, limit=_PAGE)))

    def status(self) -> Doc:
        return {}

    def log(self, run: str, *, offset: int, attempt: int | None) -> Piece:
        part = self._gate.log(run, offset=offset, attempt=attempt)
        return Piece(part.text, part.next, part.complete)

    def start(self, job: str, arguments: Mapping[str, str], reason: str | None) -> Doc:
        return shapes.run_json(self._gate.start(job, arguments=arguments, actor=ACTOR, reason=reason))

    def stop(self, run: str, reason: str | None) -> Doc:
        return shapes.run_json(self._gate.stop(run, actor=ACTOR, reason=reason))

    def retry(self, run: str, reason: str | None) -> Doc:
        return shapes.run_json(self._gate.retry(run, actor=ACTOR, reason=reason))

    def switch(self, trigger: str, *, enabled: bool, reason: str | None) -> Doc:
        found = self._gate.switch(trigger, enabled=enabled, actor=ACTOR, reason=reason)
        return shapes.trigger_json(found, touched=found.name not in self._ledger.refresh().untouched)

    def start_trigger(self, trigger: str, reason: str | None) -> Doc:
        return shapes.receipt_json(self._gate.start_trigger(trigger, actor=ACTOR, reason=reason))

    def events(self, wanted: EventsWanted) -> Iterator[Doc]:
        found = _pages(lambda before: self._ledger.events(_filter(wanted), before=before, limit=_PAGE))
        return map(shapes.event_json, found)

    def replay(
        self, wanted: EventsWanted, *, events: Sequence[str], downstream: bool, dry_run: bool, reason: str | None
    ) -> list[Doc]:
        done = self._gate.replay(
            _filter(wanted), events=events, downstream=downstream, actor=ACTOR, reason=reason, dry_run=dry_run
        )
        return [shapes.replayed_json(event, receipt) for event, receipt in done]

    def dead_letters(self) -> Iterator[Doc]:
        return map(shapes.dead_letter_json, _pages(lambda before: self._dead.page(before=before, limit=_PAGE)))

    def replay_dead(self, letter: str, reason: str | None) -> Doc:
        receipts = self._dead.replay(letter, actor=ACTOR, reason=reason)
        return {"id": letter, "events": [shapes.receipt_json(one) for one in receipts]}

    def delete_dead(self, letter: str, reason: str | None) -> Doc:
        return shapes.dead_letter_json(self._dead.delete(letter, actor=ACTOR, reason=reason))

    def plan(self) -> list[Doc]:
        return [shapes.change_json(one) for one in self._gate.definitions.plan()]

    def apply(self) -> list[Doc]:
        return [shapes.change_json(one) for one in self._gate.definitions.apply(everything=True, actor=ACTOR)]

    def plan_glue(self) -> list[Doc]:
        return [shapes.glue_change_json(one) for one in self._gate.definitions.plan_glue()]

    def apply_glue(self) -> list[Doc]:
        return [shapes.glue_change_json(one) for one in self._gate.definitions.apply_glue(actor=ACTOR)]

    def explain(self, urn: str) -> Doc:
        return shapes.explanation_json(self._gate.datasets.explain(urn))

    def start_for(self, dataset: str, arguments: Mapping[str, str], reason: str | None) -> Doc:
        return shapes.run_json(self._gate.start_for(dataset, arguments=arguments, actor=ACTOR, reason=reason))

    def rules(self, *, stale: bool) -> list[Doc]:
        wanted = self._gate.datasets.stale_rules() if stale else self._gate.datasets.rules()
        return list[Doc](shapes.rules_json(wanted, self._gate.datasets.kept_rules()))

    def set_rule(self, asked: Mapping[str, Any]) -> Doc:
        kind = next(kind for kind in RuleKind if asked.get(kind.value))
        rule = Rule(
            kind=kind,
            value="" if kind is RuleKind.DEFAULT else asked[kind.value],
            job=asked.get("job"),
            function=asked.get("lambda"),
            state_machine_arn=asked.get("state_machine_arn"),
            region=asked.get("region", ""),
            source=RuleSource.LEDGER,
        )
        return shapes.kept_rule_json(self._gate.datasets.set_rule(rule, actor=ACTOR, reason=asked.get("reason")))

    def delete_rule(self, name: str, reason: str | None) -> Doc:
        return shapes.kept_rule_json(self._gate.datasets.delete_rule(name, actor=ACTOR, reason=reason))

    def keys(self) -> list[Doc]:
        return [shapes.access_key_json(one) for one in self._keys.list()]

    def create_key(self, asked: Mapping[str, Any]) -> Doc:
        made = self._keys.create(
            name=asked.get("name", ""), lasts=asked.get("lasts"), session=bool(asked.get("session")), actor=ACTOR,
            reason=asked.get("reason"),
        )  # fmt: skip
        return {**shapes.access_key_json(made.key), "secret": made.secret, "session_token": made.session_token}

    def revoke_key(self, key: str, reason: str | None) -> Doc:
        return shapes.access_key_json(self._keys.revoke(key, actor=ACTOR, reason=reason))

    def secrets(self) -> list[Doc]:
        return [shapes.kept_secret_json(one) for one in self._secrets.names()]

    def set_secret(self, name: str, value: str, reason: str | None) -> Doc:
        return shapes.kept_secret_json(self._secrets.put(name, value, actor=ACTOR, reason=reason))

    def delete_secret(self, name: str, reason: str | None) -> Doc:
        return shapes.kept_secret_json(self._secrets.delete(name, actor=ACTOR, reason=reason))

    def rotate_secrets(self, reason: str | None) -> Doc:
        sealed, closed = self._secrets.rotate(actor=ACTOR, reason=reason)
        return {"sealed": sealed, "closed": closed}


def _filter(wanted: EventsWanted) -> EventFilter:
    return EventFilter(
        prefix=wanted.prefix, since=wanted.since, until=wanted.until, only_failed=wanted.failed, door=wanted.door
    )


def _state(name: str | None) -> RunState | None:
    if name is None:
        return None
    try:
        return RunState(name.upper())
    except ValueError as error:
        raise Invalid(f"{name!r} is no state of a run; expected one of {', '.join(RunState)}") from error


def _pages(page: Callable[[int | None], Page[T]]) -> Iterator[T]:
    before: int | None = None
    while True:
        found = page(before)
        yield from found.items
        if found.next is None:
            return
        before = found.next
