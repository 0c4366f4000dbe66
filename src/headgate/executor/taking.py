"""This file is where a request is taken: written here first, won at DataHub against every other executor, then started.

The order is what makes it safe. The request is in the ledger before its sender may forget it; DataHub is told RUNNING
under the condition that nobody has told it anything before; only then is there a run. Each step can be done again.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Final

import structlog

from headgate.errors import Conflict, HeadgateError, Invalid, Unavailable
from headgate.executor import requests, results
from headgate.executor.filters import Filters
from headgate.executor.requests import Change, Ignored, Kill
from headgate.gate import Gate
from headgate.ledger import executions
from headgate.ledger.accepting import Ask
from headgate.ledger.executions import Kept, Request, Stage
from headgate.ledger.store import wait_for
from headgate.ledger.writer import Batch
from headgate.model import Cause, Event, JobName, Run, new_event_id
from headgate.ports import DataHub

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

DOOR: Final = "datahub"  #: of the events that requests are
MOST: Final = 500  #: requests looked at in one turn
IDLE: Final = 5.0  #: seconds between turns when nobody says that there is something
BUSY: Final = 0.5  #: seconds, while requests wait for a place
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  #: seconds between tries while DataHub is away; doubles
TRIES: Final = 12  #: of telling the end of a request that is never run, where DataHub refuses to hear it; some hours
FIRST_REST, LONGEST_REST = 5.0, 3_600.0  #: seconds between tries of a request that alone goes wrong; doubles


class Claim(Enum):
    """Whose a request is."""

    OURS = "ours"
    THEIRS = "theirs"
    REFUSED = "refused"  #: nobody's: DataHub does not let us write


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an executor goes by."""

    executor_id: str = "default"
    most: int = 4  #: runs at a time
    max_age: float = 86_400.0  #: seconds after which a request nobody has taken is not run any more
    filters: Filters = field(default_factory=Filters)  #: which changes it hears of at all


class Taker:
    """Takes requests and stops them. Safe from any thread; `turn` is called by one at a time."""

    def __init__(
        self,
        gate: Gate,
        datahub: DataHub,
        options: Options,
        *,
        identity: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gate = gate
        self._ledger = gate.ledger
        self._datahub = datahub
        self._options = options
        self._clock = clock
        self.mark = f"[headgate {identity}]"  #: by which we know what we told DataHub
        self._failures = 0
        self._unlucky: set[str] = set()  #: requests at which DataHub failed last; they come after the others
        self.problem: str | None = None  #: why requests are not taken now, for /readyz
        self.woken = threading.Event()

    # -- what comes in

    def accept(self, changes: Sequence[Change]) -> int:
        """Write what is ours of these; durable when it returns. Answers how many requests were new.

        Raises:
            LedgerUnavailable: nothing is certain; the same again does no harm.
        """
        mine = [one for one in changes if isinstance(one, Request) and one.executor == self._options.executor_id]
        new = wait_for(self._ledger.write(lambda batch: executions.accept(batch, mine))) if mine else 0
        for one in changes:
            if isinstance(one, Kill) and one.executor == self._options.executor_id:
                self._kill(one)
            elif isinstance(one, Ignored):
                _log.info("execution request ignored", request=one.urn, why=one.why)
        if changes:
            self.woken.set()
        return new

    def _kill(self, kill: Kill) -> None:
        kept = wait_for(self._ledger.write(lambda batch: executions.kill(batch, kill.urn, kill.actor)))
        if kept is None:
            _log.warning("stop of an execution request that is not known here", request=kill.urn, by=kill.actor)
        elif kept.stage is Stage.TAKEN and kept.run is not None:
            self._stop(kept.run, kill)

    def _stop(self, run: str, kill: Kill) -> None:
        """Whichever replica runs it is told so through the ledger."""
        try:
            self._gate.stop(run, actor=kill.actor, reason="cancelled in DataHub")
        except (Conflict, HeadgateError) as error:
            if isinstance(error, Unavailable):
                raise
            _log.info("nothing left to stop", request=kill.urn, run=run, why=str(error))

    # -- what is done about it

    def turn(self) -> float:
        """Take what may be taken now; answers how long to wait before the next turn."""
        options, now = self._options, self._clock()
        waiting = self._ledger.read(lambda connection: executions.due(connection, options.executor_id, now, MOST))
        if not waiting:
            return IDLE
        live = self._ledger.read(lambda connection: executions.live(connection, options.executor_id))
        busy = Counter(one.request.job for one in live)
        self._unlucky &= {kept.request.urn for kept in waiting}
        for kept in sorted(waiting, key=lambda one: one.request.urn in self._unlucky):
            try:
                self._consider(kept, now, busy)
            except Unavailable as error:
                # it may be away for all of them, or fail at this one alone: the next turn begins with another
                self._unlucky.add(kept.request.urn)
                return self._later(str(error))
            self._unlucky.discard(kept.request.urn)
            self._failures = 0
        self._failures, self.problem = 0, None
        return BUSY

    def _consider(self, kept: Kept, now: float, busy: Counter[str]) -> None:
        """Settle it, begin it, or leave it for want of a place. What is wrong with one must not hold up the others.

        Raises:
            Unavailable: DataHub or the ledger is away, for all of them.
        """
        try:
            if self._settled(kept, now):
                return
            job = requests.implicit_job_of(kept.request.given)
            if busy.total() < self._options.most and busy[job.name] < job.max_concurrent_runs:
                busy[job.name] += self._begin(kept)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a bug met by one request must not hold up all that come after it
            why, urn = str(error), kept.request.urn
            if not isinstance(error, HeadgateError):
                why = f"{type(error).__name__}: {why}"
                _log.exception("a bug was met by an execution request", request=urn)
            again = now + min(LONGEST_REST, FIRST_REST * 2 ** min(kept.tries, 10))
            _log.error("execution request put off", request=urn, why=why, tries=kept.tries + 1)
            wait_for(self._ledger.write(lambda batch: executions.postpone(batch, urn, why, again)))

    def _later(self, why: str) -> float:
        if self.problem is None:
            _log.warning("execution requests wait", why=why)
        self.problem = f"execution requests of {self._options.executor_id!r} wait: {why}"
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._failures) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._failures = min(self._failures + 1, 10)
        return pause

    def _settled(self, kept: Kept, now: float) -> bool:
        """Whether the request is one that is not to be run; it is then told so."""
        asked = kept.request
        if kept.killed_by is not None:
            return self._end(kept, "CANCELLED", f"Cancelled by {kept.killed_by} before it was started.")
        age = now - (asked.requested_at or kept.received_at)
        if age > self._options.max_age:
            how = f"It was asked for {age / 3600:.1f} hours ago, and nobody took it in time (executor option max_age)."
            return self._end(kept, "ABORTED", how)
        if asked.task not in requests.TASKS:
            known = " and ".join(sorted(requests.TASKS))
            return self._end(kept, "FAILURE", f"The task {asked.task!r} is none that this executor knows: {known}.")
        try:
            requests.arguments_of(asked)
        except ValueError as error:
            return self._end(kept, "FAILURE", f"The request can not be run: {error}.")
        return False

    def _begin(self, kept: Kept) -> bool:
        """Win the request and start its run; whether there is one."""
        asked = kept.request
        claim, why = self._claim(asked.urn, "RUNNING", f"{self.mark} has taken it; its run begins.")
        if claim is Claim.REFUSED:
            raise Invalid(why)  # by what stands before it, perhaps, while it is restarted: max_age is the end of it
        if claim is not Claim.OURS:
            self._over(asked.urn, why)
            return False
        try:
            run = wait_for(self._ledger.write(lambda batch: self._take(batch, asked)))
        except Unavailable:
            raise
        except HeadgateError as error:
            return not self._end(kept, "FAILURE", f"It could not be started: {error}")
        if run is None:
            return False  # stopped meanwhile: the next turn says so
        _log.info("execution request taken", request=asked.urn, run=run.id, job=run.job)
        return True

    def _take(self, batch: Batch, asked: Request) -> Run | Exception | None:
        job = requests.implicit_job_of(asked.given)
        actor, reason = requests.cause_of(asked.given)
        event = Event(
            id=new_event_id(),
            door=DOOR,
            kind="Asked",
            identity=f"asked:{DOOR}:{asked.urn}",
            at=datetime.fromtimestamp(asked.requested_at or self._clock(), UTC),
            payload={"job": job.name, "request": asked.urn, "actor": actor, "reason": reason},
        )
        ask = Ask(
            job=JobName(job.name),
            event=event,
            cause=Cause(actor=actor, reason=reason),
            arguments=requests.arguments_of(asked),
            implicit=job,
        )
        return executions.take(batch, self._ledger.catalog, asked.urn, ask)

    # -- DataHub

    def _claim(self, urn: str, status: str, report: str) -> tuple[Claim, str]:
        """Write the first result of a request; whose it is then, and why not ours."""
        aspect = results.first(status, report, datetime.fromtimestamp(self._clock(), UTC))
        try:
            self._datahub.emit([results.proposal(urn, aspect, If_Version_Match="-1")])
        except Invalid as refused:
            found = self._datahub.aspect(urn, requests.RESULT)
            if found is None:
                return Claim.REFUSED, f"DataHub refuses the claim: {refused}"
            if self.mark in str(found.get("report")) and found.get("status") in ("RUNNING", status):
                return Claim.OURS, ""  # an earlier try of ours arrived, and we never heard of it
            return Claim.THEIRS, f"somebody else has it: it is {found.get('status')} in DataHub"
        return Claim.OURS, ""

    def _end(self, kept: Kept, status: str, why: str) -> bool:
        """Tell DataHub how a request ended that has no run, unless it is somebody else's; always True."""
        urn = kept.request.urn
        claim, taken = self._claim(urn, status, f"{self.mark} {why}")
        if claim is Claim.REFUSED and kept.tries < TRIES:
            raise Invalid(taken)
        if claim is Claim.OURS:
            found = self._datahub.aspect(urn, requests.RESULT) or {}
            if found.get("status") == "RUNNING":  # our own claim, from before
                aspect = results.first(status, why, datetime.fromtimestamp(self._clock(), UTC))
                self._datahub.emit([results.proposal(urn, aspect)])
        self._over(urn, taken or f"{status}: {why}")
        return True

    def _over(self, urn: str, why: str) -> None:
        wait_for(self._ledger.write(lambda batch: executions.settle(batch, urn, why)))
        _log.info("execution request settled", request=urn, why=why)
