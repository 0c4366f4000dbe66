"""This file is where the sweep's threads meet what nobody foresaw: /readyz is told, and they go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ledger.replica import Replica, job
from services.postgres import cluster

from headgate.errors import LedgerUnavailable
from headgate.runtime import sweep as sweeping
from headgate.runtime.sweep import Sweep

DEADLINE = 30.0


def _until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for {what}"
        time.sleep(0.005)


def _sweep(ledger: Any, folder: Path, on_outbox: Callable[[], None] = lambda: None) -> Sweep:
    return Sweep(
        ledger, stop_run=lambda _run: None, schedules=False, retention_days=90, logs=folder, on_outbox=on_outbox
    )


class Scripted:
    """A ledger on PostgreSQL as the sweep's threads see it; what it answers is the test's."""

    on_sqlite = False
    claims = True
    lease = 0.15

    def __init__(self) -> None:
        self.beats = self.listens = 0
        self.error: BaseException | None = None
        self.heard = threading.Event()

    def beat(self) -> None:
        self.beats += 1
        if self.error and self.beats > 1:  # the first is the start's own
            raise self.error

    def listen(self, stop: threading.Event) -> Iterator[str]:
        self.listens += 1
        if self.error:
            raise self.error
        yield "outbox"
        stop.wait(DEADLINE)

    def refresh(self) -> None: ...
    def resign(self) -> None: ...


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    monkeypatch.setattr(sweeping, "IDLE", 0.01)

    def look(_self: Sweep, now: float) -> float:
        return now + 60.0

    monkeypatch.setattr(Sweep, "look", look)
    return Scripted()


def test_a_bug_in_the_lease_or_the_listening_is_told_and_is_not_the_end(scripted: Scripted, tmp_path: Path) -> None:
    """Both are tried again until they work, and until then /readyz names them."""
    scripted.error = ZeroDivisionError("a bug")
    heard = threading.Event()
    sweep = _sweep(scripted, tmp_path, heard.set)
    sweep.start()
    _until(lambda: len(sweep.problems()) == 2, "both to be told")
    assert sorted(one.partition(":")[0] for one in sweep.problems()) == ["lease failed", "listen failed"]
    _until(lambda: scripted.beats > 3 and scripted.listens > 3, "both to be tried again")
    scripted.error = None
    _until(lambda: sweep.problems() == [], "all to be well")
    assert heard.is_set(), "what others say is heard again"
    sweep.close()


def test_a_lease_that_cannot_be_prolonged_is_a_problem(scripted: Scripted, tmp_path: Path) -> None:
    """Others will take the runs over: who looks at /readyz learns why before it happens."""
    scripted.error = LedgerUnavailable("the ledger is away")
    sweep = _sweep(scripted, tmp_path)
    sweep.start()
    _until(lambda: any("others take the runs here over: the ledger is away" in one for one in sweep.problems()), "it")
    scripted.error = None
    _until(lambda: sweep.problems() == [], "the lease to be prolonged")
    sweep.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_gone_is_a_problem(scripted: Scripted, tmp_path: Path) -> None:
    """What even the last resort does not catch ends the thread, and nothing pretends otherwise; closed, all is well."""
    scripted.error = SystemExit("gone")
    sweep = _sweep(scripted, tmp_path)
    sweep.start()
    _until(lambda: any("the thread lease has ended" in one for one in sweep.problems()), "it to be told")
    sweep.close()
    assert sweep.problems() == []


@pytest.mark.postgres
def test_a_listener_whose_connection_is_cut_listens_again(tmp_path: Path) -> None:
    """PostgreSQL ends the connection: the driver's own error ends no thread, and a word is heard afterwards."""
    with cluster() as url:
        replica = Replica(url)
        other = Replica(url, claims=False)
        heard: list[float] = []
        sweep = _sweep(replica.ledger, tmp_path, lambda: heard.append(time.monotonic()))
        replica.declare([job("a")])
        sweep.start()
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        listening = sa.text("select pid from pg_stat_activity where query like 'listen%'")
        cut = sa.text("select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%'")
        with engine.connect() as connection:
            _until(lambda: connection.execute(listening).all(), "it to listen")
            connection.execute(cut)
            _until(lambda: connection.execute(listening).all(), "it to listen again")
            _until(lambda: connection.execute(sa.text("notify headgate, 'outbox'")) and heard, "a word to be heard")
        assert sweep.problems() == []
        sweep.close()
        engine.dispose()
        other.close()
        replica.close()
