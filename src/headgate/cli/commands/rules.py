"""This file is where rules are listed, kept in the ledger, and taken away again from the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from headgate.cli import logs, session
from headgate.cli.options import AsOutput, Config, Reason
from headgate.cli.printing import Output, print_json, print_table, say
from headgate.errors import Invalid


def show_list(
    *,
    stale: Annotated[bool, typer.Option("--stale", help="Only rules for datasets that DataHub does not know.")] = False,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Every rule in force, from files, the environment and the ledger; the most precise first."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = client.rules(stale=stale)
    if output is Output.JSON:
        print_json(found)
        return
    rows = [[one["kind"], one["value"], one["starts"], one["place"], one["id"]] for one in found]
    empty = "No rules. Write them under datasets: in headgate.yaml, or keep one with `headgate rules set`"
    if stale:
        empty = "No rule is stale: DataHub knows every dataset that has one of its own"
    print_table(["BY", "COVERS", "STARTS", "AT", "RULE"], rows, empty=empty)


def put(
    *,
    urn: Annotated[str | None, typer.Option("--urn", metavar="URN", help="For the dataset with this URN.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="URN", help="For the datasets with this tag.")] = None,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", metavar="NAME", help="For the datasets whose name begins so: [platform:]database."),
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="For every dataset no other rule covers.")] = False,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Start this job.")] = None,
    function: Annotated[
        str | None, typer.Option("--lambda", metavar="NAME", help="Start this Lambda function (name or ARN).")
    ] = None,
    state_machine_arn: Annotated[
        str | None, typer.Option("--state-machine-arn", metavar="ARN", help="Start this state machine.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="REGION", help="Where a function given by its name is.")
    ] = None,
    reason: Reason = None,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Keep a rule in the ledger, in place of the one there that covers the same."""
    covers = {"urn": urn, "tag": tag, "prefix": prefix, "default": default or None}
    starts = {"job": job, "lambda": function, "state_machine_arn": state_machine_arn}
    if sum(one is not None for one in covers.values()) != 1:
        raise Invalid("say which datasets it is for: exactly one of --urn, --tag, --prefix and --default")
    if sum(one is not None for one in starts.values()) != 1:
        raise Invalid("say what it starts: exactly one of --job, --lambda and --state-machine-arn")
    settings = session.settings(config)
    logs.of_command(settings)
    asked = {**covers, **starts, "region": region, "reason": reason}
    with session.writing(settings) as client:
        kept = client.set_rule({name: value for name, value in asked.items() if value is not None})
    if output is Output.JSON:
        print_json(kept)
    else:
        say(f"{kept['id']}: {kept['kind']} {kept['value']} -> {kept['starts']}".replace("  ", " "))


def delete(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="A rule's id, or what it covers (`default`).")],
    reason: Reason = None,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Take a rule of the ledger away. Rules of files are changed in the file."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings) as client:
        gone = client.delete_rule(rule, reason)
    if output is Output.JSON:
        print_json(gone)
    else:
        say(f"deleted {gone['id']}: {gone['kind']} {gone['value']} -> {gone['starts']}".replace("  ", " "))
