"""This file is where the configuration is written, checked, shown, compared with the ledger and put in force."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli import logs, session
from headgate.cli.client import Doc
from headgate.cli.ending import ExitCode, Failed
from headgate.cli.options import AsOutput, Config, Yes
from headgate.cli.printing import Output, cell, confirm, interactive, note, print_json, print_table, say
from headgate.errors import Invalid, InvalidConfiguration

_SIGN = {"create": "+", "restore": "+", "delete": "-"}
_RESTART = "restart"


def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; made when not there.")]) -> None:
    """Write the example project simple-data-hub into a folder."""
    from headgate.project import NAME, write_project  # noqa: PLC0415 - only this command needs it

    written = write_project(directory)
    say(f"{NAME}: {len(written)} files written to {directory}" if written else f"{NAME} is in {directory} already")
    say("Next:")
    say(f"  cd {shlex.quote(os.fspath(directory))}")
    say("  headgate serve           # then open the address it prints")
    say("  mkdir inbox/collections-data/ingest_ts=now && cp FILE.csv inbox/collections-data/ingest_ts=now/")


def validate(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Check the configuration, offline: every problem with its file, line and column. The exit code is 2 if any."""
    from headgate.settings import InvalidSettings, load  # noqa: PLC0415 - `--help` needs none

    try:
        settings = load(config, os.environ)
    except InvalidSettings as error:
        if output is Output.JSON:
            print_json([_problem(one) for one in error.problems])
        else:
            for one in error.problems:
                say(str(one))
            note(f"{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}; nothing was changed")
        raise typer.Exit(ExitCode.USAGE) from error
    if output is Output.JSON:
        print_json([])
        return
    where = settings.config_file or "no headgate.yaml here: the defaults"
    counted = [(settings.jobs, "jobs"), (settings.triggers, "triggers"), (settings.rules, "dataset rules")]
    say(f"{where}: {', '.join(f'{len(those)} {name}' for those, name in counted)}; no problems")


def show_config(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """The settings in force, secrets masked, each with where it comes from."""
    from headgate.settings import describe, load  # noqa: PLC0415 - as above

    found = describe(load(config, os.environ))
    if output is Output.JSON:
        print_json(found)
    else:
        print_table(["SETTING", "VALUE", "FROM"], [[one["name"], one["value"], one["source"]] for one in found])


def plan(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """What `apply` would change: + made, ~ changed, - deleted. Changes nothing. A server reads its own file again."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        _print_changes(client.plan(), output, "Nothing to change: the ledger says what headgate.yaml says.")


def apply(yes: Yes = False, output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Make the ledger say what headgate.yaml says: also delete, restore and switch what `plan` shows as drift."""
    settings = session.settings(config)
    logs.of_command(settings)
    if not (yes or interactive()):
        raise Invalid("say --yes to apply; `headgate plan` shows what that would change")
    if not yes:
        with session.reading(settings) as client:
            changes = client.plan()
        _print_changes(changes, Output.TABLE, "Nothing to change.")
        count = sum(one["does"] != _RESTART for one in changes)
        if count and not confirm(f"Apply {count} changes?"):
            raise Failed("nothing was applied")
    with session.writing(settings, declare=False) as client:
        done = client.apply()
    if output is Output.JSON:
        print_json(done)
    elif yes:
        _print_changes(done, output, "Nothing to change: the ledger says what headgate.yaml says.")


def explain(
    urn: Annotated[str, typer.Argument(metavar="URN", help="A dataset's URN.")],
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Which job a click on this dataset would start, by which rule, and which rules lost. Starts nothing."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = client.explain(urn)
    if output is Output.JSON:
        print_json(found)
    else:
        say(found["message"])
        if found["refused"]:
            say(f"a click is refused: {found['refused']}")
        for one in found["notes"]:
            note(one)
        if found["losers"]:
            say()
            rows = [[_rule(one), one["place"], one["reason"]] for one in found["losers"]]
            print_table(["RULE THAT LOST", "AT", "WHY"], rows)
    if found["job"] is None:
        raise Failed("" if output is Output.TABLE else found["message"])


def _problem(problem: InvalidConfiguration) -> dict[str, Any]:
    return {"file": problem.file, "line": problem.line, "column": problem.column, "message": problem.message}


def _rule(rule: Doc) -> str:
    target = rule["job"] or rule["lambda"] or rule["state_machine_arn"]
    return f"{rule['kind']} {rule['value']} -> {target}".replace("  ", " ")


def _print_changes(changes: Sequence[Doc], output: Output, nothing: str) -> None:
    if output is Output.JSON:
        print_json(list(changes))
        return
    if not changes:
        say(nothing)
    for one in changes:
        drift = "  (drift: only `headgate apply` changes it)" if one["drift"] else ""
        if one["does"] == _RESTART:
            drift = "  (only a restart of the server puts it in force)"
        say(f"{_SIGN.get(one['does'], '~')} {one['kind']} {one['name']}: {one['does']}{drift}")
        if one["does"] not in _SIGN:
            for line in differences(one["before"] or {}, one["after"] or {}):
                say(f"    {line}")


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields that differ, a line each: `name: old -> new`."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{name}: {cell(before.get(name)) or '-'} -> {cell(after.get(name)) or '-'}" for name in names]
