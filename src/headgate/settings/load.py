"""This file is where headgate.yaml and the environment become the settings, or a list of everything wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from headgate.errors import InvalidConfiguration
from headgate.job import Lake
from headgate.model import Json
from headgate.settings import openlineage
from headgate.settings import top as keys
from headgate.settings.datasets import environment_rules, read_rules, read_text
from headgate.settings.functions import read_functions
from headgate.settings.glue import read_glue
from headgate.settings.jobs import read_jobs
from headgate.settings.kinds import BUCKET_NAME, PATH, TEXT, pattern
from headgate.settings.nodes import Place, Table, Text, read
from headgate.settings.notify import NOTIFY, read_notifications
from headgate.settings.private import interpolated, secret_texts
from headgate.settings.reading import Key, Report, Section, found, mask_url, source
from headgate.settings.record import DataHub, OpenLineage, Secret, SecretSettings, Settings
from headgate.settings.secrets import KEY_FILE, SECRETS, read_providers
from headgate.settings.sqs import read_queues
from headgate.settings.top import Top
from headgate.settings.triggers import read_triggers
from headgate.supervision import private
from headgate.supervision.masking import Masker

NAME: Final = "headgate.yaml"
_MISTAKEN: Final = ("headgate.yml", "Headgate.yaml", "headgate.json")
_ORIGIN: Final = pattern("an origin such as https://datahub.example.com", r"https?://[^/\s]+")


class InvalidSettings(InvalidConfiguration):
    """Everything wrong with the configuration, in the order of the file. With one problem it reads like that one."""

    def __init__(self, problems: Sequence[InvalidConfiguration]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.message, file=first.file, line=first.line, column=first.column)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return super().__str__()
        return "\n".join([f"{len(self.problems)} problems:", *(f"  {problem}" for problem in self.problems)])


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Find, read and check the configuration.

    The file is `path`, else the one HEADGATE_CONFIG names, else `headgate.yaml` in the current folder; when there is
    none, the defaults of the laptop mode are in force, with no jobs. Nothing is written.

    Args:
        path: the file, or the folder it is in.
        environ: the environment: `${...}` and the variables that win over the file come from here.

    Raises:
        InvalidSettings: something is wrong; its `problems` hold every one, with file, line and column.
    """
    report = Report()
    file = _find(path, environ, report)
    root = _root(file, environ, report)
    settings = _settings(file, root, environ, report) if not report.problems or root.entries else None
    if settings is None or report.problems:
        raise InvalidSettings(sorted(report.problems, key=lambda one: (one.file, one.line, one.column)))
    return settings


def describe(settings: Settings) -> list[dict[str, Json]]:
    """Every setting in force: {name, value, source}, sorted as in the file. Secrets are masked, wherever they stand."""
    masker = Masker(secret_texts(settings))
    return [{"name": one.name, "value": _masked(one.value, masker), "source": one.source} for one in settings.effective]


def _masked(value: Json, masker: Masker) -> Json:
    if isinstance(value, str):
        return masker.text(value)
    if isinstance(value, list):
        return [_masked(one, masker) for one in cast("list[Json]", value)]
    return value


def _find(path: Path | None, environ: Mapping[str, str], report: Report) -> Path | None:
    named, asked_by = (path, str(path)) if path is not None else (None, "")
    if named is None and (from_environment := environ.get("HEADGATE_CONFIG")):
        named, asked_by = Path(from_environment), "HEADGATE_CONFIG"
    if named is not None:
        file = named / NAME if named.is_dir() else named
        if not file.exists():
            report.problem(Place(asked_by), f"there is no file {file}; `headgate init DIR` writes an example")
        return file
    if Path(NAME).exists():
        return Path(NAME)
    for mistaken in _MISTAKEN:
        if Path(mistaken).exists():
            report.problem(Place(mistaken), f"the configuration is looked for in {NAME}; rename the file")
    return None


def _root(file: Path | None, environ: Mapping[str, str], report: Report) -> Table:
    nothing = Table(Place(_display(file) if file else NAME), {}, {})
    if file is None or report.problems:
        return nothing
    text = read_text(file, _display(file), report)
    node = None if text is None else read(text, _display(file), environ=environ, problems=report.problems)
    if isinstance(node, Table):
        return node
    if node is not None and not (isinstance(node, Text) and node.null):
        report.problem(node.place, f"expected a mapping with jobs and triggers, found {found(node)}")
    return nothing


def _display(file: Path) -> str:
    """How places name the file: from the current folder when it is under it."""
    try:
        return os.fspath(file.absolute().relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(file)


def _settings(file: Path | None, root: Table, environ: Mapping[str, str], report: Report) -> Settings:
    project = (file.absolute().parent if file is not None else Path.cwd()).resolve()
    section = Section(root, "", report)
    top = Top(section, environ)
    home = _path(top, keys.HOME, project)
    inboxes = _inboxes(section, project, home)
    jobs, told = read_jobs(section)
    functions = read_functions(section)
    jobs.update({one.job.name: one.job for one in functions.values()})
    triggers = read_triggers(section, jobs)
    rules = [*environment_rules(environ, report), *read_rules(section, jobs)]
    notify = [*read_notifications(section), *told]
    put_in = _put_in(section, environ)
    return Settings(
        project=project,
        config_file=file.absolute() if file is not None else None,
        home=home,
        database_url=_database(top, home, project),
        url=top.get(keys.URL).rstrip("/"),
        host=top.get(keys.HOST),
        port=top.get(keys.PORT),
        token=_secret(top, keys.TOKEN),
        events_token=_secret(top, keys.EVENTS_TOKEN),
        api_docs=top.get(keys.API_DOCS),
        log_level=top.get(keys.LOG_LEVEL),
        log_format=top.get(keys.LOG_FORMAT),
        lease=top.get(keys.LEASE),
        stop_grace=top.get(keys.STOP_GRACE),
        log_limit=top.get(keys.LOG_LIMIT),
        retention_days=top.get(keys.RETENTION),
        conditional_fires_for=top.get(keys.CONDITIONAL),
        lake=_lake(top, home, project, inboxes),
        inboxes=inboxes,
        jobs=jobs,
        triggers=triggers,
        glue=read_glue(section, jobs),
        rules=tuple(rules),
        notify=tuple(notify),
        datahub=replace(_datahub(top), executor=_file_of(top, keys.EXECUTOR, project)),
        openlineage=_openlineage(top, environ),
        secrets=_secrets(top, project),
        lambda_region=top.get(keys.LAMBDA_REGION),
        sqs=tuple(read_queues(section)),
        functions=functions,
        mapping_file=_mapping_file(environ),
        warnings=tuple(sorted(report.warnings, key=lambda one: (one.file, one.line, one.column))),
        effective=tuple(report.effective.values()),
        put_in=put_in,
    )


def _put_in(top: Section, environ: Mapping[str, str]) -> tuple[Secret, ...]:
    """The secrets that `${NAME}` stands for. Warns where one becomes part of a job: that is kept and shown."""
    jobs = top.node.entries.get("jobs")
    for name, section in jobs.entries.items() if isinstance(jobs, Table) else ():
        parts = section.entries if isinstance(section, Table) else {}
        for key in [key for key in parts if key != NOTIFY.name]:
            for variable, places in interpolated(parts[key], environ).items():
                top.report.warn(
                    places[0],
                    f"jobs.{name}.{key}: the value of {variable} becomes part of the job, which is kept, shown, and for"
                    f" a command in everybody's list of processes; let the job read it itself: env: [{variable}]",
                )
    named = interpolated(top.node, environ)
    return tuple(Secret(text) for text in private.texts(environ, named))


def _path(top: Top, key: Key[str], project: Path) -> Path:
    """A path as absolute: what the file says is relative to its folder, what a variable says to ours."""
    text, place = top.placed(key)
    path = _resolved(text, project, from_environment=place is not None and not place.line)
    top.root.report.becomes(key.name, str(path))
    return path


def _resolved(text: str, project: Path, *, from_environment: bool = False) -> Path:
    folder = Path.cwd() if from_environment else project
    return Path(os.path.normpath(folder / Path(text).expanduser()))


def _database(top: Top, home: Path, project: Path) -> str:
    url, place = top.placed(keys.DATABASE_URL)
    if not url:
        url = f"sqlite:///{home / 'ledger.db'}"
    elif url.startswith("sqlite:///"):
        url = f"sqlite:///{_resolved(url[10:], project, from_environment=place is not None and not place.line)}"
    top.root.report.becomes(keys.DATABASE_URL.name, mask_url(url))
    return url


def _secret(top: Top, key: Key[str]) -> Secret | None:
    text = top.get(key)
    return Secret(text) if text else None


def _lake(top: Top, home: Path, project: Path, inboxes: Mapping[str, Path]) -> Lake:
    uri, warehouse = top.get(keys.LAKE_URI), top.get(keys.LAKE_WAREHOUSE)
    if not uri:
        uri = f"sqlite:///{home / 'lake' / 'catalog.db'}"
    if "://" not in warehouse:
        folder = _resolved(warehouse, project) if warehouse else home / "lake" / "warehouse"
        warehouse = f"file://{folder}"
    top.root.report.becomes(keys.LAKE_URI.name, mask_url(uri))
    top.root.report.becomes(keys.LAKE_WAREHOUSE.name, warehouse)
    return Lake(
        catalog=top.get(keys.LAKE_CATALOG),
        uri=uri,
        warehouse=warehouse,
        inboxes={bucket: str(folder) for bucket, folder in inboxes.items()},
    )


def _inboxes(root: Section, project: Path, home: Path) -> dict[str, Path]:
    section = root.section_or_empty(keys.INBOXES)
    inboxes: dict[str, Path] = {}
    for bucket, node in section.node.entries.items():
        parsed = root.value(node, PATH, f"inboxes.{bucket}")
        root.value(Text(section.node.keys[bucket], bucket), BUCKET_NAME, "inboxes")
        if parsed is None:
            continue
        folder = _resolved(parsed[0], project)
        taken = {"the home": home} | {f"the inbox {other}": path for other, path in inboxes.items()}
        for other, path in taken.items():
            if folder == path or folder in path.parents or path in folder.parents:
                problem = (
                    f"inboxes.{bucket}: the folder overlaps with {other}; files would be taken for what they are not"
                )
                root.report.problem(node.place, problem)
        inboxes[bucket] = folder
        root.report.note(f"inboxes.{bucket}", str(folder), source(node))
    return inboxes


def _file_of(top: Top, key: Key[str], project: Path) -> Path | None:
    """A file that may be named; relative to the configuration's folder, or from the environment to ours."""
    text, place = top.placed(key)
    return _resolved(text, project, from_environment=place is not None and not place.line) if text else None


def _datahub(top: Top) -> DataHub:
    section = top.section(keys.DATAHUB)
    allow = section.section_or_empty(keys.ALLOW)
    allow.only(keys.OF_ALLOW)
    return DataHub(
        gms_url=top.get(keys.GMS_URL).rstrip("/"),
        frontend_url=top.get(keys.FRONTEND_URL).rstrip("/"),
        frontend_timeout=top.get(keys.FRONTEND_TIMEOUT),
        token=_secret(top, keys.GMS_TOKEN),
        client_id=top.get(keys.CLIENT_ID),
        client_secret=_secret(top, keys.CLIENT_SECRET),
        privileges=allow.texts(keys.PRIVILEGES, TEXT, DataHub().privileges),
        arns=allow.texts(keys.ARNS, TEXT),
        cors_origins=section.texts(keys.CORS, _ORIGIN),
        reveal_targets=top.get(keys.REVEAL_TARGETS),
        opaque_run_ids=top.get(keys.OPAQUE_RUN_IDS),
        strict=top.get(keys.STRICT),
        click_window=top.get(keys.CLICK_WINDOW),
        job_arn_property=top.get(keys.ARN_PROPERTY),
    )


def _openlineage(top: Top, environ: Mapping[str, str]) -> OpenLineage:
    values = {key.name.partition(".")[2]: top.get(key) for key in openlineage.SCALARS}
    return openlineage.read_openlineage(top.section(openlineage.OPENLINEAGE), values, environ)


def _secrets(top: Top, project: Path) -> SecretSettings:
    text, place = top.placed(KEY_FILE)
    file = _resolved(text, project, from_environment=place is not None and not place.line) if text else None
    with_datahub = bool(top.get(keys.GMS_URL) or top.get(keys.FRONTEND_URL))
    providers = read_providers(top.section(SECRETS), project, with_datahub=with_datahub)
    return SecretSettings(providers=providers, key_file=file)


def _mapping_file(environ: Mapping[str, str]) -> Path | None:
    file = environ.get("DATAHUB_INGESTION_LAMBDA_MAPPING_FILE")
    return Path(file).absolute() if file else None
