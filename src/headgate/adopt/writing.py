"""This file is where what is on AWS Glue is written down as a headgate.yaml whose plan is then empty.

What the file has no words for is said in comments beside it: it stays on Glue as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import yaml

from headgate.adopt.compare import Seen, seen_job, seen_trigger
from headgate.adopt.far import Far, Pause
from headgate.adopt.words import Members
from headgate.aws import Clients
from headgate.errors import NotFound
from headgate.model import WATCHABLE
from headgate.settings.glue import LONGEST
from headgate.settings.reading import shown_as
from headgate.settings.record import MASK, AwsPlace
from headgate.settings.service_model import shapes
from headgate.variables import escape

_WIDE: Final = 110
#: Members that the job's own keys say.
_OF_KEYS: Final = ("Description", "DefaultArguments", "Timeout", "ExecutionProperty", "JobRunQueuingEnabled")
#: What goes without saying.
_USUAL: Final = (("MaxRetries", 0),)
_TYPES: Final = ("ON_DEMAND", "SCHEDULED", "CONDITIONAL")
#: What is said beside each value that should not be seen.
DOUBTFUL: Final = "may be a secret"
_HEAD: Final = """\
# Jobs and triggers of AWS Glue, as they are there: written by `headgate import glue`.
# `headgate plan` shows what differs; `headgate apply` makes Glue what this file says.
"""


@dataclass(slots=True)
class _Entry:
    """One job or trigger as it is written: its keys, or none where it cannot be; and what is to be said beside it."""

    name: str
    keys: dict[str, Any] | None
    comments: list[str] = field(default_factory=list[str])
    jobs: list[str] = field(default_factory=list[str])  #: that it names


def written(clients: Clients, wanted: Sequence[str], *, region: str = "", pause: Pause | None = None) -> str:
    """The text of a headgate.yaml with the jobs and triggers of these names; with none given, with all there are.

    Raises:
        NotFound: nothing there has one of the names. Unavailable: AWS cannot be asked.
    """
    place = AwsPlace(region=region)
    far = Far(clients, place) if pause is None else Far(clients, place, pause=pause)
    jobs = far.every("get_jobs", "Jobs", 200, "looking at the jobs there (glue:GetJobs)")
    triggers = far.every("get_triggers", "Triggers", 200, "looking at the triggers there (glue:GetTriggers)")
    return document(jobs, triggers, wanted, region=region)


def document(
    shown_jobs: Iterable[Members], shown_triggers: Iterable[Members], wanted: Sequence[str] = (), *, region: str = ""
) -> str:
    """The text for jobs and triggers as Glue shows them. Raises NotFound."""
    known = list(shapes("glue")["JobUpdate"]["members"])
    jobs = {str(one["Name"]): seen_job(one, known) for one in shown_jobs}
    triggers = {str(one["Name"]): one for one in shown_triggers}
    for name in wanted:
        if name not in jobs and name not in triggers:
            raise NotFound("job or trigger on Glue", name, "without names everything that is there is written")
    picked_jobs = [jobs[name] for name in sorted(jobs) if not wanted or name in wanted]
    picked = [triggers[name] for name in sorted(triggers) if not wanted or name in wanted]
    return _document([_job(one) for one in picked_jobs], [_trigger(one) for one in picked], region)


def _document(jobs: Sequence[_Entry], triggers: Sequence[_Entry], region: str) -> str:
    have = {one.name for one in jobs}
    named = sorted({job for one in triggers if one.keys is not None for job in one.jobs} - have)
    others = [
        _Entry(name, {"engine": "glue", "job_name": escape(name)}, ["named by a trigger, and left as it is on Glue"])
        for name in named
    ]
    for one in [*jobs, *others]:
        if one.keys is not None and region:
            one.keys = {**one.keys, "region": region}
    parts = [_HEAD] if jobs or triggers else [_HEAD, "# There are none.\n"]
    for title, entries in (("jobs", [*jobs, *others]), ("triggers", triggers)):
        if entries:
            empty = " {}" if all(one.keys is None for one in entries) else ""
            parts += [f"{title}:{empty}\n", *(_text(one) for one in entries)]
    return "".join(parts)


def _text(entry: _Entry) -> str:
    lines = [f"  # {line}\n" for comment in entry.comments for line in comment.splitlines()]
    if entry.keys is not None:
        text = yaml.safe_dump(
            {escape(entry.name): entry.keys}, sort_keys=False, allow_unicode=True, width=_WIDE, default_flow_style=False
        )
        lines += [f"  {line}\n" if line else "\n" for line in text.splitlines()]
    return "".join(lines)


def _job(seen: Seen) -> _Entry:
    """Glue's own retries and queue stay as they are there; what can be said by keys of a job's own, is."""
    members, entry = dict(seen.members), _Entry(seen.name, None)
    queueing = bool(members.get("JobRunQueuingEnabled"))
    keys: dict[str, Any] = {"engine": "glue", "job_name": escape(seen.name), "queueing": queueing}
    runs = members.get("ExecutionProperty", {}).get("MaxConcurrentRuns", 1)
    keys["max_concurrent_runs"] = runs
    minutes = members.get("Timeout")
    keys["timeout"] = f"{minutes}m" if minutes and minutes <= LONGEST else "none"
    if members.get("Description"):
        keys["description"] = escape(members["Description"])
    arguments: Members = members.get("DefaultArguments", {})
    if all(name.startswith("--") and len(name) > 2 for name in arguments):
        if arguments:
            keys["arguments"] = _escaped(arguments)
        entry.comments += [
            f"{name} {DOUBTFUL}: write ${{A_VARIABLE}} in its place and set that where headgate runs"
            for name, value in arguments.items()
            if shown_as(name, value) == MASK
        ]
    else:
        entry.comments.append("DefaultArguments stay as they are on Glue: not all of their names begin with --")
    definition = {
        name: _escaped(value) for name, value in members.items() if name not in _OF_KEYS and (name, value) not in _USUAL
    }
    if "AuthToken" in definition.get("SourceControlDetails", {}):
        del definition["SourceControlDetails"]["AuthToken"]
        entry.comments.append("SourceControlDetails.AuthToken is a secret, stays on Glue and is not written here")
    keys["definition"] = definition
    missing = [name for name in ("Role", "Command") if name not in definition]
    if missing:
        keys = {"engine": "glue", "job_name": escape(seen.name)}
        entry.comments.append(f"Glue shows no {' and no '.join(missing)} of it: it is named here, and never changed")
    elif queueing and members.get("MaxRetries"):
        del definition["MaxRetries"]  # Glue does not take both; what it shows was said before the queue was
    entry.keys = keys
    return entry


def _trigger(shown: Members) -> _Entry:
    seen, name = seen_trigger(shown), str(shown["Name"])
    entry = _Entry(name, None)
    why = _inexpressible(seen)
    if why:
        entry.comments.append(f"the trigger {name!r} is left out: {why}")
        return entry
    keys: dict[str, Any] = {"type": seen.type, "on": "glue"}
    if seen.workflow:
        keys["workflow"] = escape(seen.workflow)
    if seen.type != "ON_DEMAND":
        keys["enabled"] = seen.on
    if seen.members.get("Description"):
        keys["description"] = escape(seen.members["Description"])
    if seen.members.get("Schedule"):
        keys["schedule"] = seen.members["Schedule"]
    predicate: Members = seen.members.get("Predicate", {})
    if predicate:
        conditions = [{"job": escape(one["JobName"]), "state": one["State"]} for one in predicate["Conditions"]]
        logical = predicate.get("Logical", "AND")
        keys["predicate"] = {**({"logical": logical} if len(conditions) > 1 else {}), "conditions": conditions}
        entry.jobs += [one["JobName"] for one in predicate["Conditions"]]
    actions: list[Any] = []
    for one in seen.members["Actions"]:
        actions.append(_action(one))
        entry.jobs.append(one["JobName"])
        others = [key for key in ("SecurityConfiguration", "NotificationProperty") if one.get(key)]
        if others:
            entry.comments.append(f"{' and '.join(others)} of the action {one['JobName']} stay as they are on Glue")
    keys["actions"] = actions
    if seen.members.get("EventBatchingCondition"):
        entry.comments.append("EventBatchingCondition stays as it is on Glue")
    entry.keys = keys
    return entry


def _inexpressible(seen: Seen) -> str:
    """Why there are no words for the trigger here; "" where there are."""
    if seen.type not in _TYPES:
        return f"it is of type {seen.type}, and starts a workflow by events of AWS's own"
    actions: Sequence[Members] = seen.members.get("Actions", [])
    conditions: Sequence[Members] = seen.members.get("Predicate", {}).get("Conditions", [])
    if any("CrawlerName" in one for one in [*actions, *conditions]):
        return "it starts or watches a crawler, of which nothing is known here"
    if not actions or (seen.type == "CONDITIONAL" and not conditions):
        return "it starts or watches no job"
    names = [one["JobName"] for one in conditions]
    if len(set(names)) < len(names) or len({one["JobName"] for one in actions}) < len(actions):
        return "it names a job twice"
    if any(one.get("State") not in WATCHABLE for one in conditions) or any(
        not key.startswith("--") or len(key) == 2 for one in actions for key in one.get("Arguments", {})
    ):
        return "it watches for a state that cannot be waited for, or names of its arguments do not begin with --"
    return ""


def _action(one: Members) -> Any:
    keys: dict[str, Any] = {"job": escape(one["JobName"])}
    if one.get("Arguments"):
        keys["arguments"] = _escaped(one["Arguments"])
    if one.get("Timeout"):
        keys["timeout"] = f"{one['Timeout']}m"
    return keys if len(keys) > 1 else keys["job"]


def _escaped(value: Any) -> Any:
    """The value, so that a `${` in it means itself."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {escape(name): _escaped(one) for name, one in cast("Members", value).items()}
    if isinstance(value, Iterable):
        return [_escaped(one) for one in cast("Iterable[Any]", value)]
    return value
