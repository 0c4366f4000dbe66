"""This file is where runs are started from the command line: by a job's name, for a dataset, or again."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from headgate.cli import chain, completion, logs, progress, session
from headgate.cli.client import Client, Doc
from headgate.cli.ending import Failed
from headgate.cli.options import AsOutput, Config, Reason, RunName, TriggerName, Wait
from headgate.cli.printing import Output, note, print_json, say
from headgate.errors import Invalid, NotFound


def run(
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="A job's name.", autocompletion=completion.jobs)
    ] = None,
    *,
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="URN", help="The job that refreshes this dataset, by its rules.")
    ] = None,
    arg: Annotated[
        list[str] | None, typer.Option("--arg", metavar="K=V", help="An argument, with or without --; may be repeated.")
    ] = None,
    reason: Reason = None,
    wait: Wait = False,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Start a run of a job.

    With a server running it is asked to, and --wait follows the run and all that follows from it. With none, the run
    and all that follows from it happen in this process, which waits for their end. The exit code is 1 when one of the
    runs that were waited for did not end SUCCEEDED.
    """
    if (job is None) == (dataset is None):
        raise Invalid("name either a job or, with --dataset, a dataset: `headgate run JOB`; see `headgate jobs list`")
    arguments = parse_arguments(arg or [])
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings, working=True) as client:
        if dataset is not None:
            started = client.start_for(dataset, arguments, reason)
        else:
            started = _start(client, job or "", arguments, reason)
        finish(client, started, wait=wait, output=output)


def retry(
    run: RunName,
    reason: Reason = None,
    wait: Wait = False,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Run it again, with the same arguments and the same objects, as a new run."""
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings, working=True) as client:
        finish(client, client.retry(run, reason), wait=wait, output=output)


def start_trigger(
    trigger: TriggerName,
    reason: Reason = None,
    wait: Wait = False,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Fire an ON_DEMAND trigger: all its jobs start, with the arguments it gives them.

    The exit code is 1 when one of them did not start, or was waited for and did not end SUCCEEDED.
    """
    settings = session.settings(config)
    logs.of_command(settings)
    with session.writing(settings, working=True) as client:
        fired = client.start_trigger(trigger, reason)
        started = [client.run(one["run"]) for one in fired["decisions"] if one["run"]]
        runs = started
        if wait or not client.remote:
            with progress.telling(beside=output is Output.JSON) as tell:
                runs = [one for run in started for one in chain.follow(client, run, tell)]
        elif output is Output.TABLE:
            for one in started:
                say(f"{one['job']} {one['id']} {one['state']}")
    if output is Output.JSON:
        print_json(fired)
    skipped = [one for one in fired["decisions"] if not one["run"]]
    if skipped:
        raise Failed("; ".join(f"{one['job'] or one['trigger']} was not started: {one['reason']}" for one in skipped))
    conclude([one for one in runs if chain.ended(one)])


def parse_arguments(given: Sequence[str]) -> dict[str, str]:
    """`k=v` or `--k=v`, each once, as a job's arguments: their keys carry the `--`.

    Raises:
        Invalid: there is no `=`, no key, or one key twice.
    """
    arguments: dict[str, str] = {}
    for one in given:
        key, equals, value = one.partition("=")
        name = key.removeprefix("--")
        if not equals or not name:
            raise Invalid(f"--arg {one}: expected KEY=VALUE, as in --arg table=collections.staging")
        if f"--{name}" in arguments:
            raise Invalid(f"--arg {name} is given twice; an argument has one value")
        arguments[f"--{name}"] = value
    return arguments


def _start(client: Client, job: str, arguments: Mapping[str, str], reason: str | None) -> Doc:
    try:
        return client.start(job, arguments, reason)
    except NotFound as error:
        names = [one["name"] for one in client.jobs()]
        raise NotFound("job", job, _advice(job, names)) from error


def _advice(name: str, known: Sequence[str]) -> str:
    if near := difflib.get_close_matches(name, known, n=3):
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(known)}" if known else "headgate.yaml declares none; `headgate init DIR` shows how"


def finish(client: Client, started: Doc, *, wait: bool, output: Output) -> None:
    """Follow the run where that is asked for or nobody else would run it; then say how it stands."""
    as_json = output is Output.JSON
    if client.remote and not wait:
        if as_json:
            print_json(started)
        else:
            say(f"{started['job']} {started['id']} {started['state']}")
            note(f"Follow it with: headgate runs logs -f {started['id'][:15]}")
        return
    with progress.telling(beside=as_json) as tell:
        runs = chain.follow(client, started, tell)
    if as_json:
        print_json(runs[0])
    conclude(runs)


def conclude(runs: Sequence[Doc]) -> None:
    """Raise Failed when not every run ended well, naming those and where to look."""
    bad = [one for one in runs if one["state"] != "SUCCEEDED"]
    if not bad:
        return
    told = "; ".join(f"{one['job']} {one['id'][:15]} ended {one['state']}" for one in bad)
    why = next((one["error"] for one in bad if one["error"]), "")
    # what no engine has ever had, has no log
    where = "logs" if bad[0]["external_id"] else "show"
    raise Failed(f"{told}{f': {why}' if why else ''}. See `headgate runs {where} {bad[0]['id'][:15]}`")
