"""This file is where a clicker is told of a run: how far it is, by which id, and nothing that names AWS."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Final

from headgate.model import Job, Run, RunState

_ARN: Final = re.compile(r"arn:aws[a-z0-9-]*:[^\s'\"`),;\]}]*[^\s'\"`),;\]}:.]")
#: Hosts of AWS, which tell its services, regions and load balancers; and the ids of access keys.
_HOST: Final = re.compile(r"(?<![\w.-])(?:[\w-]+\.)+amazonaws\.com(?:\.cn)?(?![\w-])", re.IGNORECASE)
_KEY_ID: Final = re.compile(r"(?<![0-9A-Za-z])A(?:KIA|SIA)[0-9A-Z]{16}(?![0-9A-Za-z])")
#: Names of jobs that are made of a target, see _OF_A_TARGET.
_IMPLICIT: Final = re.compile(r"(?<![\w-])(?:lambda|state-machine):[^\s'\"`),;\]}]+")
_ACCOUNT: Final = re.compile(r"(?<![0-9A-Za-z])[0-9]{12}(?![0-9A-Za-z])")
_NAMING: Final = re.compile(r"arn|function|name|machine|role|bucket|job|queue|topic|external_id")
_GENERIC: Final = frozenset({"function", "stateMachine", "execution", "role", "assumed-role", "job", "service-role"})
HIDDEN: Final = "[hidden]"
#: Engines whose own id of a run is what a click is answered with (the seeds: execution ARN, Lambda request id).
NAMED_BY_ENGINE: Final = frozenset({"step_functions", "lambda", "glue"})
#: What the dispatcher notes on a run that its engine never took.
_NEVER_TAKEN: Final = frozenset({"refused", "engine error"})
#: Jobs that are made of a rule's target bear its name, see flow.targets.implicit_job.
_OF_A_TARGET: Final = {"lambda:": "an AWS Lambda function", "state-machine:": "an AWS Step Functions state machine"}
LONGEST: Final = 500  #: characters of an error that are told


class Stage(StrEnum):
    """How far a clicked run is, as its clicker is told."""

    ACCEPTED = "accepted"  #: the engine has it, or had it
    PENDING = "pending"
    REFUSED = "refused"  #: it will never start


def stage(run: Run) -> Stage:
    if run.state in (RunState.WAITING, RunState.STARTING):
        return Stage.PENDING
    if run.external_id is not None or run.attempt:
        return Stage.ACCEPTED
    if run.state is RunState.STOPPING:
        return Stage.PENDING  # somebody stops it; whether it ever began shows when it has ended
    never = run.detail in _NEVER_TAKEN or run.state in (RunState.ERROR, RunState.EXPIRED, RunState.STOPPED)
    return Stage.REFUSED if never else Stage.ACCEPTED


def run_id(run: Run, *, opaque: bool) -> str:
    """The id a clicker is given: the engine's own where it is one people know, else ours."""
    if not opaque and run.engine in NAMED_BY_ENGINE and run.external_id:
        return run.external_id
    return run.id


def message(run: Run) -> str:
    """What to say of the run, in a sentence; "" when there is nothing to add. May hold names of AWS: see `conceal`."""
    match run.state:
        case RunState.WAITING:
            said = _waiting(run)
        case RunState.STARTING:
            said = "recorded; its engine has not answered yet"
        case RunState.SUCCEEDED if run.detail == "dispatched":
            said = "handed over; whether it succeeds is not told to us"
        case RunState.STOPPED:
            said = "it was stopped" if run.external_id else "it was stopped before it started"
        case RunState.STOPPING if stage(run) is Stage.PENDING:
            said = "recorded; it is being stopped"
        case RunState.RUNNING | RunState.STOPPING | RunState.SUCCEEDED:
            said = ""
        case _:
            said = run.error or run.detail or f"it ended {run.state.value}"
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def _waiting(run: Run) -> str:
    if run.detail in ("", "queued", "settling"):
        return "recorded; it waits for its turn"
    if run.detail.startswith("retry"):
        return "recorded; an attempt failed and it is tried again" + (f": {run.error}" if run.error else "")
    return f"recorded; it waits: {run.detail}"


def public_name(job: str) -> str:
    """The job's name, or what it is where the name would tell a function or a state machine."""
    return next((words for prefix, words in _OF_A_TARGET.items() if job.startswith(prefix)), job)


def aws_names(jobs: Iterable[Job]) -> frozenset[str]:
    """The names of AWS in the jobs' targets: ARNs, their last parts, functions, state machines, roles.

    Not a job's own name: whoever declared a job by its target's name has told it.
    """
    found: set[str] = set()
    for job in jobs:
        if job.engine not in NAMED_BY_ENGINE:
            continue
        for key, value in job.target.items():
            if isinstance(value, str) and _NAMING.search(key):
                found.add(value)
                if value.startswith("arn:"):
                    found.update(re.split(r"[:/]", value)[5:])
        found.discard(job.name)
    return frozenset(one for one in found if len(one) > 3 and one not in _GENERIC)


def conceal(text: str, names: Collection[str]) -> str:
    """The text without these names, any ARN, account, key id or host of AWS, and any job's name made of a target's."""
    for pattern in (_ARN, _IMPLICIT, _HOST, _KEY_ID):
        text = pattern.sub(HIDDEN, text)
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<![0-9A-Za-z_-]){re.escape(name)}(?![0-9A-Za-z_-])", HIDDEN, text)
    return _ACCOUNT.sub(HIDDEN, text)
