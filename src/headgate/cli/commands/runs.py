"""This file is where runs are looked at and stopped."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from headgate.cli import chain, completion, logs, progress, session
from headgate.cli.client import Client, Doc, RunsWanted
from headgate.cli.options import AsOutput, Config, Limit, Reason, RunName, RunOrJob, Wait
from headgate.cli.printing import Output, cell, note, print_fields, print_json, print_table, say, short
from headgate.cli.times import clock, seconds, span
from headgate.errors import NotFound

#: Seconds between two looks at a log that is followed.
_LOOK = 0.2
_BRIEF = 200  #: characters of a value in a result


class Origin(StrEnum):
    """Who runs it."""

    HEADGATE = "headgate"
    EXTERNAL = "external"


def show_list(
    *,
    job: Annotated[
        str | None, typer.Option("--job", metavar="JOB", help="Only of this job.", autocompletion=completion.jobs)
    ] = None,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only in this state.")] = None,
    trigger: Annotated[
        str | None,
        typer.Option("--trigger", metavar="TRIGGER", help="Only by it.", autocompletion=completion.triggers),
    ] = None,
    origin: Annotated[
        Origin, typer.Option("--origin", help="`external`: ingestions that others run, as DataHub lists them.")
    ] = Origin.HEADGATE,
    limit: Limit = 50,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """The runs, newest first."""
    external = origin is Origin.EXTERNAL
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = list(islice(client.runs(RunsWanted(job=job, state=state, trigger=trigger, external=external)), limit))
        if not found and not external:
            _known(client, job, trigger)
    if output is Output.JSON:
        print_json(found)
        return
    filtered = job or state or trigger or external
    rows = [
        [short(one["id"]), one["job"], one["state"], clock(one["created_at"]), progress.length(one), _by(one),
         progress.outcome(one)]
        for one in found
    ]  # fmt: skip
    empty = "No runs fit." if filtered else "No runs. Start one: headgate run JOB"
    print_table(["RUN", "JOB", "STATE", "CREATED", "TIME", "BY", ""], rows, empty=empty)


def show(run: RunOrJob, output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """One run: its cause, attempts, predecessors, decisions, objects and result."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = _named(client, run)
        name = found["id"]
        whole = {
            **found,
            "attempts": client.attempts(name),
            "decisions": client.decisions(name),
            "objects_list": client.objects(name),
        }
    if output is Output.JSON:
        print_json(whole)
    else:
        _print_run(whole)


def show_log(
    run: RunOrJob,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=0, help="Of this attempt; 0 is the first.")
    ] = None,
    config: Config = None,
) -> None:
    """The log of a run, whole. With -f it is followed, through retries, until the run is over."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        name, number = _named(client, run), attempt
        if number is None and "_attempt_" in run:
            number = int(run.rpartition("_attempt_")[2])
        chosen = number is not None
        at = number if number is not None else int(name["attempt"])
        written, shown = False, -1
        while True:
            if shown != at:  # its log may be over before the run is: it is not shown again
                written, shown = _stream(client, name["id"], at, follow=follow), at
            name = client.run(name["id"])
            if chosen or not follow or int(name["attempt"]) <= at:
                if not written and chain.ended(name):
                    why = f": {name['error']}" if name["error"] else ""
                    note(f"There is no output; the run ended {name['state']}{why}")
                if chosen or not follow or chain.ended(name):
                    return
                time.sleep(_LOOK)
                continue
            at += 1
            note(f"-- attempt {at} --")


def stop(
    run: RunName,
    reason: Reason = None,
    wait: Wait = False,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Stop a run and everything it started. It is STOPPED only when nothing of it runs any more."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings, working=True) as client:
        stopped = client.stop(run, reason)
        if wait or not client.remote:
            stopped = chain.follow(client, stopped, lambda _: None)[0]
    if output is Output.JSON:
        print_json(stopped)
    else:
        say(f"{stopped['job']} {stopped['id']} {stopped['state']}")


def _named(client: Client, name: str) -> Doc:
    """The run of this id; of a job's name its newest run."""
    try:
        return client.run(name)
    except NotFound as error:
        jobs = {one["name"]: one for one in client.jobs()}
        if name not in jobs:
            raise
        newest = next(client.runs(RunsWanted(job=name)), None)
        if newest is None:
            raise NotFound("run of the job", name, f"start one: `headgate run {name}`") from error
        note(f"{newest['id']} is the newest run of {name}")
        return newest


def _known(client: Client, job: str | None, trigger: str | None) -> None:
    """Raise NotFound for a job or trigger that a list without a line asks for, and that nobody has."""
    for what, name, those in (("job", job, client.jobs), ("trigger", trigger, client.triggers)):
        names = [str(one["name"]) for one in those()] if name is not None else []
        if name is not None and name not in names:
            from headgate.settings.reading import did_you_mean  # noqa: PLC0415 - only who mistypes needs it

            meant = did_you_mean(name, names).removeprefix("; ")
            raise NotFound(what, name, meant or f"see `headgate {what}s list`")


def _stream(client: Client, run: str, attempt: int, *, follow: bool) -> bool:
    """Write the log of an attempt; with `follow` until it is complete, else as far as it is now. False: it is empty."""
    offset = 0
    while True:
        piece = client.log(run, offset=offset, attempt=attempt)
        sys.stdout.write(piece.text)
        sys.stdout.flush()
        moved, offset = piece.next > offset, piece.next
        if piece.complete or not (moved or follow):
            return offset > 0
        if not moved:
            time.sleep(_LOOK)


def _by(run: Doc) -> str:
    cause = run["cause"]
    return str(cause["trigger"] or cause["actor"] or "")


def _brief(value: object) -> str:
    """A report of DataHub's is pages long: its beginning is shown, and where the whole is."""
    text = cell(value)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]} … (whole with -o json)"


def _print_run(run: Doc) -> None:
    cause = run["cause"]
    print_fields(
        {
            "run": run["id"],
            "job": f"{run['job']} ({run['engine']})",
            "state": " ".join([run["state"], *([f"({run['detail']})"] if run["detail"] else [])]),
            "error": run["error"],
            "origin": run["origin"],
            "trigger": cause["trigger"],
            "actor": cause["actor"],
            "reason": cause["reason"],
            "event": cause["event"],
            "predecessors": "\n".join(f"{one['job']} {one['run']}" for one in run["predecessors"]),
            "created": clock(run["created_at"]),
            "started": clock(run["started_at"]),
            "ended": clock(run["ended_at"]),
            "time": span(seconds(run["started_at"], run["ended_at"])),
            "external id": run["external_id"],
            "arguments": "\n".join(f"{key}={value}" for key, value in run["arguments"].items()),
            "progress": None if run["result"] else run["progress"],
            "result": "\n".join(f"{key}: {_brief(value)}" for key, value in run["result"].items()),
        }
    )
    if len(run["attempts"]) > 1:
        say()
        rows = [
            [one["number"], one["state"], clock(one["started_at"]), span(seconds(one["started_at"], one["ended_at"])),
             one["error"]]
            for one in run["attempts"]
        ]  # fmt: skip
        print_table(["ATTEMPT", "STATE", "STARTED", "TIME", "ERROR"], rows)
    if run["decisions"]:
        say()
        print_table(
            ["EVENT", "TRIGGER", "OUTCOME", "REASON"],
            [[one["event"], one["trigger"], one["outcome"], one["reason"]] for one in run["decisions"]],
        )
    if run["objects_list"]:
        say()
        print_table(["OBJECT", "BYTES"], [[one["uri"], one["size"]] for one in run["objects_list"]])
