"""This file is where rules are listed, checked, kept in the ledger, and taken away again from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from headgate.cli import logs, session
from headgate.cli.ending import Failed
from headgate.cli.options import AsOutput, Config, Reason
from headgate.cli.printing import Output, print_json, print_table, say
from headgate.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from headgate.aws.present import Found
    from headgate.settings import Settings

_ASKING: Final = 8  #: questions to AWS that may be under way


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


@dataclass(frozen=True, slots=True)
class _Started:
    """What a rule starts: a job's engine and target; without an engine there is no such job."""

    engine: str
    target: Mapping[str, Any]


def check(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Ask AWS whether what the rules start is there, with the credentials of this shell. Nothing is started."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        rules, jobs = client.rules(stale=False), {one["name"]: one for one in client.jobs()}
    started = [_started(one, jobs) for one in rules]
    found = _look(started, settings)
    told = [
        {"kind": rule["kind"], "value": rule["value"], "starts": rule["starts"], "place": rule["place"],
         "on_aws": answer.presence.value if answer else None, "message": _message(what, answer)}
        for rule, what, answer in zip(rules, started, found, strict=True)
    ]  # fmt: skip
    if output is Output.JSON:
        print_json(told)
    else:
        rows = [[one["kind"], one["value"], one["starts"], one["on_aws"] or "-", one["place"]] for one in told]
        print_table(["BY", "COVERS", "STARTS", "ON AWS", "AT"], rows, empty="No rules, so nothing to look for")
    _end(told)


def _started(rule: Mapping[str, Any], jobs: Mapping[str, Mapping[str, Any]]) -> _Started:
    if rule["lambda"] is not None:
        return _Started("lambda", {"function": rule["lambda"], "region": rule["region"]})
    if rule["state_machine_arn"] is not None:
        return _Started("step_functions", {"state_machine_arn": rule["state_machine_arn"]})
    job = jobs.get(rule["job"])
    return _Started(job["engine"], job["target"]) if job is not None else _Started("", {})


def _look(started: Sequence[_Started], settings: Settings) -> list[Found | None]:
    """What AWS says of each; None for what is not on AWS. What several rules start is asked for once."""
    from headgate.aws import Clients  # noqa: PLC0415 - only this command needs it
    from headgate.aws.present import ENGINES, look  # noqa: PLC0415

    clients = Clients()
    wanted = {repr(one): one for one in started if one.engine in ENGINES}

    def ask(one: _Started) -> Found:
        return look(clients, one.engine, one.target, region=settings.lambda_region)

    with ThreadPoolExecutor(_ASKING) as pool:
        by_name = dict(zip(wanted, pool.map(ask, wanted.values()), strict=True))
    return [by_name.get(repr(one)) for one in started]


def _message(what: _Started, answer: Found | None) -> str | None:
    if not what.engine:
        return "there is no such job; change the rule, or declare the job"
    if answer is None:
        return None
    return answer.said or None


def _end(told: Sequence[Mapping[str, Any]]) -> None:
    """Exit 1 where something cannot be started, 3 where only nobody knows.

    Raises:
        Failed, Unavailable: with what is wrong, rule by rule.
    """
    lines = [f"{one['kind']} {one['value']} ({one['place']}): {one['message']}" for one in told if one["message"]]
    if not lines:
        return
    text = "\n  ".join(["not everything that rules start is known to be there:", *lines])
    if all(one["on_aws"] in ("denied", "unknown") for one in told if one["message"]):
        raise Unavailable(text)
    raise Failed(text)


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
