"""This file is where DataHub is told how its requests stand: out of the outbox, in order, for as long as it takes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from headgate.errors import Invalid, NotFound, Unavailable
from headgate.executor import results
from headgate.executor.requests import RESULT
from headgate.gate import Gate
from headgate.ledger import executions
from headgate.ledger.executions import Stage
from headgate.model import Json, Run, attempt_id
from headgate.ports import DataHub
from headgate.supervision.logs import tail

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
TRIES_WHOLE: Final = 2  #: of a long result, before it is tried with hardly any log
_STANDS: Final = results.FINAL | results.ROLLBACK


class Told:
    """A reporter for the channel of results. What DataHub refuses for good is dropped, logged and counted."""

    def __init__(self, gate: Gate, datahub: DataHub) -> None:
        self._gate = gate
        self._datahub = datahub
        self._counting = threading.Lock()
        self._failed: Counter[str] = Counter()  #: how often DataHub failed at a result in a row, by request
        self.dropped = 0
        self.mark = ""  #: see Taker
        self.on_told: Callable[[str], None] = lambda _urn: None

    @property
    def name(self) -> str:
        return results.CHANNEL

    def report(self, kind: str, payload: Mapping[str, Json]) -> None:
        """Write the result as the run stands now. Raises Unavailable: not now."""
        urn, name = str(payload["request"]), str(payload["run"])
        try:
            run = self._gate.ledger.run(name)
        except NotFound:
            return  # retention was faster than DataHub
        if kind == results.UNDER_WAY and run.ended_at is not None:
            self.on_told(urn)
            return  # its end is told next
        kept = self._gate.ledger.read(lambda connection: executions.find(connection, [urn])).get(urn)
        if kept is None or kept.stage is not Stage.TAKEN or kept.request.job != run.job:
            _log.warning("a run names a request that was never taken here", request=urn, run=run.id)
            return
        log = str(payload.get("log") or "") or log_of(run, self._gate.settings.home)
        self._write(urn, run, results.aspect_of(run, log, mark=self.mark, killed_by=kept.killed_by or ""))
        self.on_told(urn)

    def _write(self, urn: str, run: Run, aspect: Mapping[str, Json]) -> None:
        found = self._datahub.aspect(urn, RESULT) or {}
        if found.get("status") == aspect["status"] != "RUNNING":
            return  # it was told before, perhaps by a replica that had the log, which we have not
        if found.get("status") in _STANDS:
            if found.get("status") != aspect["status"]:
                _log.warning("DataHub has another end; it stays", request=urn, run=run.id,
                             there=found.get("status"), here=aspect["status"])  # fmt: skip
            return
        try:
            self._emit(urn, run, aspect)
        except Invalid as error:
            with self._counting:
                self.dropped += 1
            _log.error("DataHub refuses a result for good; dropped", request=urn, run=run.id, why=str(error)[:1000])

    def _emit(self, urn: str, run: Run, aspect: Mapping[str, Json]) -> None:
        """Write it; where it is the length that DataHub, or a proxy before it, does not take: with hardly any log.

        A log less is nothing to an ingestion that DataHub shows as running for ever.
        """
        shorter = results.shortened(aspect)
        try:
            self._datahub.emit([results.proposal(urn, aspect)])
        except (Invalid, Unavailable) as error:
            if isinstance(error, Unavailable):
                # we were let read a moment ago; where that is so twice, it is what we write that DataHub fails at
                self._failed[urn] += 1
            if shorter is None or (isinstance(error, Unavailable) and self._failed[urn] < TRIES_WHOLE):
                raise
            _log.warning("a result is told without its log", request=urn, run=run.id, why=str(error)[:500])
            self._datahub.emit([results.proposal(urn, shorter)])
        self._failed.pop(urn, None)


def log_of(run: Run, home: Path) -> str:
    """The end of the log of the run's last attempt; "" where it is not on this machine."""
    return tail(home / "logs", attempt_id(run.id, run.attempt), results.LOG_TAIL)
