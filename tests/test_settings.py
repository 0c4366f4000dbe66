"""This file is where finding, reading and describing the configuration is tested."""

from __future__ import annotations

import itertools
import json
from dataclasses import fields
from pathlib import Path

import pytest

from headgate.engines.local import validate_target
from headgate.flow.resolve import RuleKind, RuleSource
from headgate.model import (
    Action,
    Backoff,
    Condition,
    FiresFor,
    Job,
    JobName,
    Logical,
    Missed,
    RunState,
    TriggerName,
    TriggerType,
)
from headgate.settings import InvalidSettings, Secret, Settings, describe, load, settings_reference
from headgate.settings.engines import ENGINES
from headgate.settings.reference import VARIABLES, chapters

#: The configuration of the design, letter by letter.
DESIGN = """\
jobs:
  csv-to-iceberg-ingestion: {engine: local, run: headgate.lake.csv_to_iceberg, max_concurrent_runs: 1, max_retries: 2, timeout: 60m,
                             arguments: {--table: collections.collections_data_staging, --source: s3://raw-data/collections-data/}}
  create-views-dual-engine: {engine: local, run: headgate.lake.dual_engine_views, max_concurrent_runs: 1}
  earnings-ingest:          {engine: step_functions, state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:earnings-ingest"}
  glue-metadata:            {engine: recipe, recipe: datasource-ingestion-recipes/glue-example.yml}
triggers:
  csv-uploaded:              {type: EVENT, s3: {bucket: raw-data, prefix: collections-data/, suffix: [.csv, .csv.gz]}, settle: 1s, max_objects: 500, actions: [csv-to-iceberg-ingestion]}
  dual-engine-views-trigger: {type: CONDITIONAL, predicate: {conditions: [{job: csv-to-iceberg-ingestion, state: SUCCEEDED}]}, actions: [create-views-dual-engine]}
  glue-metadata-schedule:    {type: SCHEDULED, schedule: "cron(0 0/6 * * ? *)", timezone: UTC, enabled: "${GLUE_METADATA:-false}", actions: [glue-metadata]}
datasets:                    # first the job named by the DataJob's ARN property, then these, most specific first: urn, tag, longest prefix, default
  - {urn: "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.us_stocks_sip_v2,PROD)", job: earnings-ingest}
  - {tag: "urn:li:tag:layer.raw", job: csv-to-iceberg-ingestion}
  - {prefix: "athena:AwsDataCatalog.financial_data", lambda: polygon-lambda}      # platform optional; ends at a name boundary; or state_machine_arn:
  - {default: true, job: glue-metadata}
inboxes:                     # a folder that stands for a bucket on a laptop; the same events, the same trigger
  raw-data: ./inbox
notify:                      # here or on a job; apprise URL, or a webhook with a template; one message a failure, one a recovery
  - {on: [FAILED, TIMEOUT, RECOVERED], url: "${NOTIFY_URL:-}"}
# datahub: {gms_url, frontend_url, token, allow: {privileges: [EXECUTE_ENTITY], arns: []}, cors_origins: [], reveal_targets: false, opaque_run_ids: false, strict: false}
"""  # noqa: E501 - the design's own lines

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.{},PROD)"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is not the current folder."""
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "project"
    elsewhere.mkdir()
    folder.mkdir()
    monkeypatch.chdir(elsewhere)
    return folder


def written(project: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    (project / "headgate.yaml").write_text(text, "utf-8")
    return load(project / "headgate.yaml", environ or {})


def source_of(settings: Settings, name: str) -> object:
    (row,) = (row for row in describe(settings) if row["name"] == name)
    return row["source"]


def test_the_design_loads_as_it_is_written(project: Path) -> None:
    """The configuration in the design means the jobs, triggers, rules and inboxes it shows."""
    settings = written(project, DESIGN)

    assert settings.jobs[JobName("csv-to-iceberg-ingestion")] == Job(
        name=JobName("csv-to-iceberg-ingestion"),
        engine="local",
        target={"run": "headgate.lake.csv_to_iceberg"},
        arguments={
            "--table": "collections.collections_data_staging",
            "--source": "s3://raw-data/collections-data/",
        },
        max_concurrent_runs=1,
        max_retries=2,
        timeout=3600.0,
    )
    assert list(settings.jobs)[1:] == ["create-views-dual-engine", "earnings-ingest", "glue-metadata"]
    uploaded, views, schedule = settings.triggers.values()
    assert uploaded.objects is not None
    assert (uploaded.type, uploaded.objects.bucket, uploaded.objects.prefix, uploaded.objects.suffix) == (
        TriggerType.EVENT, "raw-data", "collections-data/", (".csv", ".csv.gz")
    )  # fmt: skip
    assert (uploaded.settle, uploaded.max_objects, uploaded.enabled) == (1.0, 500, True)
    assert views.predicate is not None
    assert views.predicate.conditions == (Condition(job=JobName("csv-to-iceberg-ingestion"), state=RunState.SUCCEEDED),)
    assert (views.predicate.logical, views.actions) == (
        Logical.AND,
        (Action(job=JobName("create-views-dual-engine")),),
    )
    assert (schedule.schedule, schedule.timezone, schedule.enabled) == ("cron(0 0/6 * * ? *)", "UTC", False)
    assert [rule.kind for rule in settings.rules] == list(RuleKind)[1:], "a property is no one's to declare"
    assert [rule.place for rule in settings.rules] == [f"{project}/headgate.yaml:{line}" for line in (12, 13, 14, 15)]
    assert settings.inboxes == {"raw-data": project / "inbox"}
    assert settings.notify == ()


def test_a_variable_switches_the_designs_schedule_on(project: Path) -> None:
    """A text that expands to true is a boolean where one is wanted; a filled address is told."""
    settings = written(project, DESIGN, {"GLUE_METADATA": "true", "NOTIFY_URL": "json://example.org/x"})

    assert settings.triggers[TriggerName("glue-metadata-schedule")].enabled is True
    (told,) = settings.notify
    assert (told.name, told.url, list(told.on)) == (
        "notify[0]", Secret("json://example.org/x"), ["FAILED", "TIMEOUT", "RECOVERED"]
    )  # fmt: skip


def test_without_a_file_the_laptop_mode_is_in_force(project: Path) -> None:
    """No file at all is no error: state goes beside where we are, and there are no jobs."""
    here = project.parent / "elsewhere"
    settings = load(None, {})

    assert (settings.config_file, settings.project, settings.home) == (None, here, here / ".headgate")
    assert settings.database_url == f"sqlite:///{here}/.headgate/ledger.db"
    assert (settings.lake.uri, settings.lake.warehouse) == (
        f"sqlite:///{here}/.headgate/lake/catalog.db",
        f"file://{here}/.headgate/lake/warehouse",
    )
    assert (dict(settings.jobs), dict(settings.triggers), settings.host, settings.port) == ({}, {}, "127.0.0.1", 8090)
    assert (settings.datahub.configured, settings.log_limit) == (False, 10 * 2**30)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "jobs:\ntriggers:\ndatasets:\n"])
def test_an_empty_file_is_no_error(project: Path, text: str) -> None:
    """A file or a section with nothing in it means its defaults."""
    assert dict(written(project, text).jobs) == {}


def test_the_file_is_looked_for_where_it_was_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path given wins over HEADGATE_CONFIG, which wins over the current folder; a folder stands for its file."""
    for name, port in (("a", 1001), ("b", 1002), ("c", 1003)):
        (project / name).mkdir()
        (project / name / "headgate.yaml").write_text(f"port: {port}\n", "utf-8")
    environ = {"HEADGATE_CONFIG": str(project / "b")}
    monkeypatch.chdir(project / "c")

    assert load(project / "a", environ).port == 1001
    assert load(None, environ).port == 1002
    assert load(None, {"HEADGATE_CONFIG": ""}).port == 1003
    assert source_of(load(None, {}), "port") == "headgate.yaml:1:7"


@pytest.mark.parametrize(
    ("path", "environ", "problem"),
    [
        ("none.yaml", {}, r"none\.yaml: there is no file \S+none\.yaml; `headgate init DIR` writes an example"),
        (None, {"HEADGATE_CONFIG": "gone.yaml"}, r"^HEADGATE_CONFIG: there is no file gone\.yaml"),
        (None, {}, r"^headgate\.yml: the configuration is looked for in headgate\.yaml; rename the file"),
    ],
)
def test_a_file_that_is_not_there_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, path: str | None, environ: dict[str, str], problem: str
) -> None:
    """A file that was asked for and is missing is an error that says who asked; so is a misspelt name."""
    (project / "headgate.yml").touch()
    monkeypatch.chdir(project)
    with pytest.raises(InvalidSettings, match=problem):
        load(project / path if path else None, environ)


def test_a_file_that_is_no_text_is_said_with_its_place(project: Path) -> None:
    """Bytes that are no UTF-8 are found by line and column; a byte order mark is no harm."""
    (project / "headgate.yaml").write_bytes(b"\xef\xbb\xbfport: 1\n")
    assert load(project, {}).port == 1
    (project / "headgate.yaml").write_bytes(b"port: 1\nhost: \xe9\n")
    with pytest.raises(InvalidSettings, match=r"headgate\.yaml:2:7: this is not UTF-8 text"):
        load(project, {})


def test_a_job_has_every_key_it_may_have(project: Path) -> None:
    """Durations are seconds, sizes bytes, arguments texts as they are written."""
    settings = written(
        project,
        """\
log_limit: 2G
jobs:
  all:
    engine: LOCAL
    command: [python, -c, ""]
    env: [PATH, HOME]
    cwd: work
    memory: 512M
    cpu: 1.5
    log_limit: 1.5M
    arguments: {--n: 1, --f: 1.50, --b: true, --d: 2026-02-16, --t: "", --x: "a$${b}"}
    max_concurrent_runs: 3
    queue: no
    max_retries: 10
    retry: {base: 250ms, factor: 1.5, cap: 2h}
    timeout: none
    description: d
    notify: [{on: FAILED, webhook: "https://h/x", template: "{{ run.id }}"}]
""",
    )

    job = settings.jobs[JobName("all")]
    assert validate_target(job.target) == []
    assert job.target == {
        "command": ["python", "-c", ""], "env": ["PATH", "HOME"], "cwd": "work", "memory": 512 * 2**20, "cpu": 1.5,
        "log_limit": 3 * 2**19,
    }  # fmt: skip
    assert job.arguments == {
        "--n": "1", "--f": "1.50", "--b": "true", "--d": "2026-02-16", "--t": "", "--x": "a${b}"
    }  # fmt: skip
    assert settings.log_limit == 2 * 2**30
    assert (job.engine, job.queue, job.max_retries, job.timeout) == ("local", False, 10, None)
    assert job.backoff == Backoff(base=0.25, factor=1.5, cap=7200.0)
    assert job.notify == ({"name": "jobs.all.notify[0]", "on": ["FAILED"]},)
    (told,) = settings.notify
    assert (told.job, told.name, told.webhook, told.template) == ("all", "jobs.all.notify[0]", True, "{{ run.id }}")


def test_the_engine_takes_the_keys_that_are_known_here() -> None:
    """Each target key of a local job is one the local engine knows."""
    for key in ENGINES["local"].keys:
        assert not any("unknown key" in problem for problem in validate_target({key.name: None})), key.name


def test_a_trigger_has_every_key_it_may_have(project: Path) -> None:
    """Actions may carry arguments and a timeout; a trigger may decide for itself whose ends it counts."""
    settings = written(
        project,
        """\
conditional_fires_for: triggered
jobs: &jobs
  a: &job {engine: local, run: m.f}
  b: *job
  c: {<<: *job, max_retries: 1}
triggers:
  now: {type: ON_DEMAND, actions: [a, {job: b, arguments: {--x: 1}, timeout: 90}]}
  then:
    type: conditional
    conditional_fires_for: any
    predicate: {logical: ANY, conditions: [{job: a, state: FAILED}, {job: b, state: TIMEOUT}]}
    actions: [c]
  daily: {type: SCHEDULED, schedule: 30 6 * * 1-5, timezone: Europe/Berlin, missed: all, actions: [a]}
  event: {type: EVENT, s3: {bucket: x, suffix: .csv, events: ["s3:ObjectCreated:Put"]}, actions: [a]}
x-anything: {of: [your, own]}
""",
    )

    assert settings.conditional_fires_for is FiresFor.TRIGGERED
    now, then, daily, event = settings.triggers.values()
    assert now.actions == (Action(job=JobName("a")), Action(job=JobName("b"), arguments={"--x": "1"}, timeout=90.0))
    assert then.predicate is not None
    assert (then.predicate.logical, then.fires_for) == (Logical.ANY, FiresFor.ANY)
    assert (daily.timezone, daily.missed) == ("Europe/Berlin", Missed.ALL)
    assert event.objects is not None
    assert (event.objects.suffix, event.objects.events) == ((".csv",), ("ObjectCreated:Put",))
    assert settings.jobs[JobName("c")].max_retries == 1


def test_paths_are_relative_to_who_named_them(project: Path) -> None:
    """A path in the file is relative to the file's folder, one in a variable to where we are."""
    here = project.parent / "elsewhere"
    text = "home: state\ndatabase_url: sqlite:///db/l.db\ninboxes: {b: ../in}\nlake: {warehouse: w}\n"
    settings = written(project, text)

    assert (settings.home, settings.database_url) == (project / "state", f"sqlite:///{project}/db/l.db")
    assert (settings.inboxes["b"], settings.lake.warehouse) == (project.parent / "in", f"file://{project}/w")
    assert settings.lake.inboxes == {"b": str(project.parent / "in")}
    assert written(project, text, {"HEADGATE_HOME": "mine"}).home == here / "mine"


@pytest.mark.parametrize(
    ("variable", "value", "name", "expected"),
    [
        ("HEADGATE_URL", "http://127.0.0.1:1/", "url", "http://127.0.0.1:1"),
        ("HEADGATE_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("HEADGATE_PORT", "0", "port", 0),
        ("HEADGATE_TOKEN", "t", "token", Secret("t")),
        ("HEADGATE_EVENTS_TOKEN", "e", "events_token", Secret("e")),
        ("HEADGATE_DATABASE_URL", "postgresql+psycopg://h/d", "database_url", "postgresql+psycopg://h/d"),
        ("HEADGATE_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("HEADGATE_LOG_FORMAT", "json", "log_format", "json"),
        ("DATAHUB_GMS_URL", "http://gms:8080/", "datahub.gms_url", "http://gms:8080"),
        ("DATAHUB_GMS_TOKEN", "g", "datahub.token", Secret("g")),
        ("DATAHUB_SYSTEM_CLIENT_ID", "i", "datahub.client_id", "i"),
        ("DATAHUB_SYSTEM_CLIENT_SECRET", "s", "datahub.client_secret", Secret("s")),
        (
            "DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN",
            "my.arn",
            "datahub.job_arn_property",
            "urn:li:structuredProperty:my.arn",
        ),
    ],
)
def test_a_variable_wins_over_the_file(project: Path, variable: str, value: str, name: str, expected: object) -> None:
    """Each variable sets its setting and says so; an empty one does not."""

    def found(settings: Settings) -> object:
        value: object = settings
        for part in name.split("."):
            value = getattr(value, part)
        return value

    text = """\
url: http://file
host: file
port: 1234
database_url: sqlite:////file.db
auth: {token: file, events_token: file}
log: {level: error, format: text}
datahub: {gms_url: "http://file", token: file, client_id: file, client_secret: file, job_arn_property: file}
"""
    from_file = found(written(project, text))

    assert found(written(project, text, {variable: value})) == expected
    assert expected != from_file
    assert found(written(project, text, {variable: ""})) == from_file
    assert variable in [row["source"] for row in describe(written(project, text, {variable: value}))]


def test_a_wrong_variable_is_named(project: Path) -> None:
    """What is wrong in the environment is said by the variable's name, with everything wrong in the file."""
    with pytest.raises(InvalidSettings) as raised:
        written(
            project, "lease: x\n", {"HEADGATE_PORT": "http", "DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN": "urn:li:tag:x"}
        )

    assert {problem.file.rpartition("/")[2] for problem in raised.value.problems} == {
        "headgate.yaml",
        "HEADGATE_PORT",
        "DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN",
    }
    assert "HEADGATE_PORT: port: expected a whole number from 0 to 65535, found 'http'" in str(raised.value)


@pytest.mark.parametrize("present", list(itertools.product([True, False], repeat=3)))
def test_the_region_is_taken_from_the_first_that_says_it(project: Path, present: tuple[bool, ...]) -> None:
    """The seed's own variable, then AWS_REGION, then AWS_DEFAULT_REGION, then the file."""
    names = ("DATAHUB_INGESTION_LAMBDA_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    environ = {name: f"from-{name}" for name, there in zip(names, present, strict=True) if there}
    settings = written(project, "aws: {lambda_region: from-file}\n", environ)

    assert settings.lambda_region == next(iter(environ.values()), "from-file")


SAMPLE = {URN.format("us_stocks_sip_v2"): "earnings-lambda", URN.format("polygon_prices"): "polygon-lambda"}
INLINE, FILE = "DATAHUB_INGESTION_LAMBDA_MAPPING", "DATAHUB_INGESTION_LAMBDA_MAPPING_FILE"


@pytest.mark.parametrize("style", ["json", "json with tabs", "yaml"])
def test_a_mapping_is_yaml_or_json(project: Path, style: str) -> None:
    """The seed's sample means the same in every format, inline and in a file."""
    match style:
        case "json":
            text = json.dumps(SAMPLE)
        case "json with tabs":
            text = json.dumps(SAMPLE, indent="\t")
        case _:
            text = "".join(f'"{urn}": {function}\n' for urn, function in SAMPLE.items())
    (project / "mapping").write_text(text, "utf-8")

    inline = written(project, "", {INLINE: text}).rules
    file = written(project, "", {FILE: str(project / "mapping")}).rules
    assert [(rule.value, rule.function) for rule in inline] == list(SAMPLE.items())
    assert [(rule.value, rule.function) for rule in file] == list(SAMPLE.items())
    assert {rule.source for rule in inline} == {RuleSource.ENVIRONMENT}
    assert {rule.source for rule in file} == {RuleSource.ENVIRONMENT_FILE}
    assert {rule.place.partition(":")[0] for rule in inline} == {INLINE}


def test_a_mapping_may_name_tags_and_prefixes_and_a_default(project: Path) -> None:
    """Each strategy of the seed works in the environment too."""
    mapping = json.dumps({"urn:li:tag:layer.raw": "t", "athena:db": "p"})
    rules = written(project, "", {INLINE: mapping, "DATAHUB_INGESTION_LAMBDA_DEFAULT": "d"}).rules

    assert [(rule.kind, rule.function) for rule in rules] == [
        (RuleKind.TAG, "t"),
        (RuleKind.PREFIX, "p"),
        (RuleKind.DEFAULT, "d"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"db": "f", "db": "g"}', f"{INLINE}:1:13: 'db' is given twice in one mapping: first at 1:2"),
        ('{"db" "f"}', f"{INLINE}:1:7: this is not YAML"),
        ("[1]", f"{INLINE}:1:1: expected a mapping of dataset URNs to names of Lambda functions, found a list"),
        ('{"urn:li:dataset:x": "f"}', f"{INLINE}:1:2: 'urn:li:dataset:x': what follows"),
        ('{"urn:li:chart:x": "f"}', f"{INLINE}:1:2: 'urn:li:chart:x' is not a dataset's URN"),
        ('{"db": 1, "dc": []}', f"{INLINE}:1:17: expected the name of a Lambda function, found a list"),
        ("just text", f"{INLINE}:1:1: expected a mapping"),
    ],
)
def test_a_wrong_mapping_is_named_with_its_place(project: Path, text: str, problem: str) -> None:
    """What is wrong in the variable is said by its name, line and column."""
    with pytest.raises(InvalidSettings) as raised:
        written(project, "", {INLINE: text})

    assert str(raised.value).startswith(problem)


def test_a_mapping_file_that_is_missing_is_named(project: Path) -> None:
    """The variable that names the file is where the problem is."""
    with pytest.raises(InvalidSettings, match=rf"^{FILE}: the file gone.json can not be read: No such file"):
        written(project, "", {FILE: "gone.json"})


def test_a_mapping_is_taken_to_the_letter(project: Path) -> None:
    """The environment's mapping is data: nothing in it is expanded."""
    (rule,) = written(project, "", {INLINE: '{"${HOME}": "f"}', "HOME": "x"}).rules

    assert rule.value == "${HOME}"


def test_no_secret_shows(project: Path) -> None:
    """Neither the settings' own text nor their description holds a token, a password or an address to tell."""
    text = """\
database_url: postgresql+psycopg://u:hunter2@h/d
auth: {token: hunter2, events_token: "${T}"}
datahub: {gms_url: "http://u:hunter2@g", token: hunter2, client_secret: hunter2}
jobs: {a: {engine: local, run: m.f, arguments: {--db-password: hunter2}, notify: [{url: "json://h/hunter2"}]}}
notify: [{url: "json://u:hunter2@h"}]
"""
    settings = written(project, text, {"T": "hunter2", "DATAHUB_SYSTEM_CLIENT_SECRET": "hunter2"})

    assert settings.token is not None
    assert settings.token.reveal() == "hunter2"
    assert "hunter2" not in json.dumps(describe(settings))
    shown = repr(settings).replace("'--db-password': 'hunter2'", "")
    assert "hunter2" not in shown
    assert "hunter2" not in f"{settings.token} {settings.token!r} {settings.notify[0]}"


def test_what_the_environment_calls_a_secret_is_masked_wherever_it_is_put_in(project: Path) -> None:
    """And where it becomes part of a job, which is kept and shown, the place and the way out are told."""
    text = """\
jobs:
  a: {engine: local, command: [curl, "-H", "X: ${API_TOKEN}"], arguments: {--region: "${REGION}"}}
  b: {engine: local, run: m.f, notify: [{on: [FAILED], url: "json://h/${HOOK_KEY}"}]}
"""
    settings = written(project, text, {"API_TOKEN": "t0ken-of-an-api", "REGION": "eu-west-1", "HOOK_KEY": "true"})

    (warning,) = settings.warnings
    assert str(warning).endswith("env: [API_TOKEN]")
    assert "headgate.yaml:2:" in str(warning)
    assert "jobs.a.command: the value of API_TOKEN" in str(warning)
    shown = json.dumps(describe(settings))
    assert "t0ken-of-an-api" not in shown
    assert "X: ****" in shown
    assert "eu-west-1" in shown


@pytest.mark.parametrize("password", ["pa:ss-word", "pa/ss-word", "p%40/ss-word", "p@ss-word"])
def test_odd_passwords_of_the_database_are_masked(project: Path, password: str) -> None:
    """Also those that should have been encoded: SQLAlchemy takes them, so they are passwords."""
    settings = written(project, "", {"HEADGATE_DATABASE_URL": f"postgresql+psycopg://u:{password}@h/d"})

    shown = json.dumps(describe(settings))
    assert "ss-word" not in shown
    assert "postgresql+psycopg://u:****@h/d" in shown


def test_what_is_wrong_once_is_said_once(project: Path) -> None:
    """Also where it is looked at by two."""
    with pytest.raises(InvalidSettings) as told:
        written(project, 'datahub: {gms_url: "no url"}')
    assert len(told.value.problems) == 1


def test_what_is_described_is_json_with_a_source(project: Path) -> None:
    """Every row has a name, a value and where it is from: the default, a place, a variable."""
    settings = written(project, DESIGN, {"HEADGATE_PORT": "1", "NOTIFY_URL": "json://h"})
    rows = {str(row["name"]): row for row in json.loads(json.dumps(describe(settings)))}

    assert rows["port"] == {"name": "port", "value": 1, "source": "HEADGATE_PORT"}
    assert rows["lease"] == {"name": "lease", "value": 15.0, "source": "default"}
    assert rows["notify[0].url"]["value"] == "****"
    assert rows["notify[0].url"]["source"] == f"{project}/headgate.yaml:19:45 (NOTIFY_URL)"
    timeout = rows["jobs.csv-to-iceberg-ingestion.timeout"]
    assert (timeout["value"], timeout["source"]) == (3600.0, f"{project}/headgate.yaml:2:129")
    assert rows["home"]["value"] == str(project / ".headgate")


def test_every_scalar_setting_is_described(project: Path) -> None:
    """Nothing that can be set is left out of the description, even in an empty project."""
    from headgate.settings.top import SCALARS

    names = {row["name"] for row in describe(written(project, ""))}

    assert {key.name for key in SCALARS} <= names


def test_every_setting_has_a_description() -> None:
    """Each key of the reference says what it is for, in a sentence; no key stands twice under a heading."""
    for heading, keys in chapters():
        names = [key.name for key in keys]
        assert len(names) == len(set(names)), heading
        for key in keys:
            assert len(key.description) > 10, f"{heading}: {key.name}"
            assert key.description.endswith((".", "`.")), f"{heading}: {key.name}"
            assert "|" not in key.description


def test_the_reference_has_every_field_of_the_settings() -> None:
    """A field that is added to the record must be settable by a key or a variable, or be derived from one."""
    reference = settings_reference()
    named = {
        "token": "auth.token",
        "events_token": "auth.events_token",
        "log_level": "log.level",
        "log_format": "log.format",
        "rules": "datasets",
        "lambda_region": "aws.lambda_region",
        "mapping_file": FILE,
        "config_file": "HEADGATE_CONFIG",
        "glue": "definition",
    }
    derived = {"project", "effective", "warnings", "put_in"}
    for field in fields(Settings):
        if field.name not in derived:
            assert f"`{named.get(field.name, field.name)}`" in reference, field.name
    for variable, _ in VARIABLES:
        assert f"`{variable}`" in reference
