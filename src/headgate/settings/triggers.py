"""This file is where `triggers:` is read, and where ones that could never fire, or never stop, are refused."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Final

from headgate.errors import Invalid
from headgate.model import (
    WATCHABLE,
    Action,
    CatalogWatch,
    Condition,
    FiresFor,
    Job,
    JobName,
    Logical,
    Missed,
    ObjectFilter,
    Predicate,
    RunState,
    Trigger,
    TriggerName,
    TriggerType,
)
from headgate.settings.arguments import ARGUMENTS, read_arguments, read_named
from headgate.settings.catalogs import CATALOG, EVERY, read_catalog
from headgate.settings.chains import circles, in_words
from headgate.settings.jobs import ABOUT
from headgate.settings.kinds import (
    ANY_TEXT,
    BOOLEAN,
    BUCKET_NAME,
    DURATION,
    POSITIVE_DURATION,
    TEXT,
    member,
    one_of,
    pattern,
    whole,
)
from headgate.settings.nodes import Node, Place, Table, Text
from headgate.settings.reading import Key, Named, Part, Section, did_you_mean, source

TRIGGERS: Final = Part(
    name="triggers",
    expected="a mapping of names to triggers",
    description="The declared triggers, each under its name.",
)
TYPE: Final = Key(
    name="type",
    kind=member(TriggerType),
    default=TriggerType.ON_DEMAND,
    shown="required",
    description="What the trigger waits for.",
)
ENABLED: Final = Key(
    name="enabled",
    kind=BOOLEAN,
    default=True,
    shown="true",
    description="Whether a new trigger is active. What was switched by hand later stays as it is.",
)
ACTIONS: Final = Part(
    name="actions",
    expected="a list of job names or of {job, arguments, timeout}",
    description="The jobs it starts, all of them.",
)
JOB: Final = Key(name="job", kind=TEXT, default="", shown="required", description="A job's name.")
ACTION_TIMEOUT: Final[Key[float | None]] = Key(
    name="timeout",
    kind=POSITIVE_DURATION,
    default=None,
    shown="the job's",
    description="The time limit of the runs it starts.",
)
S3: Final = Part(
    name="s3",
    expected="a mapping with a bucket",
    description="EVENT: which objects. A bucket may be one of the inboxes.",
)
BUCKET: Final = Key(
    name="bucket",
    kind=BUCKET_NAME,
    default="",
    shown="required",
    description="The bucket.",
)
PREFIX: Final = Key(name="prefix", kind=ANY_TEXT, default="", description="What the object's key begins with.")
SUFFIX: Final = Part(
    name="suffix",
    expected="a list of endings",
    description="Any of the endings the key may have, in any case; without it every object counts.",
)
EVENTS: Final = Part(
    name="events", expected="a list of event names", description="Which S3 events count; `ObjectCreated:*` without it."
)
SETTLE: Final = Key(
    name="settle",
    kind=DURATION,
    default=0.0,
    shown="0s",
    description="EVENT: how long it must be quiet before the run starts (at most ten times this); events in between"
    " join the run.",
)
MAX_OBJECTS: Final = Key(
    name="max_objects", kind=whole(1, 10_000), default=500, description="EVENT: how many objects one run takes."
)
PREDICATE: Final = Part(
    name="predicate", expected="a mapping with conditions", description="CONDITIONAL: the ends it waits for."
)
LOGICAL: Final = Key(
    name="logical",
    kind=member(Logical),
    default=Logical.AND,
    description="Whether all conditions must hold (AND) or one is enough (ANY).",
)
CONDITIONS: Final = Part(
    name="conditions", expected="a list of {job, state}", description="The ends waited for, one for each job."
)
STATE: Final = Key(
    name="state",
    kind=member(RunState, WATCHABLE),
    default=RunState.SUCCEEDED,
    shown="required",
    description="The state the job's run ends in.",
)
FIRES_FOR: Final[Key[FiresFor | None]] = Key(
    name="conditional_fires_for",
    kind=member(FiresFor),
    default=None,
    shown="the file's",
    description="CONDITIONAL: the same as at the top of the file, for this trigger.",
)
SCHEDULE: Final = Key(
    name="schedule",
    kind=TEXT,
    default="",
    shown="required",
    description="SCHEDULED: `cron(...)` or `rate(...)` as AWS writes them, or a five-field cron line.",
)
TIMEZONE: Final = Key(
    name="timezone", kind=TEXT, default="UTC", description="SCHEDULED: the time zone the schedule is read in."
)
MISSED: Final = Key(
    name="missed",
    kind=member(Missed),
    default=Missed.ONCE,
    description="SCHEDULED: what happens to times that passed while nothing ran: skip them, fire once, or fire all.",
)

AT_FIRST_START: Final = Key(
    name="at_first_start",
    kind=BOOLEAN,
    default=False,
    shown="false",
    description="SCHEDULED: whether it fires once, too, when it is active for the first time in this ledger; restarts,"
    " replicas and switching it off and on do not repeat that. EVENT with a catalog: whether the tables that the very"
    " first look finds are events, too.",
)
UNLESS_DATAHUB: Final = Key(
    name="unless_datahub_schedules",
    kind=BOOLEAN,
    default=True,
    shown="true",
    description="SCHEDULED: whether a recipe is left to DataHub where an ingestion source there reads the same by a"
    " schedule of its own.",
)
FROM_RESULT: Final = Part(
    name="from_result",
    expected="a mapping of --names to members of the result",
    description="CONDITIONAL: arguments whose values are members of the result of the run that fired it"
    " (`--tables: written`). A text is handed on as it is, anything else as JSON; lists of several runs are joined."
    " Where a run's result has no such member, or an empty one, the job is not started, and the decision says so.",
)

ON: Final = Key(
    name="on",
    kind=one_of("here", "glue"),
    default="here",
    description="Where it fires: here, or on AWS Glue, where `apply` makes it and all its jobs have to be.",
)
WORKFLOW: Final = Key(
    name="workflow",
    kind=TEXT,
    default="",
    description="on: glue: the Glue workflow it belongs to; `apply` makes one that is not there.",
)

EVERY_TYPE: Final[Sequence[Named]] = (TYPE, ENABLED, ACTIONS, ABOUT, ON)
ON_GLUE: Final[Sequence[Named]] = (WORKFLOW,)
OF_TYPE: Final[Mapping[TriggerType, Sequence[Named]]] = {
    TriggerType.ON_DEMAND: (),
    TriggerType.SCHEDULED: (SCHEDULE, TIMEZONE, MISSED, AT_FIRST_START, UNLESS_DATAHUB),
    TriggerType.CONDITIONAL: (PREDICATE, FIRES_FOR),
    TriggerType.EVENT: (S3, CATALOG, EVERY, SETTLE, MAX_OBJECTS, AT_FIRST_START),
}
OBJECTS: Final[Sequence[Named]] = (BUCKET, PREFIX, SUFFIX, EVENTS)
PREDICATE_KEYS: Final[Sequence[Named]] = (LOGICAL, CONDITIONS)
CONDITION: Final[Sequence[Named]] = (JOB, STATE)
ACTION: Final[Sequence[Named]] = (JOB, ARGUMENTS, FROM_RESULT, ACTION_TIMEOUT)

_MOST_ACTIONS: Final = 50  # AWS Glue's limit of jobs for a trigger
_EVENT: Final = pattern(
    "an S3 event such as ObjectCreated:* or ObjectCreated:Put", r"(s3:)?[A-Z][A-Za-z]+:(\*|[A-Z][A-Za-z]+)"
)


def read_triggers(top: Section, jobs: Mapping[JobName, Job]) -> dict[TriggerName, Trigger]:
    """Read the triggers that fire here; those on Glue are read beside them (`glue.py`)."""
    sections = {name: section for name, section in top.sections(TRIGGERS).items() if not is_on_glue(section)}
    triggers = {
        TriggerName(name): trigger
        for name, section in sections.items()
        if (trigger := read_trigger(TriggerName(name), section, jobs)) is not None
    }
    for circle in circles(triggers.values()):
        first = sections[circle[-1].trigger]
        first.report.problem(first.place, f"{first.name}: {in_words(circle)}")
    return triggers


def is_on_glue(section: Section) -> bool:
    """Whether the trigger is one of AWS Glue's own."""
    node = section.node.entries.get(ON.name)
    return isinstance(node, Text) and node.text.strip().lower() == "glue"


def read_trigger(name: TriggerName, section: Section, jobs: Mapping[JobName, Job]) -> Trigger | None:
    """Read one, wherever it fires; None where not even its type is known, which is noted as a problem."""
    if not section.has(TYPE):
        choices = ", ".join(TYPE.kind.choices)
        section.report.problem(section.place, f"{section.name}: expected the key 'type', one of {choices}")
        return None
    before = len(section.report.problems)
    kind = section.get(TYPE)
    if len(section.report.problems) > before:
        return None  # what else belongs into it depends on the type
    section.only([*EVERY_TYPE, *OF_TYPE[kind]], elsewhere={**_homes(kind), WORKFLOW.name: "triggers on: glue"})
    section.get(ON)
    of = OF_TYPE[kind]
    predicate = _predicate(section, jobs) if PREDICATE in of else None
    actions = _actions(section, jobs)
    if predicate is not None:
        _refuse_watched_and_started(section, predicate, actions)
    elif given := next((one.job for one in actions if one.from_result), None):
        problem = f"{section.name}: the action {given!r} has from_result, and only a CONDITIONAL trigger has results"
        section.report.problem(section.place_of(ACTIONS), problem)
    return Trigger(
        name=name,
        type=kind,
        actions=actions,
        enabled=section.get(ENABLED),
        predicate=predicate,
        fires_for=section.get(FIRES_FOR) if FIRES_FOR in of else None,
        schedule=_schedule(section) if SCHEDULE in of else None,
        timezone=_timezone(section) if TIMEZONE in of else "UTC",
        missed=section.get(MISSED) if MISSED in of else Missed.ONCE,
        unless_datahub_schedules=section.get(UNLESS_DATAHUB) if UNLESS_DATAHUB in of else True,
        at_first_start=section.get(AT_FIRST_START) if AT_FIRST_START in of else False,
        objects=_objects(section) if S3 in of and not section.has(CATALOG) else None,
        catalog=_catalog(section) if section.has(CATALOG) and CATALOG in of else None,
        settle=section.get(SETTLE) if SETTLE in of else 0.0,
        max_objects=section.get(MAX_OBJECTS) if MAX_OBJECTS in of else 500,
        description=section.get(ABOUT),
    )


def _actions(section: Section, jobs: Mapping[JobName, Job]) -> tuple[Action, ...]:
    nodes = section.items(ACTIONS)
    if not nodes and not section.filled(ACTIONS):
        section.report.problem(section.place_of(ACTIONS), f"{section.name}: expected at least one job in 'actions'")
    if len(nodes) > _MOST_ACTIONS:
        section.report.problem(
            section.place_of(ACTIONS), f"{section.name}: a trigger starts at most {_MOST_ACTIONS} jobs"
        )
    actions: dict[JobName, Action] = {}
    for index, node in enumerate(nodes):
        action = _action(section, node, index, jobs)
        if action is None:
            continue
        if action.job in actions:
            section.report.problem(node.place, f"{section.name}: the job {action.job!r} stands twice in 'actions'")
        actions[action.job] = action
    return tuple(actions.values())


def _action(section: Section, node: Node, index: int, jobs: Mapping[JobName, Job]) -> Action | None:
    name = section.path(f"actions[{index}]")
    if isinstance(node, Text) and not node.null and not node.broken:
        section.report.note(f"{name}.job", node.text, source(node))
        return Action(job=known_job(section, node.text, node.place, jobs))
    if not isinstance(node, Table):
        section.report.unexpected(node, name, "a job's name or {job, arguments, timeout}")
        return None
    action = Section(node, name, section.report)
    action.only(ACTION)
    job = _job_of(action, jobs)
    if job is None:
        return None
    return Action(
        job=job,
        arguments=read_arguments(action),
        timeout=action.get(ACTION_TIMEOUT),
        from_result=read_named(action, FROM_RESULT, TEXT),
    )


def _job_of(section: Section, jobs: Mapping[JobName, Job]) -> JobName | None:
    name = section.required(JOB)
    return known_job(section, name, section.place_of(JOB), jobs) if name else None


def known_job(section: Section, name: str, place: Place, jobs: Mapping[JobName, Job]) -> JobName:
    """The name, noted as a problem when no job has it."""
    if JobName(name) not in jobs:
        hint = did_you_mean(name, jobs) or ("" if jobs else "; no jobs are declared")
        section.report.problem(place, f"{section.name}: there is no job {name!r}{hint}")
    return JobName(name)


def _predicate(section: Section, jobs: Mapping[JobName, Job]) -> Predicate | None:
    predicate = section.section(PREDICATE)
    if predicate is None:
        if not section.filled(PREDICATE):
            section.report.problem(
                section.place_of(PREDICATE), f"{section.name}: a CONDITIONAL trigger needs a predicate"
            )
        return None
    predicate.only(PREDICATE_KEYS)
    conditions: dict[JobName, Condition] = {}
    nodes = predicate.items(CONDITIONS)
    if not nodes and not predicate.filled(CONDITIONS):
        predicate.report.problem(predicate.place, f"{predicate.name}: expected at least one condition")
    for index, node in enumerate(nodes):
        condition = _condition(predicate, node, index, jobs)
        if condition is None:
            continue
        if condition.job in conditions:
            predicate.report.problem(
                node.place, f"{predicate.name}: a job is watched for one state, {condition.job!r} stands here twice"
            )
        conditions[condition.job] = condition
    return Predicate(conditions=tuple(conditions.values()), logical=predicate.get(LOGICAL))


def _condition(predicate: Section, node: Node, index: int, jobs: Mapping[JobName, Job]) -> Condition | None:
    name = predicate.path(f"conditions[{index}]")
    if not isinstance(node, Table):
        predicate.report.unexpected(node, name, "{job, state}")
        return None
    section = Section(node, name, predicate.report)
    section.only(CONDITION)
    job, state = _job_of(section, jobs), section.required(STATE)
    return Condition(job=job, state=state) if job and state else None


def _refuse_watched_and_started(section: Section, predicate: Predicate, actions: Sequence[Action]) -> None:
    for job in {condition.job for condition in predicate.conditions} & {action.job for action in actions}:
        section.report.problem(
            section.place_of(ACTIONS), f"{section.name}: the job {job!r} is both watched and started by this trigger"
        )


def _objects(section: Section) -> ObjectFilter | None:
    objects = section.section(S3)
    if objects is None:
        if not section.filled(S3):
            problem = f"{section.name}: an EVENT trigger needs s3 with a bucket, or a catalog"
            section.report.problem(section.place_of(S3), problem)
        return None
    objects.only(OBJECTS)
    for key in (EVERY, AT_FIRST_START):
        if section.has(key):
            section.report.problem(section.place_of(key), f"{section.name}: {key.name} is for triggers with a catalog")
    return ObjectFilter(
        bucket=objects.required(BUCKET) or "",
        prefix=objects.get(PREFIX),
        suffix=objects.texts(SUFFIX, TEXT, alone=True),
        events=tuple(one.removeprefix("s3:") for one in objects.texts(EVENTS, _EVENT, ObjectFilter(bucket="").events)),
    )


def _catalog(section: Section) -> CatalogWatch | None:
    if section.has(S3):
        problem = f"{section.name}: an EVENT trigger has s3 or a catalog, not both"
        section.report.problem(section.place_of(CATALOG), problem)
    return read_catalog(section)


def _schedule(section: Section) -> str | None:
    # The flow knows nothing of settings; this is the one thing settings ask of it, when there is a schedule.
    from headgate.flow.cron import parse  # noqa: PLC0415 - a file without a schedule needs no calendar

    text = section.required(SCHEDULE)
    if text is None:
        return None
    try:
        parse(text)
    except Invalid as error:
        section.report.problem(section.place_of(SCHEDULE), f"{section.name}: {error}")
    return text


def _timezone(section: Section) -> str:
    name = section.get(TIMEZONE)
    if name != "UTC" and name not in (known := zoneinfo.available_timezones()):
        hint = did_you_mean(name, known) or "; expected a name such as Europe/Berlin"
        section.report.problem(section.place_of(TIMEZONE), f"{section.name}: there is no time zone {name!r}{hint}")
        return "UTC"
    return name


def _homes(kind: TriggerType) -> dict[str, str]:
    """Keys of other types of trigger, and whose they are."""
    return {key.name: f"{other} triggers" for other, keys in OF_TYPE.items() if other is not kind for key in keys}
