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
from headgate.errors import HeadgateError, Invalid, InvalidConfiguration, Unavailable

_NOTHING = "Nothing to change: what headgate.yaml says is so."
_UNMANAGED = "unmanaged"
_SHOWN = 12  #: names of what is not ours
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
        if settings.datahub.executor is not None:
            from headgate.executor.pipeline_file import read_pipeline_file  # noqa: PLC0415 - where there is one

            read_pipeline_file(settings.datahub.executor, os.environ)
    except InvalidConfiguration as error:
        problems = error.problems if isinstance(error, InvalidSettings) else (error,)
        if output is Output.JSON:
            print_json([_problem(one) for one in problems])
        else:
            for one in problems:
                say(str(one))
            note(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}; nothing was changed")
        raise typer.Exit(ExitCode.USAGE) from error
    for one in settings.warnings:
        note(f"warning: {one}")
    if output is Output.JSON:
        print_json([])
        return
    where = settings.config_file or "no headgate.yaml here: the defaults"
    triggers = [*settings.triggers, *settings.glue.triggers]
    counted = [(settings.jobs, "jobs"), (triggers, "triggers"), (settings.rules, "dataset rules")]
    say(f"{where}: {', '.join(f'{len(those)} {name}' for those, name in counted)}; no problems")


def show_config(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """The settings in force, secrets masked, each with where it comes from."""
    from headgate.settings import describe, load  # noqa: PLC0415 - as above

    found = describe(load(config, os.environ))
    if output is Output.JSON:
        print_json(found)
    else:
        print_table(["SETTING", "VALUE", "FROM"], [[one["name"], one["value"], one["source"]] for one in found])


Offline = Annotated[bool, typer.Option("--offline", help="Ask nothing of AWS: the ledger alone.")]


def plan(output: AsOutput = Output.TABLE, offline: Offline = False, config: Config = None) -> None:
    """What `apply` would change, in the ledger and on AWS Glue: + made, ~ changed, - deleted. Changes nothing.

    A server reads its own file again. AWS is asked only where headgate.yaml defines Glue's jobs or triggers; without
    an answer the rest is shown all the same, and the exit code is 3.
    """
    settings = session.settings(config)
    logs.of_command(settings)
    away: HeadgateError | None = None
    with session.reading(settings, declare=False) as client:
        changes = client.plan()
        try:
            changes += [] if offline else client.plan_glue()
        except HeadgateError as error:
            away = error
    _print_changes(changes, output, _NOTHING if away is None else "Nothing to change in the ledger.")
    if away is not None:
        kind = Unavailable if isinstance(away, Unavailable) else Invalid
        raise kind(f"what differs on AWS Glue is not known: {away}") from away


def apply(yes: Yes = False, output: AsOutput = Output.TABLE, offline: Offline = False, config: Config = None) -> None:
    """Make the ledger and AWS Glue say what headgate.yaml says: also delete, restore and switch what is drift.

    Where AWS fails in the middle, the ledger says it already, and the same command goes on from there.
    """
    settings = session.settings(config)
    logs.of_command(settings)
    if not (yes or interactive()):
        raise Invalid("say --yes to apply; `headgate plan` shows what that would change")
    if not yes:
        with session.reading(settings, declare=False) as client:
            changes = [*client.plan(), *([] if offline else client.plan_glue())]
        _print_changes(changes, Output.TABLE, "Nothing to change.")
        count = sum(one["does"] not in (_RESTART, _UNMANAGED) for one in changes)
        if count and not confirm(f"Apply {count} changes?"):
            raise Failed("nothing was applied")
    with session.writing(settings, declare=False) as client:
        if not offline:
            client.plan_glue()  # where AWS cannot be asked, nothing is done
        done = client.apply()
        try:
            done += [] if offline else client.apply_glue()
        except HeadgateError:
            _print_changes(done, output, "Nothing to change in the ledger.")  # this much is done
            raise
    if output is Output.JSON:
        print_json(done)
    elif yes:
        _print_changes(done, output, _NOTHING)


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
    if all(one["does"] == _UNMANAGED for one in changes):
        say(nothing)
    for one in changes:
        if one.get("on") == "glue":
            continue
        drift = "  (drift: only `headgate apply` changes it)" if one["drift"] else ""
        if one["does"] == _RESTART:
            drift = "  (only a restart of the server puts it in force)"
        say(f"{_SIGN.get(one['does'], '~')} {one['kind']} {one['name']}: {one['does']}{drift}")
        if one["does"] not in _SIGN:
            for line in differences(one["before"] or {}, one["after"] or {}):
                say(f"    {line}")

    _print_glue([one for one in changes if one.get("on") == "glue"])


def _print_glue(changes: Sequence[Doc]) -> None:
    """What is different on AWS Glue, member by member, and what is there and not ours, in a line."""
    for one in changes:
        if one["does"] == _UNMANAGED:
            continue
        drift = "  (drift: somebody changed it on AWS)" if one["drift"] else ""
        say(f"{_SIGN.get(one['does'], '~')} glue {one['kind']} {one['name']}: {one['does']}{drift}")
        if one["does"] not in _SIGN:
            for line in differences(_flat(one["before"] or {}), _flat(one["after"] or {})):
                say(f"    {line}")
        if one["kept"]:
            say(f"    kept as on AWS: {', '.join(one['kept'])}")
    for one in changes:
        if one["twice"]:
            stop = f"`aws glue stop-trigger --name {shlex.quote(one['name'])}` ends that"
            say(f"! the trigger {one['name']} fires here and on Glue, too; {stop}")
    others = [f"{one['kind']} {one['name']}" for one in changes if one["does"] == _UNMANAGED]
    if others:
        shown = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
        say(f"? on Glue, not in headgate.yaml, and left alone: {shown}  (`headgate import glue` writes them down)")


def _flat(members: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Members within members by their whole names: `Command.ScriptLocation`."""
    flat: dict[str, Any] = {}
    for name, value in members.items():
        if isinstance(value, Mapping) and value:
            flat.update(_flat(value, f"{before}{name}."))
        else:
            flat[before + name] = value
    return flat


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields that differ, a line each: `name: old -> new`."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{name}: {cell(before.get(name)) or '-'} -> {cell(after.get(name)) or '-'}" for name in names]
