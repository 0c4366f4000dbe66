"""This file is where it is found out why a trigger did not fire, or why what it fired does not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from headgate.doctor import conditional, event, on_glue, schedule
from headgate.doctor.case import Case, read
from headgate.doctor.finding import Finding, Rank, ranked, unseen
from headgate.doctor.records import OCCUPYING, Doc, Records, moment, nearest, short, told, word
from headgate.errors import NotFound
from headgate.model import TriggerName
from headgate.settings import Settings

#: An engine, and the extra that brings what it needs.
ENGINES: Final[Mapping[str, str]] = {
    "local": "",
    "recipe": "datahub",
    "step_functions": "aws",
    "lambda": "aws",
    "glue": "aws",
}

#: The details of runs that wait as they should: for the end of the settle time, for a place.
SETTLING, QUEUED = "settling", "queued"


def diagnose(name: str, records: Records, settings: Settings, now: datetime) -> list[Finding]:
    """Everything that may keep this trigger from firing, ranked.

    Raises:
        NotFound: there is no such trigger, and none is declared.
    """
    if TriggerName(name) in settings.glue.triggers:
        return ranked(on_glue.examine(name, settings))
    try:
        case = read(name, records, settings, now)
    except NotFound:
        if TriggerName(name) in settings.triggers:
            return [_deleted(name)]
        meant = nearest(name, [str(one["name"]) for one in records.triggers()])
        raise NotFound(
            "trigger", name, f"did you mean {meant!r}?" if meant else "see `headgate triggers list`"
        ) from None
    return ranked(examine(case))


def examine(case: Case) -> Iterator[Finding]:
    """Every check, over what was read. What is checked first explains more than what is checked later."""
    yield from _switched(case)
    yield from _actions(case)
    yield from _nobody(case)
    match case.trigger["type"]:
        case "CONDITIONAL":
            yield from conditional.examine(case)
        case "SCHEDULED":
            yield from schedule.examine(case)
        case "EVENT":
            yield from event.examine(case)
        case _:
            yield from _on_demand(case)
    yield from _waiting(case)
    yield from _ended(case)


def off_as_declared(trigger: Doc, settings: Settings) -> Finding | None:
    """Tell of a trigger that is switched off where it is declared: as it should be, and worth a note only.

    None for every other trigger. Whoever asks for one by its name is told what keeps it from firing by `diagnose`.
    """
    declared = settings.triggers.get(TriggerName(str(trigger["name"])))
    if trigger["enabled"] or declared is None or declared.enabled:
        return None
    return Finding(
        Rank.NOTE,
        f"the trigger {trigger['name']!r} is off, as headgate.yaml declares it",
        "its state is DEACTIVATED, and headgate.yaml says enabled: false",
        f"headgate triggers enable {word(str(trigger['name']))}, to switch it on",
    )


def _deleted(name: str) -> Finding:
    return Finding(
        Rank.BROKEN,
        f"the trigger {name!r} is declared and not there",
        "headgate.yaml declares it, and the ledger has none: it was deleted by hand, or not applied yet",
        "headgate apply",
    )


def _switched(case: Case) -> Iterator[Finding]:
    if case.trigger["state"] == "DEACTIVATED":
        yield Finding(
            Rank.BROKEN,
            f"the trigger {case.name!r} is disabled",
            "its state is DEACTIVATED; what happens meanwhile is not made up when it is enabled",
            f"headgate triggers enable {word(case.name)}",
        )


def _actions(case: Case) -> Iterator[Finding]:
    for action in case.trigger["actions"]:
        job = case.jobs.get(action["job"])
        if job is None:
            meant = nearest(action["job"], case.jobs)
            yield Finding(
                Rank.BROKEN,
                f"it starts the job {action['job']!r}, and there is none",
                f"the nearest name is {meant!r}" if meant else f"{len(case.jobs)} jobs are there, none of that name",
                "declare the job in headgate.yaml (or mend the trigger's actions), then: headgate apply",
            )
        elif job["engine"] not in ENGINES:
            yield Finding(
                Rank.BROKEN,
                f"the job {action['job']!r} is for the engine {job['engine']!r}, and there is none",
                f"engines are {', '.join(ENGINES)}",
                f"set engine: of jobs.{action['job']} in headgate.yaml, then: headgate apply",
            )
        elif (extra := ENGINES[job["engine"]]) in case.lacking:
            yield Finding(
                Rank.BROKEN,
                f"the job {action['job']!r} is for the engine {job['engine']}, and what that needs is not installed",
                f"the extra [{extra}] is missing in this Python",
                f"pip install 'headgate[{extra}]'",
            )
    if not case.trigger["actions"]:
        mend = "give it actions in headgate.yaml, then: headgate apply"
        yield Finding(Rank.BROKEN, "it starts nothing", "it has no action", mend)


def _nobody(case: Case) -> Iterator[Finding]:
    """Whether anybody is there to fire it, and to run what it fires."""
    if not case.served and case.trigger["type"] in ("SCHEDULED", "EVENT"):
        yield Finding(
            Rank.LIKELY,
            "no server runs, so nothing fires by itself",
            "this home notes no running server, and HEADGATE_URL names none",
            "headgate serve",
        )
    if not case.served:
        return
    if not case.status:
        yield unseen("the server's state", "it did not say how it is", "headgate runs list --state WAITING")
        return
    # a ledger on SQLite keeps no leases: the server's own word is all there is then
    at_work = case.status.get("readiness", {}).get("worker")
    if not at_work and not any(one.get("alive") for one in case.status.get("workers", ())):
        yield Finding(
            Rank.BROKEN,
            "nobody runs runs",
            "the server takes events, and no worker is alive (it was started with --no-worker?)",
            "headgate worker",
        )
    for problem in case.status.get("readiness", {}).get("problems", ()):
        yield Finding(Rank.POSSIBLE, "the server is not well", str(problem), "see /readyz, and the server's log")


def _on_demand(case: Case) -> Iterator[Finding]:
    fired = next((one for one in case.decisions if one["outcome"] == "fired"), None)
    yield Finding(
        Rank.NOTE if fired else Rank.LIKELY,
        "it is ON_DEMAND: it fires when somebody fires it, and its state stays CREATED",
        f"it was last fired at {told(moment(fired['at']))}" if fired else "nobody ever did",
        f"aws glue start-trigger --name {word(case.name)} --endpoint-url http://localhost:8090",
    )


def _waiting(case: Case) -> Iterator[Finding]:
    """What the runs it started wait for."""
    seen: set[str] = set()
    for run in case.runs:
        if run["state"] != "WAITING" or run["job"] in seen:
            continue
        seen.add(run["job"])
        yield _waits(case, run)


def _waits(case: Case, run: Doc) -> Finding:
    what = f"it fired, and run {short(run)} of {run['job']} is WAITING"
    until = moment(run["not_before"])
    if until is not None and until > case.now:
        left = (until - case.now).total_seconds()
        if run["detail"] not in (SETTLING, QUEUED):
            return Finding(
                Rank.LIKELY,
                f"{what} for its next try, at {told(until)}",
                f"{run['detail']}; {run['error'] or 'no error is noted'}",
                f"headgate runs logs {run['id']}",
            )
        return Finding(
            Rank.LIKELY,
            f"{what} until its settle time is over, at {told(until)}",
            f"settle is {case.trigger['settle']:g} s, each further event begins it anew; {left:.0f} s are left",
            f"headgate runs show {run['id']}",
        )
    job = case.jobs.get(run["job"])
    holding = [one for one in case.of_jobs.get(run["job"], ()) if one["state"] in OCCUPYING]
    if job is not None and len(holding) >= job["max_concurrent_runs"]:
        oldest = holding[-1]
        since = told(moment(oldest["started_at"] or oldest["created_at"]))
        return Finding(
            Rank.LIKELY,
            f"{what} for a place: {run['job']} is at its limit of {job['max_concurrent_runs']}",
            f"run {short(oldest)} is {oldest['state']} since {since}",
            f"headgate runs stop {oldest['id']}",
        )
    if run["detail"] not in (SETTLING, QUEUED):
        return Finding(
            Rank.LIKELY, f"{what}: its engine could not start it yet", run["detail"], f"headgate runs show {run['id']}"
        )
    return Finding(
        Rank.LIKELY,
        f"{what} for somebody to run it",
        f"it is due since {told(until or moment(run['created_at']))}, and its job has a free place",
        "headgate worker" if case.served else "headgate serve",
    )


def _ended(case: Case) -> Iterator[Finding]:
    """How the newest of its runs ended."""
    run = next((one for one in case.runs if one["ended_at"]), None)
    if run is None:
        return
    job = case.jobs.get(run["job"])
    if run["detail"] == "refused" and job is not None and not job["queue"] and run["state"] == "FAILED":
        yield Finding(
            Rank.LIKELY,
            f"it fired while {run['job']} was at its limit of {job['max_concurrent_runs']}, and the job does not queue",
            f"run {short(run)}: {run['error']}",
            f"set queue: true at jobs.{run['job']} in headgate.yaml, then: headgate apply &&"
            f" headgate runs retry {run['id']}",
        )
    elif run["state"] == "SUCCEEDED":
        yield Finding(
            Rank.NOTE,
            f"what it fired last ran well: {run['job']}, at {told(moment(run['ended_at']))}",
            f"run {short(run)} is SUCCEEDED",
        )
    else:
        yield Finding(
            Rank.LIKELY,
            f"it fired, and run {short(run)} of {run['job']} ended {run['state']}",
            str(run["error"] or run["detail"] or "no error is noted"),
            f"headgate runs logs {run['id']}",
        )
