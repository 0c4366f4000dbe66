"""This file is where a pipeline file becomes an executor at work: its source, its rights, its DataHub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from headgate.datahub import authorization
from headgate.errors import Forbidden, NotAuthenticated, Unavailable
from headgate.executor.executor import Executor, Source
from headgate.executor.pipeline_file import PipelineFile
from headgate.executor.telling import Told
from headgate.gate import Gate
from headgate.ports import Credential, DataHub
from headgate.settings import Settings
from headgate.settings.record import ProviderKind, SecretProvider, SecretSettings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: The rights an executor's token needs on the platform, as DataHub's page of policies names them.
RIGHTS = {"MANAGE_INGESTION": "Manage Metadata Ingestion", "MANAGE_SECRETS": "Manage Secrets"}


def with_datahub(settings: Settings, file: PipelineFile) -> Settings:
    """The settings of a process that does what the file says: its DataHub is the one, where it names one."""
    given = file.datahub
    settings = replace(settings, datahub=replace(settings.datahub, executor=None))  # this file is the one
    if given is None:
        return settings
    own = bool(given.token or given.client_id)
    login = given if own else settings.datahub
    named = replace(
        settings.datahub,
        gms_url=given.gms_url,
        frontend_url="",
        token=login.token,
        client_id=login.client_id,
        client_secret=login.client_secret,
    )
    return replace(settings, datahub=named, secrets=_with_datahubs(settings))


def _with_datahubs(settings: Settings) -> SecretSettings:
    """Who is asked for secrets: DataHub, too, unless headgate.yaml says who. It could not know that there is one."""
    providers = settings.secrets.providers
    said = {one.name: one.source for one in settings.effective}.get("secrets.providers", "default")
    if said != "default" or any(one.kind is ProviderKind.DATAHUB for one in providers):
        return settings.secrets
    return replace(settings.secrets, providers=(*providers, SecretProvider(kind=ProviderKind.DATAHUB)))


def executor_of(file: PipelineFile, gate: Gate, datahub: DataHub, told: Told, source: Source | None = None) -> Executor:
    """The executor the file describes, not started yet. `source` stands in for the file's."""
    sources = sources_of(file, gate) if source is None else [source]
    return Executor(gate, datahub, told, file.options, sources, poll_every=file.poll_every)


def sources_of(file: PipelineFile, gate: Gate) -> Sequence[Source]:
    """Kafka where the file says so; else the Events API. Without a DataHub of its own the lists are enough."""
    if file.kafka is not None:
        from headgate.executor.kafka import KafkaSource  # noqa: PLC0415 - only where there is Kafka

        return [KafkaSource(file.kafka, filters=file.options.filters)]
    settings = gate.settings.datahub
    if not settings.configured:
        return []
    from headgate.executor.events import EventsApi  # noqa: PLC0415 - httpx, which the embedded catalog does without

    url = settings.gms_url or settings.frontend_url.rstrip("/") + "/api/gms"
    options = file.options
    return [EventsApi(url, authorization(settings), gate.ledger, options.executor_id, filters=options.filters)]


def check_rights(file: PipelineFile, settings: Settings, datahub: DataHub) -> None:
    """See that our token may do what an executor does.

    The system client may do everything, and cannot be asked who it is; a GMS that verifies nobody lets anybody.

    Raises:
        Forbidden: it lacks a right, or is not taken. A DataHub that is away is asked nothing.
    """
    token = settings.datahub.token
    if not file.check_privileges or token is None:
        return
    try:
        who = datahub.identify(Credential(authorization=f"Bearer {token.reveal()}"))
    except NotAuthenticated as error:
        if "METADATA_SERVICE_AUTH_ENABLED" in str(error):
            return
        raise Forbidden(f"DataHub does not take the executor's token: {error}") from error
    except Unavailable as error:
        _log.warning("the executor's rights cannot be checked now", why=str(error))
        return
    missing = [words for right, words in RIGHTS.items() if right not in who.privileges]
    if missing:
        raise Forbidden(
            f"the executor's token is {who.actor}'s, who lacks the platform privilege"
            f"{'s' if len(missing) > 1 else ''} {' and '.join(f'`{one}`' for one in missing)}; grant it in DataHub"
            " (Settings, Permissions), or give another token as datahub.token. Where recipes need no secrets of"
            " DataHub's, action.config.check_privileges: false starts it all the same"
        )
