"""This file is where DataHub is looked through for requests: those nobody told us of, to be stopped, or adrift.

With a stream of events it is done at the start and now and then; without one it is how requests are found at all. What
is found is only ever a hint (DataHub's lists come from a search index that lags); the aspects and the ledger decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from headgate.errors import HeadgateError, Unavailable
from headgate.executor import requests, results
from headgate.executor.requests import Change
from headgate.executor.taking import Options, Taker
from headgate.flow.external import REQUEST
from headgate.gate import Gate
from headgate.ledger import executions
from headgate.ledger.executions import Kept, Stage
from headgate.ledger.store import wait_for
from headgate.model import Json, RunState
from headgate.ports import DataHub, Ingestion

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MOST = 100  #: of the newest requests that are looked at in a round
MOST_AT_START = 1_000


class Rounds:
    """Looks through DataHub for one executor."""

    def __init__(self, gate: Gate, datahub: DataHub, taker: Taker, options: Options) -> None:
        self._ledger = gate.ledger
        self._datahub = datahub
        self._taker = taker
        self._executor = options.executor_id
        self._takes = options.filters.take

    def look(self, most: int = MOST) -> int:
        """One round; answers how many requests were new.

        Raises:
            Unavailable: DataHub, or the ledger. Forbidden: our credential may not list requests.
        """
        listed = self._datahub.ingestions(most=most, executor=self._executor)
        known = self._ledger.read(lambda connection: executions.find(connection, [one.urn for one in listed]))
        found: list[Change] = []
        for one in listed:
            try:
                found += self._of(one, known.get(one.urn))
            except Unavailable:
                raise
            except HeadgateError as error:  # what is wrong with one must not hide the others
                _log.error("an execution request cannot be looked at", request=one.urn, why=str(error)[:500])
        found += self._signals([one for one in known.values() if one.stage is Stage.NEW])
        return self._taker.accept(found)

    def _of(self, one: Ingestion, kept: Kept | None) -> Sequence[Change]:
        """What is new of one request."""
        if kept is None:
            return self._unknown(one) if one.urn.startswith(REQUEST) else ()
        if one.state is RunState.RUNNING:
            self._check(one, kept)
        return ()

    def _unknown(self, one: Ingestion) -> Sequence[Change]:
        """A request that we never heard of: waiting, or signed by us and yet not in our ledger."""
        if one.state is RunState.WAITING and one.started_at is None:
            # the stop of one that was cancelled while nobody was here comes with it, or it would be started first
            names = (requests.INPUT, requests.SIGNAL)
            return [
                change for name in names for change in self._read(one.urn, name, self._datahub.aspect(one.urn, name))
            ]
        if one.state is RunState.RUNNING:
            told = self._datahub.aspect(one.urn, requests.RESULT) or {}
            if told.get("status") == "RUNNING" and self._taker.mark in str(told.get("report")):
                why = "Its run is not in the ledger any more; nothing of it runs."
                self._datahub.emit([results.proposal(one.urn, {**told, "status": "ABORTED", "report": why})])
                _log.warning("a request of ours without a run is ended", request=one.urn)
        return ()

    def _check(self, one: Ingestion, kept: Kept) -> None:
        """DataHub says that a request of ours runs. If its run is over, that was never told: it is told again."""
        if kept.stage is not Stage.TAKEN or kept.run is None:
            return
        run = self._ledger.run(kept.run)
        if run.state is RunState.STOPPING:
            return
        if run.ended_at is None:
            signal = self._datahub.aspect(one.urn, requests.SIGNAL)
            self._taker.accept(self._read(one.urn, requests.SIGNAL, signal))
            return
        wait_for(self._ledger.tell([results.note(one.urn, run.id, "")]))

    def _signals(self, waiting: Sequence[Kept]) -> list[Change]:
        """Stops of requests that wait here for a place."""
        found: list[Change] = []
        for one in waiting:
            signal = None if one.killed_by else self._datahub.aspect(one.request.urn, requests.SIGNAL)
            found += self._read(one.request.urn, requests.SIGNAL, signal)
        return found

    def _read(self, urn: str, name: str, aspect: Mapping[str, Json] | None) -> list[Change]:
        """What an aspect asks for, as if it had been told of: the pipeline's filters hold for it, too."""
        if aspect is None:
            return []
        found = requests.read_change(requests.as_change(urn, name, aspect), self._takes)
        return [found] if found is not None else []
