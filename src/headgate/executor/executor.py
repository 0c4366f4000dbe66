"""This file is where an executor is at work: one thread reads what DataHub asks, one takes it and looks after it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from headgate.errors import Conflict, HeadgateError, MissingExtra, NotFound
from headgate.executor import results
from headgate.executor.requests import Change
from headgate.executor.rounds import MOST, MOST_AT_START, Rounds
from headgate.executor.taking import Options, Taker
from headgate.executor.telling import Told
from headgate.gate import Gate
from headgate.ledger import executions
from headgate.ledger.store import wait_for
from headgate.ports import DataHub
from headgate.supervision.logs import size, tail

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ROUND_EVERY = 300.0  #: seconds between rounds where a stream tells of requests
UPDATE_EVERY = 10.0  #: seconds between what DataHub is told of a run under way
AGAIN = 5.0  #: seconds before a source that failed is tried again
NOT_THERE_AGAIN = 300.0  #: seconds before one is that said it is not there: what stands before it may have said so
FORGET_EVERY = 3_600.0  #: seconds
_SOURCE: Final = "executor-source"
ROUNDS: Final = "DataHub's lists"  #: the source's name where there is no stream

Accept = Callable[[Sequence[Change]], int]


class Source(Protocol):
    """Where requests come from."""

    @property
    def name(self) -> str: ...

    def follow(self, accept: Accept, closing: threading.Event) -> None:
        """Hand on what comes, until closing is set. What was not accepted without an error comes again.

        Raises:
            Unavailable: not now; it is called again. NotFound: there is no such source here, and will not be.
        """
        ...


class Executor:
    """Carries out the requests of one executor id, until closed."""

    def __init__(
        self,
        gate: Gate,
        datahub: DataHub,
        told: Told,
        options: Options,
        sources: Sequence[Source],
        *,
        poll_every: float = 5.0,
    ) -> None:
        """Nothing is asked of anyone here; the ledger need not be open.

        Args:
            gate: of this replica.
            datahub: whose requests they are.
            told: the reporter of results.
            options: see there.
            sources: tried in their order until one is there; without any, DataHub's lists are looked through.
            poll_every: seconds between those looks.
        """
        self._gate = gate
        self._datahub = datahub
        self._told = told
        self.options = options
        self._sources = list(sources)
        self._poll_every = poll_every
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._taker: Taker | None = None
        self._problems: dict[str, str] = {}
        self._noting = threading.Lock()
        self._listening = False  #: the source has told us something since it last failed
        self._look_now = threading.Event()
        self._back = threading.Event()  #: DataHub may be told again what it could not be
        self._shown: dict[str, int] = {}  #: how much of each run's log DataHub was told of, in bytes
        self._untold: set[str] = set()  #: requests of which an update is under way
        self._done_without: dict[str, str] = {}  #: sources that are not here, and why
        self.following = ""  #: the source's name, once it is known

    def start(self) -> None:
        """Begin. The ledger must be open."""
        identity = wait_for(self._gate.ledger.write(executions.identity))
        self._taker = Taker(self._gate, self._datahub, self.options, identity=identity)
        self._told.mark = self._taker.mark
        self._told.on_told = self._told_of
        for target, name in ((self._read, _SOURCE), (self._work, "executor")):
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stop taking requests. Runs go on; who starts next goes on with them."""
        self._closing.set()
        self._wake()
        for thread in self._threads:
            # what a source waits for may be many seconds away, and nothing is lost if it is not heard
            thread.join(timeout=1 if thread.name == _SOURCE else 15)

    def accept(self, changes: Sequence[Change]) -> int:
        """Take in changes; durable when it returns. See Taker.accept. What could not be taken is looked for later."""
        try:
            return self._taking().accept(changes)
        except HeadgateError:
            self._look_now.set()
            raise

    def problems(self) -> list[str]:
        """What keeps requests from being taken, for /readyz."""
        taking = [self._taker.problem] if self._taker is not None and self._taker.problem else []
        return [*taking, *(f"executor {self.options.executor_id!r}: {one}" for one in self._problems.values())]

    def warnings(self) -> list[str]:
        """What the file asks for and there is not here, for /readyz; requests are found all the same, only later."""
        with self._noting:
            return [
                f"executor {self.options.executor_id!r}: {name}: {why}; requests are looked for in {ROUNDS} every"
                f" {self._poll_every:g} s"
                for name, why in self._done_without.items()
            ]

    # -- what comes in

    def _read(self) -> None:
        """Follow the first source that is there; what has none is found by rounds, until one is."""
        waiting, missing = list(self._sources), list[Source]()
        while not self._closing.is_set():
            if not waiting:
                self._note("source", None)
                self.following = ROUNDS
                self._look_now.set()
                self._wake()
                if not missing or self._closing.wait(NOT_THERE_AGAIN):
                    return
                waiting, missing = missing, []
            source = waiting[0]
            self.following = source.name
            try:
                source.follow(self._heard_from_source, self._closing)
            except (NotFound, MissingExtra) as error:
                if source.name not in self._done_without:
                    _log.warning("there is no such source here", source=source.name, why=str(error))
                with self._noting:
                    self._done_without[source.name] = str(error)
                self._listening = False
                missing += [waiting.pop(0)] if isinstance(error, NotFound) else []
                waiting = [one for one in waiting if one is not source]
            except HeadgateError as error:
                self._failed(source, str(error))
            except Exception as error:  # noqa: BLE001 - a bug in a source must not leave us deaf; lists are looked through
                _log.exception("a source of requests failed")
                self._failed(source, f"{type(error).__name__}: {error}; the log says where")

    def _failed(self, source: Source, why: str) -> None:
        self._listening = False
        self._note("source", f"{source.name}: {why}")
        self._wake()
        self._closing.wait(AGAIN)

    def _heard_from_source(self, changes: Sequence[Change]) -> int:
        """The source is there. What it did not tell of while it was not is looked for at once."""
        if not self._listening:
            self._listening = True
            self._note("source", None)
            with self._noting:
                self._done_without.pop(self.following, None)
            self._look_now.set()
            self._wake()
        return self.accept(changes)

    def _note(self, what: str, problem: str | None) -> None:
        """Remember what hinders us; it is logged when it begins."""
        with self._noting:
            if problem is not None and what not in self._problems:
                _log.warning("executor hindered", executor=self.options.executor_id, why=problem)
            if problem is not None:
                self._problems[what] = problem
                return
            mended = self._problems.pop(what, None)
        if mended is not None:
            _log.info("executor no longer hindered", executor=self.options.executor_id, by=mended)
            self._back.set()

    # -- what is done

    def _work(self) -> None:
        taker = self._taking()
        rounds = Rounds(self._gate, self._datahub, taker, self.options)
        last = dict.fromkeys(("round", "update", "forget"), -math.inf)
        while not self._closing.is_set():
            taker.woken.clear()
            now = time.monotonic()
            pause = self._poll_every
            try:
                every = ROUND_EVERY if self._streaming else self._poll_every
                missed = self._look_now.is_set()  # nobody knows for how long we heard nothing
                if now - last["round"] >= every or missed:
                    self._look_now.clear()
                    self._look(rounds, MOST_AT_START if missed or last["round"] < 0 else MOST)
                    last["round"] = now
                if self._back.is_set():
                    self._back.clear()
                    wait_for(self._gate.ledger.write(lambda batch: executions.hasten(batch, results.CHANNEL)))
                if now - last["update"] >= UPDATE_EVERY:
                    last["update"] = now
                    self._update()
                if now - last["forget"] >= FORGET_EVERY:
                    last["forget"] = now
                    self._forget()
                pause = min(pause, taker.turn())
                self._note("ledger", None)
            except HeadgateError as error:
                self._note("ledger", str(error))
            except Exception as error:  # noqa: BLE001 - a bug met by one request must not be the end of all of them
                _log.exception("an executor's turn failed")
                self._note("ledger", f"a turn failed: {type(error).__name__}: {error}; the log says where")
            taker.woken.wait(pause)

    def _look(self, rounds: Rounds, most: int) -> None:
        """A round that fails costs nothing but time: it is made again."""
        try:
            rounds.look(most)
        except HeadgateError as error:
            self._note("round", f"DataHub's requests cannot be looked through: {error}")
        else:
            self._note("round", None)

    def _update(self) -> None:
        """Have DataHub told of the runs under way whose logs have grown, each at most once at a time."""
        live = self._gate.ledger.read(lambda connection: executions.live(connection, self.options.executor_id))
        logs, shown = self._gate.settings.home / "logs", dict[str, int]()
        for one in live:
            run = one.run or ""
            shown[run] = size(logs, run)
            if shown[run] > self._shown.get(run, 0) and one.request.urn not in self._untold:
                self._untold.add(one.request.urn)
                log = tail(logs, run, results.LOG_TAIL)
                told = results.note(one.request.urn, run, log, kind=results.UNDER_WAY)
                wait_for(self._gate.ledger.tell([told]))
        self._shown = shown

    def _told_of(self, urn: str) -> None:
        """DataHub has heard of a request; the end of a run may have made room for another."""
        self._untold.discard(urn)
        self._wake()

    def _forget(self) -> None:
        before = time.time() - self._gate.settings.retention_days * 86_400
        wait_for(self._gate.ledger.write(lambda batch: executions.forget(batch, before)))

    @property
    def _streaming(self) -> bool:
        """Whether requests are told to us; while they are not, they are looked for."""
        return self._listening and self.following != ROUNDS and "source" not in self._problems

    def _wake(self) -> None:
        if self._taker is not None:
            self._taker.woken.set()

    def _taking(self) -> Taker:
        if self._taker is None:
            raise Conflict("the executor has not been started")
        return self._taker
