"""This file is where our records become Glue's: a job run, a job, a trigger, in the model's members."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from headgate.aws.glue_words import actions_of, predicate_of
from headgate.ledger.glue_runs import JobRun
from headgate.model import Job, Origin, RunState, Trigger

Shape = dict[str, Any]

#: Members that a call may set for its run, else the job's definition says them.
PER_RUN: Final = (
    "AllocatedCapacity", "MaxCapacity", "WorkerType", "NumberOfWorkers", "SecurityConfiguration",
    "NotificationProperty", "ExecutionClass",
)  # fmt: skip
#: Members of a run that only its job's definition has.
OF_JOB: Final = ("GlueVersion", "MaintenanceWindow", "JobMode")
ROLE: Final = "arn:aws:iam::000000000000:role/headgate"


def seconds(at: datetime | float | None) -> float | None:
    """Seconds since the epoch, to the millisecond: what every SDK reads."""
    if at is None:
        return None
    return round(at.timestamp() if isinstance(at, datetime) else at, 3)


def job_run(found: JobRun) -> Shape:
    """The members of a JobRun; absent where there is nothing to say."""
    run, attempt = found.run, found.attempt
    started = attempt.started_at or run.created_at
    over = attempt.ended_at if attempt.state not in _LIVE else None
    shape: Shape = {
        "Id": attempt.id,
        "Attempt": attempt.number,
        "JobName": run.job,
        "StartedOn": seconds(started),
        "LastModifiedOn": seconds(over or started),
        "JobRunState": attempt.state.value,
        "Arguments": dict(run.arguments),
        "PredecessorRuns": [{"JobName": one.job, "RunId": one.run} for one in run.predecessors],
        "ExecutionTime": _lasted(found, over),
        "LogGroupName": log_group(found.members),
        **{name: found.members[name] for name in (*PER_RUN, *OF_JOB) if name in found.members},
        **{name: found.called[name] for name in PER_RUN if name in found.called},
    }
    optional = {
        "PreviousRunId": _before(found),
        "TriggerName": run.cause.trigger,
        "CompletedOn": seconds(over),
        "ErrorMessage": attempt.error,
        "Timeout": max(1, round(run.timeout / 60)) if run.timeout else None,
        "StateDetail": _why(found),
        "JobRunQueuingEnabled": found.called.get("JobRunQueuingEnabled", found.members.get("JobRunQueuingEnabled")),
        "ExecutionRoleSessionPolicy": found.called.get("ExecutionRoleSessionPolicy"),
    }
    shape.update({name: value for name, value in optional.items() if value is not None})
    return shape


_LIVE: Final = frozenset({RunState.WAITING, RunState.STARTING, RunState.RUNNING, RunState.STOPPING})


def log_group(members: Mapping[str, Any]) -> str:
    command: Any = members.get("Command") or {}
    return "/aws-glue/python-jobs" if command.get("Name") == "pythonshell" else "/aws-glue/jobs"


def _lasted(found: JobRun, over: datetime | None) -> int:
    """Seconds that it consumed; 0 for one that has not started."""
    if found.attempt.started_at is None:
        return 0
    return max(0, round(((over or datetime.now(UTC)) - found.attempt.started_at).total_seconds()))


def _before(found: JobRun) -> str | None:
    """The attempt before, or of a first attempt the run that somebody retried."""
    number = found.attempt.number
    if number == 0:
        return found.previous
    return found.run.id if number == 1 else f"{found.run.id}_attempt_{number - 1}"


def _why(found: JobRun) -> str | None:
    """Why it is waiting; of a run that is over, what an ending adds that no member of Glue's has room for."""
    present = found.attempt.number == found.run.attempt
    return (found.run.detail or None) if present else None


def job(known: Job, members: Mapping[str, Any], *, created_at: float, updated_at: float) -> Shape:
    """A Job. One that headgate.yaml declares has a Command and a Role that stand for what it is."""
    given = dict(members) if members and known.origin is Origin.API else declared_members(known)
    return {
        "Name": known.name,
        "ExecutionProperty": {"MaxConcurrentRuns": known.max_concurrent_runs},
        "MaxRetries": known.max_retries,
        **({"Timeout": max(1, round(known.timeout / 60))} if known.timeout else {}),
        **given,
        "CreatedOn": seconds(created_at),
        "LastModifiedOn": seconds(updated_at),
    }


def declared_members(known: Job) -> Shape:
    """What Glue would have been told of a job that it was not told of."""
    shape: Shape = {"Role": ROLE, "Command": stand_in(known), "DefaultArguments": dict(known.arguments)}
    if known.description:
        shape["Description"] = known.description
    if known.fixed_arguments:
        shape["NonOverridableArguments"] = dict(known.fixed_arguments)
    return shape


def stand_in(known: Job) -> Shape:
    """A Command for a job that runs something else than Glue's scripts; what it runs is in ScriptLocation, as text."""
    target = known.target
    if known.engine == "local":
        words = target.get("script") or target.get("run") or " ".join(str(one) for one in _words(target.get("command")))
        return {"Name": "pythonshell", "ScriptLocation": str(words), "PythonVersion": "3.9"}
    names = ("job_name", "state_machine_arn", "function", "recipe")
    what = next((str(target[name]) for name in names if name in target), known.name)
    return {"Name": "glueetl" if known.engine == "glue" else known.engine, "ScriptLocation": what}


def _words(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def trigger(known: Trigger, members: Mapping[str, Any], state: str) -> Shape:
    """A Trigger, in the state that Glue has a word for."""
    shape: Shape = {
        "Name": known.name,
        "Type": known.type.value,
        "State": state,
        "Actions": members.get("Actions") if members else actions_of(known),
    }
    given = {
        "WorkflowName": known.workflow,
        "Description": known.description or None,
        "Schedule": known.schedule,
        "Predicate": members.get("Predicate") if members else predicate_of(known),
        "EventBatchingCondition": members.get("EventBatchingCondition"),
    }
    shape.update({name: value for name, value in given.items() if value is not None})
    return shape
