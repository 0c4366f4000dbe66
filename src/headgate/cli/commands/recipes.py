"""This file is where DataHub's recipes are looked through and run by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import logs, session
from headgate.cli.commands.starting import finish
from headgate.cli.ending import Failed
from headgate.cli.options import AsOutput, Config, Reason, Wait
from headgate.cli.printing import Output, note, print_json, print_table
from headgate.errors import Invalid, MissingSecrets, NotFound, Unavailable

if TYPE_CHECKING:
    from headgate.recipes.findings import Finding
    from headgate.recipes.values import Resolver
    from headgate.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="A recipe: YAML, JSON or TOML.")]
Offline = Annotated[bool, typer.Option("--offline", help="Try nobody the recipe names.")]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="The run's job is ingestion:NAME. Default: the file's name."),
]
OfDataHub = Annotated[
    str, typer.Option("--version", metavar="V", help="Of acryl-datahub. Default: the one that is installed.")
]


def check(file: File, offline: Offline = False, output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Look a recipe through: secrets in plain text, fields nobody knows, plugins and values that are missing; then try
    everybody it names (hosts, DataHub, AWS). Runs nothing. The exit code is 1 where something is wrong.
    """
    from headgate.recipes.findings import is_bad  # noqa: PLC0415 - `--help` needs none

    settings = session.settings(config)
    logs.of_command(settings)
    found = _checked(file, settings, offline=offline)
    if output is Output.JSON:
        print_json([{**asdict(one), "severity": one.severity.value, "file": str(file)} for one in found])
    else:
        rows = [[one.severity.value, f"{file}:{one.line}:{one.column}" if one.line else file, one.at, one.message]
                for one in found]  # fmt: skip
        print_table(["", "AT", "KEY", "FINDING"], rows, empty=f"{file}: nothing to say against it")
    if is_bad(found):
        raise Failed("")


def run(
    file: File,
    *,
    name: Name = None,
    version: OfDataHub = "",
    reason: Reason = None,
    wait: Wait = False,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Run a recipe as it is now, once, as a run of the job `ingestion:NAME`; its `${...}` are put in where it runs."""
    from headgate.flow.targets import INGESTION, RECIPE  # noqa: PLC0415 - as above
    from headgate.recipes.text import read_recipe  # noqa: PLC0415 - as above

    document = read_recipe(file)
    settings = session.settings(config)
    logs.of_command(settings)
    arguments = {RECIPE: json.dumps(document, ensure_ascii=False), **({"--version": version} if version else {})}
    with session.writing(settings, working=True) as client:
        started = client.start(f"{INGESTION}{name or file.stem}", arguments, reason or f"the recipe {file}")
        finish(client, started, wait=wait, output=output)


def _checked(file: Path, settings: Settings, *, offline: bool) -> list[Finding]:
    from headgate.processes import environment  # noqa: PLC0415 - as above
    from headgate.recipes import lint, text, values  # noqa: PLC0415 - as above
    from headgate.recipes.findings import Finding, Severity  # noqa: PLC0415 - as above

    document = text.read_recipe(file)
    source = file.read_text("utf-8", "replace")
    found = lint.lint(document, source, str(file))
    try:
        wanted = text.variables(document)
    except Invalid:  # an expression is none: said already
        return found
    try:
        with _resolver(settings) as resolver:
            known: Mapping[str, str] = values.values_of(document, resolver, foreign=False)
    except MissingSecrets as error:
        message = Finding(severity=Severity.ERROR, at=text.where(document, error.name), message=str(error))
        found += lint.with_places([message], source, str(file))
        known = {name: os.environ[name] for name in wanted if name in os.environ}
    except (NotFound, Invalid) as error:
        found.append(Finding(severity=Severity.ERROR, at="", message=str(error)))
        known = {name: os.environ[name] for name in wanted if name in os.environ}
    environ = {**environment.ordinary(os.environ), "DATAHUB_TELEMETRY_ENABLED": "false"}
    try:
        found += lint.with_places(lint.inspect(document, known, environ=environ), source, str(file))
    except Unavailable as error:
        found.append(Finding(severity=Severity.WARNING, at="", message=str(error)))
    if not offline:
        found += _tried(text.fill_known(document, known))
    return found


@contextmanager
def _resolver(settings: Settings) -> Generator[Resolver]:
    """Who has the values: the providers of secrets, or outside of a project the environment alone."""
    from headgate.recipes.values import Environment  # noqa: PLC0415 - as above

    if not settings.home.is_dir():
        yield Environment(os.environ)
        return
    from headgate.app import open_reading  # noqa: PLC0415 - the ledger is half a second of imports
    from headgate.aws import Clients  # noqa: PLC0415 - as above
    from headgate.runtime.secrets import resolver  # noqa: PLC0415 - as above

    with open_reading(settings) as gate:
        yield resolver(settings, gate.ledger, Clients())


def _tried(document: dict[str, object]) -> list[Finding]:
    from headgate.recipes import preflight  # noqa: PLC0415 - as above
    from headgate.recipes.findings import Finding, Severity  # noqa: PLC0415 - as above

    note("Trying those it names...")
    return [
        Finding(
            severity=Severity.OK if one.verdict is preflight.Verdict.OK else Severity.ERROR,
            at=one.at,
            message=f"{one.verdict.value}: {one.message}",
        )
        for one in preflight.try_all(document, environ=os.environ)
    ]
