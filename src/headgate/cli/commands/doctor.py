"""This file is where the doctor is asked from the command line: why did it not run, and what mends it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli import completion, logs, session
from headgate.cli.client import Client, Doc, EventsWanted, RunsWanted
from headgate.cli.ending import Failed
from headgate.cli.options import AsOutput, Config
from headgate.cli.printing import Output, print_json, say
from headgate.errors import Invalid, InvalidConfiguration, Unavailable

if TYPE_CHECKING:
    from headgate.aws import Clients
    from headgate.doctor import Finding
    from headgate.doctor.places import Places
    from headgate.settings import Settings


class What(StrEnum):
    """What is looked at."""

    TRIGGER = "trigger"
    S3 = "s3"
    AWS = "aws"
    DATAHUB = "datahub"
    DONE = "done"


class Asked:
    """What the doctor asks of Headgate, answered by whoever answers commands."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.served = client.remote

    def jobs(self) -> Sequence[Doc]:
        return self._client.jobs()

    def triggers(self) -> Sequence[Doc]:
        return self._client.triggers()

    def runs(self, *, job: str | None = None, trigger: str | None = None, most: int) -> Sequence[Doc]:
        return list(islice(self._client.runs(RunsWanted(job=job, trigger=trigger)), most))

    def external(self, *, most: int) -> Sequence[Doc]:
        return list(islice(self._client.runs(RunsWanted(external=True)), most))

    def last_writes(self, *, most: int) -> Sequence[Doc]:
        return self._client.last_writes(most)

    def decided(self, trigger: str, *, most: int) -> Sequence[Doc]:
        return list(islice(self._client.decided(trigger), most))

    def events(self, *, prefix: str | None = None, door: str | None = None, most: int) -> Sequence[Doc]:
        return list(islice(self._client.events(EventsWanted(prefix=prefix, door=door)), most))

    def explain(self, urn: str) -> Doc:
        return self._client.explain(urn)

    def rules(self, *, stale: bool) -> Sequence[Doc]:
        return self._client.rules(stale=stale)

    def status(self) -> Doc:
        return self._client.status()


def doctor(
    what: Annotated[
        What | None,
        typer.Argument(metavar="WHAT", help="trigger NAME, s3, aws, datahub, or done. Default: all but done."),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The trigger's name.", autocompletion=completion.triggers)
    ] = None,
    *,
    crontab: Annotated[
        list[Path] | None,
        typer.Option("--crontab", metavar="FILE", help="datahub: look for ingestions in this file, too; repeatable."),
    ] = None,
    look_in: Annotated[
        list[Path] | None,
        typer.Option(
            "--look-in",
            metavar="PATH",
            help="datahub: search this folder (a repository, say) for `datahub ingest` and recipes; repeatable.",
        ),
    ] = None,
    log_group: Annotated[
        list[str] | None,
        typer.Option(
            "--log-group",
            metavar="NAME",
            help="datahub: search this group of CloudWatch Logs (name or ARN) for `datahub ingest`; repeatable.",
        ),
    ] = None,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Find out why something did not run: what is wrong, how one knows, and the command that mends it.

    Nothing is changed. The exit code is 0 when nothing is wrong, 1 when something is, 3 when something could not be
    looked at. `done` goes through the list of docs/datahub.md: what is done, and what is not yet.
    """
    if (what is What.TRIGGER) != (name is not None):
        raise Invalid("name the trigger after `doctor trigger` (see `headgate triggers list`), and nothing else")
    settings = session.settings(config)
    logs.of_command(settings)
    with session.reading(settings) as client:
        found = list(_look(what, name, Asked(client), settings, _places(crontab, look_in, log_group)))
    told = [_shape(about, one) for about, one in sorted(found, key=lambda pair: pair[1].rank)]
    if output is Output.JSON:
        print_json(told)
    else:
        _show(told)
    _end(told)


def _places(crontabs: list[Path] | None, look_in: list[Path] | None, groups: list[str] | None) -> Places:
    from headgate.doctor.places import Places  # noqa: PLC0415 - `--help` needs none of it

    return Places(crontabs=crontabs or (), look_in=look_in or (), log_groups=groups or ())


def _look(
    what: What | None,
    name: str | None,
    records: Asked,
    settings: Settings,
    places: Places,
) -> Iterator[tuple[str, Finding]]:
    """What is found, each with what it is about."""
    if what is What.TRIGGER and name is not None:
        yield from _of(f"trigger {name}", _trigger(name, records, settings))
    if what is None:
        from headgate.doctor.trigger import off_as_declared  # noqa: PLC0415 - `--help` needs none of it

        for one in records.triggers():
            about = f"trigger {one['name']}"
            if off := off_as_declared(one, settings):
                yield about, off
                continue
            # in the whole, what is merely idle is not worth a line
            yield from _of(about, (each for each in _trigger(str(one["name"]), records, settings) if not _idle(each)))
    yield from _far(what, records, settings, places)


def _far(
    what: What | None,
    records: Asked,
    settings: Settings,
    places: Places,
) -> Iterator[tuple[str, Finding]]:
    """What lies outside Headgate: with nothing named, as far as anything of it is used."""
    from headgate.aws import Clients  # noqa: PLC0415 - as below
    from headgate.doctor import aws, s3  # noqa: PLC0415

    clients = Clients()
    if what in (None, What.S3):
        yield from _of("s3", s3.diagnose(records, settings, clients, datetime.now(UTC)))
    if what in (None, What.AWS):
        yield from _of("aws", aws.diagnose(records, settings, clients))
    if what in (None, What.DATAHUB):
        yield from _of("datahub", _datahub(records, settings, clients, places))
    if what is What.DONE:
        yield from _of("done", _datahub(records, settings, clients, None))


def _datahub(records: Asked, settings: Settings, clients: Clients, places: Places | None) -> list[Finding]:
    """What is found of DataHub; without places the list of what is done."""
    from headgate.datahub import connect  # noqa: PLC0415 - as below
    from headgate.doctor import datahub, done  # noqa: PLC0415

    client = connect(settings.datahub) if settings.datahub.configured else None
    try:
        if places is None:
            return done.diagnose(records, settings, client, clients, broken=_broken(settings))
        return datahub.diagnose(records, settings, client, clients, places=places)
    finally:
        if client is not None:
            client.close()


def _broken(settings: Settings) -> str:
    """What is wrong with the executor's file; "" where that holds, or there is none."""
    from headgate.executor.pipeline_file import read_pipeline_file  # noqa: PLC0415 - as above

    file = settings.datahub.executor
    try:
        if file is not None:
            read_pipeline_file(file, os.environ)
    except InvalidConfiguration as error:
        return str(error).replace("\n", " ")
    return ""


def _trigger(name: str, records: Asked, settings: Settings) -> list[Finding]:
    from headgate.doctor.trigger import diagnose  # noqa: PLC0415 - `--help` needs none of it

    return diagnose(name, records, settings, datetime.now(UTC))


def _idle(found: Finding) -> bool:
    from headgate.doctor import Rank  # noqa: PLC0415 - as above

    return found.rank is Rank.NOTE


def _of(about: str, found: Iterable[Finding]) -> Iterator[tuple[str, Finding]]:
    for one in found:
        yield about, one


def _shape(about: str, one: Finding) -> dict[str, Any]:
    return {
        "about": about,
        "rank": int(one.rank),
        "kind": one.rank.name.lower(),
        "what": one.what,
        "evidence": one.evidence,
        "mend": one.mend or None,
    }


def _show(told: Sequence[Mapping[str, Any]]) -> None:
    """For people: what it is, how one knows, what mends it, a line each."""
    if not told:
        say("Nothing is wrong that can be seen.")
    for number, one in enumerate(told, 1):
        say(f"{number}. {one['kind'].upper()} · {one['about']}: {one['what']}")
        say(f"   seen: {one['evidence']}")
        if one["mend"]:
            say(f"   mend: {one['mend']}")


def _end(told: Sequence[Mapping[str, Any]]) -> None:
    """Exit 1 where something is wrong, 3 where only nobody knows."""
    from headgate.doctor.finding import WRONG, Rank  # noqa: PLC0415 - as above

    if any(one["rank"] in WRONG for one in told):
        raise Failed
    unseen = sum(one["rank"] == Rank.UNSEEN for one in told)
    if unseen:
        raise Unavailable(f"{unseen} of {len(told)} things could not be looked at, so nobody knows whether all is well")
