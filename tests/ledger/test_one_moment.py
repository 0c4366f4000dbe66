"""This file is where a list of runs is of one moment, whatever happens between its looks at the tables."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from headgate.ledger import glue_runs
from headgate.model import RunState

from .replica import Replica, job, until


@contextmanager
def between_looks(act: Callable[[], None], *, reader: int) -> Generator[None]:
    """Do something after the first statement that thread `reader` sends about the runs."""
    done = threading.Event()

    def after(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if threading.get_ident() == reader and "FROM run" in statement and not done.is_set():
            done.set()
            act()

    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", after)
    assert done.is_set(), "nothing was asked about the runs"


def test_what_happens_while_a_list_is_read_is_in_it_whole_or_not_at_all(ledger: Replica) -> None:
    """One run starts and a newer one ends in between: a page with the newer and without the older has a gap."""
    ledger.declare([job("a", max_concurrent_runs=3)])
    first = ledger.ask("a")
    made: list[str] = []

    def happen() -> None:
        older, newer = ledger.ask("a"), ledger.ask("a")
        until(lambda: len(ledger.claimed) == 3, "all to be claimed")
        ledger.end(first)
        ledger.end(newer)
        made.extend([older.id, newer.id])

    with between_looks(happen, reader=threading.get_ident()):
        seen = ledger.ledger.runs()

    assert [(run.id, run.state) for run in seen.items] == [(first.id, RunState.STARTING)], "as it was at the first look"
    assert {run.id for run in ledger.ledger.runs().items} == {first.id, *made}
    assert [run.id for run in ledger.ledger.runs(state=RunState.SUCCEEDED).items] == [made[1], first.id]


def test_a_page_of_job_runs_has_no_gap(ledger: Replica) -> None:
    """The Glue door's GetJobRuns: the newer run of two that came in between is not there without the older one."""
    ledger.declare([job("a", max_concurrent_runs=3)])
    first = ledger.ask("a")

    def happen() -> None:
        ledger.ask("a")
        newer = ledger.ask("a")
        until(lambda: len(ledger.claimed) == 3, "all to be claimed")
        ledger.end(newer)

    with between_looks(happen, reader=threading.get_ident()):
        seen, _ = ledger.ledger.read(lambda connection: glue_runs.page(connection, "a", after=None, limit=10))

    assert [one.run.id for one in seen] == [first.id]


def test_a_run_that_ends_while_the_newest_of_each_job_are_read_is_there_once(ledger: Replica) -> None:
    """The newest run of a job is neither lost nor replaced by an older one."""
    ledger.declare([job("a")])
    ledger.end(ledger.ask("a"))
    newest = ledger.ask("a")

    def end_it() -> None:
        ledger.end(newest)

    with between_looks(end_it, reader=threading.get_ident()):
        found = ledger.ledger.last_runs([job("a").name])

    assert found[job("a").name].id == newest.id


def test_a_beginning_of_an_id_is_one_run_also_while_it_ends(ledger: Replica) -> None:
    """Seen under way and then as over, it is still the only one that begins like that."""
    ledger.declare([job("a")])
    run = ledger.ask("a")

    def end_it() -> None:
        if ledger.ledger.run(run.id).ended_at is None:
            ledger.end(run)

    with between_looks(end_it, reader=threading.get_ident()):
        assert ledger.ledger.run(run.id[:20]).id == run.id


def test_looking_keeps_nothing_open(ledger: Replica) -> None:
    """A connection that was looked through sees what is written afterwards, and holds nobody up."""
    ledger.declare([job("a", max_concurrent_runs=20)])
    for number in range(15):  # more than there are connections
        ledger.ask("a")
        assert len(ledger.ledger.runs().items) == number + 1
        assert ledger.ledger.counts() == {"a": {"STARTING": number + 1}}
