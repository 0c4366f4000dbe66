"""This file is where an order becomes an execution of a state machine, found again by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from headgate.aws import Begun, Clients, Fault, FaultKind, Follower, Looked, RunFiles, payload_of, payload_text, refuse
from headgate.aws.clients import Place, place_of
from headgate.engines.step_functions.names import (
    console_link,
    execution_arn,
    execution_name,
    read_machine,
)
from headgate.engines.step_functions.seen import read_execution
from headgate.errors import EngineRefused, EngineUnavailable
from headgate.model import RunState
from headgate.ports import Ending, Order, Watcher

_LARGEST_INPUT: Final = 262_144  #: bytes
_CAUSE: Final = "stopped through Headgate"


class StepFunctionsEngine:
    """Runs as executions of AWS Step Functions; how a start is found again is in the package's docstring."""

    name = "step_functions"
    threads = 8
    here_only = False

    def __init__(
        self,
        home: Path,
        watcher: Watcher,
        *,
        clients: Clients | None = None,
        quickest: float = 1.0,
        patience: float = 30.0,
    ) -> None:
        """Nothing is loaded or started before the first run.

        Args:
            home: HEADGATE_HOME; a run's log is below its `logs` folder.
            watcher: who is told.
            clients: shared with the other AWS engines.
            quickest: seconds between looks at a young execution.
            patience: seconds after which an execution that was started and is not shown counts as lost.
        """
        self._clients = clients or Clients()
        self._files = RunFiles(home)
        self._watcher = watcher
        far = _Executions(self._clients)
        # DescribeExecution: a bucket of 250, refilled with 10 a second (300 and 15 in the large regions)
        self._follower = Follower(
            "step_functions", watcher, self._files, far, quickest=quickest, patience=patience, rate=8.0, burst=50.0
        )

    @property
    def problem(self) -> str | None:
        """Why executions cannot be looked at now; None: they can."""
        return self._follower.problem

    def start(self, order: Order) -> str:
        arn = machine_of(order)
        what = f"job {order.job.name!r}: starting an execution of {arn}"
        text = payload_text(payload_of(order), most=_LARGEST_INPUT, what="an execution of Step Functions")
        return self._follower.start(order, lambda: self._begin(order, arn, text, what))

    def stop(self, order: Order, *, grace: float) -> None:  # noqa: ARG002 - Step Functions knows no grace
        if ":express:" in (order.run.external_id or ""):
            return
        self._follower.stop(order)

    def adopt(self, order: Order) -> None:
        if ":express:" in (order.run.external_id or self._files.noted(order.attempt_id)):
            self._watcher.ended(order.attempt_id, _dispatched(datetime.now(UTC)))
        else:
            self._follower.adopt(order)

    def close(self) -> None:
        self._follower.close()

    def noticed(self, execution: str, detail: Mapping[str, Any]) -> bool:
        """Take in an EventBridge event, `Step Functions Execution Status Change`; False: nobody here follows that.

        Args:
            execution: the execution's ARN.
            detail: the event's `detail`. Where it says too little (an output that was left out), the execution is
                looked at at once.
        """
        about: Any = detail.get("outputDetails")
        left_out = isinstance(about, dict) and cast("dict[str, Any]", about).get("included") is False
        enough = isinstance(detail.get("status"), str) and not left_out
        return self._follower.noticed(execution, read_execution(detail) if enough else None)

    def _begin(self, order: Order, arn: str, text: str, what: str) -> Begun:
        noted = self._files.noted(order.attempt_id)
        if ":express:" in noted:  # nothing there tells a second start from the first: our own note does
            return Begun(noted, datetime.now(UTC), found=True, ending=_dispatched(datetime.now(UTC)))
        place = place_of(order.job.target, region=read_machine(arn).region, attempt_id=order.attempt_id)
        before = self._files.in_doubt(order.attempt_id) is not None
        if not before:  # so that a stop after a kill knows that it may be there
            self._files.doubt(order.attempt_id, durable=False)
        answer = self._clients.call(
            place, "stepfunctions", "start_execution",
            {"stateMachineArn": arn, "name": execution_name(order.attempt_id), "input": text}, doing=what,
        )  # fmt: skip
        if isinstance(answer, Fault):
            if answer.kind is FaultKind.EXISTS:
                return self._adopted(order, arn, place, text)
            if not (before or answer.maybe_done):
                self._files.no_doubt(order.attempt_id)
            refuse(answer)
        handle = str(answer["executionArn"])
        self._files.note(order.attempt_id, handle)
        self._files.say(order.attempt_id, f"see {console_link(handle)}")
        ending = _dispatched(answer["startDate"]) if ":express:" in handle else None
        return Begun(handle, answer["startDate"], ending=ending)

    def _adopted(self, order: Order, arn: str, place: Place, text: str) -> Begun:
        """There is an execution of that name: ours, if its input says so."""
        handle = execution_arn(arn, order.attempt_id)
        said = self._clients.call(
            place, "stepfunctions", "describe_execution", {"executionArn": handle}, attempts=2,
            doing=f"job {order.job.name!r}: looking at the execution {handle}, which exists already",
        )  # fmt: skip
        if isinstance(said, Fault):
            if said.kind is FaultKind.MISSING:  # what DescribeExecution shows lags behind
                raise EngineUnavailable(f"{said}; it was started and is not shown yet")
            if said.kind is FaultKind.DENIED:  # its name is ours alone: it runs, and looking at it says what is missing
                return Begun(handle, datetime.now(UTC), found=True)
            refuse(said)
        if not _same_run(said.get("input"), text):
            self._files.no_doubt(order.attempt_id)
            raise EngineRefused(
                f"job {order.job.name!r}: there is an execution {handle} with the input of another run; "
                "it was not started by this Headgate"
            )
        return Begun(handle, said["startDate"], found=True)


class _Executions:
    """The far side, as the follower asks it."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def find(self, order: Order) -> str | Fault | None:
        try:
            return execution_arn(machine_of(order), order.attempt_id)
        except EngineRefused:  # the job was deleted or changed meanwhile
            return None

    def where(self, order: Order) -> str:
        target = order.job.target
        arn = str(target.get("state_machine_arn") or order.run.external_id or "")
        return f"{arn.split(':')[3] if arn.count(':') > 3 else ''} {target.get('role_arn') or ''}"

    def look(self, order: Order, handle: str) -> Looked | Fault:
        said = self._clients.call(
            self._seen_from(order, handle), "stepfunctions", "describe_execution",
            {"executionArn": handle}, doing=f"looking at the execution {handle}",
        )  # fmt: skip
        return said if isinstance(said, Fault) else read_execution(said)

    def stop(self, order: Order, handle: str) -> Fault | None:
        said = self._clients.call(
            self._seen_from(order, handle, by_name=True), "stepfunctions", "stop_execution",
            {"executionArn": handle, "error": "Headgate.Stopped", "cause": _CAUSE},
            doing=f"stopping the execution {handle}", attempts=2,
        )  # fmt: skip
        return said if isinstance(said, Fault) else None

    def follow(self, order: Order, handle: str, seen: Looked) -> None:
        """An execution has no log of its own."""

    @staticmethod
    def _seen_from(order: Order, handle: str, *, by_name: bool = False) -> Place:
        """The execution's own region, also when its job was changed or deleted meanwhile. Looks share one session."""
        attempt = order.attempt_id if by_name else ""
        return place_of(order.job.target, region=handle.split(":")[3], attempt_id=attempt)


def machine_of(order: Order) -> str:
    """Raises EngineRefused: the job names no state machine."""
    arn = order.job.target.get("state_machine_arn")
    if not isinstance(arn, str) or not arn:
        raise EngineRefused(f"job {order.job.name!r} cannot start: it names no state_machine_arn")
    read_machine(arn)
    return arn


def _dispatched(at: datetime) -> Ending:
    """Nothing can be asked about an EXPRESS execution: that it was accepted is all that is known."""
    return Ending(state=RunState.SUCCEEDED, at=at.astimezone(UTC), detail="dispatched")


def _same_run(theirs: object, ours: str) -> bool:
    """Whether an execution's input is that of our attempt. Where it is not shown, the name must do."""
    if not isinstance(theirs, str) or not theirs:
        return True
    try:
        found: Any = json.loads(theirs)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("attemptId") == json.loads(ours)["attemptId"]
