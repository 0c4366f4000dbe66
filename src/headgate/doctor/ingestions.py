"""This file is where it is looked up where ingestion happens: with us, in DataHub, on AWS, elsewhere; or nowhere.

It answers the question that comes before every other: who fills the catalog, when, and is it done twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from headgate.aws import Clients
from headgate.datahub import GmsClient
from headgate.datahub.answers import record, sequence
from headgate.doctor import aws_schedules, containers, files, log_groups, unmanaged
from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.places import Places, Regular
from headgate.doctor.records import Doc, Records, moment, told, word
from headgate.errors import Forbidden, HeadgateError, Invalid, Unavailable
from headgate.recipes import text
from headgate.recipes.targeted import TABLES
from headgate.recipes.twice import Aim, aim_of, aim_of_text, same
from headgate.recipes.values import Environment
from headgate.settings import Settings

_SOURCES: Final = 500  #: of DataHub's ingestion sources, that are looked through
_RECENT: Final = 100  #: of the execution requests
_CLI: Final = "__datahub_cli_"  #: the executor that `datahub ingest` itself names
_FAILED: Final = frozenset({"FAILED", "TIMEOUT", "ERROR", "EXPIRED"})
_LAST: Final = 50  #: of a job's runs, among which its last success is looked for
_ERROR: Final = 300  #: characters of a run's error


def examine(
    records: Records,
    settings: Settings,
    client: GmsClient | None,
    clients: Clients,
    *,
    places: Places,
    away: bool,
    actor: str = "",
) -> Iterator[Finding]:
    """Every place, what is done twice, and whether nothing is done at all.

    `away`: DataHub does not answer. `actor`: as whom Headgate itself writes there, a URN.
    """
    regular: list[Regular] = []
    names: dict[str, str] = {}
    found = [
        *_ours(records, settings, places.environ, regular),
        *_sources(client, regular, names),
        *aws_schedules.examine(clients, regular),
        *_crontabs(places.crontabs, regular),
        *files.examine(places.look_in, regular),
        *(() if away else _recent(records, names)),
        *(() if away else unmanaged.examine(records, actor, of_datahub=client is not None)),
        *log_groups.examine(places.log_groups, clients, datetime.now(UTC)),
        *containers.examine(settings, places.environ),
        *_twice(regular),
    ]
    yield from found
    blind = away or any(one.rank is Rank.UNSEEN for one in found)  # what was not seen may well ingest
    if not blind and not any(one.enabled for one in regular):
        yield _nothing(regular, settings)


def _nothing(regular: Sequence[Regular], settings: Settings) -> Finding:
    """A finding only where a catalog is meant to be filled: a DataHub is named, or a job that ingests."""
    ours = next(
        (one.where.partition("trigger ")[2] for one in regular if not one.enabled and "trigger " in one.where), ""
    )
    meant = settings.datahub.configured or any(one.engine == "recipe" for one in settings.jobs.values())
    return Finding(
        Rank.LIKELY if meant else Rank.NOTE,
        "no automated ingestion was found: the catalog is filled by hand, or from elsewhere",
        "no schedule of ours, DataHub's, AWS Glue's or EventBridge's ingests, and nothing in the files given",
        f"headgate triggers enable {word(ours)}"
        if ours
        else "add a SCHEDULED trigger of a recipe job to headgate.yaml, then: headgate apply",
    )


def _ours(
    records: Records, settings: Settings, environ: Mapping[str, str], regular: list[Regular]
) -> Iterator[Finding]:
    jobs = {one["name"]: one for one in records.jobs()}
    for trigger in records.triggers():
        watch = trigger.get("catalog")
        if trigger["type"] != "SCHEDULED" and watch is None:
            continue
        for action in trigger["actions"]:
            job = jobs.get(action["job"])
            if job is None or job["engine"] != "recipe":
                continue
            where = f"Headgate's trigger {trigger['name']}"
            if watch is not None:
                regular.append(Regular(where, "", trigger["enabled"]))
                when = f"when tables of {watch['name']} change"
                yield _ingests(records, trigger, job, when, f"it looks each {watch['every']:g} s")
                continue
            kind, aim = _read_by(settings, job, environ)
            regular.append(Regular(where, kind, trigger["enabled"], aim, bool(trigger["unless_datahub_schedules"])))
            when = f"{trigger['schedule']} ({trigger['timezone']})"
            coming = f"next at {told(moment(trigger['next_tick']))}" if trigger["next_tick"] else "nothing is due"
            yield _ingests(records, trigger, job, when, coming)


def _ingests(records: Records, trigger: Doc, job: Doc, when: str, following: str) -> Finding:
    """A trigger of ours that ingests, and how its job did last. Runs that were for some tables only prove nothing."""
    what = f"Headgate's trigger {trigger['name']} ingests: {job['name']}, {when}"
    whole = [one for one in records.runs(job=str(job["name"]), most=_LAST) if TABLES not in one["arguments"]]
    last = next((one for one in whole if one["ended_at"]), whole[0] if whole else None)
    how = "last run: " + (
        f"{last['state']} at {told(moment(last['ended_at'] or last['created_at']))}" if last else "none"
    )
    if not trigger["enabled"]:
        return Finding(Rank.NOTE, f"{what}, disabled", how, f"headgate triggers enable {word(trigger['name'])}")
    if last is None or last["state"] not in _FAILED:
        return Finding(Rank.NOTE, what, f"{following}; {how}")
    good = next((one for one in whole if one["state"] == "SUCCEEDED"), None)
    since = f"last success: {told(moment(good['ended_at']))}" if good else "no success"
    return Finding(
        Rank.LIKELY,
        f"{what}, and its last run ended {last['state']}",
        f"{following}; {how}, {since}; {' '.join(str(last['error'] or last['detail']).split())[:_ERROR]}",
        f"headgate runs show {last['id']}; when that is mended: headgate runs retry {last['id']}",
    )


def _read_by(settings: Settings, job: Doc, environ: Mapping[str, str]) -> tuple[str, Aim | None]:
    """The source type of a job's recipe, and what it reads; nothing where the file cannot be read here."""
    try:
        recipe = text.read_recipe(settings.project / str(job["target"].get("recipe") or ""))
    except Invalid:
        return "", None
    return text.part_types(recipe)["source"][0].removeprefix("headgate-"), aim_of(recipe, Environment(environ))


def _sources(client: GmsClient | None, regular: list[Regular], names: dict[str, str]) -> Iterator[Finding]:
    """Those with a schedule. `names` takes what each one, scheduled or not, is called, by the last part of its URN."""
    if client is None:
        return
    try:
        found = record(client.ask("ingestion_sources", {"start": 0, "count": _SOURCES}).get("listIngestionSources"))
    except HeadgateError as error:
        yield unseen("DataHub's ingestion sources", str(error), "give Headgate's token MANAGE_INGESTION in DataHub")
        return
    for one in map(record, sequence(found.get("ingestionSources"))):
        schedule = record(one.get("schedule"))
        if one.get("name"):
            names[str(one.get("urn")).rpartition(":")[2]] = str(one["name"]).removeprefix("[CLI] ")
        where = f"DataHub's ingestion source {one.get('name') or one.get('urn')}"
        if not schedule.get("interval"):
            continue
        recipe = str(record(one.get("config")).get("recipe") or "")
        regular.append(Regular(f"{where} ({one.get('urn')})", str(one.get("type") or ""), aim=aim_of_text(recipe)))
        executor = record(one.get("config")).get("executorId") or "default"
        yield Finding(
            Rank.NOTE,
            f"{where} ingests: {one.get('type')}, {schedule['interval']} ({schedule.get('timezone') or 'UTC'})",
            f"{one.get('urn')}, executor {executor}",
        )


def _recent(records: Records, names: Mapping[str, str]) -> Iterator[Finding]:
    """What others ran lately, and what of it nobody's schedule explains."""
    try:
        found = records.external(most=_RECENT)
    except (Unavailable, Forbidden) as error:
        yield unseen("recent ingestions of others", str(error), "give Headgate's token MANAGE_INGESTION in DataHub")
        return
    newest: dict[str, Doc] = {}
    for one in found:
        newest.setdefault(str(one["job"]), one)
    for name, one in newest.items():
        by_hand, failed = one.get("executor") == _CLI, one["state"] in _FAILED
        at, shown = told(moment(one["started_at"] or one["created_at"])), names.get(name, name)
        yield Finding(
            Rank.POSSIBLE if by_hand or failed else Rank.NOTE,
            f"{shown} is ingested by `datahub ingest` outside of DataHub and Headgate: by hand, or a cron nobody sees"
            if by_hand
            else f"others ingested {shown} last at {at}: {one['state']}",
            f"{one['id']}, {one['state']} at {at}, asked for by {one['cause']['actor'] or 'nobody known'}",
            "declare its recipe as a job with a SCHEDULED trigger in headgate.yaml, then: headgate apply"
            if by_hand
            else f"its log is in DataHub: Ingestion > Sources > {shown}"
            if failed
            else "",
        )


def _twice(regular: Sequence[Regular]) -> Iterator[Finding]:
    by_kind: dict[str, list[Regular]] = {}
    for one in regular:
        if one.kind and one.enabled:
            by_kind.setdefault(one.kind, []).append(one)
    for kind, those in by_kind.items():
        ours = [one for one in those if one.where.startswith("Headgate's")]
        for mine in ours:
            if twins := [one for one in those if one not in ours and _may_be_same(mine, one)]:
                yield _two(kind, mine, twins)


def _may_be_same(one: Regular, other: Regular) -> bool:
    """Whether both ingest the same, for all that is known."""
    return one.aim is None or other.aim is None or same(one.aim, other.aim) is not False


def _two(kind: str, mine: Regular, twins: Sequence[Regular]) -> Finding:
    known = [one for one in twins if mine.aim is not None and one.aim is not None and same(mine.aim, one.aim)]
    off = "take the schedule off in DataHub"
    name = mine.where.partition("trigger ")[2]
    if mine.yields and known:
        return Finding(
            Rank.POSSIBLE,
            f"{kind} is on two schedules: {mine.where} leaves it to DataHub",
            " and ".join(one.where for one in known),
            f"{off}, or set unless_datahub_schedules: false at triggers.{name}, then: headgate apply",
        )
    return Finding(
        Rank.LIKELY,
        f"{kind} is ingested on two schedules",
        " and ".join(one.where for one in (mine, *twins)),
        f"headgate triggers disable {word(name)}; or {off}",
    )


def _crontabs(paths: Sequence[Path], regular: list[Regular]) -> Iterator[Finding]:
    for file in paths:
        try:
            lines = file.read_text("utf-8", errors="replace").splitlines()
        except OSError as error:
            yield unseen(f"the crontab {file}", str(error.strerror), f"ls -l {word(file)}")
            continue
        for number, line in enumerate(lines, 1):
            typed = None if line.lstrip().startswith("#") else files.TYPED.search(line)
            if typed is None:
                continue
            where, when = f"{file}:{number}", files.CRON.match(line)
            regular.append(Regular(where, ""))
            # of the rest of the line nothing is shown: it may hold a password
            shown = [when.group().strip()] if when else []
            yield Finding(Rank.NOTE, f"{where} ingests", ", ".join([*shown, " ".join(typed.group().split())]))
