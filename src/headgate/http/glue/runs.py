"""This file is where job runs are started, looked at and stopped through Glue's API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from headgate.errors import Conflict, TooManyRuns, Unavailable
from headgate.http.aws_wire import Call, Fault
from headgate.http.glue import shapes
from headgate.http.glue.definitions import check_sizes
from headgate.http.glue.room import Room, invalid, missing, place_of, token
from headgate.ledger import glue_runs
from headgate.ledger.glue_runs import CALLED, Place
from headgate.model import Job, Json, Origin, RunId, attempt_id
from headgate.settings.glue import LONGEST

DOOR: Final = "glue"
MOST: Final = 200  #: job runs of a page

Given = Mapping[str, Any]
Answer = Mapping[str, Json]


async def start_job_run(room: Room, call: Call, given: Given) -> Answer:
    """Start a run; at the job's limit it waits only where the call or the job's definition says so, else it is refused.

    A call that is sent again (the same invocation) is answered with the run of the first.
    """
    job = room.known(given["JobName"]) or await asyncio.to_thread(room.job, given["JobName"])
    if given.get("Timeout", 1) > LONGEST:
        raise invalid(f"Timeout: {given['Timeout']} minutes; at most {LONGEST}")
    check_sizes(given)
    queue = queueing(job, given)
    if queue and given.get("ExecutionClass") == "FLEX":
        raise invalid("JobRunQueuingEnabled is not allowed with ExecutionClass FLEX")
    arguments, previous = dict(given.get("Arguments", {})), None
    if "JobRunId" in given:
        earlier = await asyncio.to_thread(room.read, partial(glue_runs.find, job=job.name, name=given["JobRunId"]))
        if earlier is None:
            raise missing("JobRun", given["JobRunId"])
        arguments, previous = {**earlier.run.arguments, **arguments}, RunId(earlier.run.id)
    said = {name: given[name] for name in (*shapes.PER_RUN, *_KEPT) if name in given}
    asked = room.gate.ask(
        job.name,
        arguments=arguments,
        actor=call.actor,
        door=DOOR,
        key=f"glue:{call.actor}:{job.name}:{call.invocation}" if call.invocation else None,
        previous=previous,
        timeout=given["Timeout"] * 60.0 if "Timeout" in given else None,
        queue=queue,
        details={CALLED: said} if said else None,
    )
    try:
        run = await room.landed(asked)
    except TooManyRuns as error:
        message = f"Concurrent runs exceeded for {job.name}: it may have {error.at_most} at a time; said with the call,"
        raise Fault("ConcurrentRunsExceededException", f"{message} JobRunQueuingEnabled lets a run wait") from error
    except Unavailable as error:
        if call.invocation:
            raise  # the client sends it again, and gets the run that may have been made
        message = f"{error}; whether a run was started is not known"
        raise Fault("OperationTimeoutException", message) from error
    return {"JobRunId": run.id}


_KEPT: Final = ("JobRunQueuingEnabled", "ExecutionRoleSessionPolicy")


def queueing(job: Job, given: Given) -> bool:
    """The call's word, else the definition's. A job that headgate.yaml declares queues at our own doors, not here."""
    said = given.get("JobRunQueuingEnabled")
    return bool(said) if said is not None else job.origin is Origin.API and job.queue


async def get_job_run(room: Room, call: Call, given: Given) -> Answer:
    del call
    found = await room.job_run(given["JobName"], given["RunId"])
    if found is None:
        raise missing("JobRun", given["RunId"])
    shape = shapes.job_run(found)
    if not given.get("PredecessorsIncluded"):
        shape.pop("PredecessorRuns")
    return {"JobRun": shape}


def get_job_runs(room: Room, call: Call, given: Given) -> Answer:
    """A page, newest first."""
    del call
    job = room.job(given["JobName"])
    after = place_of(given.get("NextToken"), f"runs:{job.name}", int, int)
    found, rest = room.read(
        lambda connection: glue_runs.page(
            connection, job.name, after=Place(*after) if after else None, limit=given.get("MaxResults", MOST)
        )
    )
    answer: dict[str, Json] = {"JobRuns": [shapes.job_run(one) for one in found]}
    if rest is not None:
        answer["NextToken"] = token(f"runs:{job.name}", rest.seq, rest.attempt)
    return answer


def batch_stop_job_run(room: Room, call: Call, given: Given) -> Answer:
    """Each id for itself: what cannot be stopped is among the errors, and hinders no other."""
    job = given["JobName"]
    done: list[Json] = []
    errors: list[Json] = []
    for name in given["JobRunIds"]:
        found = room.read(lambda connection, name=name: glue_runs.find(connection, job, name))
        problem = ("EntityNotFoundException", f"JobRun {name} not found") if found is None else None
        if found is not None and 0 < found.attempt.number < found.run.attempt:
            # its own id; the first attempt's is the run's, too, and stops whatever of it is under way
            newest = attempt_id(found.run.id, found.run.attempt)
            over = f"the attempt {name} is over already: it ended {found.attempt.state.value}; {newest} is what is left"
            problem = ("InvalidInputException", over)
        elif found is not None:
            try:
                room.gate.stop(found.run.id, actor=call.actor, reason="BatchStopJobRun")
            except Conflict as error:
                problem = ("InvalidInputException", str(error))
        if problem is None:
            done.append({"JobName": job, "JobRunId": name})
        else:
            code, message = problem
            detail = {"ErrorCode": code, "ErrorMessage": message}
            errors.append({"JobName": job, "JobRunId": name, "ErrorDetail": detail})
    return {"SuccessfulSubmissions": done, "Errors": errors}
