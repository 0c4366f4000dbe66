"""This file is where every ledger keeps what Glue's API was told: definitions, workflows' runs, bookmarks, keys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headgate.errors import NotFound
from headgate.ledger import access_keys, glue, glue_bookmarks, glue_runs, glue_workflows
from headgate.ledger.access_keys import AccessKey
from headgate.ledger.glue import Made, Told
from headgate.ledger.glue_runs import Place
from headgate.ledger.glue_workflows import AtLimit, Wish, WorkflowRun
from headgate.ledger.store import wait_for
from headgate.model import DEMAND, Event, Job, Run, RunState, Trigger, TriggerName, TriggerType, new_event_id

from .replica import Replica, Replicas, after, dropped, in_one_batch, job, now, on_object

SUCCEEDED = RunState.SUCCEEDED


def make(replica: Replica, made: Job, invocation: str = "", **members: Any) -> Made:
    told = Told(members={"Role": "r", **members}, tags={"a": "b"}, invocation=invocation)
    return wait_for(replica.ledger.write(lambda batch: glue.create_job(batch, made, told, actor="ann")))


def make_trigger(replica: Replica, made: Trigger) -> Made:
    told = Told(members={"Type": made.type.value}, tags={})
    return wait_for(replica.ledger.write(lambda batch: glue.create_trigger(batch, made, told, actor="ann")))


def flow(replica: Replica, **members: Any) -> None:
    """a -> b and c; b and c -> d."""
    for name in "abcd":
        make(replica, job(name, max_concurrent_runs=9))
    told = Told(members={"DefaultRunProperties": {"x": "1"}, **members}, tags={})
    wait_for(replica.ledger.write(lambda batch: glue.tell(batch, "workflow", "w", told)))
    start = Trigger(name=TriggerName("go"), type=TriggerType.ON_DEMAND, actions=after("x", "a", when={}).actions)
    make_trigger(replica, replace(start, workflow="w"))
    make_trigger(replica, after("fork", "b", "c", when={"a": SUCCEEDED}, workflow="w"))
    make_trigger(replica, after("join", "d", when={"b": SUCCEEDED, "c": SUCCEEDED}, workflow="w"))


def begin(replica: Replica, key: str = "") -> str | Exception:
    event = Event(id=new_event_id(), door="glue", kind=DEMAND, identity=f"w:{key or new_event_id()}", at=now())
    wish = Wish(workflow="w", event=event, properties={"y": "2"}, actor="ann")
    try:
        return wait_for(replica.ledger.write_knowing(lambda batch, known: glue_workflows.start(batch, known, wish)))
    except (NotFound, AtLimit) as error:
        return error


def seen(replica: Replica, name: str) -> WorkflowRun:
    found = replica.ledger.read(lambda connection: glue_workflows.run(connection, "w", name))
    assert found is not None
    return found


def finish(replica: Replica, name: str, state: RunState = SUCCEEDED) -> None:
    run = replica.runs(name)[-1]
    replica.start(run)
    replica.end(run, state)


def test_a_definition_is_kept_word_for_word_for_every_replica(replicas: Replicas) -> None:
    """Made once, the same again is the same, another is another; overwritten, tagged, deleted, made anew."""
    one, two = replicas.make(), replicas.make()
    assert make(one, job("j", max_retries=2), "i1", Command={"Name": "glueetl"}) is Made.NEW
    assert make(two, job("j", max_retries=2), "i2", Command={"Name": "glueetl"}) is Made.SAME
    assert make(two, job("j"), "i3") is Made.OTHER
    assert make(two, job("j"), "i1") is Made.SAME
    two.ledger.refresh()
    assert two.ask("j").max_retries == 2
    wait_for(one.ledger.write(lambda batch: glue.update_job(batch, job("j"), {"Role": "s"}, actor="ann")))
    wait_for(one.ledger.write(lambda batch: glue.set_tags(batch, "job", "j", {"c": "d"}, actor="ann")))
    row = two.ledger.read(lambda connection: glue.jobs(connection, ["j", "none"]))["j"]
    assert (row.members, row.tags, row.job.max_retries) == ({"Role": "s"}, {"c": "d"}, 0)
    assert wait_for(one.ledger.delete_job("j", actor="ann"))
    assert not wait_for(two.ledger.delete_job("j", actor="ann"))
    assert two.ledger.read(lambda connection: glue.jobs(connection, ["j"])) == {}
    assert make(one, job("j")) is Made.NEW


def test_a_job_made_at_two_replicas_at_once_is_one(replicas: Replicas) -> None:
    """Each of the callers learns that it is there."""
    made = [replicas.make() for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        answers = [one.result() for one in [pool.submit(make, one, job("j")) for one in made]]
    assert set(answers) <= {Made.NEW, Made.SAME}
    assert list(made[0].ledger.refresh().jobs) == ["j"]


def test_a_declared_job_is_not_made_again(replicas: Replicas) -> None:
    """But overwritten it is drift, which only an apply mends."""
    one = replicas.make()
    one.declare([job("j")])
    assert make(one, job("j")) is Made.DECLARED
    wait_for(one.ledger.write(lambda batch: glue.update_job(batch, job("j", max_retries=1), {"Role": "s"}, actor="a")))
    assert one.declare([job("j")], everything=False) == []
    assert [change.does.value for change in one.declare([job("j")])] == ["update"]


def test_a_trigger_that_was_never_on_is_untouched(replicas: Replicas) -> None:
    """On or stopped, it has been touched; an update leaves that as it is."""
    one = replicas.make()
    make(one, job("a"))
    make_trigger(one, after("t", "a", when={"b": SUCCEEDED}, enabled=False))

    def touched() -> bool:
        return one.ledger.read(lambda connection: glue.triggers(connection, ["t"]))["t"].touched

    assert not touched()
    told = after("t", "a", when={"c": SUCCEEDED}, enabled=False)
    wait_for(one.ledger.write(lambda batch: glue.update_trigger(batch, told, {}, actor="ann")))
    assert not touched()
    wait_for(one.ledger.write(lambda batch: glue.stop_trigger(batch, TriggerName("t"), actor="ann")))
    assert touched()


def test_attempts_are_paged_as_runs_of_their_own(replicas: Replicas) -> None:
    """Newest first, whatever the size of the page; an attempt is found by its own id, under its job alone."""
    one = replicas.make()
    one.declare([job("j", max_retries=2, max_concurrent_runs=9), job("k")])
    expected: list[str] = []
    for number in range(5):
        run = one.ask("j")
        expected.insert(0, run.id)
        for attempt in range(number % 3):
            one.start(one.run(run))
            one.end(one.run(run), RunState.FAILED, error=f"try {attempt}")
            one.make_due()
            expected.insert(0, f"{run.id}_attempt_{attempt + 1}")
    for size in (1, 2, 3, 7, 20):
        place: Place | None = None
        found: list[str] = []
        while True:
            page, place = one.ledger.read(
                lambda connection, place=place, size=size: glue_runs.page(connection, "j", after=place, limit=size)
            )
            found += [row.attempt.id for row in page]
            if place is None:
                break
        assert found == expected, size
    for name in expected:
        row = one.ledger.read(lambda connection, name=name: glue_runs.find(connection, "j", name))
        assert row is not None
        assert row.attempt.id == name
        assert one.ledger.read(lambda connection, name=name: glue_runs.find(connection, "k", name)) is None
    assert one.ledger.read(lambda connection: glue_runs.find(connection, "j", f"{expected[0]}_attempt_9")) is None
    wanted = [("j", name) for name in expected] + [("k", expected[0]), ("j", "jr_none"), ("j", expected[-1])]
    rows = one.ledger.read(lambda connection: glue_runs.find_all(connection, wanted))
    assert [row.attempt.id if row else None for row in rows] == [*expected, None, None, expected[-1]]


def test_a_workflow_runs_through_at_any_replica(replicas: Replicas) -> None:
    """Started at one, ended at another; over when nothing of it is under way, in no moment before."""
    one, two = replicas.make(), replicas.make(claims=False)
    flow(one)
    two.ledger.refresh()
    run = str(begin(two, "k"))
    assert begin(one, "k") == run
    assert (seen(one, run).properties, seen(one, run).status) == ({"x": "1", "y": "2"}, "RUNNING")
    one.claim("a")
    for name in "abcd":
        assert (seen(two, run).status, seen(two, run).completed_at) == ("RUNNING", None)
        one.claim(name)
        finish(one, name)
    assert (seen(two, run).status, len(seen(two, run).done)) == ("COMPLETED", 4)
    arguments = one.runs("d")[0].arguments
    assert (arguments["--WORKFLOW_NAME"], arguments["--WORKFLOW_RUN_ID"]) == ("w", run)


def test_ends_in_one_batch_fire_once_in_each_workflow_run(replicas: Replicas) -> None:
    """Both sides of a join that end together, in two runs of the workflow at once."""
    one = replicas.make()
    flow(one)
    runs = [str(begin(one)) for _ in range(2)]
    for run in one.runs("a"):
        one.start(run)
    in_one_batch(one, *(ending(one, run) for run in one.runs("a")))
    for name in "bc":
        for run in one.runs(name):
            one.start(run)
    in_one_batch(one, *(ending(one, run) for name in "bc" for run in one.runs(name)))
    assert sorted(str(run.root) for run in one.runs("d")) == sorted(runs)


def ending(replica: Replica, run: Run) -> Any:
    from headgate.ports import Ended, Ending

    end = Ended(run.id, run.attempt, Ending(state=SUCCEEDED, at=now()))
    return lambda: replica.ledger.ended(end)


def test_the_limit_of_a_workflow_holds_at_all_replicas_together(replicas: Replicas) -> None:
    """Asked for at both at once, one run starts."""
    made = [replicas.make() for _ in range(2)]
    flow(made[0], MaxConcurrentRuns=1)
    made[1].ledger.refresh()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(begin, made))
    assert sorted(isinstance(one, AtLimit) for one in answers) == [False, True]
    finish(made[0], "a", RunState.FAILED) if made[0].taken() else finish(made[1], "a", RunState.FAILED)
    assert isinstance(begin(made[0]), str)


def test_a_batch_of_events_is_one_at_all_replicas(replicas: Replicas) -> None:
    """Wherever they come in: full, its run is due at once; the next event begins another, due when its window ends."""
    one, two = replicas.make(), replicas.make(claims=False)
    make(one, job("a", max_concurrent_runs=9))
    wait_for(one.ledger.write(lambda batch: glue.tell(batch, "workflow", "w", Told(members={}, tags={}))))
    make_trigger(one, replace(on_object("files", "a"), workflow="w", max_objects=3, settle=60.0))
    two.ledger.refresh()
    for replica, key in ((two, "1"), (one, "2"), (two, "3"), (one, "4")):
        replica.accept(dropped(key))
    full, begun = one.runs("a")
    assert [full.objects, begun.objects] == [3, 1]
    assert full.root != begun.root
    batch = seen(two, str(full.root))
    assert (batch.status, len(batch.events), len({id_ for id_, _ in batch.events})) == ("RUNNING", 3, 3)
    one.claim("a")
    assert one.states("a") == ["STARTING", "WAITING"]
    at = begun.created_at.timestamp()
    assert "a" not in one.ledger.look(at + 59)[0]
    assert "a" in one.ledger.look(at + 61)[0]


def test_a_stopped_workflow_run_fires_nothing(replicas: Replicas) -> None:
    """And says when that was."""
    one = replicas.make()
    flow(one)
    run = str(begin(one))
    wait_for(one.ledger.write(lambda batch: glue_workflows.stop(batch, run, actor="ann")))
    assert seen(one, run).status == "STOPPING"
    finish(one, "a")
    assert (seen(one, run).status, one.runs("b")) == ("STOPPED", [])
    page = one.ledger.read(lambda connection: glue_workflows.page(connection, "w", before=None, limit=5))
    assert ([found.id for found in page.items], page.next) == ([run], None)


def test_old_workflow_runs_are_forgotten_with_their_runs(replicas: Replicas) -> None:
    """One that is under way stays, however old it is."""
    one = replicas.make()
    flow(one)
    old, live = str(begin(one)), str(begin(one))
    finished = next(run for run in one.runs("a") if run.root == old)
    one.start(finished)
    one.end(finished, RunState.FAILED)
    for _ in range(3):
        wait_for(one.ledger.forget(now().timestamp() + 60))

    def kept() -> list[str]:
        page = one.ledger.read(lambda connection: glue_workflows.page(connection, "w", before=None, limit=9))
        return [run.id for run in page.items]

    assert kept() == [live]
    assert [str(run.root) for run in one.runs("a")] == [live]
    assert one.sql("select count(*) from glue_workflow_action")[0][0] == 1


def test_a_bookmark_is_set_back(replicas: Replicas) -> None:
    """Runs that a reset took out stay out; those that come later count."""
    one = replicas.make()
    one.declare([job("j", max_concurrent_runs=9)])

    def passed() -> Run:
        run = one.ask("j", arguments={"--job-bookmark-option": "job-bookmark-enable"})
        one.start(run)
        one.end(run)
        return run

    def counted() -> tuple[int, int]:
        found = one.ledger.read(lambda connection: glue_bookmarks.read(connection, "j"))
        assert found is not None
        return found.version, found.runs

    runs = [passed() for _ in range(3)]
    wait_for(one.ledger.write(lambda batch: glue_bookmarks.reset(batch, "j", to=runs[0].id, actor="ann")))
    assert counted() == (1, 1)
    passed()
    assert counted() == (1, 2)
    wait_for(one.ledger.write(lambda batch: glue_bookmarks.reset(batch, "j", to=None, actor="ann")))
    assert counted() == (2, 0)
    assert wait_for(one.ledger.write(lambda batch: glue_bookmarks.reset(batch, "j", to=runs[1].id, actor="a"))) is None


def test_keys_are_kept_and_revoked(replicas: Replicas) -> None:
    """Without a word of the secret; revoked once, at the first time."""
    one, two = replicas.make(), replicas.make()
    key = AccessKey(
        id="HGAK1", name="ci", actor="ann", created_at=now(), expires_at=now() + timedelta(hours=1), revoked_at=None,
        sealed=b"sealed",
    )  # fmt: skip
    wait_for(one.ledger.write(lambda batch: access_keys.put(batch, key, reason="why")))
    [kept] = two.ledger.read(access_keys.read)
    assert (kept.id, kept.sealed, kept.revoked_at) == ("HGAK1", b"sealed", None)
    assert "sealed" not in repr(kept)
    first = wait_for(two.ledger.write(lambda batch: access_keys.revoke(batch, "HGAK1", actor="bob", reason=None)))
    again = wait_for(two.ledger.write(lambda batch: access_keys.revoke(batch, "HGAK1", actor="bob", reason=None)))
    assert first.revoked_at == again.revoked_at is not None
    with pytest.raises(NotFound):
        wait_for(one.ledger.write(lambda batch: access_keys.revoke(batch, "none", actor="bob", reason=None)))
    done = [(entry.actor, entry.action, entry.subject) for entry in one.ledger.audit().items][::-1]
    assert done[:2] == [("ann", "key.create", "HGAK1"), ("bob", "key.revoke", "HGAK1")]
