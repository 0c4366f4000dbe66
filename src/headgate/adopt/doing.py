"""This file is where one difference is made on Glue. Each may be made again after a crash in its middle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.adopt.compare import Does, GlueChange
from headgate.adopt.far import Far
from headgate.adopt.words import JOB, WORKFLOW, Wanted

#: What everything bears that `apply` made: only that is ever deleted by it.
TAG: Final = "headgate:managed"
TAGS: Final[Mapping[str, str]] = {TAG: "true"}

_MAKES: Final = frozenset({Does.CREATE, Does.RESTORE})


def make(far: Far, change: GlueChange, wanted: Wanted | None) -> None:
    """Make it so. `wanted` is what the change is about; None for a deletion."""
    if change.kind == WORKFLOW:
        far.tell("create_workflow", {"Name": change.name, "Tags": dict(TAGS)}, _doing(change, "glue:CreateWorkflow"))
    elif change.kind == JOB:
        _job(far, change, wanted)
    else:
        _trigger(far, change, wanted)


def _doing(change: GlueChange, right: str) -> str:
    return f"{change.does} of the Glue {change.kind} {change.name!r} ({right})"


def _job(far: Far, change: GlueChange, wanted: Wanted | None) -> None:
    members = dict(change.after or {})
    if change.does in _MAKES and wanted is not None:
        asked = {"Name": change.name, **members, "Tags": {**wanted.tags, **TAGS}}
        far.tell("create_job", asked, _doing(change, "glue:CreateJob, iam:PassRole"))
    elif change.does is Does.UPDATE:
        asked = {"JobName": change.name, "JobUpdate": members}
        far.tell("update_job", asked, _doing(change, "glue:UpdateJob, iam:PassRole"))
    elif change.does is Does.DELETE:
        far.tell("delete_job", {"JobName": change.name}, _doing(change, "glue:DeleteJob"))


def _trigger(far: Far, change: GlueChange, wanted: Wanted | None) -> None:
    if change.does in (Does.DELETE, Does.REPLACE):
        doing = _doing(change, "glue:DeleteTrigger")
        far.tell("delete_trigger", {"Name": change.name}, doing)
        far.until(change.name, lambda state: not state, doing)
    if wanted is None:
        return
    if change.does in _MAKES or change.does is Does.REPLACE:
        _create_trigger(far, change, wanted)
    elif change.does is Does.UPDATE:
        _stop(far, change)
        asked = {"Name": change.name, "TriggerUpdate": dict(change.after or {})}
        far.tell("update_trigger", asked, _doing(change, "glue:UpdateTrigger"))
        if wanted.enabled:
            _start(far, change)
    elif change.does is Does.ENABLE:
        _start(far, change)
    elif change.does is Does.DISABLE:
        _stop(far, change)


def _create_trigger(far: Far, change: GlueChange, wanted: Wanted) -> None:
    asked: dict[str, Any] = {"Name": change.name, "Type": wanted.type, **wanted.members, "Tags": dict(TAGS)}
    if wanted.workflow is not None:
        asked["WorkflowName"] = wanted.workflow
    if wanted.enabled:
        asked["StartOnCreation"] = True
    far.tell("create_trigger", asked, _doing(change, "glue:CreateTrigger"))


def _start(far: Far, change: GlueChange) -> None:
    """Let it fire. Never called for ON_DEMAND ones, which would fire at once."""
    doing = _doing(change, "glue:StartTrigger")
    far.tell("start_trigger", {"Name": change.name}, doing)
    far.until(change.name, lambda state: state != "ACTIVATING", doing)


def _stop(far: Far, change: GlueChange) -> None:
    """Let it fire no more; runs that it started go on. One that does not fire is left as it is."""
    doing = _doing(change, "glue:StopTrigger")
    if far.until(change.name, lambda state: state not in _MOVING, doing) != "ACTIVATED":
        return
    far.tell("stop_trigger", {"Name": change.name}, doing)
    far.until(change.name, lambda state: state != "DEACTIVATING", doing)


#: States that a trigger leaves by itself.
_MOVING: Final = frozenset({"ACTIVATING", "DEACTIVATING", "CREATING", "UPDATING"})
