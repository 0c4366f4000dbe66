"""This file is where it is read what shall be so on AWS Glue: definitions of its jobs, and triggers that fire there.

A job of `engine: glue` without a `definition` names a Glue job and says nothing of it. With one, its own keys say what
Glue has words for, too (OWN says which), and the definition says the rest, in Glue's own words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from headgate.errors import Invalid, MissingExtra
from headgate.flow import cron
from headgate.model import Job, JobName, Json, Trigger, TriggerName, TriggerType
from headgate.settings.by_model import Reading
from headgate.settings.chains import circles, in_words
from headgate.settings.engines import DEFINITION
from headgate.settings.nodes import Table
from headgate.settings.reading import Report, Section, source
from headgate.settings.record import AwsPlace, Glue, GlueJob, GlueTrigger
from headgate.settings.triggers import OF_TYPE, ON, TRIGGERS, WORKFLOW, is_on_glue, read_trigger

#: Members of Glue's that a job says by keys of its own.
OWN: Final[Mapping[str, str]] = {
    "Name": "`job_name` of the job",
    "Description": "`description` of the job",
    "DefaultArguments": "`arguments` of the job",
    "Timeout": "`timeout` of the job",
    "ExecutionProperty": "`max_concurrent_runs` of the job",
    "JobRunQueuingEnabled": "`queueing` of the job, and without that its `queue`",
    "AllocatedCapacity": "`MaxCapacity` now",
}
LONGEST: Final = 10_080  #: minutes; Glue takes no more
MOST_RUNS: Final = 1_000  #: at a time, of one job
MOST_RETRIES: Final = 10
#: Of the keys that a type of trigger has, those that Glue has, too.
_OF_GLUE: Final = ("schedule", "predicate")
_STARTS: Final = (TriggerType.ON_DEMAND, TriggerType.SCHEDULED)


def read_glue(top: Section, jobs: Mapping[JobName, Job]) -> Glue:
    """Read what stands in `jobs:` and `triggers:` of Glue's own. What is wrong is noted with its place."""
    defined = _jobs(top, jobs)
    triggers = _triggers(top, jobs)
    _warn(top, defined, triggers)
    return Glue(jobs=defined, triggers={name: one for name, (one, _) in triggers.items()})


def place_of(job: Job) -> AwsPlace:
    """Where the job's calls go, and as whom."""
    said = {name: str(job.target.get(name) or "") for name in ("region", "role_arn", "external_id")}
    return AwsPlace(region=said["region"], role_arn=said["role_arn"], external_id=said["external_id"])


def queueing_of(job: Job) -> bool:
    """Whether its runs wait in Glue's own queue."""
    said = job.target.get("queueing")
    return job.queue if said is None else bool(said)


# -- jobs


def _jobs(top: Section, jobs: Mapping[JobName, Job]) -> dict[JobName, GlueJob]:
    found: dict[JobName, GlueJob] = {}
    taken: dict[tuple[AwsPlace, str], JobName] = {}
    for name, section in _sections(top, "jobs").items():
        job = jobs.get(JobName(name))
        if job is None or job.engine != "glue" or not section.has(DEFINITION):
            continue
        members = _definition(section)
        if members is None:
            continue
        place, glue_name = place_of(job), str(job.target.get("job_name") or "")
        _check_job(section, job, members)
        other = taken.setdefault((place, glue_name), job.name)
        if other != job.name:
            problem = f"{section.name}: the job {other!r} defines the Glue job {glue_name!r} already"
            section.report.problem(section.place_of(DEFINITION), problem)
        tags = members.pop("Tags", None)
        found[job.name] = GlueJob(
            job=job,
            name=glue_name,
            members=members,
            tags={str(key): str(value) for key, value in tags.items()} if isinstance(tags, dict) else {},
            place=place,
        )
    return found


def _sections(top: Section, part: str) -> dict[str, Section]:
    """The mappings in a part of the file; what is none has been told by who reads the part."""
    outer = top.node.entries.get(part)
    entries = outer.entries if isinstance(outer, Table) else {}
    return {name: Section(one, f"{part}.{name}", top.report) for name, one in entries.items() if isinstance(one, Table)}


def _definition(section: Section) -> dict[str, Json] | None:
    node = section.node.entries[DEFINITION.name]
    if not isinstance(node, Table):
        section.report.unexpected(node, section.path(DEFINITION.name), DEFINITION.expected)
        return None
    try:
        reading = Reading("glue", section.report)
    except MissingExtra as error:
        section.report.problem(node.place, f"{section.path(DEFINITION.name)}: {error}")
        return None
    what = section.path(DEFINITION.name)
    members = reading.members(node, "CreateJobRequest", what, elsewhere=OWN, given=["Name"])
    section.report.note(what, ", ".join(members), source(node))
    return members


def _check_job(section: Section, job: Job, members: Mapping[str, Json]) -> None:
    """What Glue would refuse. Its texts say what to do instead."""

    def problem(member: str, text: str) -> None:
        node = section.node.entries[DEFINITION.name]
        place = node.keys.get(member, node.place) if isinstance(node, Table) else node.place
        section.report.problem(place, f"{section.path(DEFINITION.name)}.{member}: {text}")

    retries = members.get("MaxRetries")
    if isinstance(retries, int) and not 0 <= retries <= MOST_RETRIES:
        problem("MaxRetries", f"expected a whole number from 0 to {MOST_RETRIES}, found {retries}")
    elif retries and queueing_of(job):
        problem("MaxRetries", "Glue takes no retries of its own where runs queue; say max_retries of the job, by which"
                " runs that start here are tried again, or queueing: false")  # fmt: skip
    elif retries and job.max_retries:
        problem("MaxRetries", "both Glue and we would try again; say either this or max_retries of the job")
    if members.get("ExecutionClass") == "FLEX" and queueing_of(job):
        problem("ExecutionClass", "Glue does not queue runs of the class FLEX; say queueing: false")
    if "MaxCapacity" in members and ("WorkerType" in members or "NumberOfWorkers" in members):
        problem("MaxCapacity", "Glue takes either this or WorkerType and NumberOfWorkers")
    if job.max_concurrent_runs > MOST_RUNS:
        section.report.problem(section.place, f"{section.name}: Glue runs a job at most {MOST_RUNS} times at a time")
    if job.timeout is not None and math.ceil(job.timeout / 60) > LONGEST:
        section.report.problem(section.place, f"{section.name}: Glue's longest timeout is {LONGEST} minutes (7d)")


# -- triggers


def _triggers(top: Section, jobs: Mapping[JobName, Job]) -> dict[TriggerName, tuple[GlueTrigger, Section]]:
    found: dict[TriggerName, tuple[GlueTrigger, Section]] = {}
    for name, section in _sections(top, TRIGGERS.name).items():
        if not is_on_glue(section):
            continue
        trigger = _trigger(TriggerName(name), section, jobs)
        if trigger is not None:
            found[TriggerName(name)] = (trigger, section)
    for circle in circles(one.trigger for one, _ in found.values()):
        _, section = found[circle[-1].trigger]
        section.report.problem(section.place, f"{section.name}: {in_words(circle)}")
    _check_workflows(found)
    return found


def _trigger(name: TriggerName, section: Section, jobs: Mapping[JobName, Job]) -> GlueTrigger | None:
    here = {key.name for keys in OF_TYPE.values() for key in keys} - set(_OF_GLUE)
    for key, place in section.node.keys.items():
        if key in here:
            section.report.problem(place, f"{section.name}: {key} is for triggers that fire here; this one is on Glue")
    apart = {ON.name, WORKFLOW.name, *here}
    node = Table(
        section.place,
        {key: one for key, one in section.node.entries.items() if key not in apart},
        {key: one for key, one in section.node.keys.items() if key not in apart},
    )
    workflow = section.get(WORKFLOW) or None
    trigger = read_trigger(name, Section(node, section.name, section.report), jobs)
    if trigger is None:
        return None
    if trigger.type is TriggerType.EVENT:
        problem = f"{section.name}: EVENT triggers fire here; on Glue there are ON_DEMAND, SCHEDULED and CONDITIONAL"
        section.report.problem(section.place, problem)
        return None
    _check_schedule(section, trigger)
    places = _check_jobs(section, trigger, jobs)
    if len(places) > 1:
        problem = f"{section.name}: its jobs are in different places; region, role_arn and external_id have to agree"
        section.report.problem(section.place, problem)
    for action in trigger.actions:
        if action.timeout is not None and math.ceil(action.timeout / 60) > LONGEST:
            problem = f"{section.name}: the timeout of {action.job!r}: Glue's longest is {LONGEST} minutes (7d)"
            section.report.problem(section.place, problem)
    named = {one: str(jobs[one].target.get("job_name") or one) for one in _jobs_of(trigger) if one in jobs}
    return GlueTrigger(trigger=trigger, workflow=workflow, named=named, place=next(iter(places), AwsPlace()))


def _jobs_of(trigger: Trigger) -> list[JobName]:
    watched = [one.job for one in trigger.predicate.conditions] if trigger.predicate else []
    return [*(one.job for one in trigger.actions), *watched]


def _check_jobs(section: Section, trigger: Trigger, jobs: Mapping[JobName, Job]) -> list[AwsPlace]:
    """Where its jobs are; each has to be on Glue."""
    places: dict[AwsPlace, None] = {}
    for name in _jobs_of(trigger):
        job = jobs.get(name)
        if job is None:
            continue  # told already
        if job.engine != "glue":
            problem = f"{section.name}: the job {name!r} has the engine {job.engine}; Glue knows its own jobs only"
            section.report.problem(section.place, problem)
            continue
        places[place_of(job)] = None
    return list(places)


def _check_schedule(section: Section, trigger: Trigger) -> None:
    try:
        refused = cron.glue_refuses(cron.parse(trigger.schedule)) if trigger.schedule else ()
    except Invalid:
        return  # told already
    for why in refused:
        section.report.problem(section.place, f"{section.name}: Glue would refuse the schedule: {why}")


def _check_workflows(found: Mapping[TriggerName, tuple[GlueTrigger, Section]]) -> None:
    """A workflow has one start."""
    starts: dict[tuple[AwsPlace, str], TriggerName] = {}
    for name, (one, section) in found.items():
        if one.workflow is None or one.trigger.type not in _STARTS:
            continue
        other = starts.setdefault((one.place, one.workflow), name)
        if other != name:
            problem = (
                f"{section.name}: the workflow {one.workflow!r} starts by {other!r}; Glue allows one start trigger"
            )
            section.report.problem(section.place, problem)


# -- what is no mistake, and still not what one may think


def _warn(
    top: Section, defined: Mapping[JobName, GlueJob], found: Mapping[TriggerName, tuple[GlueTrigger, Section]]
) -> None:
    triggers = [one for one, _ in found.values()]
    for one, section in found.values():
        for job in _unstarted(one, triggers):
            section.report.warn(section.place, _never(section.name, job, one.workflow))
    for name, one in defined.items():
        started = [each for each in triggers if name in {action.job for action in each.trigger.actions}]
        if started and one.job.max_concurrent_runs == 1 and not queueing_of(one.job):
            _warn_of_limit(top.report, found[started[0].trigger.name][1], name)


def _unstarted(one: GlueTrigger, triggers: Sequence[GlueTrigger]) -> list[JobName]:
    """The watched jobs whose runs do not count: only those count that a trigger of the same workflow started."""
    started = {action.job for other in triggers if other.workflow == one.workflow for action in other.trigger.actions}
    conditions = one.trigger.predicate.conditions if one.trigger.predicate else ()
    return [condition.job for condition in conditions if condition.job not in started]


def _never(name: str, job: JobName, workflow: str | None) -> str:
    if workflow is not None:
        return f"{name}: no trigger of the workflow {workflow!r} starts {job!r}, so this one never fires"
    return (
        f"{name}: Glue fires it for runs of {job!r} that a trigger of Glue's started, and none here does; runs that"
        " StartJobRun starts (`headgate run`, the console, a Lambda) do not count. Put both into a workflow, or let"
        " the trigger fire here (without on: glue)"
    )


def _warn_of_limit(report: Report, section: Section, job: JobName) -> None:
    report.warn(
        section.place,
        f"{section.name}: {job!r} runs once at a time and does not queue: a run that this starts meanwhile ends FAILED;"
        " raise max_concurrent_runs, or say queueing: true",
    )
