"""This file is where an order becomes a run of a Glue job, found again by the id planted in its arguments."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from headgate.aws import Begun, Clients, Fault, FaultKind, Follower, Looked, Place, RunFiles, payload_of, refuse
from headgate.aws.clients import place_of
from headgate.aws.faults import CODES
from headgate.engines.glue.logs import LogFollower
from headgate.engines.glue.seen import PLANTED, console_link, is_ours, read_run, time_of
from headgate.errors import EngineRefused, EngineUnavailable
from headgate.model import TERMINAL
from headgate.ports import Order, Watcher

_LONGEST_TIMEOUT: Final = 10_080  #: minutes; Glue takes no more
_LARGEST_OBJECTS: Final = 262_144  #: bytes of a manifest handed over as an argument
_MOST_PAGES: Final = 20  #: of the job's runs, 200 each, newest first
#: The clocks of this machine and of AWS may differ by so much.
_CLOCKS: Final = timedelta(minutes=10)


class GlueEngine:
    """Runs as runs of AWS Glue jobs; how a start is found again is in the package's docstring."""

    name = "glue"
    threads = 8
    here_only = False

    def __init__(
        self,
        home: Path,
        watcher: Watcher,
        *,
        clients: Clients | None = None,
        region: str = "",
        quickest: float = 2.0,
        patience: float = 30.0,
        doubt: float = 15.0,
        later: Sequence[float] = (5.0, 25.0),
    ) -> None:
        """Nothing is loaded or started before the first run.

        Args:
            home: HEADGATE_HOME; a run's log is below its `logs` folder.
            watcher: who is told.
            clients: shared with the other AWS engines.
            region: where the job says none.
            quickest: seconds between looks at a young run.
            patience: seconds after which a run that was started and is not shown counts as lost.
            doubt: seconds after a lost reply before what the search does not find is started anew; what AWS shows may
                lag that much behind.
            later: seconds after its end, one after the other, at which a run's log is read again; CloudWatch shows
                lines some seconds after they were written.
        """
        self._clients = clients or Clients()
        self._files = RunFiles(home)
        self._region = region
        self._doubt = doubt
        self._far = _JobRuns(self._clients, self._files, region)
        self._follower = Follower(
            "glue", watcher, self._files, self._far, quickest=quickest, patience=patience, rate=4.0, burst=20.0,
            later=later,
        )  # fmt: skip

    @property
    def problem(self) -> str | None:
        """Why runs cannot be looked at now; None: they can."""
        return self._follower.problem

    def start(self, order: Order) -> str:
        name = job_of(order)
        arguments = _arguments(order)
        return self._follower.start(order, lambda: self._begin(order, name, arguments))

    def stop(self, order: Order, *, grace: float) -> None:  # noqa: ARG002 - Glue knows no grace
        self._follower.stop(order)

    def adopt(self, order: Order) -> None:
        self._follower.adopt(order)

    def close(self) -> None:
        self._follower.close()

    def noticed(self, job_run: str) -> bool:
        """Look at a run now, since EventBridge says that its state changed; False: nobody here follows that."""
        return self._follower.noticed(job_run, None)

    def _begin(self, order: Order, name: str, arguments: Mapping[str, str]) -> Begun:
        place = place_of(order.job.target, region=_region(order, self._region), attempt_id=order.attempt_id)
        found = self._far.search(order, place)
        if isinstance(found, Fault):
            refuse(found)
        if found is not None:
            self._note(order, name, str(found["Id"]))
            return Begun(str(found["Id"]), time_of(found.get("StartedOn")), found=True)
        since = self._files.in_doubt(order.attempt_id)
        if since is not None and since < self._doubt:
            raise EngineUnavailable(
                f"the reply to an earlier start of {name} was lost; Glue is given {self._doubt:g} s to show what it did"
            )
        self._files.doubt(order.attempt_id, durable=False)  # killed now, the next start gives Glue its time, too
        answer = self._clients.call(
            place, "glue", "start_job_run", _request(order, name, arguments),
            doing=f"job {order.job.name!r}: starting the Glue job {name}",
        )  # fmt: skip
        if isinstance(answer, Fault):
            if answer.maybe_done:
                self._files.doubt(order.attempt_id)
            else:
                self._files.no_doubt(order.attempt_id)
            refuse(answer)
        self._note(order, name, str(answer["JobRunId"]))
        return Begun(str(answer["JobRunId"]), time_of(None))

    def _note(self, order: Order, name: str, run: str) -> None:
        self._files.note(order.attempt_id, run)
        link = console_link(self._clients.region(_region(order, self._region)), name, run)
        if link:
            self._files.say(order.attempt_id, f"see {link}")


class _JobRuns:
    """The far side, as the follower asks it."""

    def __init__(self, clients: Clients, files: RunFiles, region: str) -> None:
        self._clients = clients
        self._region = region
        self._logs = LogFollower(clients, files)

    def find(self, order: Order) -> str | Fault | None:
        if "job_name" not in order.job.target:  # the job was deleted meanwhile
            return None
        found = self.search(order, self._place(order))
        if isinstance(found, Fault):
            return None if found.kind is FaultKind.MISSING else found
        return str(found["Id"]) if found is not None else None

    def where(self, order: Order) -> str:
        place = self._place(order)
        return f"{place.region} {place.role_arn}"

    def search(self, order: Order, place: Place) -> dict[str, Any] | Fault | None:
        """Look through the job's runs, newest first, for the one that carries the attempt's id."""
        name = job_of(order)
        earliest = order.run.created_at - _CLOCKS
        more: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            said = self._clients.call(
                place, "glue", "get_job_runs", {"JobName": name, "MaxResults": 200, **more}, attempts=2,
                doing=f"job {order.job.name!r}: looking through the runs of the Glue job {name}",
            )  # fmt: skip
            if isinstance(said, Fault):
                return said
            runs: list[dict[str, Any]] = said.get("JobRuns") or []
            found = next((one for one in runs if is_ours(one, order.attempt_id)), None)
            if found is not None:
                return found
            token = said.get("NextToken")
            if not token or all(time_of(one.get("StartedOn")) < earliest for one in runs):
                return None
            more = {"NextToken": token}
        return None

    def look(self, order: Order, handle: str) -> Looked | Fault:
        name = _name(order)
        said = self._clients.call(
            self._place(order), "glue", "get_job_run", {"JobName": name, "RunId": handle},
            doing=f"looking at the run {handle} of the Glue job {name}",
        )  # fmt: skip
        return said if isinstance(said, Fault) else read_run(said["JobRun"])

    def stop(self, order: Order, handle: str) -> Fault | None:
        name = _name(order)
        doing = f"stopping the run {handle} of the Glue job {name}"
        said = self._clients.call(
            self._place(order, by_name=True), "glue", "batch_stop_job_run", {"JobName": name, "JobRunIds": [handle]},
            doing=doing, attempts=2,
        )  # fmt: skip
        if isinstance(said, Fault):
            return said
        for one in said.get("Errors") or []:
            detail = one.get("ErrorDetail") or {}
            code = str(detail.get("ErrorCode") or "")
            if CODES.get(code) is not None:
                return Fault(CODES[code], code, str(detail.get("ErrorMessage") or ""), doing)
        return None  # other errors say that it is over already: the look will see how

    def follow(self, order: Order, handle: str, seen: Looked) -> None:
        over = seen.state in TERMINAL
        self._logs.fetch(self._place(order), order.attempt_id, handle, base=seen.log, over=over)

    def _place(self, order: Order, *, by_name: bool = False) -> Place:
        """Looks share one session of a role."""
        attempt = order.attempt_id if by_name else ""
        return place_of(order.job.target, region=_region(order, self._region), attempt_id=attempt)


def job_of(order: Order) -> str:
    """Raises EngineRefused: the job names no Glue job."""
    name = _name(order)
    if not name:
        raise EngineRefused(f"job {order.job.name!r} cannot start: it names no job_name")
    return name


def _name(order: Order) -> str:
    return str(order.job.target.get("job_name") or "")


def _region(order: Order, otherwise: str) -> str:
    return str(order.job.target.get("region") or otherwise)


def _arguments(order: Order) -> dict[str, str]:
    arguments = {key: value for key, value in order.run.arguments.items() if key != PLANTED}
    objects = payload_of(order).get("objects")
    if objects is not None:
        text = json.dumps(objects, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode("utf-8", "surrogatepass")) > _LARGEST_OBJECTS:
            raise EngineRefused(
                f"job {order.job.name!r}: its {order.run.objects:,} objects need more than {_LARGEST_OBJECTS:,} bytes "
                "of a Glue argument; lower the trigger's max_objects"
            )
        arguments["--headgate_objects"] = text
    return {**arguments, PLANTED: order.attempt_id}


def _request(order: Order, name: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    request: dict[str, Any] = {"JobName": name, "Arguments": dict(arguments)}
    limit = order.run.timeout if order.run.timeout is not None else order.job.timeout
    if limit is not None:  # ours comes first; theirs holds while nobody here lives
        request["Timeout"] = min(math.ceil(limit / 60) + 1, _LONGEST_TIMEOUT)
    if order.job.target.get("queueing") is not None:
        request["JobRunQueuingEnabled"] = bool(order.job.target["queueing"])
    return request
