"""This file is where the port `DataHub` is filled by a real DataHub: GraphQL to ask, rest.li to write, OpenAPI to read.

The caller's own credential is used only in `identify` and `privileges`; everything else is asked with ours. A 401 of
ours is therefore never NotAuthenticated, which is about the caller, but Unavailable: it waits until somebody mends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from headgate.datahub import documents
from headgate.datahub.answers import Answer, data, decoded, document, message, record, sequence, texts
from headgate.datahub.proposals import portions, repeatable, wire_form
from headgate.datahub.remembered import Remembered
from headgate.datahub.wire import Limits, Wire
from headgate.datahub.writes import last_writes
from headgate.errors import Forbidden, Invalid, NotAuthenticated, NotFound, Unavailable
from headgate.flow.external import ingestion_of, milliseconds
from headgate.model import Json
from headgate.ports import Credential, DatasetFacts, Identity, Ingestion, LastWrite, Proposal
from headgate.settings.record import DataHub as Settings

KNOWN_FOR = 30.0  #: seconds an identity is taken for granted
GRANTED_FOR = 10.0  #: seconds privileges are
PAGE = 100
MOST_RUNS = 100  #: of a dataset's newest, that are looked at for what they are runs of
MOST_EDGES = 1_000
LONGEST_CREDENTIAL = 32_768  #: characters
SYSTEM: Final = "urn:li:corpuser:__datahub_system"
PROPERTY: Final = "urn:li:structuredProperty:"
REFUSED: Final = frozenset({400, 404, 409, 412, 413, 415, 422})  #: the same proposal will be refused again


class GmsClient:
    """DataHub as it is reached at `gms_url` and, for those who come with its session cookie, at `frontend_url`.

    `authorization` is our own header, whole. Safe from any thread; every question ends within `limits.whole` seconds.
    """

    def __init__(
        self,
        gms_url: str,
        *,
        frontend_url: str = "",
        authorization: str = "",
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], bool] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._gms = Wire(gms_url or frontend_url.rstrip("/") + "/api/gms", limits, sleep)
        self._frontend = Wire(frontend_url, limits, sleep) if frontend_url else None
        self._own: Mapping[str, str] = {"Authorization": authorization} if authorization else {}
        self._filters = True  #: whether DataHub's list of requests can be filtered by the executor
        self._known: Remembered[Identity] = Remembered(KNOWN_FOR, clock=clock)
        self._granted: Remembered[frozenset[str]] = Remembered(GRANTED_FOR, clock=clock)

    def __repr__(self) -> str:
        return f"GmsClient({self._gms.place})"

    def close(self) -> None:
        self._gms.close()
        if self._frontend is not None:
            self._frontend.close()

    # -- the caller

    def identify(self, credential: Credential) -> Identity:
        shown = (credential.authorization, credential.cookie)
        known = self._known.get(*shown)
        if known is not None:
            return known
        try:
            me = record(self._as_caller(credential, "me", {}).get("me"))
        except NotAuthenticated:
            raise
        except (Forbidden, NotFound) as error:
            raise NotAuthenticated(f"DataHub does not say who this is: {error}") from error
        actor = record(me.get("corpUser")).get("urn")
        if not isinstance(actor, str) or not actor.startswith("urn:li:corpuser:"):
            raise NotAuthenticated("DataHub does not say who this is; log in to DataHub again")
        if actor == SYSTEM:
            # so a metadata service answers whose authentication is off: to it, any token is the system's
            raise NotAuthenticated(
                "DataHub takes this for itself: its metadata service verifies nobody (METADATA_SERVICE_AUTH_ENABLED is"
                " off there), so no token proves anything; come with a session of its frontend"
            )
        granted = record(me.get("platformPrivileges"))
        privileges = frozenset(_constant(name) for name, has in granted.items() if has is True)
        return self._known.put(Identity(actor=actor, privileges=privileges), *shown)

    def privileges(self, credential: Credential, identity: Identity, dataset: str) -> frozenset[str]:
        key = (credential.authorization, credential.cookie, identity.actor, dataset)
        known = self._granted.get(*key)
        if known is not None:
            return known
        try:
            found = self._as_caller(credential, "granted_privileges", {"actor": identity.actor, "dataset": dataset})
        except NotAuthenticated:
            self._known.forget(credential.authorization, credential.cookie)  # it was taken back meanwhile
            raise
        except (Forbidden, NotFound):
            return self._granted.put(frozenset(), *key)  # who may not even ask has none
        names = sequence(record(found.get("getGrantedPrivileges")).get("privileges"))
        return self._granted.put(frozenset(texts(names)), *key)

    def _as_caller(self, credential: Credential, name: str, variables: Mapping[str, Json]) -> Mapping[str, Any]:
        wire, path, headers = self._caller(credential)
        answer = wire.call("POST", path, headers=headers, body={"query": documents.text(name), "variables": variables})
        if answer.status in (401, 403):
            raise NotAuthenticated("DataHub does not take this credential; log in again, or send a token that is valid")
        return data(_fine(answer, wire.place), f"DataHub at {wire.place}")

    def _caller(self, credential: Credential) -> tuple[Wire, str, Mapping[str, str]]:
        """Where this credential is shown, and how. A token goes to GMS; a session only the frontend understands."""
        shown = credential.authorization or credential.cookie
        if not shown:
            raise NotAuthenticated("no credential: log in to DataHub, or send one of its tokens as `Bearer TOKEN`")
        strict = bool(credential.authorization)  # a cookie beside the session's may hold any byte; a token is plain
        if len(shown) > LONGEST_CREDENTIAL or not all(_sendable(one, strict=strict) for one in shown):
            raise NotAuthenticated("the credential is no header that DataHub could be shown")
        if credential.authorization:
            kind, _, token = credential.authorization.partition(" ")
            if kind.lower() != "bearer" or not token.strip():
                raise NotAuthenticated("the Authorization header must be `Bearer TOKEN`, with a token of DataHub's")
            return self._gms, "/api/graphql", {"Authorization": f"Bearer {token.strip()}"}
        if self._frontend is None:
            raise NotAuthenticated("a session can be verified only where datahub.frontend_url is set; send a token")
        return self._frontend, "/api/v2/graphql", {"Cookie": credential.cookie}

    # -- what there is

    def dataset(self, urn: str) -> DatasetFacts:
        try:
            found = record(self.ask("dataset", {"dataset": urn}).get("dataset"))
        except NotFound:
            return DatasetFacts(urn=urn, exists=False)
        exists = found.get("exists") is True and record(found.get("status")).get("removed") is not True
        tags = [record(record(one).get("tag")).get("urn") for one in sequence(record(found.get("tags")).get("tags"))]
        return DatasetFacts(urn=urn, exists=exists, tags=tuple(texts(tags)) if exists else ())

    def producers(self, dataset: str) -> Sequence[str]:
        return tuple(dict.fromkeys([*self._run_jobs(dataset), *self._lineage_jobs(dataset)]))

    def produces(self, job: str, dataset: str) -> bool:
        lineage = self.aspect(job, "dataJobInputOutput") or {}
        edges = [record(one).get("destinationUrn") for one in sequence(lineage.get("outputDatasetEdges"))]
        if dataset in sequence(lineage.get("outputDatasets")) or dataset in edges:
            return True
        return job in self._run_jobs(dataset) or job in self._lineage_jobs(dataset)

    def _run_jobs(self, dataset: str) -> list[str]:
        """The jobs that the newest runs of the dataset were runs of. The order is ours: the index may be behind."""
        variables = {"dataset": dataset, "start": 0, "count": MOST_RUNS}
        found = record(record(self.ask("dataset_runs", variables).get("dataset")).get("runs"))
        runs = [record(one) for one in sequence(found.get("runs"))]
        parents = [record(one.get("parentTemplate")) for one in sorted(runs, key=_created, reverse=True)]
        return texts([one.get("urn") for one in parents if one.get("type") == "DATA_JOB"])

    def _lineage_jobs(self, dataset: str) -> list[str]:
        found: list[Json] = []
        for start in range(0, MOST_EDGES, PAGE):
            variables = {"dataset": dataset, "start": start, "count": PAGE}
            page = record(record(self.ask("dataset_producers", variables).get("dataset")).get("relationships"))
            ends = [record(record(one).get("entity")) for one in sequence(page.get("relationships"))]
            found += [one.get("urn") for one in ends if one.get("type") == "DATA_JOB"]
            total = page.get("total")
            if not ends or not isinstance(total, int) or start + PAGE >= total:
                break
        return texts(found)

    def property_of(self, job: str, prop: str) -> str | None:
        wanted = prop if prop.startswith(PROPERTY) else PROPERTY + prop
        try:
            found = record(self.ask("data_job_properties", {"job": job}).get("dataJob"))
        except NotFound:
            return None
        for one in sequence(record(found.get("structuredProperties")).get("properties")):
            entry = record(one)
            if record(entry.get("structuredProperty")).get("urn") != wanted:
                continue
            values = texts([record(value).get("stringValue") for value in sequence(entry.get("values"))])
            if len(values) > 1:
                raise Invalid(f"{wanted} of {job} has {len(values)} values; give it one")
            return values[0] if values else None
        return None

    def aspect(self, urn: str, name: str) -> Mapping[str, Json] | None:
        path = f"/openapi/v3/entity/{quote(entity_type(urn), safe='')}/{quote(urn, safe='')}/{quote(name, safe='')}"
        answer = self._gms.call("GET", path, headers=self._own)
        if answer.status == 404 and not answer.html:
            return None
        if answer.status in (400, 422):
            raise Invalid(f"DataHub refused to read {name} of {urn}: {message(answer)}")
        value = document(self._ours(answer), f"DataHub at {self._gms.place}").get("value")
        if not isinstance(value, dict):
            raise Unavailable(f"DataHub at {self._gms.place} answered {name} of {urn} without a value")
        return record(value)

    def ingestions(self, *, most: int, executor: str | None = None) -> Sequence[Ingestion]:
        if executor is not None and self._filters:
            try:
                return self._ingestions(most, [{"field": "executorId", "values": [executor]}])
            except Invalid:
                self._filters = False  # an older DataHub, whose lists cannot be filtered by that
        found = self._ingestions(most, [])
        return [one for one in found if executor in (None, one.executor)]

    def _ingestions(self, most: int, filters: Sequence[Mapping[str, Json]]) -> list[Ingestion]:
        found: list[Ingestion] = []
        for start in range(0, most, PAGE):
            count = min(PAGE, most - start)
            asked = {"start": start, "count": count, "filters": filters}
            page = record(self.ask("ingestions", asked).get("listExecutionRequests"))
            those = [record(one) for one in sequence(page.get("executionRequests"))]
            found += [_ingestion(one) for one in those if isinstance(one.get("urn"), str)]
            if len(those) < count:
                break
        return found

    def last_writes(self, *, most: int) -> Sequence[LastWrite]:
        return last_writes(self._asked, most=most)

    def _asked(self, method: str, path: str, body: Json = None) -> Json:
        """What GMS answers to a question of ours that changes nothing. Raises Unavailable, and NotFound."""
        answer = self._gms.call(method, path, headers={**self._own, "X-RestLi-Protocol-Version": "2.0.0"}, body=body)
        if answer.status == 404 and not answer.html:
            raise NotFound("path of DataHub's", path.partition("?")[0], "it may be older than that")
        if answer.status in (400, 422):
            raise Invalid(f"DataHub at {self._gms.place} refused {path.partition('?')[0]}: {message(answer)}")
        return decoded(self._ours(answer), f"DataHub at {self._gms.place}")

    def config(self) -> Mapping[str, Json]:
        """What GMS says of itself, to anybody: versions, and whether it is one."""
        answer = self._gms.call("GET", "/config", headers={})
        found = document(_fine(answer, self._gms.place), f"DataHub at {self._gms.place}")
        if found.get("noCode") != "true":
            raise Unavailable(
                f"{self._gms.place} is no metadata service of DataHub's (its frontend, perhaps);"
                " datahub.gms_url must be GMS, or the frontend's address with /api/gms"
            )
        return found

    def version(self) -> str:
        """DataHub's own version, e.g. v1.7.0; "" where it does not say."""
        named = record(record(self.config().get("versions")).get("acryldata/datahub")).get("version")
        return named if isinstance(named, str) else ""

    # -- writing

    def emit(self, proposals: Sequence[Proposal]) -> None:
        for portion in portions(proposals):
            name, body = (
                ("ingestProposal", {"proposal": wire_form(portion[0])})
                if len(portion) == 1
                else ("ingestProposalBatch", {"proposals": [wire_form(one) for one in portion]})
            )
            answer = self._gms.call(
                "POST",
                f"/aspects?action={name}",
                headers={**self._own, "X-RestLi-Protocol-Version": "2.0.0"},
                body={**body, "async": "false"},
                repeatable=all(repeatable(one) for one in portion),
                writes=True,
            )
            if answer.status in REFUSED and not answer.html:
                raise Invalid(f"DataHub refused {_named(portion)}: {message(answer)}")
            document(self._ours(answer), f"DataHub at {self._gms.place}")

    # -- asking

    def ask(self, name: str, variables: Mapping[str, Json], *, changes: bool = False) -> Mapping[str, Any]:
        """The data of one of our documents, asked with our own credential. `changes`: a mutation, made once.

        Raises:
            Invalid, NotFound: as DataHub says. Unavailable: also where our own credential is not taken or not enough.
        """
        body = {"query": documents.text(name), "variables": variables}
        answer = self._gms.call("POST", "/api/graphql", headers=self._own, body=body, repeatable=not changes)
        try:
            return data(self._ours(answer), f"DataHub at {self._gms.place}")
        except Forbidden as error:
            raise Unavailable(f"{error} (asked with our own credential; give it the right to)") from error

    def _ours(self, answer: Answer) -> Answer:
        if answer.status == 401:
            how = "does not take our credential" if self._own else "wants a credential"
            raise Unavailable(
                f"DataHub at {self._gms.place} {how}; set DATAHUB_GMS_TOKEN, or DATAHUB_SYSTEM_CLIENT_ID and"
                " DATAHUB_SYSTEM_CLIENT_SECRET"
            )
        if answer.status == 403 and not answer.html:
            raise Unavailable(f"DataHub at {self._gms.place} does not let our credential do this: {message(answer)}")
        return _fine(answer, self._gms.place)


def connect(settings: Settings) -> GmsClient:
    """The client these settings ask for: with our token, or as the system client."""
    return GmsClient(settings.gms_url, frontend_url=settings.frontend_url, authorization=authorization(settings))


def authorization(settings: Settings) -> str:
    """Our own Authorization header, whole; "" where the settings name no credential."""
    if settings.token is not None and settings.token.reveal():
        return f"Bearer {settings.token.reveal()}"
    if settings.client_id and settings.client_secret is not None:
        # as it is, not in base64: DataHub reads it so
        return f"Basic {settings.client_id}:{settings.client_secret.reveal()}"
    return ""


def entity_type(urn: str) -> str:
    """`dataset` of `urn:li:dataset:…`. Raises Invalid: it is no URN."""
    parts = urn.split(":", 3)
    if len(parts) < 4 or parts[:2] != ["urn", "li"] or not parts[2] or not parts[3] or not _text(urn):
        raise Invalid(f"{urn[:200]!r} is no URN; one looks like urn:li:dataset:(…) or urn:li:dataJob:(…)")
    return parts[2]


def _text(given: str) -> bool:
    """Whether it can be sent at all: half a surrogate pair cannot."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sendable(character: str, *, strict: bool) -> bool:
    """Whether a header may hold it: text of ASCII, else of Latin-1, as servers hand on the bytes they were sent."""
    return " " <= character <= "~" or (not strict and "\x80" <= character <= "\xff")


def _fine(answer: Answer, place: str) -> Answer:
    if not 200 <= answer.status < 300:
        hint = "; is that address DataHub's?" if answer.html or 300 <= answer.status < 400 else ""
        raise Unavailable(f"DataHub at {place} answered {answer.seen()}{hint}")
    return answer


def _created(run: Mapping[str, Any]) -> float:
    at = record(run.get("created")).get("time")
    return float(at) if isinstance(at, int | float) else 0.0


def _constant(name: str) -> str:
    """`manageIngestion` as policies write it: MANAGE_INGESTION."""
    return "".join(f"_{one}" if one.isupper() else one.upper() for one in name)


def _named(portion: Sequence[Proposal]) -> str:
    first = f"{portion[0].aspect_name} of {portion[0].entity_urn}"
    return first if len(portion) == 1 else f"one of {len(portion)} proposals (the first is {first})"


def _ingestion(found: Mapping[str, Any]) -> Ingestion:
    asked, result = record(found.get("input")), record(found.get("result"))
    return ingestion_of(
        str(found["urn"]),
        task=str(asked.get("task") or ""),
        executor=str(asked.get("executorId") or ""),
        source=str(record(asked.get("source")).get("ingestionSource") or ""),
        actor=next(iter(texts([record(asked.get("actor")).get("urn")])), None),
        requested_ms=milliseconds(asked.get("requestedAt")),
        status=str(result.get("status") or ""),
        start_ms=milliseconds(result.get("startTimeMs")),
        duration_ms=milliseconds(result.get("durationMs")),
    )
