"""This file is where Glue's words become our jobs and triggers, by the rules that Glue has for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from headgate.errors import Invalid
from headgate.flow import cron
from headgate.http.glue.room import invalid, missing
from headgate.http.glue.shapes import stand_in
from headgate.model import (
    WATCHABLE,
    Action,
    Condition,
    Job,
    JobName,
    Json,
    Logical,
    Missed,
    ObjectFilter,
    Origin,
    Predicate,
    RunState,
    Trigger,
    TriggerName,
    TriggerType,
)
from headgate.settings.glue import LONGEST, MOST_RETRIES, MOST_RUNS

Members = Mapping[str, Any]

RUNNABLE: Final = ("glueetl", "pythonshell")
MOST_ACTIONS: Final = 50
#: Minutes of a job that says none: up to Glue 4.0, and from 5.0 on.
_LIMIT_OLD, _LIMIT_NEW = 2_880, 480
_CRAWL_STATES: Final = "SUCCEEDED, FAILED, CANCELLED"
#: Tags of a workflow's EVENT trigger, in the place of EventBridge's rule: which objects are events for it.
S3_TAG, SUFFIX_TAG = "headgate:s3", "headgate:suffix"
_WINDOW: Final = 900  #: seconds that a batch is waited for to be full, where nobody says


def job_of(
    name: str, members: Members, *, inboxes: Mapping[str, Path], before: Job | None = None, shown: Members | None = None
) -> Job:
    """The job that Glue's members describe.

    `before`: the job as it is, where it is changed; `shown`: the Command that was shown of it. A change that leaves
    that Command as it is leaves what the job runs, too, whatever engine it has.

    Raises:
        Fault: InvalidInputException.
    """
    _check_job(members)
    said = members.get("JobRunQueuingEnabled")
    kept = before is not None and members["Command"] == shown
    job = Job(
        name=JobName(name),
        engine=before.engine if before and kept else "local",
        target=before.target if before and kept else script_target(members["Command"], inboxes),
        arguments=members.get("DefaultArguments", {}),
        fixed_arguments=members.get("NonOverridableArguments", {}),
        max_concurrent_runs=members.get("ExecutionProperty", {}).get("MaxConcurrentRuns", 1),
        queue=bool(said) if said is not None or before is None or not kept else before.queue,
        max_retries=members.get("MaxRetries", 0),
        timeout=60.0 * members.get("Timeout", default_timeout(members)),
        description=members.get("Description", ""),
        origin=Origin.API,
    )
    return replace(job, backoff=before.backoff, notify=before.notify) if before and kept else job


def default_timeout(members: Members) -> int:
    """Minutes of a job that does not say: two days up to Glue 4.0, eight hours after."""
    version = str(members.get("GlueVersion", "")).partition(".")[0]
    return _LIMIT_OLD if version.isdigit() and int(version) < 5 else _LIMIT_NEW


def _check_job(members: Members) -> None:
    if not members.get("Role") or not members.get("Command"):
        raise invalid("Role and Command are required")
    runs = members.get("ExecutionProperty", {}).get("MaxConcurrentRuns", 1)
    if not 1 <= runs <= MOST_RUNS:
        raise invalid(f"ExecutionProperty.MaxConcurrentRuns: {runs}; expected 1 to {MOST_RUNS}")
    retries = members.get("MaxRetries", 0)
    if not 0 <= retries <= MOST_RETRIES:
        raise invalid(f"MaxRetries: {retries}; expected 0 to {MOST_RETRIES}")
    if members.get("Timeout", 1) > LONGEST:
        raise invalid(f"Timeout: {members['Timeout']} minutes; at most {LONGEST}")
    if members.get("JobRunQueuingEnabled"):
        if retries:
            raise invalid("JobRunQueuingEnabled is not allowed with MaxRetries greater than 0")
        if members.get("ExecutionClass") == "FLEX":
            raise invalid("JobRunQueuingEnabled is not allowed with ExecutionClass FLEX")
    check_sizes(members)
    for member in ("DefaultArguments", "NonOverridableArguments"):
        _check_arguments(member, members.get(member, {}))


def _check_arguments(place: str, arguments: Mapping[str, str]) -> None:
    for key, value in arguments.items():
        if len(key) > 255 or len(value) > 65_536:
            raise invalid(f"{place}.{key[:40]}: too long (keys 255, values 65,536 characters)")
        if "\0" in key or "\0" in value:
            raise invalid(f"{place}.{key[:40]!r}: has a NUL character, which no process can be handed; leave it out")


def check_sizes(members: Members) -> None:
    """Raises Fault where workers and capacity are both said, or are none."""
    sized = "WorkerType" in members or "NumberOfWorkers" in members
    if sized and ("MaxCapacity" in members or "AllocatedCapacity" in members):
        raise invalid("MaxCapacity and AllocatedCapacity are not allowed with WorkerType or NumberOfWorkers")
    for member in ("NumberOfWorkers", "MaxCapacity", "AllocatedCapacity"):
        if members.get(member, 1) <= 0:
            raise invalid(f"{member}: {members[member]}; expected more than 0")


def script_target(command: Members, inboxes: Mapping[str, Path]) -> dict[str, Json]:
    """What the local engine runs for a Command: its script, from this machine, an inbox, or S3."""
    name, location = command.get("Name", ""), command.get("ScriptLocation", "")
    if name not in RUNNABLE:
        raise invalid(f"Command.Name: {name!r} is not run here; expected {' or '.join(RUNNABLE)}")
    if not location or "\0" in location:
        raise invalid("Command.ScriptLocation: expected a path, or s3://bucket/key of a script")
    if not location.startswith("s3://"):
        return {"script": location.removeprefix("file://")}
    bucket, _, key = location.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise invalid(f"Command.ScriptLocation: {location!r} names no object; expected s3://bucket/key")
    if bucket in inboxes:
        folder = inboxes[bucket].resolve()
        file = (folder / key).resolve()
        if not file.is_relative_to(folder):
            raise invalid(f"Command.ScriptLocation: {location!r} leads out of the inbox's folder")
        return {"script": str(file)}
    return {"command": ["python", "-m", "headgate.engines.local.from_s3", location], "env": list(_AWS_NAMES)}


#: What finding a script on S3 may need, by name, from the server's environment.
_AWS_NAMES: Final = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
    "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_EC2_METADATA_DISABLED",
)  # fmt: skip


def trigger_of(
    name: str, members: Members, *, before: Trigger | None = None, tags: Mapping[str, str] | None = None
) -> Trigger:
    """The trigger that Glue's members describe; `before` is the trigger as it is, where it is changed.

    Raises:
        Fault: InvalidInputException, or EntityNotFoundException for crawlers, of which there are none here.
    """
    kind = before.type if before else TriggerType(members["Type"])
    actions = _actions(members.get("Actions", []))
    predicate = _predicate(members, kind, {one.job for one in actions})
    schedule = _schedule(members, kind)
    if members.get("EventBatchingCondition") and kind is not TriggerType.EVENT:
        raise invalid(f"EventBatchingCondition is for EVENT triggers; {name} is {kind.value}")
    if kind is TriggerType.EVENT and before is None and "WorkflowName" not in members:
        raise invalid("EVENT triggers start workflows (WorkflowName); those for files of a bucket are in headgate.yaml")
    on_creation = bool(members.get("StartOnCreation"))
    if on_creation and kind is TriggerType.ON_DEMAND:
        raise invalid("StartOnCreation is not supported for ON_DEMAND triggers")
    described: dict[str, Any] = {
        "actions": actions,
        "predicate": predicate,
        "schedule": schedule,
        "description": members.get("Description", ""),
        "origin": Origin.API,
        **(_batching(members) if kind is TriggerType.EVENT and (before is None or before.workflow) else {}),
    }
    if before is not None:
        return replace(before, **described)
    return Trigger(
        name=TriggerName(name),
        type=kind,
        enabled=on_creation or kind is TriggerType.ON_DEMAND,
        workflow=members.get("WorkflowName"),
        objects=watched(tags or {}) if kind is TriggerType.EVENT else None,
        missed=Missed.SKIP,  # AWS makes up no tick that it missed
        **described,
    )


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises Fault where a tag is one that only AWS gives."""
    for key in tags:
        if key.lower().startswith("aws:"):
            raise invalid(f"Tags: {key[:128]!r} begins with aws:, which AWS keeps for itself")


def watched(tags: Mapping[str, str]) -> ObjectFilter | None:
    """The objects that an EVENT trigger's tags name; None where they name none. Raises Fault."""
    place = tags.get(S3_TAG)
    if place is None:
        return None
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    if not place.startswith("s3://") or not bucket:
        raise invalid(f"tag {S3_TAG}: {place!r}; expected s3://bucket or s3://bucket/prefix")
    return ObjectFilter(bucket=bucket, prefix=prefix, suffix=tuple(tags.get(SUFFIX_TAG, "").split()))


def _batching(members: Members) -> dict[str, Any]:
    """How many events start the workflow once, and for how long the first of them is kept waiting for the others."""
    given: Members = members.get("EventBatchingCondition") or {}
    size = given.get("BatchSize", 1)
    return {"max_objects": size, "settle": float(given.get("BatchWindow", _WINDOW)) if size > 1 else 0.0}


def _actions(given: Sequence[Members]) -> tuple[Action, ...]:
    if not given:
        raise invalid("Actions: expected at least one")
    if len(given) > MOST_ACTIONS:
        raise invalid(f"Actions: {len(given)}; a trigger starts at most {MOST_ACTIONS} jobs")
    actions: list[Action] = []
    for one in given:
        if "CrawlerName" in one:
            raise missing("Crawler", one["CrawlerName"])
        if not one.get("JobName"):
            raise invalid("Actions: each names a job (JobName)")
        if one.get("Timeout", 1) > LONGEST:
            raise invalid(f"Actions: Timeout: {one['Timeout']} minutes; at most {LONGEST}")
        _check_arguments("Actions.Arguments", one.get("Arguments", {}))
        minutes = one.get("Timeout")
        actions.append(
            Action(job=JobName(one["JobName"]), arguments=one.get("Arguments", {}), timeout=minutes and 60.0 * minutes)
        )
    return tuple(actions)


def _predicate(members: Members, kind: TriggerType, started: set[JobName]) -> Predicate | None:
    given = members.get("Predicate")
    if kind is not TriggerType.CONDITIONAL:
        if given and given.get("Conditions"):
            raise invalid(f"Predicate is for CONDITIONAL triggers, not for {kind.value}")
        return None
    if not given or not given.get("Conditions"):
        raise invalid("Predicate is required for CONDITIONAL triggers, with at least one condition")
    conditions = tuple(_condition(one) for one in given["Conditions"])
    if len(conditions) > 1 and "Logical" not in given:
        raise invalid("Predicate.Logical is required with more than one condition: AND or ANY")
    watched = [one.job for one in conditions]
    if len(set(watched)) < len(watched):
        raise invalid("Predicate: a job may be watched for one state only")
    if started & set(watched):
        raise invalid("Job cannot be a Predicate and Action for Conditional Trigger")
    return Predicate(conditions=conditions, logical=Logical(given.get("Logical", "AND")))


def _condition(one: Members) -> Condition:
    if "CrawlerName" in one:
        if "CrawlState" not in one:
            raise invalid(
                f"State cannot be null or empty, choose from one of the following crawler state: [{_CRAWL_STATES}]"
            )
        raise missing("Crawler", one["CrawlerName"])
    if "LogicalOperator" not in one:
        raise invalid("Logical operator cannot be null or empty")
    if not one.get("JobName"):
        raise invalid("Predicate: each condition names a job (JobName)")
    if one.get("State") not in WATCHABLE:
        names = ", ".join(sorted(WATCHABLE))
        raise invalid(f"State {one.get('State')} cannot be watched; choose from one of the following: [{names}]")
    return Condition(job=JobName(one["JobName"]), state=RunState(one["State"]))


def _schedule(members: Members, kind: TriggerType) -> str | None:
    text = members.get("Schedule")
    if kind is not TriggerType.SCHEDULED:
        if text:
            raise invalid(f"Schedule is for SCHEDULED triggers, not for {kind.value}")
        return None
    if not text:
        raise invalid("Schedule is required for SCHEDULED triggers")
    try:
        schedule = cron.parse(text)
    except Invalid as error:
        raise invalid(str(error)) from error
    if refused := [why for why in cron.glue_refuses(schedule) if "#" not in why]:  # `2#1` is an extension of ours
        raise invalid(f"schedule {text!r}: {'; '.join(refused)}")
    return text


def shown_command(known: Job, members: Members) -> Members:
    """The Command that is shown of a job."""
    return members["Command"] if members and known.origin is Origin.API else stand_in(known)
