"""This file is where keys for AWS calls are made, listed and revoked from the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from headgate.cli import logs, session
from headgate.cli.options import AsOutput, Config, Reason
from headgate.cli.printing import Output, note, print_json, print_table, say
from headgate.cli.times import length


def create(
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Who signs with it; calls are `urn:li:corpuser:key-NAME`'s.")
    ] = "",
    lasts: Annotated[
        str | None, typer.Option("--lasts", metavar="TIME", help="Until it expires, such as 12h or 30d.")
    ] = None,
    *,
    temporary: Annotated[
        bool, typer.Option("--session", help="With a session token, which calls must send, too.")
    ] = False,
    reason: Reason = None,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Make an access key for the AWS doors (Glue, Logs, Lambda). Its secret is shown this once."""
    settings = session.settings(config)
    logs.of_command(settings)
    asked = {"name": name, "lasts": length(lasts) if lasts else None, "session": temporary, "reason": reason}
    with session.writing(settings) as client:
        made = client.create_key({key: value for key, value in asked.items() if value is not None})
    if output is Output.JSON:
        print_json(made)
        return
    say(f"AWS_ACCESS_KEY_ID={made['id']}")
    say(f"AWS_SECRET_ACCESS_KEY={made['secret']}")
    if made["session_token"]:
        say(f"AWS_SESSION_TOKEN={made['session_token']}")
    note("the secret is not shown again; revoke the key with `headgate keys revoke`")


def show_list(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """The keys there are and were, the newest first."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = client.keys()
    if output is Output.JSON:
        print_json(found)
        return
    rows = [[one["id"], one["name"], one["state"], one["expires_at"] or "never", one["actor"]] for one in found]
    empty = "No keys. On this machine none is needed unless HEADGATE_TOKEN is set; make one with `headgate keys create`"
    print_table(["KEY", "NAME", "STATE", "EXPIRES", "MADE BY"], rows, empty=empty)


def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
    reason: Reason = None,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Let nobody sign with a key any more."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings) as client:
        gone = client.revoke_key(key, reason)
    if output is Output.JSON:
        print_json(gone)
    else:
        say(f"revoked {gone['id']} ({gone['name']})")
