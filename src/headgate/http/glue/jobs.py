"""This file is where jobs are made, changed, listed and deleted through Glue's API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from headgate.http.aws_wire import Call, Fault
from headgate.http.glue import shapes
from headgate.http.glue.definitions import check_tags, job_of, shown_command
from headgate.http.glue.room import FUNCTION, Room, invalid, missing, place_of, token
from headgate.ledger import glue
from headgate.ledger.glue import JobRow, Made, Told
from headgate.ledger.store import wait_for
from headgate.ledger.writer import Batch
from headgate.model import Json

PAGE: Final = 100  #: what a page holds when the call does not say
Given = Mapping[str, Any]
Answer = Mapping[str, Json]


def create_job(room: Room, call: Call, given: Given) -> Answer:
    """Said again in the same words it succeeds again."""
    name: str = given["Name"]
    members = {key: value for key, value in given.items() if key not in ("Name", "Tags")}
    check_tags(given.get("Tags", {}))
    if name.startswith(FUNCTION):
        raise invalid(f"Name: {name[:100]!r}; names that begin with {FUNCTION} are functions' of headgate.yaml")
    job = job_of(name, members, inboxes=room.gate.settings.inboxes)
    told = Told(members=members, tags=given.get("Tags", {}), invocation=call.invocation)
    refuse_made(room.write(lambda batch: glue.create_job(batch, job, told, actor=call.actor)), "Job", name)
    return {"Name": name}


def refuse_made(made: Made, what: str, name: str) -> None:
    """Raises Fault where something of that name was there, and is another."""
    if made is Made.OTHER:
        raise Fault(
            "IdempotentParameterMismatchException",
            f"{what} with name: '{name}' already submitted with different configuration",
        )
    if made is Made.DECLARED:
        message = f"{what} {name} already exists: headgate.yaml or a rule made it; Update{what} changes it"
        raise Fault("AlreadyExistsException", message)


def update_job(room: Room, call: Call, given: Given) -> Answer:
    """Overwrite the whole definition; what the call does not say goes back to its default."""
    name, members = given["JobName"], given["JobUpdate"]

    def work(batch: Batch) -> None:
        found = None if name.startswith(FUNCTION) else glue.jobs(batch.connection, [name]).get(name)
        if found is None:
            raise missing("Job", name)
        shown = shown_command(found.job, found.members)
        job = job_of(name, members, inboxes=room.gate.settings.inboxes, before=found.job, shown=shown)
        glue.update_job(batch, job, members, actor=call.actor)

    room.write(work)
    return {"JobName": name}


def delete_job(room: Room, call: Call, given: Given) -> Answer:
    """A job that is not there is no error. Runs that wait for it end; what runs, runs on."""
    if not given["JobName"].startswith(FUNCTION):
        wait_for(room.gate.ledger.delete_job(given["JobName"], actor=call.actor))
    return {"JobName": given["JobName"]}


def get_job(room: Room, call: Call, given: Given) -> Answer:
    del call
    name = given["JobName"]
    found = None if name.startswith(FUNCTION) else room.read(lambda connection: glue.jobs(connection, [name])).get(name)
    if found is None:
        raise missing("Job", name)
    return {"Job": shown(found)}


def shown(row: JobRow) -> shapes.Shape:
    return shapes.job(row.job, row.members, created_at=row.created_at, updated_at=row.updated_at)


def get_jobs(room: Room, call: Call, given: Given) -> Answer:
    del call
    names, rest = paged(_listed(room), given, "jobs")
    found = room.read(lambda connection: glue.jobs(connection, names))
    return {"Jobs": [shown(found[name]) for name in names if name in found], **rest}


def _listed(room: Room) -> list[str]:
    return [name for name in room.gate.ledger.refresh().jobs if not name.startswith(FUNCTION)]


def list_jobs(room: Room, call: Call, given: Given) -> Answer:
    del call
    tagged = having_tags(room, "job", given.get("Tags"))
    names, rest = paged(_listed(room), given, "job names", tagged)
    return {"JobNames": names, **rest}


def batch_get_jobs(room: Room, call: Call, given: Given) -> Answer:
    del call
    names: list[str] = list(dict.fromkeys(given["JobNames"]))
    found = room.read(lambda connection: glue.jobs(connection, [one for one in names if not one.startswith(FUNCTION)]))
    return {
        "Jobs": [shown(found[name]) for name in names if name in found],
        "JobsNotFound": [name for name in names if name not in found],
    }


def having_tags(room: Room, kind: str, wanted: Mapping[str, str] | None) -> Callable[[str], bool]:
    """Whether a job or trigger has all of these tags."""
    if not wanted:
        return lambda _name: True
    every = room.read(lambda connection: glue.all_tags(connection, kind))
    return lambda name: wanted.items() <= every.get(name, {}).items()


def paged(
    names: Mapping[Any, object] | Sequence[str], given: Given, kind: str, fits: Callable[[str], bool] = bool
) -> tuple[list[str], dict[str, Json]]:
    """A page of names in their order, and the token of the next, if there is one."""
    place = place_of(given.get("NextToken"), kind, str)
    after = place[0] if place else ""
    fitting = sorted(str(name) for name in names if str(name) > after and fits(str(name)))
    size = given.get("MaxResults", PAGE)
    page = fitting[:size]
    return page, {"NextToken": token(kind, page[-1])} if len(fitting) > size else {}
