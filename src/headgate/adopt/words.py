"""This file is where declared jobs and triggers become Glue's: the members of a job and of a trigger, and its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headgate.aws.glue_words import actions_of, minutes, predicate_of
from headgate.model import TriggerType
from headgate.settings.glue import place_of, queueing_of
from headgate.settings.record import AwsPlace, GlueJob, GlueTrigger, Settings

Members = Mapping[str, Any]

JOB: Final = "job"
TRIGGER: Final = "trigger"
WORKFLOW: Final = "workflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One thing that shall be on Glue as it is said here."""

    kind: str
    name: str
    members: Members
    type: str = ""  #: a trigger's
    workflow: str | None = None  #: a trigger's
    enabled: bool | None = None  #: of a trigger that has a state to choose
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Declared:
    """What the file says of one place."""

    wanted: Sequence[Wanted]
    named: frozenset[str]  #: jobs that are declared by their name alone: they are left as they are
    here: frozenset[str] = frozenset()  #: triggers that fire here


def declared(settings: Settings, place: AwsPlace) -> Declared:
    """Everything that is declared of the place: workflows, jobs, triggers, each by name."""
    jobs = [_job(one) for one in settings.glue.jobs.values() if one.place == place]
    triggers = [_trigger(one) for one in settings.glue.triggers.values() if one.place == place]
    flows = sorted({one.workflow for one in triggers if one.workflow is not None})
    named = {
        str(job.target.get("job_name"))
        for job in settings.jobs.values()
        if job.engine == "glue" and place_of(job) == place
    }
    return Declared(
        [
            *(Wanted(kind=WORKFLOW, name=name, members={}) for name in flows),
            *sorted(jobs, key=lambda one: one.name),
            *sorted(triggers, key=lambda one: one.name),
        ],
        frozenset(named - {one.name for one in jobs}),
        frozenset(settings.triggers),
    )


def places(settings: Settings) -> list[AwsPlace]:
    """Where anything is declared that `apply` makes."""
    those = [*settings.glue.jobs.values(), *settings.glue.triggers.values()]
    return list(dict.fromkeys(one.place for one in those))


def _job(one: GlueJob) -> Wanted:
    """Retries are ours where runs queue: Glue does not take both."""
    job, queueing = one.job, queueing_of(one.job)
    members: dict[str, Any] = {
        **one.members,
        "ExecutionProperty": {"MaxConcurrentRuns": job.max_concurrent_runs},
        "JobRunQueuingEnabled": queueing,
    }
    if queueing:
        members["MaxRetries"] = 0
    if job.timeout is not None:
        members["Timeout"] = minutes(job.timeout)
    if job.description:
        members["Description"] = job.description
    if job.arguments:
        members["DefaultArguments"] = dict(job.arguments)
    return Wanted(kind=JOB, name=one.name, members=members, tags=one.tags)


def _trigger(one: GlueTrigger) -> Wanted:
    trigger = one.trigger
    members: dict[str, Any] = {"Actions": actions_of(trigger, one.named)}
    if trigger.description:
        members["Description"] = trigger.description
    if trigger.schedule:
        members["Schedule"] = trigger.schedule
    predicate = predicate_of(trigger, one.named)
    if predicate is not None:
        members["Predicate"] = predicate
    return Wanted(
        kind=TRIGGER,
        name=trigger.name,
        members=members,
        type=trigger.type.value,
        workflow=one.workflow,
        enabled=None if trigger.type is TriggerType.ON_DEMAND else trigger.enabled,
    )
