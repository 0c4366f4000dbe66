"""This file is where messages that could not be read are looked at, tried again and thrown away."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from headgate.cli import logs, session
from headgate.cli.client import Doc
from headgate.cli.options import AsOutput, Config, Limit, Reason
from headgate.cli.printing import Output, note, print_json, print_table, say
from headgate.cli.times import clock
from headgate.errors import Invalid

Letters = Annotated[list[str], typer.Argument(metavar="LETTER", help="The ids of dead letters.")]


def show_list(*, limit: Limit = 50, output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """The messages of queues that could not be read, newest first. JSON has them word for word."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = list(islice(client.dead_letters(), limit))
    if output is Output.JSON:
        print_json(found)
        return
    rows = [[clock(one["at"]), one["id"], str(one["receives"]), one["error"], _beginning(one)] for one in found]
    print_table(["GIVEN UP", "LETTER", "RECEIVES", "WHY", "MESSAGE"], rows, empty="Every message could be read.")


def replay(letters: Letters, *, reason: Reason = None, output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Read messages again and take what they hold. One that still cannot be read stays, and the exit code is 2."""
    settings = session.settings(config)
    logs.of_command(settings)
    done: list[Doc] = []
    with session.writing(settings) as client:
        try:
            done.extend(client.replay_dead(letter, reason) for letter in letters)
        except Invalid as error:
            raise Invalid(f"{error}; send the message as it should be, or `headgate events dead delete`") from error
        remote = client.remote
    if output is Output.JSON:
        print_json(done)
        return
    for one in done:
        started = [decision["run"] for event in one["events"] for decision in event["decisions"] if decision["run"]]
        say(f"{one['id']}: {len(one['events'])} events, {len(started)} runs" + "".join(f"\n  {run}" for run in started))
    if not remote:
        note("No server runs; the runs start with `headgate serve` (or `headgate worker`).")


def delete(letters: Letters, *, reason: Reason = None, output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Throw messages away. Who did it, why, and what was wrong with them is kept in the audit."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings) as client:
        gone = [client.delete_dead(letter, reason) for letter in letters]
    if output is Output.JSON:
        print_json(gone)
    else:
        say("\n".join(f"deleted {one['id']}" for one in gone))


def _beginning(letter: Doc) -> str:
    text = " ".join(str(letter["body"]).split())
    return text if len(text) <= 60 else text[:57] + "..."
