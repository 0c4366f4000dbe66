"""This file is where DataHub is asked whether it is there, who we are to it, and whether it has what we rely on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from headgate.aws import Clients
from headgate.datahub import GmsClient, authorization
from headgate.datahub.answers import record
from headgate.datahub.bootstrap import misfits
from headgate.datahub.client import SYSTEM
from headgate.doctor import ingestions, versions
from headgate.doctor.finding import Finding, Rank, ranked, unseen
from headgate.doctor.places import Places
from headgate.doctor.records import Records, word
from headgate.errors import Forbidden, HeadgateError, Invalid, NotAuthenticated, NotFound, Unavailable
from headgate.ports import Credential
from headgate.settings import Settings
from headgate.settings.record import ProviderKind

_PROPERTY: Final = "urn:li:structuredProperty:"
_AUTH: Final = "METADATA_SERVICE_AUTH_ENABLED"
_SET: Final = "set DATAHUB_GMS_TOKEN to a token that is valid (DataHub: Settings > Access Tokens)"


def diagnose(
    records: Records,
    settings: Settings,
    client: GmsClient | None,
    clients: Clients,
    *,
    places: Places,
) -> list[Finding]:
    """The connection, our rights, what we rely on, and where ingestion happens. `client` None: the embedded catalog."""
    return ranked(_examine(records, settings, client, clients, places=places))


def _examine(
    records: Records,
    settings: Settings,
    client: GmsClient | None,
    clients: Clients,
    *,
    places: Places,
) -> Iterator[Finding]:
    there, actor = client, SYSTEM
    if client is None:
        yield Finding(
            Rank.NOTE,
            "no DataHub is configured; the embedded catalog stands in for it",
            "neither datahub.gms_url nor datahub.frontend_url is set",
            "export DATAHUB_GMS_URL=… DATAHUB_GMS_TOKEN=…, to use a DataHub",
        )
    else:
        found = list(connection(client))
        yield from found
        if any(one.rank is Rank.UNSEEN for one in found):
            there = None  # whoever is away is not asked nine times more
        else:
            actor = _actor(settings, client) or actor
            yield from rights(settings, client)
            yield from wanted_property(settings, client)
    if there is not None or client is None:
        yield from _rules(records)
    yield from ingestions.examine(
        records, settings, there, clients, places=places, away=client is not None and there is None, actor=actor
    )


def connection(client: GmsClient) -> Iterator[Finding]:
    try:
        version = client.version()
    except HeadgateError as error:
        yield unseen("DataHub", str(error), "curl -fsS $DATAHUB_GMS_URL/config; start DataHub, or mend datahub.gms_url")
        return
    yield versions.judged(version)


def _actor(settings: Settings, client: GmsClient) -> str:
    """As whom Headgate writes to DataHub; "" where nobody says. What the client remembers is not asked twice."""
    shown = authorization(settings.datahub)
    if not shown.startswith("Bearer "):
        return ""
    try:
        return client.identify(Credential(authorization=shown)).actor
    except (NotAuthenticated, Unavailable):
        return ""


def rights(settings: Settings, client: GmsClient) -> Iterator[Finding]:
    """Whose our credential is, and what it may do."""
    shown = authorization(settings.datahub)
    if not shown:
        yield Finding(
            Rank.LIKELY,
            "Headgate has no credential of its own for DataHub",
            "neither datahub.token nor datahub.client_id with datahub.client_secret is set",
            _SET,
        )
        return
    if not shown.startswith("Bearer "):
        yield Finding(
            Rank.NOTE, "Headgate comes to DataHub as a system client", f"client id {settings.datahub.client_id}"
        )
        return
    try:
        identity = client.identify(Credential(authorization=shown))
    except NotAuthenticated as error:
        if _AUTH in str(error):
            yield Finding(
                Rank.POSSIBLE,
                "DataHub verifies nobody: its metadata service takes any token, and none at all",
                f"{_AUTH} is off there. Headgate writes to it all the same; who clicks is known by a session of"
                " DataHub's frontend alone",
                f"start DataHub's GMS and frontend with {_AUTH}=true, then {_SET}",
            )
            return
        yield Finding(Rank.BROKEN, "DataHub does not take Headgate's own token", str(error), _SET)
        return
    except Unavailable as error:
        yield unseen("whose Headgate's token is", str(error), "headgate doctor datahub, later")
        return
    yield Finding(
        Rank.NOTE,
        f"DataHub knows Headgate as {identity.actor}",
        f"privileges: {', '.join(sorted(identity.privileges)) or 'none on the platform'}",
    )
    give = f"give {identity.actor} a platform policy with it in DataHub (Settings > Permissions > Policies)"
    if "MANAGE_INGESTION" not in identity.privileges:
        needed = settings.datahub.executor is not None
        yield Finding(
            Rank.BROKEN if needed else Rank.POSSIBLE,
            "Headgate's token lacks MANAGE_INGESTION",
            "execution requests cannot be carried out without it"
            if needed
            else "ingestions of others cannot be listed without it",
            give,
        )
    asks = any(one.kind is ProviderKind.DATAHUB for one in settings.secrets.providers)
    if asks and "MANAGE_SECRETS" not in identity.privileges:
        yield Finding(
            Rank.LIKELY,
            "Headgate's token lacks MANAGE_SECRETS",
            "secrets.providers names datahub, and DataHub tells its secrets to nobody without it",
            give,
        )


def wanted_property(settings: Settings, client: GmsClient) -> Iterator[Finding]:
    """Whether the structured property that names a DataJob's state machine is there and fits."""
    prop = settings.datahub.job_arn_property
    if not prop:
        return
    urn = prop if prop.startswith(_PROPERTY) else _PROPERTY + prop
    try:
        found = client.aspect(urn, "propertyDefinition")
        removed = record(client.aspect(urn, "status")).get("removed") is True if found is not None else False
    except (Unavailable, Invalid, Forbidden, NotFound) as error:
        yield unseen(f"the structured property {urn}", str(error), "headgate datahub bootstrap")
        return
    if found is None:
        yield Finding(
            Rank.LIKELY,
            "the structured property that names a DataJob's state machine is not defined",
            f"DataHub has no {urn}, so a click never finds an ARN by it",
            "headgate datahub bootstrap",
        )
        return
    wrong = [*misfits(found), *(["it is deleted (softly)"] if removed else [])]
    if wrong:
        yield Finding(
            Rank.BROKEN,
            f"the structured property {urn} cannot hold the ARN of a state machine",
            "; ".join(wrong),
            "mend it in DataHub (Govern > Structured Properties), then: headgate datahub bootstrap",
        )


def _rules(records: Records) -> Iterator[Finding]:
    """Rules for datasets that are not there: renamed, removed, or misspelt."""
    try:
        stale = records.rules(stale=True)
    except (Unavailable, Forbidden) as error:
        yield unseen("whether the rules' datasets are there", str(error), "headgate rules list --stale")
        return
    for one in stale:
        yield Finding(
            Rank.POSSIBLE,
            f"a rule is for a dataset that the catalog does not know: {one['value']}",
            f"{one['place']} starts {one['starts']}",
            f"headgate rules delete {word(one['id'])}"
            if one["id"]
            else f"mend the URN at {one['place']}, then: headgate validate",
        )
