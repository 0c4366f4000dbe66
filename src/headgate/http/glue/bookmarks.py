"""This file is where job bookmarks are shown and reset through Glue's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate.http.aws_wire import Call, Fault
from headgate.http.glue.room import Room
from headgate.ledger import glue_bookmarks
from headgate.ledger.glue_bookmarks import Bookmark
from headgate.model import Json

Given = Mapping[str, Any]
Answer = Mapping[str, Json]


def get_job_bookmark(room: Room, call: Call, given: Given) -> Answer:
    del call
    job = room.job(given["JobName"]).name
    found = room.read(lambda connection: glue_bookmarks.read(connection, job, at=given.get("RunId")))
    return {"JobBookmarkEntry": _entry(found, job)}


def reset_job_bookmark(room: Room, call: Call, given: Given) -> Answer:
    job = room.job(given["JobName"]).name
    done = room.write(lambda batch: glue_bookmarks.reset(batch, job, to=given.get("RunId"), actor=call.actor))
    return {"JobBookmarkEntry": _entry(done, job)}


def _entry(found: Bookmark | None, job: str) -> Mapping[str, Json]:
    if found is None:
        message = f"Job bookmark for {job} not found: no run of it has succeeded with job-bookmark-enable"
        raise Fault("EntityNotFoundException", message)
    shape: dict[str, Json] = {
        "JobName": job,
        "Version": found.version,
        "Run": found.runs,
        "Attempt": found.attempt,
        "RunId": found.run,
        "PreviousRunId": found.previous,
    }
    return {name: value for name, value in shape.items() if value is not None}
