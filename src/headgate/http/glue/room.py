"""This file is where an operation finds what it works with: the gate, and how it waits and pages."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar, cast

import msgspec

from headgate.gate import Gate
from headgate.http.aws_wire import Fault
from headgate.http.glue.looks import Looks
from headgate.http.landing import Landing
from headgate.ledger import glue_runs
from headgate.ledger.store import wait_for
from headgate.ledger.writer import Batch
from headgate.model import Job, JobName

T = TypeVar("T")
#: What runs of a function of headgate.yaml are runs of; functions are Lambda's affair, and no jobs of Glue's.
FUNCTION: Final = "function:"
_MOST: Final = 2**62  #: of a number in a token: no database has larger ones


class Room:
    """What every operation is handed."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._landing: Landing | None = None
        self._looks: Looks | None = None

    def read(self, work: Callable[[Any], T]) -> T:
        """Look with `work`, which is handed a connection."""
        return self.gate.ledger.read(work)

    def write(self, work: Callable[[Batch], T | Exception]) -> T:
        """Do it in the next transaction, and wait for the commit."""
        return wait_for(self.gate.ledger.write(work))

    async def landed(self, future: Future[T]) -> T:
        """The future's result, on the event loop."""
        loop = asyncio.get_running_loop()
        if self._landing is None or self._landing.loop is not loop:
            self._landing = Landing(loop)
        return await self._landing.wait(future)

    async def job_run(self, job: str, name: str) -> glue_runs.JobRun | None:
        """The job run of this id, on the event loop."""
        loop = asyncio.get_running_loop()
        if self._looks is None or self._looks.loop is not loop:
            self._looks = Looks(loop, lambda named: self.read(lambda connection: glue_runs.find_all(connection, named)))
        return await self._looks.find(job, name)

    def known(self, name: str) -> Job | None:
        """The job as this process knows it, without asking the ledger."""
        return None if name.startswith(FUNCTION) else self.gate.ledger.catalog.jobs.get(JobName(name))

    def job(self, name: str) -> Job:
        """The job as this process knows it, or, when it knows none, as the ledger does. Raises Fault."""
        found = self.known(name) or self.gate.ledger.refresh().jobs.get(JobName(name))
        if found is None or name.startswith(FUNCTION):
            raise missing("Job", name)
        return found


def missing(what: str, name: str) -> Fault:
    return Fault("EntityNotFoundException", f"{what} {name} not found")


def invalid(message: str) -> Fault:
    return Fault("InvalidInputException", message)


def token(*parts: str | int) -> str:
    """A token for the next page. It is opaque: what it holds is nobody's business and may change."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode()


def place_of(given: str | None, kind: str, *types: type) -> list[Any] | None:
    """What a token of this kind of list holds; None for the first page. Raises Fault for any that is not ours."""
    if given is None:
        return None
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(given.encode("ascii")))
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError) as error:
        raise invalid("NextToken is not one that was given out here") from error
    parts = cast("list[Any]", found) if isinstance(found, list) else []
    ours = [type(one) for one in parts] == [str, *types] and parts[0] == kind
    if not ours or any(isinstance(one, int) and not 0 <= one < _MOST for one in parts):
        raise invalid("NextToken is not one that was given out by this operation")
    return parts[1:]
