"""This file is where a fake GMS also keeps execution requests: guarded states, and the Events API over its changes.

Written from the reference (E.3, E.4, E.5, F.2, F.5), not from our client.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from fakes.gms import FakeGms
from fakes.gms_aspects import Aspects, Doc, Refused
from fakes.gms_wire import Answer, Asked, json_answer

URN = "urn:li:dataHubExecutionRequest:"
INPUT, SIGNAL, RESULT = (f"dataHubExecutionRequest{one}" for one in ("Input", "Signal", "Result"))
IMMUTABLE = ("SUCCESS", "CANCELLED", "ABORTED", "DUPLICATE")
TOPIC = "MetadataChangeLog_Versioned_v1"


class Changing(Aspects):
    """Aspects that guard the states of requests, and remember every change of them as the change log has it."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Doc] = []
        self.changed = threading.Condition()

    def put(self, urn: str, name: str, value: Doc, system: Doc | None = None) -> None:
        before = self.get(urn, name)
        if name == RESULT and before and before["status"] in IMMUTABLE and value["status"] != "ROLLING_BACK":
            if before["status"] != value["status"]:
                raise Refused(422, f"Invalid update to immutable state {before['status']} for aspect {name}")
            return  # the same state again is ignored
        super().put(urn, name, value, system)
        if before != value:
            self.tell(urn, name, value)

    def tell(self, urn: str, name: str, value: Doc, change: str = "UPSERT") -> None:
        """Put a change into the log, as if it had happened."""
        with self.changed:
            self.log.append({
                "entityType": urn.split(":")[2], "entityUrn": urn, "changeType": change, "aspectName": name,
                "aspect": {"contentType": "application/json", "value": json.dumps(value)},
                "systemMetadata": {"lastObserved": int(time.time() * 1000), "runId": "no-run-id-provided"},
                "created": {"time": int(time.time() * 1000), "actor": "urn:li:corpuser:alice"},
            })  # fmt: skip
            self.changed.notify_all()


class RequestGms(FakeGms):
    """A GMS in whose UI people ask for ingestions. `events`: whether it has the Events API (else 404)."""

    def __init__(self, *, auth: bool = True, events: bool = True) -> None:
        super().__init__(auth=auth)
        self.changing = Changing()
        self.aspects = self.changing
        self.events = events
        self.events_allowed = True
        self.generation = "a"  #: part of every offset; another one makes those given out unknown
        self.polled: list[dict[str, list[str]]] = []
        self._hurry = 0  #: how many do not want to wait for events that do not come

    # -- what people do

    def ask(
        self,
        recipe: Any = None,
        *,
        executor: str = "default",
        task: str = "RUN_INGEST",
        source: str = "glue",
        at: float | None = None,
        kind: str = "MANUAL_INGESTION_SOURCE",
        told: Doc | None = None,
        **args: str,
    ) -> str:
        """Click "Execute"; the request's URN. `told`: a result that it has from the start."""
        name = str(uuid.uuid4())
        urn = URN + name
        text = json.dumps(recipe if recipe is not None else {"source": {"type": "glue", "config": {}}, "run_id": urn})
        value: Doc = {
            "task": task, "args": {"recipe": text, "version": "1.7.0.3", "debug_mode": "false", **args},
            "executorId": executor, "requestedAt": int((time.time() if at is None else at) * 1000),
            "source": {"type": kind, "ingestionSource": f"urn:li:dataHubIngestionSource:{source}"},
            "cliVersionAudit": {"source": "APPLICATION_DEFAULT", "serverVersion": "v1.7.0"},
        }  # fmt: skip
        if kind == "MANUAL_INGESTION_SOURCE":
            value["actorUrn"] = "urn:li:corpuser:alice"
        if told is not None:
            self.aspects.put(urn, RESULT, told)
        self.aspects.put(urn, INPUT, value)
        return urn

    def cancel(self, urn: str, signal: str = "KILL") -> None:
        """Click "Cancel"; nothing but a signal is written."""
        executor = (self.aspects.get(urn, INPUT) or {"executorId": "default"})["executorId"]
        stamp = {"time": int(time.time() * 1000), "actor": "urn:li:corpuser:bob"}
        self.aspects.put(urn, SIGNAL, {"signal": signal, "executorId": executor, "createdAt": stamp})

    def result(self, urn: str) -> Doc:
        """What DataHub was told last; {} before that."""
        return self.aspects.get(urn, RESULT) or {}

    def status(self, urn: str) -> str:
        return str(self.result(urn).get("status", ""))

    def statuses(self, urn: str) -> list[str]:
        """Every status the request had, in order."""
        found = [json.loads(one["aspect"]["value"]) for one in self.changing.log
                 if one["entityUrn"] == urn and one["aspectName"] == RESULT]  # fmt: skip
        return [str(one["status"]) for one in found]

    # -- the Events API

    @contextmanager
    def impatient(self) -> Generator[None]:
        """While it lasts, who asks for events is answered at once, whatever there is."""
        with self.changing.changed:
            self._hurry += 1
            self.changing.changed.notify_all()
        try:
            yield
        finally:
            self._hurry -= 1

    def _waits(self, until: float) -> bool:
        return time.monotonic() < until and not self._hurry and not self._closing.is_set()

    def _allowed(self, asked: Asked, actor: str) -> Answer:
        if asked.path == "/openapi/v1/events/poll" and self.events:
            return self._poll(parse_qs(asked.query)) if self.events_allowed else Answer(403)
        return super()._allowed(asked, actor)

    def _poll(self, asked: dict[str, list[str]]) -> Answer:
        self.polled.append(asked)
        topic = asked.get("topic", [""])[0]
        if topic not in (TOPIC, "MetadataChangeLog_Timeseries_v1", "PlatformEvent_v1"):
            return json_answer(500, {"errorMessage": f"Topic {topic} is not enabled for polling"})
        generation, _, number = asked.get("offsetId", [f"{self.generation}-0"])[0].partition("-")
        if generation != self.generation:
            return json_answer(400, {"errorMessage": "unknown offset"})
        limit, patience = int(asked.get("limit", ["100"])[0]), float(asked.get("pollTimeoutSeconds", ["10"])[0])
        if limit > 5000 or patience > 10:
            return json_answer(400, {"errorMessage": "limit is at most 5000, pollTimeoutSeconds at most 10"})
        start, until = int(number), time.monotonic() + patience
        with self.changing.changed:
            while len(self.changing.log) <= start and self._waits(until):
                self.changing.changed.wait(0.05)
            found = self.changing.log[start : start + limit]
        events = [{"contentType": "application/json", "value": json.dumps(one)} for one in found]
        offset = f"{self.generation}-{start + len(found)}"
        return json_answer(200, {"offsetId": offset, "count": len(events), "events": events})
