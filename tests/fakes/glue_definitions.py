"""This file is where Glue's jobs, triggers and workflows are played as AWS has them, with what the fake AWS does wrong.

Written from AWS's model and guide: an update overwrites a definition whole and fills in defaults, GetJob shows both
ways of saying a size, a trigger takes a while to change its state, and is not to be changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .aws import FakeAws

Answer = tuple[int, Any, Mapping[str, str]]
_CHANGING = ("Create", "Update", "Delete", "Start", "Stop")
_STATES = {"ACTIVATING": "ACTIVATED", "DEACTIVATING": "DEACTIVATED", "CREATING": "CREATED", "UPDATING": "CREATED"}


@dataclass(slots=True)
class FakeGlue(FakeAws):
    """The definitions. `slow`: how often a trigger is looked at before its state is the one it goes to."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    triggers: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    workflows: set[str] = field(default_factory=set[str])
    tags: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    slow: int = 0
    page: int = 100
    busy: dict[str, int] = field(default_factory=dict[str, int])  #: operation -> how often it meets another's change
    denied_from: int | None = None  #: of the calls that change something, the first that is denied
    refused: dict[str, str] = field(default_factory=dict[str, str])  #: operation -> the message it always gives
    looks: dict[str, int] = field(default_factory=dict[str, int])

    def forget(self) -> None:
        """Be as when it was new."""
        for those in (
            self.calls,
            self.jobs,
            self.triggers,
            self.workflows,
            self.tags,
            self.refused,
            self.busy,
            self._faults,
        ):
            those.clear()
        self.slow, self.page, self.denied_from = 0, 100, None

    def changes(self) -> list[str]:
        """The operations that were asked and change something, in their order."""
        return [one.operation for one in self.calls if not one.operation.startswith(("Get", "List"))]

    def _do(self, operation: str, body: dict[str, Any]) -> Answer:
        does = {
            "GetJobs": lambda: self._paged("Jobs", [_shown_job(*one) for one in sorted(self.jobs.items())], body),
            "GetTriggers": lambda: self._paged("Triggers", [self._look(name) for name in sorted(self.triggers)], body),
            "GetTrigger": lambda: self._get_trigger(body["Name"]),
            "ListWorkflows": lambda: self._paged("Workflows", sorted(self.workflows), body),
            "ListJobs": lambda: self._paged("JobNames", self._tagged("job", self.jobs, body), body),
            "ListTriggers": lambda: self._paged("TriggerNames", self._tagged("trigger", self.triggers, body), body),
            "CreateJob": lambda: self._create_job(body),
            "UpdateJob": lambda: self._update_job(body["JobName"], body["JobUpdate"]),
            "DeleteJob": lambda: self._delete(self.jobs, body["JobName"], {"JobName": body["JobName"]}),
            "CreateTrigger": lambda: self._create_trigger(body),
            "UpdateTrigger": lambda: self._update_trigger(body["Name"], body["TriggerUpdate"]),
            "DeleteTrigger": lambda: self._delete(self.triggers, body["Name"], {"Name": body["Name"]}),
            "StartTrigger": lambda: self._switch(body["Name"], "ACTIVATING"),
            "StopTrigger": lambda: self._switch(body["Name"], "DEACTIVATING"),
            "CreateWorkflow": lambda: self._create_workflow(body),
        }
        if self.busy.get(operation, 0) > 0:
            self.busy[operation] -= 1
            return _error("ConcurrentModificationException", "it is being changed")
        if self.denied_from is not None and len(self.changes()) > self.denied_from and operation.startswith(_CHANGING):
            return _error("AccessDeniedException", f"User is not authorized to perform: glue:{operation}")
        if operation in self.refused:
            return _error("InvalidInputException", self.refused[operation])
        with self._lock:
            return does[operation]() if operation in does else FakeAws._do(self, operation, body)

    def _paged(self, member: str, found: list[Any], body: Mapping[str, Any]) -> Answer:
        first = int(body.get("NextToken") or 0)
        last = first + min(self.page, int(body.get("MaxResults") or 100))
        return 200, {member: found[first:last], **({"NextToken": str(last)} if last < len(found) else {})}, {}

    def _tagged(self, kind: str, those: Mapping[str, Any], body: Mapping[str, Any]) -> list[str]:
        wanted = (body.get("Tags") or {}).items()
        return [name for name in sorted(those) if wanted <= self.tags.get(f"{kind}/{name}", {}).items()]

    def _create_job(self, body: dict[str, Any]) -> Answer:
        name, tags = body.pop("Name"), body.pop("Tags", {})
        if name in self.jobs:
            if self.jobs[name] == body:
                return 200, {"Name": name}, {}
            return _error("AlreadyExistsException", f"Job {name} already exists")
        self.jobs[name], self.tags[f"job/{name}"] = body, tags
        return 200, {"Name": name}, {}

    def _update_job(self, name: str, update: dict[str, Any]) -> Answer:
        if name not in self.jobs:
            return _error("EntityNotFoundException", f"Job {name} not found")
        if "MaxCapacity" in update and ("WorkerType" in update or "AllocatedCapacity" in update):
            return _error("InvalidInputException", "Please do not set Max Capacity if using Worker Type")
        if update.get("JobRunQueuingEnabled") and update.get("MaxRetries"):
            return _error("InvalidInputException", "Job run queuing is not allowed with retries")
        self.jobs[name] = update
        return 200, {"JobName": name}, {}

    def _create_trigger(self, body: dict[str, Any]) -> Answer:
        name, tags, start = body["Name"], body.pop("Tags", {}), body.pop("StartOnCreation", False)
        if name in self.triggers:
            return _error("AlreadyExistsException", f"Trigger {name} already exists")
        for action in body["Actions"]:
            if action["JobName"] not in self.jobs:
                return _error("EntityNotFoundException", f"Job {action['JobName']} not found")
        if body.get("WorkflowName", "") not in {*self.workflows, ""}:
            return _error("EntityNotFoundException", "Workflow not found")
        if start and body["Type"] == "ON_DEMAND":
            return _error("InvalidInputException", "StartOnCreation is not supported for ON_DEMAND triggers")
        self.triggers[name] = {**body, "State": "CREATED"}
        self.tags[f"trigger/{name}"] = tags
        self._move(name, "ACTIVATING" if start else "CREATING")
        return 200, {"Name": name}, {}

    def _update_trigger(self, name: str, update: dict[str, Any]) -> Answer:
        found = self.triggers.get(name)
        if found is None:
            return _error("EntityNotFoundException", f"Trigger {name} not found")
        if found["State"] in (*_STATES, "ACTIVATED"):
            return _error("InvalidInputException", f"Trigger {name} is {found['State']}")
        kept = {key: found[key] for key in ("Name", "Type", "WorkflowName", "State") if key in found}
        self.triggers[name] = {**kept, **update}
        return 200, {"Trigger": self._look(name)}, {}

    def _switch(self, name: str, state: str) -> Answer:
        found = self.triggers.get(name)
        if found is None:
            return _error("EntityNotFoundException", f"Trigger {name} not found")
        if found["Type"] == "ON_DEMAND":
            return _error("InvalidInputException", "it would fire")
        if found["State"] in _STATES:
            return _error("ConcurrentModificationException", f"Trigger {name} is being changed")
        self._move(name, state)
        return 200, {"Name": name}, {}

    def _move(self, name: str, state: str) -> None:
        self.triggers[name]["State"] = state if self.slow else _STATES[state]
        self.looks[name] = self.slow

    def _look(self, name: str) -> dict[str, Any]:
        found = self.triggers[name]
        if found["State"] in _STATES:
            self.looks[name] -= 1
            if self.looks[name] <= 0:
                found["State"] = _STATES[found["State"]]
        return {key: value for key, value in found.items() if key != "Tags"}

    def _get_trigger(self, name: str) -> Answer:
        if name not in self.triggers:
            return _error("EntityNotFoundException", f"Trigger {name} not found")
        return 200, {"Trigger": self._look(name)}, {}

    def _create_workflow(self, body: dict[str, Any]) -> Answer:
        self.workflows.add(body["Name"])
        return 200, {"Name": body["Name"]}, {}

    @staticmethod
    def _delete(those: dict[str, Any], name: str, answer: Any) -> Answer:
        those.pop(name, None)
        return 200, answer, {}


def _shown_job(name: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """With its defaults, and its size said in every way there is."""
    shown = {"MaxRetries": 0, "Timeout": 480, "ExecutionProperty": {"MaxConcurrentRuns": 1}, **members}
    size = float(members.get("NumberOfWorkers") or members.get("MaxCapacity") or 10)
    return {**shown, "Name": name, "MaxCapacity": size, "AllocatedCapacity": int(size), "CreatedOn": 1.0}


def _error(code: str, message: str) -> Answer:
    return 400, {"__type": code, "Message": message}, {}
