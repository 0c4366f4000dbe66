"""This file is where DataHub is faked for tests: GMS and the frontend's API, each on a port of loopback.

Written from the reference (A, B, C, D.1, J), not from our client. It records what it is asked, keeps aspects, and
can be told to misbehave.

    with FakeGms() as gms:
        gms.add_user("token", "urn:li:corpuser:alice", grants={DATASET: ["EXECUTE_ENTITY"]})
        gms.add_dataset(DATASET, tags=["urn:li:tag:raw"])
        gms.misbehave("/api/graphql", "500", times=2)
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, get_args
from urllib.parse import parse_qs, unquote

from fakes import gms_system as system_metadata
from fakes.gms_aspects import Aspects, Doc, Refused
from fakes.gms_graphql import execute
from fakes.gms_wire import HTML, Answer, Asked, Handler, How, Server, Trouble, bad, json_answer, rest_li

SYSTEM = "urn:li:corpuser:__datahub_system"
CLIENT_ID, CLIENT_SECRET = "__datahub_system", "JohnSnowKnowsNothing"
TOKEN = "token-of-headgate"  #: of an administrator that is always there
ADMIN = "urn:li:corpuser:headgate"
EVERYTHING = ("MANAGE_INGESTION", "MANAGE_STRUCTURED_PROPERTIES", "MANAGE_POLICIES", "MANAGE_SECRETS", "EXECUTE_ENTITY")
VERSION = "v1.7.0"
OPEN = ("/health", "/health/live", "/config")  #: answered without a credential (A.1)


@dataclass(slots=True)
class User:
    urn: str
    privileges: Sequence[str]
    grants: Mapping[str, Sequence[str]]
    password: str = ""


class FakeGms:
    """GMS at `url`, the frontend's API at `frontend_url`. `auth=False` is a GMS that takes anybody."""

    def __init__(self, *, auth: bool = True) -> None:
        self.auth = auth
        self.version = VERSION
        self.healthy = True
        self.set_cookie = ""  #: a cookie that every answer sets from now on
        self.aspects = Aspects()
        self.requests: list[Asked] = []
        self.users: dict[str, User] = {TOKEN: User(ADMIN, EVERYTHING, {"*": EVERYTHING})}
        self._sessions: dict[str, str] = {}
        self._troubles: list[Trouble] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._servers = [Server(self, "gms"), Server(self, "frontend")]
        self.url, self.frontend_url = (one.url for one in self._servers)
        for one in self._servers:
            one.thread.start()

    def close(self) -> None:
        self._closing.set()
        for one in self._servers:
            one.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # -- what there is

    def add_user(
        self,
        token: str,
        urn: str,
        privileges: Sequence[str] = (),
        grants: Mapping[str, Sequence[str]] | None = None,
        *,
        password: str = "",
    ) -> None:
        """A user who has this token. `privileges` are on the platform; `grants` by resource URN, `*` on every one."""
        self.users[token] = User(urn, privileges, grants or {}, password)

    def forget_user(self, token: str) -> None:
        self.users.pop(token, None)

    def session(self, urn: str) -> str:
        """A Cookie header of a new session of this user (who must have been added)."""
        token = next(token for token, user in self.users.items() if user.urn == urn)
        play = f"play-{len(self._sessions)}-{urn.rpartition(':')[2]}"
        self._sessions[play] = token
        return f"PLAY_SESSION={play}; actor={urn}"

    def add_dataset(self, urn: str, tags: Sequence[str] = (), *, removed: bool = False) -> None:
        mine = {"aspectModified": {"time": 1, "actor": ADMIN}}
        self.aspects.put(urn, "datasetKey", {"name": urn.split(",")[1]}, mine)
        self.aspects.put(urn, "status", {"removed": removed}, mine)
        for tag in tags:
            self.add_tag(urn, tag)

    def add_tag(self, dataset: str, tag: str) -> None:
        tags = (self.aspects.get(dataset, "globalTags") or {"tags": []})["tags"]
        self.aspects.put(dataset, "globalTags", {"tags": [*tags, {"tag": tag}]})

    def add_job(self, urn: str, outputs: Sequence[str] = ()) -> None:
        name = urn.rpartition(",")[2].rstrip(")")
        self.aspects.put(urn, "dataJobInfo", {"name": name, "type": {"string": "COMMAND"}})
        self.aspects.put(urn, "dataJobInputOutput", {"inputDatasets": [], "outputDatasets": list(outputs)})

    def add_run(
        self, run: str, *, parent: str | None, outputs: Sequence[str] = (), inputs: Sequence[str] = (), at: int
    ) -> str:
        """A process instance `run` (an id) created at `at` (milliseconds); its URN."""
        urn = f"urn:li:dataProcessInstance:{run}"
        created = {"time": at, "actor": "urn:li:corpuser:airflow"}
        self.aspects.put(urn, "dataProcessInstanceProperties", {"name": run, "created": created})
        related: Doc = {"upstreamInstances": []} | ({"parentTemplate": parent} if parent else {})
        self.aspects.put(urn, "dataProcessInstanceRelationships", related)
        self.aspects.put(urn, "dataProcessInstanceOutput", {"outputs": list(outputs)})
        self.aspects.put(urn, "dataProcessInstanceInput", {"inputs": list(inputs)})
        return urn

    def define_property(self, name: str, **others: Any) -> str:
        """A text property with one value for DataJobs, unless `others` say otherwise; its URN."""
        return self.aspects.define({
            "id": name, "qualifiedName": name, "valueType": "urn:li:dataType:datahub.string", "cardinality": "SINGLE",
            "entityTypes": ["urn:li:entityType:datahub.dataJob"], **others,
        })  # fmt: skip

    def set_property(self, entity: str, prop: str, *values: str) -> None:
        """Give an entity's structured property (a URN, defined before or not) these values; none takes it away."""
        before = (self.aspects.get(entity, "structuredProperties") or {"properties": []})["properties"]
        kept = [one for one in before if one["propertyUrn"] != prop]
        entry: list[Doc] = [{"propertyUrn": prop, "values": [{"string": one} for one in values]}] if values else []
        self.aspects.put(entity, "structuredProperties", {"properties": kept + entry})

    # -- what was asked

    @property
    def proposals(self) -> list[Doc]:
        """Every proposal sent so far, in order, the refused and the lost ones, too."""
        found: list[Doc] = []
        for one in list(self.requests):
            if one.path.endswith("/aspects") and isinstance(one.body, dict):
                found += one.body.get("proposals", [one.body.get("proposal")])
        return found

    def asked(self, operation: str) -> list[Asked]:
        """The GraphQL requests of this operation (`me`, `dataset`, …)."""
        return [one for one in list(self.requests) if one.operation == operation]

    # -- misbehaving

    def misbehave(
        self, path: str, how: How, times: int = 1, *, seconds: float = 1.0, code: int = 500, operation: str = ""
    ) -> None:
        """The next `times` requests whose path (with query) holds `path` are answered badly.

        `seconds`: Retry-After of 429 and 503, and how long `slow` waits and `drip` goes on. `code`: of a GraphQL
        error. `operation`: only for this GraphQL operation. `lost` does the work and then hangs up.
        """
        assert how in get_args(How), how
        with self._lock:
            self._troubles.append(Trouble(path, how, times, seconds, code, operation))

    def behave(self) -> None:
        """Forget all trouble that is left."""
        with self._lock:
            self._troubles.clear()

    def _trouble(self, asked: Asked) -> Trouble | None:
        whole = f"{asked.path}?{asked.query}"
        with self._lock:
            for one in self._troubles:
                if one.left and one.path in whole and one.operation in ("", asked.operation):
                    one.left -= 1
                    return one
        return None

    # -- answering

    def granted(self, actor: str, resource: str | None) -> Sequence[str]:
        """What the user's policies grant: on the platform, or on a resource."""
        if actor == SYSTEM or not self.auth:
            return EVERYTHING
        user = next((user for user in self.users.values() if user.urn == actor), None)
        if user is None:
            return ()
        return user.privileges if resource is None else [*user.grants.get("*", ()), *user.grants.get(resource, ())]

    def answer(self, asked: Asked, handler: Handler) -> None:
        self.requests.append(asked)
        trouble = self._trouble(asked)
        if trouble is None:
            answer = self._answer(asked)
            answer.cookies += [self.set_cookie] if self.set_cookie else []
            handler.give(answer)
            return
        if trouble.how == "slow":
            self._closing.wait(trouble.seconds)
            handler.give(self._answer(asked))
        elif trouble.how == "lost":
            self._answer(asked)
            handler.hang_up()
        elif trouble.how == "disconnect":
            handler.hang_up()
        elif trouble.how == "drip":
            handler.drip(trouble.seconds, self._closing)
        else:
            handler.give(bad(trouble), cut=trouble.how == "truncated")

    def _answer(self, asked: Asked) -> Answer:
        path = asked.path
        if asked.server == "frontend":
            return self._frontend(asked)
        if asked.method == "GET" and path in OPEN:
            return self._open(path)
        actor = self._actor(asked)
        if actor is None:
            return json_answer(401, {"status": 401, "message": "Unauthorized to perform this action."})
        return self._allowed(asked, actor)

    def _allowed(self, asked: Asked, actor: str) -> Answer:
        if asked.path == "/api/graphql":
            return self._graphql(asked, actor)
        if asked.path == "/aspects" and asked.method == "POST":
            return self._ingest(asked, actor)
        if asked.path == "/runs" and asked.method == "POST":
            return system_metadata.runs(self.aspects, asked)
        if asked.path.startswith("/openapi/v3/entity/dataset"):
            several = system_metadata.several(self.aspects, asked)
            if several is not None:
                return several
        if asked.path.startswith("/openapi/v3/entity/"):
            return self._openapi(asked)
        return json_answer(404, {"error": "Not Found", "path": asked.path, "status": 404})

    def _open(self, path: str) -> Answer:
        if path != "/config":
            return Answer(200 if self.healthy or path == "/health/live" else 503)
        return json_answer(200, {
            "noCode": "true", "retention": "true", "statefulIngestionCapable": True, "patchCapable": True,
            "timeZone": "UTC", "models": {}, "managedIngestion": {"enabled": True},
            "versions": {"acryldata/datahub": {"version": self.version, "commit": "0000000"}},
            "datahub": {"serverType": "quickstart", "serverEnv": "core"},
        })  # fmt: skip

    def _actor(self, asked: Asked) -> str | None:
        if not self.auth:
            return asked.headers.get("x-datahub-actor", SYSTEM)
        kind, _, shown = asked.headers.get("authorization", "").partition(" ")
        if kind == "Basic" and shown == f"{CLIENT_ID}:{CLIENT_SECRET}":
            return SYSTEM
        user = self.users.get(shown) if kind == "Bearer" else None
        return user.urn if user else None

    def _graphql(self, asked: Asked, actor: str) -> Answer:
        if asked.method != "POST" or not isinstance(asked.body, dict) or not isinstance(asked.body.get("query"), str):
            return Answer(400)
        return json_answer(200, execute(self.aspects, self, actor, asked.body))

    def _ingest(self, asked: Asked, actor: str) -> Answer:
        if asked.headers.get("x-restli-protocol-version") != "2.0.0":
            return rest_li(400, "X-RestLi-Protocol-Version: 2.0.0 is what is spoken here")
        action = parse_qs(asked.query).get("action", [""])[0]
        name = {"ingestProposal": "proposal", "ingestProposalBatch": "proposals"}.get(action, "")
        if not name or not isinstance(asked.body, dict) or name not in asked.body:
            return rest_li(400, f"Parameters of method '{action}' failed validation")
        given: Doc = asked.body
        proposals = given["proposals"] if name == "proposals" else [given["proposal"]]
        if given.get("async", "false") not in ("true", "false") or not isinstance(proposals, list):
            return rest_li(400, "Parameters of method failed validation: async")
        if kept := [one for one in proposals if not self._may_write(one, actor)]:
            return rest_li(403, f"{actor} is unauthorized to modify {kept[0].get('entityUrn')}")
        try:
            self.aspects.take(proposals)
        except Refused as refused:
            return rest_li(refused.status, refused.message)
        return json_answer(200, {"value": "success"})

    def _may_write(self, proposal: Any, actor: str) -> bool:
        """A.2: what has to do with ingestions is written by who may manage them."""
        kind = str(proposal.get("entityType")) if isinstance(proposal, dict) else ""
        return not kind.startswith(("dataHubExecution", "dataHubIngestion")) or (
            "MANAGE_INGESTION" in self.granted(actor, None)
        )

    def _openapi(self, asked: Asked) -> Answer:
        parts = [unquote(one) for one in asked.path.removeprefix("/openapi/v3/entity/").split("/")]
        if len(parts) < 2 or not parts[1].lower().startswith(f"urn:li:{parts[0].lower()}:"):
            return json_answer(400, {"error": f"bad urn {parts[1:2]}"})
        urn = parts[1]
        if asked.method == "HEAD":
            return Answer(204 if self.aspects.exists(urn) else 404)
        if asked.method != "GET":
            return json_answer(405, {"error": "Method Not Allowed"})
        if len(parts) == 3:
            value = self.aspects.get(urn, parts[2])
            return Answer(404) if value is None else json_answer(200, {"value": value})
        if not self.aspects.exists(urn):
            return Answer(404, headers={"X-Missing": "ENTITY"})
        names = parse_qs(asked.query).get("aspects") or list(self.aspects.values[urn])
        found = {name: {"value": value} for name in names if (value := self.aspects.get(urn, name)) is not None}
        return json_answer(200, {"urn": urn, **found})

    def _frontend(self, asked: Asked) -> Answer:
        if asked.path in ("/admin", "/health"):
            return Answer(200, b"GOOD", {"Content-Type": "text/plain"})
        if asked.path == "/config":
            config = {"application": "datahub-frontend", "appVersion": self.version}
            return json_answer(200, {"status": "ok", "config": config})
        if asked.path == "/logIn" and asked.method == "POST":
            return self._log_in(asked)
        inner = {"/api/v2/graphql": "/api/graphql", "/api/graphql": "/api/graphql"}.get(asked.path)
        if asked.path.startswith("/api/gms/"):
            inner = asked.path.removeprefix("/api/gms")
        if inner is None:
            return Answer(404, HTML.encode(), {"Content-Type": "text/html; charset=utf-8"})
        token = self._session_token(asked.headers.get("cookie", ""))
        headers = {name: value for name, value in asked.headers.items() if name not in ("x-datahub-actor", "cookie")}
        if token is not None:
            headers |= {"authorization": f"Bearer {token}", "x-datahub-actor": self.users[token].urn}  # it wins
        elif "authorization" not in headers and inner not in OPEN:
            return Answer(401)
        return self._answer(Asked("gms", asked.method, inner, asked.query, headers, asked.body, asked.at))

    def _session_token(self, cookie: str) -> str | None:
        """The token of a session, whose two cookies are there and agree (A.4)."""
        jar = {name.strip(): value.strip() for name, _, value in (one.partition("=") for one in cookie.split(";"))}
        play, actor = (jar.get(name, "") for name in ("PLAY_SESSION", "actor"))
        token = self._sessions.get(play)
        user = self.users.get(token or "")
        return token if user is not None and user.urn == actor else None

    def _log_in(self, asked: Asked) -> Answer:
        given = asked.body if isinstance(asked.body, dict) else {}
        urn = f"urn:li:corpuser:{given.get('username')}"
        known = [user for user in self.users.values() if user.urn == urn and user.password]
        if not known or known[0].password != given.get("password"):
            return json_answer(400, {"message": "Invalid Credentials"})
        play, actor = self.session(urn).split("; ")
        return Answer(200, cookies=[f"{play}; Path=/; HttpOnly; SameSite=Lax", f"{actor}; Path=/; SameSite=Lax"])
