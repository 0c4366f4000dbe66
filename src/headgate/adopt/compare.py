"""This file is where what is declared meets what is on Glue: every difference, as a value. Nothing is asked or changed.

Glue's updates overwrite a definition whole, so what an update sends is what is there with what is declared over it.
A member that the file said when it was last applied, and says no more, is taken out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from headgate.adopt.words import JOB, TRIGGER, WORKFLOW, Declared, Members, Wanted
from headgate.ledger.glue_applied import Applied
from headgate.settings.record import AwsPlace

Key = tuple[str, str]  #: kind and name

#: What a member is where nobody said it.
_DEFAULTS: Final[Members] = {
    "MaxRetries": 0,
    "JobRunQueuingEnabled": False,
    "ExecutionProperty": {"MaxConcurrentRuns": 1},
}
#: Members with members of their own, of which the file may say some; everything else is one value.
_STRUCTURES: Final = frozenset({"Command", "ExecutionProperty", "NotificationProperty", "SourceControlDetails"})
#: Of an action, what the file has no words for.
_OF_ACTION: Final = ("SecurityConfiguration", "NotificationProperty")
_ON: Final = frozenset({"ACTIVATED", "ACTIVATING"})


class Does(StrEnum):
    """What `apply` does about a difference."""

    CREATE = "create"
    RESTORE = "restore"  #: it was there, and somebody deleted it
    UPDATE = "update"
    REPLACE = "replace"  #: its type or its workflow is another: deleted and made anew
    ENABLE = "enable"
    DISABLE = "disable"
    DELETE = "delete"  #: `apply` made it, and it is declared no more
    UNMANAGED = "unmanaged"  #: nothing: it is on Glue, and not ours


@dataclass(frozen=True, slots=True, kw_only=True)
class GlueChange:
    """One difference. `drift`: somebody changed it on AWS since it was last applied."""

    kind: str  #: workflow | job | trigger
    name: str
    does: Does
    drift: bool = False
    before: Members | None = None  #: as it is
    after: Members | None = None  #: as it is to be, whole
    kept: Sequence[str] = ()  #: members that are there, not declared, and stay
    twice: bool = False  #: of a trigger that is not ours: one of its name fires here, too
    place: AwsPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A thing as Glue shows it, by the members that an update may say."""

    kind: str
    name: str
    members: Members
    type: str = ""
    workflow: str | None = None
    on: bool = False  #: of a trigger: it fires


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One place: what is there, what we remember of it, what bears our tag."""

    place: AwsPlace
    seen: Mapping[Key, Seen]
    remembered: Mapping[Key, Applied] = field(default_factory=dict[Key, Applied])
    tagged: Set[Key] = frozenset()


def seen_job(shown: Members, known: Iterable[str]) -> Seen:
    """A job of GetJobs; `known`: the members of an update."""
    members = {name: shown[name] for name in known if name in shown and name != "AllocatedCapacity"}
    if "WorkerType" in members or "NumberOfWorkers" in members:
        members.pop("MaxCapacity", None)  # Glue shows both, and takes one
    return Seen(kind=JOB, name=shown["Name"], members=_tidy(members))


def seen_trigger(shown: Members) -> Seen:
    names = ("Description", "Schedule", "Actions", "Predicate", "EventBatchingCondition")
    return Seen(
        kind=TRIGGER,
        name=shown["Name"],
        members=_tidy({name: shown[name] for name in names if name in shown}),
        type=shown["Type"],
        workflow=shown.get("WorkflowName") or None,
        on=shown.get("State") in _ON,
    )


def compare(declared: Declared, now: Situation) -> list[GlueChange]:
    """Every difference, in the order in which they are made; what is not ours at the end."""
    wanted = {(one.kind, one.name): one for one in declared.wanted}
    gone = [key for key in deletable(declared, now.remembered.values()) if key in now.seen and key in now.tagged]
    found: list[GlueChange] = [_deletion(now, key) for key in gone if key[0] == TRIGGER]
    for one in declared.wanted:
        found.extend(_differences(one, now))
    found += [_deletion(now, key) for key in gone if key[0] == JOB]
    left = set(now.seen) - set(wanted) - set(gone) - {(JOB, name) for name in declared.named}
    found += [
        GlueChange(kind=kind, name=name, does=Does.UNMANAGED, place=now.place,
                   twice=kind == TRIGGER and name in declared.here and now.seen[kind, name].on)
        for kind, name in sorted(left)
        if kind != WORKFLOW
    ]  # fmt: skip
    return found


def deletable(declared: Declared, remembered: Iterable[Applied]) -> list[Key]:
    """What `apply` made and the file names no more."""
    wanted = {(one.kind, one.name) for one in declared.wanted} | {(JOB, name) for name in declared.named}
    return sorted((one.kind, one.name) for one in remembered if one.made and (one.kind, one.name) not in wanted)


def digests(seen: Seen) -> dict[str, str]:
    """A fingerprint of each member, by which it is known later whether somebody changed it."""
    return {name: _digest(_canonical(name, value)) for name, value in seen.members.items()}


def _deletion(now: Situation, key: Key) -> GlueChange:
    kind, name = key
    return GlueChange(kind=kind, name=name, does=Does.DELETE, before=now.seen[key].members, place=now.place)


def _differences(one: Wanted, now: Situation) -> list[GlueChange]:
    key = (one.kind, one.name)
    seen, last = now.seen.get(key), now.remembered.get(key)
    if seen is None:
        was_there = last is not None and bool(last.digests)
        does = Does.RESTORE if was_there else Does.CREATE
        return [GlueChange(kind=one.kind, name=one.name, does=does, drift=was_there, after=one.members,
                           place=now.place)]  # fmt: skip
    if one.kind == WORKFLOW:
        return []
    if one.kind == TRIGGER and (seen.type, seen.workflow) != (one.type, one.workflow):
        before, after = _with_nature(seen.members, seen), _with_nature(one.members, one)
        return [GlueChange(kind=one.kind, name=one.name, does=Does.REPLACE, before=before, after=after,
                           place=now.place)]  # fmt: skip
    update = _update(one, seen, last, now.place)
    found = [update] if update is not None else []
    if one.enabled is not None and one.enabled != seen.on:
        does = Does.ENABLE if one.enabled else Does.DISABLE
        drift = last is None or last.enabled != seen.on
        found.append(GlueChange(kind=one.kind, name=one.name, does=does, drift=drift, before={"enabled": seen.on},
                                after={"enabled": one.enabled}, place=now.place))  # fmt: skip
    return found


def _with_nature(members: Members, one: Wanted | Seen) -> Members:
    return {"Type": one.type, **({"WorkflowName": one.workflow} if one.workflow else {}), **members}


def _update(one: Wanted, seen: Seen, last: Applied | None, place: AwsPlace) -> GlueChange | None:
    dropped = set(last.said) - set(one.members) if last is not None else set[str]()
    merged = _merged(seen.members, one.members, dropped)
    after = {name: value for name, value in merged.items() if name in seen.members or not _same(name, None, value)}
    differing = [name for name in {**seen.members, **after} if not _same(name, seen.members.get(name), after.get(name))]
    if not differing:
        return None
    known = digests(seen)
    drift = last is not None and bool(last.digests) and any(
        known.get(name) != last.digests.get(name) for name in differing
    )  # fmt: skip
    kept = [name for name in after if name not in one.members]
    return GlueChange(kind=one.kind, name=one.name, does=Does.UPDATE, drift=drift, before=seen.members, after=after,
                      kept=kept, place=place)  # fmt: skip


def _merged(seen: Members, wanted: Members, dropped: Set[str]) -> dict[str, Any]:
    merged = {name: value for name, value in seen.items() if name not in dropped}
    for name, value in wanted.items():
        if name in _STRUCTURES:
            merged[name] = {**seen.get(name, {}), **value}
        elif name == "Actions":
            merged[name] = _merged_actions(seen.get(name, []), value)
        else:
            merged[name] = value
    sized = {"WorkerType", "NumberOfWorkers"}
    if sized & set(wanted):
        merged.pop("MaxCapacity", None)
    elif "MaxCapacity" in wanted:
        merged = {name: value for name, value in merged.items() if name not in sized}
    return merged


def _merged_actions(seen: Sequence[Members], wanted: Sequence[Members]) -> list[dict[str, Any]]:
    """What the file has no words for stays with the job it was said for."""
    before = {one.get("JobName"): one for one in seen}
    return [
        {**one, **{name: value for name, value in before.get(one["JobName"], {}).items() if name in _OF_ACTION}}
        for one in wanted
    ]


def _same(name: str, one: Any, other: Any) -> bool:
    default = _DEFAULTS.get(name)
    first, second = (default if value is None else value for value in (one, other))
    return _canonical(name, first) == _canonical(name, second)


def _canonical(name: str, value: Any) -> Any:
    """The same thing said in one way: the order of actions and conditions means nothing."""
    if name == "Actions":
        return sorted((_tidy(one) for one in value or ()), key=lambda one: str(one.get("JobName", one)))
    if name == "Predicate" and value:
        conditions = sorted(
            ({"LogicalOperator": "EQUALS", **one} for one in value.get("Conditions", ())),
            key=lambda one: json.dumps(one, sort_keys=True),
        )
        return {"Logical": value.get("Logical", "AND") if len(conditions) > 1 else "AND", "Conditions": conditions}
    return value or None if isinstance(value, str | list | dict) else value


def _tidy(members: Members) -> dict[str, Any]:
    """Without what says nothing."""
    return {name: value for name, value in members.items() if value is not None and value not in ("", [], {})}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
