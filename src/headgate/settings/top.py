"""This file is where the keys at the top of headgate.yaml are described, with the environment variables that win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from headgate.model import FiresFor
from headgate.settings import openlineage, secrets
from headgate.settings.datasets import DATASETS
from headgate.settings.functions import FUNCTIONS
from headgate.settings.jobs import JOBS
from headgate.settings.kinds import (
    ANY_TEXT,
    BOOLEAN,
    DURATION,
    PATH,
    POSITIVE_DURATION,
    SIZE,
    TEXT,
    Kind,
    member,
    one_of,
    pattern,
    whole,
)
from headgate.settings.nodes import Place, Text
from headgate.settings.notify import NOTIFY
from headgate.settings.reading import Key, Named, Part, Section, shown
from headgate.settings.sqs import SQS
from headgate.settings.triggers import TRIGGERS

T = TypeVar("T")

_URL: Final = pattern("an http or https URL", r"https?://[^\s/]\S*|")
_DATABASE: Final = pattern(
    "sqlite:////absolute/path/ledger.db or postgresql+psycopg://user@host/database",
    r"sqlite:///.+|postgresql\+psycopg://.*",
)


def _property(text: str) -> str:
    """A structured property's URN; a bare id is taken for one, nothing for none."""
    if not text:
        return ""
    if text.startswith("urn:li:structuredProperty:") and not text.endswith(":"):
        return text
    if not text.strip() or ":" in text or any(character.isspace() for character in text):
        raise ValueError(text)
    return f"urn:li:structuredProperty:{text}"


HOME: Final = Key(
    name="home",
    kind=PATH,
    default=".headgate",
    shown="`.headgate/` beside the file",
    variables=("HEADGATE_HOME",),
    description="The folder of all state: the ledger, the runs' logs, the lake.",
)
DATABASE_URL: Final = Key(
    name="database_url",
    kind=_DATABASE,
    default="",
    shown="`ledger.db` in the home",
    variables=("HEADGATE_DATABASE_URL",),
    description="The ledger's database: SQLite on one machine, PostgreSQL for several replicas.",
)
URL: Final = Key(
    name="url",
    kind=_URL,
    default="",
    variables=("HEADGATE_URL",),
    description="The running server a command speaks to; by default the one of this home, if it runs.",
)
HOST: Final = Key(
    name="host",
    kind=TEXT,
    default="127.0.0.1",
    variables=("HEADGATE_HOST",),
    description="The address `serve` listens at. Another than loopback needs both tokens.",
)
PORT: Final = Key(
    name="port",
    kind=whole(0, 65_535),
    default=8090,
    variables=("HEADGATE_PORT",),
    description="The port `serve` listens at; 0 takes any free one.",
)
TOKEN: Final = Key(
    name="auth.token",
    kind=ANY_TEXT,
    default="",
    variables=("HEADGATE_TOKEN",),
    secret=True,
    description="The bearer token of the console, the REST API and the command line.",
)
EVENTS_TOKEN: Final = Key(
    name="auth.events_token",
    kind=ANY_TEXT,
    default="",
    variables=("HEADGATE_EVENTS_TOKEN",),
    secret=True,
    description="The bearer token of those who send events.",
)
LOG_LEVEL: Final = Key(
    name="log.level",
    kind=one_of("debug", "info", "warning", "error"),
    default="info",
    variables=("HEADGATE_LOG_LEVEL",),
    description="The least severe of our own log lines that is written.",
)
LOG_FORMAT: Final = Key(
    name="log.format",
    kind=one_of("auto", "text", "json"),
    default="auto",
    variables=("HEADGATE_LOG_FORMAT",),
    description="How our own log lines look; auto is text on a terminal and JSON elsewhere.",
)
LEASE: Final = Key(
    name="lease",
    kind=POSITIVE_DURATION,
    default=15.0,
    shown="15s",
    description="After this long without a sign of life a replica's runs are taken over by another.",
)
STOP_GRACE: Final = Key(
    name="stop_grace",
    kind=DURATION,
    default=10.0,
    shown="10s",
    description="How long a run that is stopped or out of time has to end by itself before it is ended by force.",
)
LOG_LIMIT: Final = Key(
    name="log_limit",
    kind=SIZE,
    default=10 << 30,
    shown="10G",
    description="How much of what a run writes is kept in its log, an attempt. One that writes more goes on; the log"
    " then has this much of its beginning, and its end. A job with engine `local` or `recipe` may say another size.",
)
RETENTION: Final = Key(
    name="retention_days",
    kind=whole(1, 36_500),
    default=90,
    description="How many days ended runs, events and decisions are kept.",
)
CONDITIONAL: Final = Key(
    name="conditional_fires_for",
    kind=member(FiresFor),
    default=FiresFor.ANY,
    shown="any",
    description="Whose ends a CONDITIONAL trigger counts: any run's, or only those of runs that a trigger started"
    " (as AWS Glue does).",
)
LAKE_CATALOG: Final = Key(
    name="lake.catalog", kind=TEXT, default="lake", description="The name of the Iceberg catalog."
)
LAKE_URI: Final = Key(
    name="lake.uri",
    kind=ANY_TEXT,
    default="",
    shown="`lake/catalog.db` in the home",
    description="The Iceberg catalog's database.",
)
LAKE_WAREHOUSE: Final = Key(
    name="lake.warehouse",
    kind=ANY_TEXT,
    default="",
    shown="`lake/warehouse/` in the home",
    description="Where tables are written: a folder, or a URL.",
)
GMS_URL: Final = Key(
    name="datahub.gms_url",
    kind=_URL,
    default="",
    variables=("DATAHUB_GMS_URL",),
    description="DataHub's metadata service (GMS). Without it and `frontend_url` the embedded catalog answers.",
)
FRONTEND_URL: Final = Key(
    name="datahub.frontend_url",
    kind=_URL,
    default="",
    description="DataHub's frontend, served through our port with the button on its dataset pages.",
)
FRONTEND_TIMEOUT: Final = Key(
    name="datahub.frontend_timeout",
    kind=POSITIVE_DURATION,
    default=150.0,
    shown="150s",
    description="How long DataHub's frontend may be silent before its user is told so; it gives up itself after 120 s.",
)
GMS_TOKEN: Final = Key(
    name="datahub.token",
    kind=ANY_TEXT,
    default="",
    variables=("DATAHUB_GMS_TOKEN",),
    secret=True,
    description="Our own access token at DataHub.",
)
CLIENT_ID: Final = Key(
    name="datahub.client_id",
    kind=ANY_TEXT,
    default="",
    variables=("DATAHUB_SYSTEM_CLIENT_ID",),
    description="The name of DataHub's system client, for calls between services.",
)
CLIENT_SECRET: Final = Key(
    name="datahub.client_secret",
    kind=ANY_TEXT,
    default="",
    variables=("DATAHUB_SYSTEM_CLIENT_SECRET",),
    secret=True,
    description="The system client's secret.",
)
REVEAL_TARGETS: Final = Key(
    name="datahub.reveal_targets",
    kind=BOOLEAN,
    default=False,
    shown="false",
    description="Whether the browser is told the AWS names of what it starts.",
)
OPAQUE_RUN_IDS: Final = Key(
    name="datahub.opaque_run_ids",
    kind=BOOLEAN,
    default=False,
    shown="false",
    description="Whether the button is answered with our own run id and never with the engine's.",
)
STRICT: Final = Key(
    name="datahub.strict",
    kind=BOOLEAN,
    default=False,
    shown="false",
    description="Whether a dataset must have a rule of its own: the default rule then counts for nothing.",
)
CLICK_WINDOW: Final = Key(
    name="datahub.click_window",
    kind=DURATION,
    default=0.0,
    shown="0s",
    description="Clicks on one dataset within this time share one run; 0s gives each click a run of its own.",
)
EXECUTOR: Final = Key(
    name="datahub.executor",
    kind=ANY_TEXT,
    default="",
    description="A pipeline file of DataHub Actions whose action is `executor`: who runs jobs carries out DataHub's"
    " execution requests, too.",
)
ARN_PROPERTY: Final = Key(
    name="datahub.job_arn_property",
    kind=Kind("the URN of a structured property (urn:li:structuredProperty:ID), or its bare id", _property),
    default="urn:li:structuredProperty:awsStepFunctionArn",
    variables=("DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN",),
    description="The structured property of a DataJob that names its Step Functions state machine; with an empty text"
    " here DataJobs are not looked up.",
)
LAMBDA_REGION: Final = Key(
    name="aws.lambda_region",
    kind=ANY_TEXT,
    default="",
    variables=("DATAHUB_INGESTION_LAMBDA_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
    description="The AWS region of the Lambda functions that rules name.",
)

AUTH: Final = Part(name="auth", expected="a mapping of token and events_token", description="Who may call us.")
LOG: Final = Part(name="log", expected="a mapping of level and format", description="Our own log.")
LAKE: Final = Part(name="lake", expected="a mapping of catalog, uri and warehouse", description="Where the lake is.")
DATAHUB: Final = Part(name="datahub", expected="a mapping", description="Where DataHub is, and what its users may do.")
AWS: Final = Part(name="aws", expected="a mapping of lambda_region", description="AWS, beside its own settings.")
ALLOW: Final = Part(name="allow", expected="a mapping of privileges and arns", description="Who may start what.")
API_DOCS: Final = Key(
    name="api_docs",
    kind=BOOLEAN,
    default=True,
    shown="true",
    variables=("HEADGATE_API_DOCS",),
    description="Whether the API describes itself, at `/headgate/api/v1/docs` and `/headgate/api/v1/openapi.json`.",
)
PRIVILEGES: Final = Part(
    name="privileges",
    expected="a list of DataHub privileges",
    description="The privileges of which a user needs one on a dataset to start its job; EXECUTE_ENTITY by default.",
)
ARNS: Final = Part(
    name="arns",
    expected="a list of ARNs, where * stands for anything",
    description="State machines and functions that a DataJob's property and rules kept in the ledger may name; with no"
    " list here, all that our AWS role may start.",
)
CORS: Final = Part(
    name="cors_origins",
    expected="a list of origins such as https://datahub.example.com",
    description="Web origins that may call the button's API from a browser.",
)
INBOXES: Final = Part(
    name="inboxes",
    expected="a mapping of buckets to folders",
    description="Folders that stand for buckets on this machine: a file that lands there is a created object.",
)

SCALARS: Final[Sequence[Key[Any]]] = (
    HOME,
    DATABASE_URL,
    URL,
    HOST,
    PORT,
    TOKEN,
    EVENTS_TOKEN,
    API_DOCS,
    LOG_LEVEL,
    LOG_FORMAT,
    LEASE,
    STOP_GRACE,
    LOG_LIMIT,
    RETENTION,
    CONDITIONAL,
    LAKE_CATALOG,
    LAKE_URI,
    LAKE_WAREHOUSE,
    GMS_URL,
    FRONTEND_URL,
    FRONTEND_TIMEOUT,
    GMS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    REVEAL_TARGETS,
    OPAQUE_RUN_IDS,
    STRICT,
    CLICK_WINDOW,
    EXECUTOR,
    ARN_PROPERTY,
    LAMBDA_REGION,
    *openlineage.SCALARS,
    *secrets.SCALARS,
)
SECTIONS: Final[Sequence[Part]] = (AUTH, LOG, LAKE, DATAHUB, AWS, openlineage.OPENLINEAGE, secrets.SECRETS)
PARTS: Final[Sequence[Part]] = (JOBS, TRIGGERS, DATASETS, INBOXES, FUNCTIONS, SQS, NOTIFY)
OF_DATAHUB: Final[Sequence[Part]] = (ALLOW, CORS)
OF_ALLOW: Final[Sequence[Part]] = (PRIVILEGES, ARNS)
_INNER: Final[Mapping[str, Sequence[Part]]] = {
    "datahub": OF_DATAHUB,
    "openlineage": openlineage.PARTS,
    "secrets": secrets.PARTS,
}


class Top:
    """The keys at the top of the file and in its plain sections, each overridden by its environment variables."""

    def __init__(self, root: Section, environ: Mapping[str, str]) -> None:
        self.root = root
        self._environ = environ
        self._sections = {"": root} | {part.name: root.section_or_empty(part) for part in SECTIONS}
        plain: list[Named] = [key for key in SCALARS if "." not in key.name]
        root.only([*PARTS, *plain, *SECTIONS], free="x-")
        for part in SECTIONS:
            inner: list[Named] = [replace(key, name=key.name[len(part.name) + 1 :]) for key in _of(part)]
            self.section(part).only([*inner, *_INNER.get(part.name, ())])

    def section(self, part: Part) -> Section:
        return self._sections[part.name]

    def get(self, key: Key[T]) -> T:
        """The value in force: the environment's, the file's, the default."""
        return self.placed(key)[0]

    def placed(self, key: Key[T]) -> tuple[T, Place | None]:
        """The value in force and where it is from; no place for a default. An empty variable counts as not set."""
        report, (outer, _, name) = self.root.report, key.name.rpartition(".")
        section = self._sections[outer]
        inner = replace(key, name=name)
        value = section.get(inner)
        place = section.place_of(inner) if section.has(inner) else None
        for variable in key.variables:
            text = self._environ.get(variable)
            if not text:
                continue
            place = Place(variable)
            parsed = self.root.value(Text(place, text), key.kind, key.name)
            if parsed is not None:
                value = parsed[0]
                report.note(key.name, shown(value, key.secret), variable)
            break
        return value, place


def _of(part: Part) -> list[Key[Any]]:
    return [key for key in SCALARS if key.name.startswith(f"{part.name}.")]
