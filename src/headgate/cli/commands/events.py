"""This file is where events are looked up and let happen again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer

from headgate.cli import logs, session
from headgate.cli.client import Doc, EventsWanted
from headgate.cli.ending import Failed
from headgate.cli.options import AsOutput, Config, Limit, OnlyFailed, Prefix, Reason, Since, Until, Yes
from headgate.cli.printing import Output, confirm, interactive, note, print_json, print_table, short
from headgate.cli.times import clock, moment
from headgate.errors import Invalid


def show_list(
    *,
    prefix: Prefix = None,
    since: Since = None,
    until: Until = None,
    failed: OnlyFailed = False,
    door: Annotated[
        str | None,
        typer.Option("--door", metavar="DOOR", help="Only through: s3, sqs, inbox, schedule, manual, …"),
    ] = None,
    limit: Limit = 50,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """The events, newest first, each with what it led to."""
    wanted = _wanted(prefix, since, until, failed=failed, door=door)
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = list(islice(client.events(wanted), limit))
    if output is Output.JSON:
        print_json(found)
        return
    rows = [[clock(one["received_at"]), one["id"], one["door"], _what(one), _led_to(one["decisions"])] for one in found]
    print_table(["ARRIVED", "EVENT", "DOOR", "WHAT", "LED TO"], rows, empty="No events fit.")


def replay(
    events: Annotated[list[str] | None, typer.Argument(metavar="EVENT", help="The ids of events.")] = None,
    *,
    prefix: Prefix = None,
    since: Since = None,
    until: Until = None,
    failed: OnlyFailed = False,
    no_downstream: Annotated[
        bool, typer.Option("--no-downstream", help="What the runs' ends would fire is not fired.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which events that would be.")] = False,
    reason: Reason = None,
    yes: Yes = False,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Let events of objects happen again: those named, or all that fit, oldest first.

    Each becomes a new event that names the first one. The exit code is 1 when one of them started nothing.
    """
    wanted = _wanted(prefix, since, until, failed=failed, door=None)
    if bool(events) == (wanted != EventsWanted()):
        raise Invalid("name events, or choose them with --prefix, --since, --until or --failed, but not both")
    if not (events or dry_run or yes or interactive()):
        raise Invalid("say --yes to replay all that fit, or --dry-run to see which those are")
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings) as client:
        if not (events or dry_run or yes):
            would = client.replay(wanted, events=(), downstream=not no_downstream, dry_run=True, reason=reason)
            if would and not confirm(f"Replay {len(would)} events?"):
                raise Failed("nothing was replayed")
        done = client.replay(wanted, events=events or (), downstream=not no_downstream, dry_run=dry_run, reason=reason)
        remote = client.remote
    _tell(done, output, dry_run=dry_run, remote=remote)


def _tell(done: Sequence[Doc], output: Output, *, dry_run: bool, remote: bool) -> None:
    if output is Output.JSON:
        print_json(list(done))
    else:
        rows = [[one["replay_of"], _what(one), _led_to((one["receipt"] or {}).get("decisions", ()))] for one in done]
        print_table(["EVENT", "WHAT", "LED TO"], rows, empty="No events of objects fit; nothing was replayed.")
    if dry_run or not done:
        return
    if not remote:
        note("No server runs; the runs start with `headgate serve` (or `headgate worker`).")
    idle = [one for one in done if not any(each["run"] for each in one["receipt"]["decisions"])]
    if idle:
        raise Failed(f"{len(idle)} of {len(done)} events started nothing; the reasons are above")


def _wanted(
    prefix: str | None, since: str | None, until: str | None, *, failed: bool, door: str | None
) -> EventsWanted:
    now = datetime.now(UTC)
    return EventsWanted(
        prefix=prefix or None,
        since=moment(since, now) if since else None,
        until=moment(until, now) if until else None,
        failed=failed,
        door=door,
    )


def _what(event: Doc) -> str:
    if event["object"]:
        return str(event["object"]["uri"])
    payload = event.get("payload") or {}
    return f"{event['kind']} {payload.get('job') or payload.get('trigger') or ''}".strip()


def _led_to(decisions: Sequence[Doc]) -> str:
    def said(one: Doc) -> str:
        who = f"{one['trigger']} " if one["trigger"] else ""
        return f"{who}{one['outcome']} {short(one['run'])}" if one["run"] else f"{who}{one['outcome']}: {one['reason']}"

    return "; ".join(said(one) for one in decisions)
