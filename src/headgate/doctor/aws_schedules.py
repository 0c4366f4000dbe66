"""This file is where AWS's own schedules are looked through for ingestions: Glue's triggers, and EventBridge's.

What they start is told by names alone (of the rule, its job, function, task definition): what is handed over may hold
a password, is searched, and never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.datahub.answers import record, sequence
from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.places import Regular

_PAGES: Final = 50  #: of a list
_LOOKED: Final = 100  #: schedules whose names say nothing, that are looked into
#: What names of jobs, rules and what they start hold that ingest metadata.
_WORDS: Final = ("datahub", "metadata", "ingest")
#: The same in what a schedule hands over, as JSON: a command in one text, or word by word.
_HANDED: Final = re.compile(r"\bdatahub\b[\s\\\"',\[\]-]*\bingest\b")


def examine(clients: Clients, regular: list[Regular]) -> Iterator[Finding]:
    """One finding for each schedule that may ingest; it is added to `regular`, too."""
    yield from _glue(clients, regular)
    yield from _rules(clients, regular)
    yield from _schedules(clients, regular)


def _glue(clients: Clients, regular: list[Regular]) -> Iterator[Finding]:
    for answer in _pages(clients, "glue", "get_triggers", "listing Glue's triggers"):
        if isinstance(answer, Fault):
            yield _not_looked("AWS Glue's triggers", answer)
            return
        for one in answer.get("Triggers") or ():
            jobs = [str(each.get("JobName") or "") for each in one.get("Actions") or ()]
            if one.get("Type") != "SCHEDULED" or not any(_named(each) for each in [*jobs, str(one["Name"])]):
                continue
            where = f"AWS Glue's trigger {one['Name']}"
            regular.append(Regular(where, "", one.get("State") == "ACTIVATED"))
            yield Finding(
                Rank.NOTE,
                f"{where} may ingest: {', '.join(jobs)}, {one.get('Schedule')}",
                f"by its name; its state is {one.get('State')}",
            )


def _rules(clients: Clients, regular: list[Regular]) -> Iterator[Finding]:
    looked = 0
    for answer in _pages(clients, "events", "list_rules", "listing EventBridge's rules"):
        if isinstance(answer, Fault):
            yield _not_looked("EventBridge's rules", answer)
            return
        for one in answer.get("Rules") or ():
            if not one.get("ScheduleExpression"):
                continue
            how = "by its name" if _named(f"{one['Name']} {one.get('Description') or ''}") else ""
            if not how and looked < _LOOKED:
                looked += 1
                found = clients.call(
                    Place(), "events", "list_targets_by_rule", {"Rule": one["Name"]},
                    doing=f"listing what EventBridge's rule {one['Name']} starts", attempts=2,
                )  # fmt: skip
                if isinstance(found, Fault):
                    yield _not_looked("what EventBridge's rules start", found)
                    looked = _LOOKED  # one word of it is enough
                    continue
                how = _started(sequence(found.get("Targets")))
            if how:
                where = f"EventBridge's rule {one['Name']}"
                regular.append(Regular(where, "", one.get("State") != "DISABLED"))
                yield _may(where, one["ScheduleExpression"], how, one.get("State"))


def _schedules(clients: Clients, regular: list[Regular]) -> Iterator[Finding]:
    """Those of EventBridge Scheduler, whose list has neither when they run nor all of what they start."""
    looked = 0
    for answer in _pages(clients, "scheduler", "list_schedules", "listing EventBridge Scheduler's schedules"):
        if isinstance(answer, Fault):
            yield _not_looked("EventBridge Scheduler's schedules", answer)
            return
        for one in answer.get("Schedules") or ():
            if not (named := _named(str(one["Name"]))) and looked >= _LOOKED:
                continue
            looked += not named
            found = clients.call(
                Place(), "scheduler", "get_schedule",
                {"Name": one["Name"], **({"GroupName": one["GroupName"]} if one.get("GroupName") else {})},
                doing=f"looking at EventBridge Scheduler's schedule {one['Name']}", attempts=2,
            )  # fmt: skip
            whole = one if isinstance(found, Fault) else found
            how = "by its name" if named else _started([whole.get("Target")])
            if how:
                where = f"EventBridge Scheduler's schedule {one['Name']}"
                regular.append(Regular(where, "", one.get("State") != "DISABLED"))
                yield _may(where, whole.get("ScheduleExpression") or "nobody let us see when", how, one.get("State"))


def _may(where: str, when: object, how: str, state: object) -> Finding:
    return Finding(Rank.NOTE, f"{where} may ingest: {when}", f"{how}; its state is {state or 'ENABLED'}")


def _started(targets: Sequence[Any]) -> str:
    """By what of its targets one knows that it ingests; "" where nothing says so."""
    for one in map(record, targets):
        task = record(one.get("EcsParameters"))
        for arn in (task.get("TaskDefinitionArn") or task.get("taskDefinitionArn"), one.get("Arn")):
            if isinstance(arn, str) and _named(name := re.split("[:/]", arn, maxsplit=5)[-1]):
                return f"by what it starts, {name}"
        if isinstance(one.get("Input"), str) and _HANDED.search(str(one["Input"])):
            return "by what it hands over, which has `datahub ingest`"
    return ""


def _named(name: str) -> bool:
    return any(one in name.lower() for one in _WORDS)


def _pages(clients: Clients, service: str, operation: str, doing: str) -> Iterator[Mapping[str, Any] | Fault]:
    yield from clients.pages(Place(), service, operation, {}, doing=doing, attempts=2, most=_PAGES)


def _not_looked(what: str, fault: Fault) -> Finding:
    """Who has no AWS is not to be told that AWS is away; and once is enough, whatever it was that was asked for."""
    if fault.kind is FaultKind.NO_CREDENTIALS or fault.code in ("NoRegionError", "MissingExtra", "ProfileNotFound"):
        return Finding(Rank.NOTE, "AWS's schedules were not looked at", fault.message, "headgate doctor aws")
    return unseen(what, str(fault), "headgate doctor aws")
