"""This file is where `jobs:` is read: the policy every job has, and its engine's target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headgate.model import Backoff, Job, JobName
from headgate.settings.arguments import ARGUMENTS, read_arguments
from headgate.settings.engines import ENGINES, read_target
from headgate.settings.kinds import BOOLEAN, DESCRIPTION, GROWTH, POSITIVE_DURATION, TIMEOUT, one_of, whole
from headgate.settings.notify import NOTIFY, read_notifications
from headgate.settings.reading import Key, Named, Part, Section, did_you_mean
from headgate.settings.record import Notification

JOBS: Final = Part(
    name="jobs", expected="a mapping of names to jobs", description="The declared jobs, each under its name."
)
ENGINE: Final = Key(
    name="engine", kind=one_of(*ENGINES), default="", shown="required", description="Where runs of the job happen."
)
MAX_CONCURRENT_RUNS: Final = Key(
    name="max_concurrent_runs",
    kind=whole(1),
    default=1,
    description="How many runs of the job may be under way at a time; further ones wait in order.",
)
QUEUE: Final = Key(
    name="queue",
    kind=BOOLEAN,
    default=True,
    shown="true",
    description="Whether, at the limit, a run waits for its turn (true) or is refused (false).",
)
MAX_RETRIES: Final = Key(
    name="max_retries",
    kind=whole(0, 10),
    default=0,
    description="How often a failed run is tried again. A timeout or a stop is never retried.",
)
RETRY: Final = Part(
    name="retry",
    expected="a mapping of base, factor and cap",
    description="The wait before retry n: base * factor^n, at most cap; a random part of up to half is left out.",
)
BASE: Final = Key(
    name="base", kind=POSITIVE_DURATION, default=1.0, shown="1s", description="The wait before the first retry."
)
FACTOR: Final = Key(
    name="factor", kind=GROWTH, default=2.0, shown="2", description="What the wait grows by from retry to retry."
)
CAP: Final = Key(name="cap", kind=POSITIVE_DURATION, default=300.0, shown="5m", description="The longest wait.")
TIME_LIMIT: Final = Key(
    name="timeout",
    kind=TIMEOUT,
    default=28_800.0,
    shown="8h",
    description="After this long a run is ended with state TIMEOUT; none is no limit.",
)
ABOUT: Final = Key(
    name="description", kind=DESCRIPTION, default="", description="What it is for, shown wherever it is listed."
)

POLICY: Final[Sequence[Named]] = (
    ENGINE,
    ARGUMENTS,
    MAX_CONCURRENT_RUNS,
    QUEUE,
    MAX_RETRIES,
    RETRY,
    TIME_LIMIT,
    NOTIFY,
    ABOUT,
)
BACKOFF: Final[Sequence[Named]] = (BASE, FACTOR, CAP)


def read_jobs(top: Section) -> tuple[dict[JobName, Job], list[Notification]]:
    """Read `jobs:`. A job with a problem is still given back, so that what names it is not called wrong as well."""
    jobs: dict[JobName, Job] = {}
    told: list[Notification] = []
    for name, section in top.sections(JOBS).items():
        notifications = read_notifications(section, JobName(name))
        jobs[JobName(name)] = _job(JobName(name), section, notifications)
        told.extend(notifications)
    return jobs, told


def _job(name: JobName, section: Section, notifications: Sequence[Notification]) -> Job:
    engine = section.get(ENGINE)
    if not section.has(ENGINE):
        hint = did_you_mean("engine", section.node.keys)
        choices = ", ".join(ENGINES)
        section.report.problem(section.place, f"{section.name}: expected the key 'engine', one of {choices}{hint}")
    keys = ENGINES.get(engine)
    if keys is not None:
        section.only([*POLICY, *keys.keys], elsewhere=_homes(engine))
    return Job(
        name=name,
        engine=engine,
        target=read_target(keys, engine, section) if keys is not None else {},
        arguments=read_arguments(section),
        max_concurrent_runs=section.get(MAX_CONCURRENT_RUNS),
        queue=section.get(QUEUE),
        max_retries=section.get(MAX_RETRIES),
        backoff=_backoff(section.section_or_empty(RETRY)),
        timeout=section.get(TIME_LIMIT),
        # The addresses hold secrets and the job is kept in the ledger: it names its notifications, and no more.
        notify=tuple({"name": one.name, "on": list(one.on)} for one in notifications),
        description=section.get(ABOUT),
    )


def _backoff(section: Section) -> Backoff:
    section.only(BACKOFF)
    backoff = Backoff(base=section.get(BASE), factor=section.get(FACTOR), cap=section.get(CAP))
    if backoff.base > backoff.cap:
        section.report.problem(section.place, f"{section.name}: base is longer than cap, {backoff.cap:g} s")
    return backoff


def _homes(engine: str) -> dict[str, str]:
    """Target keys of other engines, and whose they are."""
    others = [(name, keys) for name, keys in ENGINES.items() if name != engine]
    return {key.name: f"engine {name}" for name, keys in reversed(others) for key in keys.keys}
