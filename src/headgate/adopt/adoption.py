"""This file is where `plan` and `apply` ask and change AWS Glue, and remember what they left there."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from headgate.adopt import doing
from headgate.adopt.compare import (
    Does,
    GlueChange,
    Key,
    Seen,
    Situation,
    compare,
    deletable,
    digests,
    seen_job,
    seen_trigger,
)
from headgate.adopt.far import Far, Pause, names
from headgate.adopt.words import JOB, TRIGGER, WORKFLOW, Declared, Wanted, declared, places
from headgate.aws import Clients
from headgate.errors import Invalid, Unavailable
from headgate.ledger import catalogs, glue_applied
from headgate.ledger.glue_applied import Applied
from headgate.ledger.store import Ledger, wait_for
from headgate.ledger.writer import Batch
from headgate.settings.record import AwsPlace, Settings
from headgate.settings.service_model import shapes

_MAKES: Final = frozenset({Does.CREATE, Does.RESTORE, Does.REPLACE})


@dataclass(frozen=True, slots=True)
class _Ground:
    """One place that is to be looked at."""

    place: AwsPlace
    key: str
    declared: Declared
    remembered: Mapping[Key, Applied]


class Adoption:
    """What is on AWS Glue against what is declared. Nothing is asked where nothing is declared or left to delete."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        clients: Clients | None = None,
        environ: Mapping[str, str] = os.environ,
        pause: Pause = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._clients = clients or Clients(environ=environ)
        self._environ = environ
        self._pause = pause
        self._applying = threading.Lock()

    def plan(self, settings: Settings) -> list[GlueChange]:
        """Every difference, and what is there and not ours.

        Raises:
            Unavailable: AWS is away, or does not let us look. Invalid: it refuses to.
        """
        found: list[GlueChange] = []
        for ground in self._grounds(settings):
            far = Far(self._clients, ground.place, pause=self._pause)
            found.extend(compare(ground.declared, self._situation(far, ground)))
        return found

    def apply(self, settings: Settings, *, actor: str) -> list[GlueChange]:
        """Make Glue what is declared; answers what was done. What fails in the middle is gone on with by another call.

        Raises:
            Unavailable: AWS is away, or does not let us. Invalid: it refuses something for good. The text says what
                was done before.
        """
        done: list[GlueChange] = []
        with self._applying:
            for ground in self._grounds(settings):
                far = Far(self._clients, ground.place, pause=self._pause)
                changes = compare(ground.declared, self._situation(far, ground))
                try:
                    self._make(far, ground, changes, done, actor)
                except (Invalid, Unavailable) as error:
                    kind = Invalid if isinstance(error, Invalid) else Unavailable
                    raise kind(f"{error}; {_so_far(done)}") from error
                self._remember(ground, self._situation(far, ground))
        return done

    def _grounds(self, settings: Settings) -> list[_Ground]:
        by_place: dict[str, dict[Key, Applied]] = {}
        for one in self._ledger.read(glue_applied.read):
            by_place.setdefault(one.place, {})[one.kind, one.name] = one
        named = places(settings)
        keys = {self._key(place): place for place in named}
        # the place of what was made may be declared no more: what is left there is deleted all the same
        keys |= {key: _place(key) for key, those in by_place.items() if key not in keys and _any_made(those)}
        return [_Ground(place, key, declared(settings, place), by_place.get(key, {})) for key, place in keys.items()]

    def _key(self, place: AwsPlace) -> str:
        region = place.region or self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION") or ""
        return json.dumps([region, place.role_arn, place.external_id])

    def _situation(self, far: Far, ground: _Ground) -> Situation:
        known = list(shapes("glue")["JobUpdate"]["members"])
        seen: list[Seen] = [
            seen_job(one, known)
            for one in far.every("get_jobs", "Jobs", 200, "looking at the jobs there (glue:GetJobs)")
        ]
        seen += map(
            seen_trigger, far.every("get_triggers", "Triggers", 200, "looking at the triggers there (glue:GetTriggers)")
        )
        if any(one.kind == WORKFLOW for one in ground.declared.wanted):
            flows = far.every("list_workflows", "Workflows", 25, "listing the workflows there (glue:ListWorkflows)")
            seen += [Seen(kind=WORKFLOW, name=name, members={}) for name in sorted(names(flows))]
        return Situation(
            place=ground.place,
            seen={(one.kind, one.name): one for one in seen},
            remembered=ground.remembered,
            tagged=_tagged(far, deletable(ground.declared, ground.remembered.values())),
        )

    def _make(
        self, far: Far, ground: _Ground, changes: Sequence[GlueChange], done: list[GlueChange], actor: str
    ) -> None:
        wanted = {(one.kind, one.name): one for one in ground.declared.wanted}
        updated: set[Key] = set()
        for change in changes:
            key = (change.kind, change.name)
            if change.does is Does.UNMANAGED:
                continue
            if change.does in _MAKES:  # before it is there: whatever happens then, it is known to be ours
                ours = Applied(place=ground.key, kind=change.kind, name=change.name, made=True)
                wait_for(self._ledger.write(lambda batch, ours=ours: glue_applied.put(batch, [ours])))
            if key not in updated:  # an update leaves a trigger as it is to be, on or off
                doing.make(far, change, wanted.get(key))
            if change.does is Does.UPDATE:
                updated.add(key)
            self._note(ground, change, actor)
            done.append(change)

    def _note(self, ground: _Ground, change: GlueChange, actor: str) -> None:
        """Write who did it: also where the next change fails."""

        def work(batch: Batch) -> None:
            if change.does is Does.DELETE:
                glue_applied.forget(batch, [Applied(place=ground.key, kind=change.kind, name=change.name)])
            action = f"glue.{change.kind}.{change.does}"
            catalogs.note(batch, actor=actor, action=action, subject=change.name, reason=None)

        wait_for(self._ledger.write(work))

    def _remember(self, ground: _Ground, now: Situation) -> None:
        """Keep what Glue shows of everything declared, to tell later whether somebody changed it."""
        before = {(one.kind, one.name): one for one in self._ledger.read(glue_applied.read) if one.place == ground.key}
        fresh = [
            _applied(one, seen, ground.key, before.get((one.kind, one.name)))
            for one in ground.declared.wanted
            if (seen := now.seen.get((one.kind, one.name))) is not None
        ]
        kept = {(one.kind, one.name) for one in fresh}
        over = [one for key, one in before.items() if key not in kept and not (one.made and key in now.seen)]
        changed = [one for one in fresh if before.get((one.kind, one.name)) != one]
        if not changed and not over:
            return

        def work(batch: Batch) -> None:
            glue_applied.put(batch, changed)
            glue_applied.forget(batch, over)

        wait_for(self._ledger.write(work))


def _applied(one: Wanted, seen: Seen, place: str, before: Applied | None) -> Applied:
    made = before is not None and before.made
    fresh = Applied(place=place, kind=one.kind, name=one.name, said=tuple(sorted(one.members)), made=made)
    return replace(fresh, digests=digests(seen), enabled=None if one.enabled is None else seen.on)


def _tagged(far: Far, candidates: Iterable[Key]) -> set[Key]:
    """Which of these bear our tag. It is asked only where there is something to delete."""
    kinds = {kind for kind, _ in candidates}
    found: set[Key] = set()
    if JOB in kinds:
        jobs = far.every(
            "list_jobs", "JobNames", 200, "finding the jobs we made (glue:ListJobs)", Tags=dict(doing.TAGS)
        )
        found |= {(JOB, name) for name in names(jobs)}
    if TRIGGER in kinds:
        what = "finding the triggers we made (glue:ListTriggers)"
        triggers = far.every("list_triggers", "TriggerNames", 200, what, Tags=dict(doing.TAGS))
        found |= {(TRIGGER, name) for name in names(triggers)}
    return found


def _any_made(those: Mapping[Key, Applied]) -> bool:
    return any(one.made and one.kind != WORKFLOW for one in those.values())


def _place(key: str) -> AwsPlace:
    region, role_arn, external_id = json.loads(key)
    return AwsPlace(region=region, role_arn=role_arn, external_id=external_id)


def _so_far(done: Sequence[GlueChange]) -> str:
    if not done:
        return "nothing was changed on AWS"
    made = ", ".join(f"{one.kind} {one.name} ({one.does})" for one in done)
    return f"done before that: {made}; `headgate apply` goes on from there"
