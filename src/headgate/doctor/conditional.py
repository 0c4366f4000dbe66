"""This file is where it is found out why a CONDITIONAL trigger did not fire: what it waits for, and what came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from headgate.doctor.case import Case
from headgate.doctor.finding import Finding, Rank
from headgate.doctor.records import Doc, moment, nearest, short, told, word
from headgate.model import FiresFor

_LATCHED = "latched: still waiting for "
_MADE_GOOD = ("disabled:", "no-downstream:")  #: by starting its jobs by hand


def examine(case: Case) -> Iterator[Finding]:
    """Every condition by itself, then what was decided when one came true."""
    for condition in case.trigger["predicate"]["conditions"]:
        yield from _condition(case, condition["job"], condition["state"])
    yield from _decided(case)
    yield from _on_aws(case)


def _condition(case: Case, job: str, state: str) -> Iterator[Finding]:
    if job not in case.jobs:
        meant = nearest(job, case.jobs)
        yield Finding(
            Rank.BROKEN,
            f"it watches the job {job!r}, and there is none",
            f"the nearest name is {meant!r}" if meant else "no job has a name like it",
            "mend the trigger's predicate in headgate.yaml, then: headgate apply",
        )
        return
    runs = case.of_jobs.get(job, ())
    if not runs:
        yield Finding(
            Rank.LIKELY,
            f"it waits for {job} to end {state}, and {job} never ran",
            "the ledger has no run of it",
            f"headgate run {word(job)}",
        )
        return
    over = [one for one in runs if one["ended_at"]]
    if not over or over[0]["id"] != runs[0]["id"]:
        first = runs[0]
        yield Finding(
            Rank.POSSIBLE if over else Rank.LIKELY,
            f"the newest run of {job} has not ended: it is {first['state']}",
            f"run {short(first)}, asked for at {told(moment(first['created_at']))}" + _why(first),
            f"headgate runs show {first['id']}",
        )
    if over and over[0]["state"] != state:
        yield _other_end(job, state, over)


def _why(run: Doc) -> str:
    return f" ({run['detail']})" if run["detail"] else ""


def _other_end(job: str, state: str, over: Sequence[Doc]) -> Finding:
    last = over[0]
    ends = sorted({str(one["state"]) for one in over})
    why = last["error"] or last["detail"] or "no error is noted"
    never = f"; of its newest {len(over)} runs none ended {state} ({', '.join(ends)})"
    failed = last["state"] in ("FAILED", "TIMEOUT", "ERROR")
    return Finding(
        Rank.LIKELY,
        f"{job} ended {last['state']}, and the trigger waits for {state}",
        f"run {short(last)} at {told(moment(last['ended_at']))}: {why}"
        + (never if state not in ends and len(over) > 1 else ""),
        f"headgate runs logs {last['id']}; when it is mended: headgate runs retry {last['id']}"
        if failed
        else f"headgate run {word(job)}, or watch for {last['state']} in headgate.yaml, then: headgate apply",
    )


def _decided(case: Case) -> Iterator[Finding]:
    """What was decided the last time a watched run ended."""
    if not case.decisions:
        yield from _never_asked(case)
        return
    last = case.decisions[0]
    reason, at = str(last["reason"]), told(moment(last["at"]))
    if last["outcome"] == "fired" or (reason.startswith(_MADE_GOOD) and _started_since(case, last["at"])):
        return
    if reason.startswith(_LATCHED):
        missing = reason.removeprefix(_LATCHED)
        jobs = [one.rpartition(" ")[0] for one in missing.split(", ")]
        yield Finding(
            Rank.LIKELY,
            f"its conditions are half met: it still waits for {missing}",
            f"decided at {at}; AND fires when the last of its conditions comes true",
            "; ".join(f"headgate run {word(one)}" for one in jobs),
        )
    elif reason.startswith("not triggered:"):
        yield Finding(
            Rank.BROKEN,
            "the watched run was started directly, and under conditional_fires_for: triggered only those count that a"
            " trigger started",
            f"decided at {at}: {reason}; AWS Glue does the same, and says nothing",
            f"set conditional_fires_for: any at triggers.{case.name} in headgate.yaml, then:"
            " headgate apply; or start the watched job by a trigger",
        )
    elif reason.startswith("no-downstream:"):
        yield Finding(
            Rank.LIKELY,
            "the watched run was started without what follows from it",
            f"decided at {at}: {reason}",
            "; ".join(f"headgate run {word(one['job'])}" for one in case.trigger["actions"]),
        )
    elif reason.startswith("result:"):
        yield Finding(
            Rank.NOTE,
            "the watched run left nothing behind that its job could be started with",
            f"decided at {at}: {reason}",
            f"see what it left: headgate runs list --job {word(case.trigger['predicate']['conditions'][0]['job'])}",
        )
    elif reason.startswith("disabled:") and case.trigger["enabled"]:
        yield Finding(
            Rank.LIKELY,
            "the watched run ended while the trigger was disabled, and such ends do not count",
            f"decided at {at}: {reason}",
            "; ".join(f"headgate run {word(one['job'])}" for one in case.trigger["actions"]),
        )


def _started_since(case: Case, then: str) -> bool:
    """Whether somebody has started by hand, since then, everything the trigger would have started."""
    newest = [next(iter(case.of_jobs.get(one["job"], ())), None) for one in case.trigger["actions"]]
    return all(
        one is not None and datetime.fromisoformat(one["created_at"]) >= datetime.fromisoformat(then) for one in newest
    )


def _never_asked(case: Case) -> Iterator[Finding]:
    """The watched jobs ended as they should, and nobody asked the trigger: it was not there yet."""
    for condition in case.trigger["predicate"]["conditions"]:
        met = [one for one in case.of_jobs.get(condition["job"], ()) if one["state"] == condition["state"]]
        if met:
            yield Finding(
                Rank.LIKELY,
                f"{condition['job']} ended {condition['state']} before the trigger was there; such ends do not count",
                f"run {short(met[0])} at {told(moment(met[0]['ended_at']))}; nothing was ever decided at this trigger",
                f"headgate run {word(condition['job'])}",
            )
            return


def _on_aws(case: Case) -> Iterator[Finding]:
    """That the same shape does not chain on AWS Glue: it works here and surprises there."""
    if case.fires_for != FiresFor.ANY.value:
        return
    for condition in case.trigger["predicate"]["conditions"]:
        direct = next((one for one in case.of_jobs.get(condition["job"], ()) if not one["cause"]["trigger"]), None)
        if direct is not None:
            yield Finding(
                Rank.NOTE,
                "on AWS Glue itself a run that was started directly would not fire it",
                f"run {short(direct)} of {condition['job']} was started by no trigger; here conditional_fires_for: any"
                " lets it count, AWS counts only runs that a trigger or a workflow started",
                "to try AWS's rule here: set conditional_fires_for: triggered in headgate.yaml",
            )
            return
