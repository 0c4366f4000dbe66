"""This file is where the effective settings are, as everyone else is handed them: one frozen record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from headgate.errors import InvalidConfiguration
from headgate.flow.resolve import Rule
from headgate.job import Lake
from headgate.model import FiresFor, Job, JobName, Json, Trigger, TriggerName

MASK: Final = "****"


class Secret:
    """A text nobody sees by accident: only `reveal` gives it. Two are equal when their texts are."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other.reveal()

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Who is told of which ends. `job` None: of every job's. A job's own `notify` names its notifications by `name`."""

    name: str  #: notify[0], jobs.NAME.notify[0]
    on: Sequence[str]  #: run states, and RECOVERED
    url: Secret  #: an apprise URL, or where a webhook is posted to
    webhook: bool = False
    template: str = ""  #: of the webhook's body; "" sends the run as JSON
    job: JobName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataHub:
    """Where DataHub is and what its users may do here."""

    gms_url: str = field(default="", repr=False)  #: may hold a password
    frontend_url: str = field(default="", repr=False)
    frontend_timeout: float = 150.0  #: seconds
    token: Secret | None = None
    client_id: str = ""
    client_secret: Secret | None = None
    privileges: Sequence[str] = ("EXECUTE_ENTITY",)
    arns: Sequence[str] = ()
    cors_origins: Sequence[str] = ()
    reveal_targets: bool = False
    opaque_run_ids: bool = False
    strict: bool = False  #: no default rule: a dataset without a rule of its own starts nothing
    click_window: float = 0.0  #: seconds within which clicks on one dataset share a run; 0: each has its own
    job_arn_property: str = ""  #: URN of the structured property that names a DataJob's state machine
    executor: Path | None = None  #: a pipeline file of DataHub Actions whose requests are carried out

    @property
    def configured(self) -> bool:
        """Whether there is a DataHub; without one the embedded catalog answers."""
        return bool(self.gms_url or self.frontend_url)


class ProviderKind(StrEnum):
    """Who has secrets."""

    STORE = "store"
    ENV = "env"
    FILES = "files"
    SECRETS_MANAGER = "secrets_manager"
    SSM = "ssm"
    DATAHUB = "datahub"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretProvider:
    """One who is asked for secrets; the fields of other kinds are as they are."""

    kind: ProviderKind
    own_only: bool = False  #: only for recipes of this project, not for those that others send
    allow: Sequence[str] = ("*",)  #: ENV: variables, where * stands for anything
    folder: Path = Path("/run/secrets")  #: FILES
    prefix: str = ""  #: of AWS's ids
    names: Mapping[str, str] = field(default_factory=dict[str, str])  #: name -> AWS's id, or id#key
    region: str = ""
    role_arn: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSettings:
    """Who is asked for secrets, in this order, and where the key to our own is."""

    providers: Sequence[SecretProvider] = (
        SecretProvider(kind=ProviderKind.STORE),
        SecretProvider(kind=ProviderKind.ENV, own_only=True),
    )
    key_file: Path | None = None  #: None: secrets.key in the home


@dataclass(frozen=True, slots=True, kw_only=True)
class LineagePath:
    """Where the name of a table is in paths of one platform. Empty texts say nothing."""

    paths: Sequence[str]
    platform_instance: str = ""
    env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageConnection:
    """What the datasets of one source have in common. Empty texts say nothing."""

    platform_instance: str = ""
    env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageProperty:
    """A member of a job's facet that becomes a structured property."""

    path: str  #: FACET.MEMBER
    property: str  #: URN
    kind: str  #: arn, string or number
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """An SQS queue that events are taken from."""

    url: str
    region: str = ""  #: "" takes AWS_REGION, AWS_DEFAULT_REGION or the profile's
    role_arn: str = ""
    external_id: str = ""
    endpoint_url: str = ""
    poison_after: int = 3  #: receives of a message that cannot be read
    pollers: int = 1  #: how many batches may be under way at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A Lambda function that runs on this machine."""

    name: str
    handler: str  #: module.function
    job: Job  #: of its invocations


class Emit(StrEnum):
    """Who is told of our own runs."""

    AUTO = "auto"
    DATAHUB = "datahub"
    URL = "url"
    BOTH = "both"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLineage:
    """How events are converted for DataHub; `headgate.openlineage.configured` makes the converter's options of it."""

    emit: Emit = Emit.DATAHUB
    namespace: str = "headgate"  #: of our jobs
    receiver: str = ""  #: the whole URL of OPENLINEAGE_URL's endpoint
    api_key: Secret | None = None
    env: str = "PROD"
    common_dataset_env: str = ""
    platform_instance: str = ""
    released: bool = False
    use_patch: bool | None = None  #: None: as the converter that is equalled does by default
    alias_memory: int = 0  #: symlinks remembered from event to event
    logical_plan_limit: int | None = None  #: characters
    texts: Mapping[str, str] = field(default_factory=dict[str, str])  #: by the option's name; "" says nothing
    switches: Mapping[str, bool] = field(default_factory=dict[str, bool])  #: by the option's name
    domains: Sequence[str] = ()
    path_specs: Mapping[str, Sequence[LineagePath]] = field(default_factory=dict[str, Sequence[LineagePath]])
    connections: Mapping[str, LineageConnection] = field(default_factory=dict[str, LineageConnection])
    properties: Sequence[LineageProperty] | None = None  #: None: the ARN of Step Functions


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsPlace:
    """Where a job's calls to AWS go, and as whom. Empty texts leave it to AWS's own settings."""

    region: str = ""
    role_arn: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlueJob:
    """A job whose Glue job is made and changed by us."""

    job: Job
    name: str  #: Glue's
    members: Mapping[str, Json]  #: of its definition, in Glue's words, without what the job's own keys say
    tags: Mapping[str, str]  #: set when it is made
    place: AwsPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class GlueTrigger:
    """A trigger that fires on Glue, and never here."""

    trigger: Trigger
    workflow: str | None
    named: Mapping[JobName, str]  #: Glue's names of the jobs that it starts and watches
    place: AwsPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Glue:
    """What shall be so on AWS Glue."""

    jobs: Mapping[JobName, GlueJob] = field(default_factory=dict[JobName, GlueJob])
    triggers: Mapping[TriggerName, GlueTrigger] = field(default_factory=dict[TriggerName, GlueTrigger])


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """One setting as it is in force: secrets are already masked."""

    name: str
    value: Json
    source: str  #: "default", "headgate.yaml:12:5", or the environment variable's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that was said in headgate.yaml and the environment, checked. All paths are absolute."""

    project: Path  #: the folder of headgate.yaml; what is relative there is relative to this
    config_file: Path | None  #: None: there is none, and the defaults of the laptop mode are in force
    home: Path
    database_url: str = field(repr=False)  #: may hold a password
    url: str = ""  #: where a running server is looked for; "" looks in `home`
    host: str = "127.0.0.1"
    port: int = 8090
    token: Secret | None = None
    events_token: Secret | None = None
    api_docs: bool = True
    log_level: str = "info"
    log_format: str = "auto"
    lease: float = 15.0  #: seconds
    stop_grace: float = 10.0  #: seconds
    log_limit: int = 10 << 30  #: bytes
    retention_days: int = 90
    conditional_fires_for: FiresFor = FiresFor.ANY
    lake: Lake
    inboxes: Mapping[str, Path] = field(default_factory=dict[str, Path])
    jobs: Mapping[JobName, Job] = field(default_factory=dict[JobName, Job])
    triggers: Mapping[TriggerName, Trigger] = field(default_factory=dict[TriggerName, Trigger])
    glue: Glue = field(default_factory=Glue)
    rules: Sequence[Rule] = ()
    notify: Sequence[Notification] = ()
    datahub: DataHub = field(default_factory=DataHub)
    openlineage: OpenLineage = field(default_factory=OpenLineage)
    secrets: SecretSettings = field(default_factory=SecretSettings)
    lambda_region: str = ""
    sqs: Sequence[Queue] = ()
    functions: Mapping[str, Function] = field(default_factory=dict[str, Function])
    mapping_file: Path | None = None  #: DATAHUB_INGESTION_LAMBDA_MAPPING_FILE
    warnings: Sequence[InvalidConfiguration] = ()  #: what is no mistake, and perhaps not what was meant
    effective: Sequence[Effective] = field(default=(), repr=False)
    put_in: Sequence[Secret] = field(default=(), repr=False)  #: secrets of the environment that are named as ${NAME}
