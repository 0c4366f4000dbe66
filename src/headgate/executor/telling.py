"""This file is where DataHub is told how its requests stand: out of the outbox, in order, for as long as it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from headgate.errors import Invalid, NotFound
from headgate.executor import results
from headgate.executor.requests import RESULT
from headgate.gate import Gate
from headgate.ledger import executions
from headgate.ledger.executions import Stage
from headgate.model import Json, Run, attempt_id
from headgate.ports import DataHub
from headgate.supervision.logs import tail

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_STANDS: Final = results.FINAL | results.ROLLBACK


class Told:
    """A reporter for the channel of results. What DataHub refuses for good is dropped, logged and counted."""

    def __init__(self, gate: Gate, datahub: DataHub) -> None:
        self._gate = gate
        self._datahub = datahub
        self._counting = threading.Lock()
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
        self._write(urn, run, str(payload.get("log") or "") or log_of(run, self._gate.settings.home))
        self.on_told(urn)

    def _write(self, urn: str, run: Run, log: str) -> None:
        aspect = results.aspect_of(run, log, mark=self.mark)
        found = self._datahub.aspect(urn, RESULT) or {}
        if found.get("status") in _STANDS:
            if found.get("status") != aspect["status"]:
                _log.warning("DataHub has another end; it stays", request=urn, run=run.id,
                             there=found.get("status"), here=aspect["status"])  # fmt: skip
            return
        try:
            self._datahub.emit([results.proposal(urn, aspect)])
        except Invalid as error:
            with self._counting:
                self.dropped += 1
            _log.error("DataHub refuses a result for good; dropped", request=urn, run=run.id, why=str(error)[:1000])


def log_of(run: Run, home: Path) -> str:
    """The end of the log of the run's last attempt; "" where it is not on this machine."""
    return tail(home / "logs", attempt_id(run.id, run.attempt), results.LOG_TAIL)
