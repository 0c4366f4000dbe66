"""This file is where our own secrets are set, listed and taken away from the command line; values never on it."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli import logs, session
from headgate.cli.ending import Failed
from headgate.cli.options import AsOutput, Config, Reason
from headgate.cli.printing import Output, print_json, print_table, say
from headgate.errors import Invalid

SecretName = Annotated[str, typer.Argument(metavar="NAME", help="The secret's name, as in a recipe's ${NAME}.")]


def put(
    name: SecretName,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Take the value from a file, not from standard input.")
    ] = None,
    *,
    value: Annotated[
        list[str] | None, typer.Argument(hidden=True, help="Refused: an argument can be read by everybody.")
    ] = None,
    reason: Reason = None,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Keep a secret, sealed. The value is asked for, or read from standard input; a line end at its end is left out."""
    if value:
        raise Invalid(
            "a value is not taken from the command line, where everybody on this machine can read it (and your shell"
            f" has written it down by now: take another); pipe it in, or type `headgate secrets set {name}` alone"
        )
    settings = session.settings(config)
    logs.of_command(settings)
    given = _value(name, file)
    with session.writing(settings) as client:
        kept = client.set_secret(name, given, reason)
    if output is Output.JSON:
        print_json(kept)
    else:
        say(f"{kept['name']} is kept, sealed")


def show_list(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """The names of our own secrets, and who set them. Values are shown to nobody."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = client.secrets()
    if output is Output.JSON:
        print_json(found)
        return
    rows = [[one["name"], one["actor"], one["updated_at"]] for one in found]
    print_table(["NAME", "SET BY", "AT"], rows, empty="No secrets. Keep one with `headgate secrets set NAME`")


def delete(name: SecretName, reason: Reason = None, output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Take a secret away. Runs that need it fail from then on."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings) as client:
        gone = client.delete_secret(name, reason)
    if output is Output.JSON:
        print_json(gone)
    else:
        say(f"deleted {gone['name']}")


def rotate(reason: Reason = None, output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Seal all secrets with the first key of HEADGATE_SECRETS_KEY; then the others can be taken out of it."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings) as client:
        done = client.rotate_secrets(reason)
    if output is Output.JSON:
        print_json(done)
    elif done["sealed"]:
        say(f"sealed again: {', '.join(done['sealed'])}")
    elif not done["closed"]:
        say("all are sealed with the first key")
    if done["closed"]:
        raise Failed(f"no key here opens {', '.join(done['closed'])}; put their key back, or set them again")


def _value(name: str, file: Path | None) -> str:
    """What is to be kept. Raises Invalid where it is no text."""
    if file is not None:
        try:
            return _text(file.read_bytes(), str(file))
        except OSError as error:
            raise Invalid(f"{file} cannot be read: {error.strerror}; nothing was kept") from error
    if not sys.stdin.isatty():
        return _text(sys.stdin.buffer.read(), "standard input")
    first = getpass.getpass(f"Value of {name} (not shown): ")
    if getpass.getpass("Once more: ") != first:
        raise Invalid("the two are not the same; nothing was kept")
    return first


def _text(data: bytes, where: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # without its cause, which quotes the value
        raise Invalid(f"{where} is no UTF-8 text; encode it (in base64, say) before it is kept") from None
    return text.removesuffix("\n").removesuffix("\r")
