"""This file is where what a person may ask for is asked, and where bad questions change nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from journeys.world import created, ended, make_project, running

from headgate.app import App
from headgate.errors import Conflict, Invalid, NotFound
from headgate.gate import REASON_LENGTH
from headgate.ledger.reading import EventFilter
from headgate.model import RunState

CONFIGURATION = """
jobs:
  first: {engine: local, run: journey_jobs.first}
  second: {engine: local, command: [sh, -c, "echo line; exit 3"], arguments: {--a: "1"}}
triggers:
  uploaded: {type: EVENT, s3: {bucket: raw, prefix: in/}, actions: [first]}
datasets:
  - {prefix: collections, job: first}
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    project = make_project(tmp_path_factory.mktemp("gate") / "project", CONFIGURATION)
    with running(project) as made:
        yield made


def test_a_retry_is_a_new_run_with_the_same_arguments_and_objects(app: App) -> None:
    """What it is a retry of is its reason; the first run stays as it ended."""
    receipt = app.gate.accept([created("in/retry")])[0]
    first = ended(app, receipt.decisions[0].run or "")
    again = ended(app, app.gate.retry(first.id, actor="ann"))

    assert again.id != first.id
    assert again.result == first.result == {"objects": ["in/retry"]}
    assert again.cause.reason == f"retry of {first.id}"
    assert [one.key for one in app.gate.objects(again.id)] == ["in/retry"]


def test_the_same_key_is_the_same_run(app: App) -> None:
    """A caller that repeats itself gets the run of its first call."""
    one = app.gate.start("second", arguments={"--b": "2"}, actor="ann", key="once")
    other = app.gate.start("second", arguments={"--b": "2"}, actor="ann", key="once")

    assert one.id == other.id
    assert ended(app, one).arguments == {"--a": "1", "--b": "2"}


@pytest.mark.parametrize(
    ("arguments", "reason"), [({"k" * 256: ""}, None), ({"--k": "v" * 65_537}, None), ({}, "r" * (REASON_LENGTH + 1))]
)
def test_what_is_too_long_is_refused_naming_it(app: App, arguments: dict[str, str], reason: str | None) -> None:
    """Invalid, and no run."""
    before = len(app.ledger.runs(limit=1000).items)
    with pytest.raises(Invalid, match=r"^(arguments\.|reason:)"):
        app.gate.start("second", arguments=arguments, actor="ann", reason=reason)
    assert len(app.ledger.runs(limit=1000).items) == before


def test_a_dataset_starts_the_job_its_rule_names(app: App) -> None:
    """Without a rule: NotFound, and nothing is started; explaining starts nothing either way."""
    urn = "urn:li:dataset:(urn:li:dataPlatform:iceberg,{},PROD)"
    before = len(app.ledger.runs(limit=1000).items)
    assert app.gate.datasets.explain(urn.format("collections.x")).job == "first"
    with pytest.raises(NotFound):
        app.gate.start_for(urn.format("elsewhere.x"), arguments={}, actor="ann")
    assert len(app.ledger.runs(limit=1000).items) == before
    run = ended(app, app.gate.start_for(urn.format("collections.x"), arguments={}, actor="ann"))
    assert (run.job, run.state) == ("first", RunState.SUCCEEDED)


def test_a_replay_finds_events_by_prefix_oldest_first_and_tries_dry(app: App) -> None:
    """Dry: nothing is written. Real: new events that name the first ones, and an entry in the audit."""
    app.gate.accept([created(f"in/replay/{number}") for number in range(3)])
    assert app.wait_idle(30)
    wanted = EventFilter(prefix="in/replay/")
    dry = app.gate.replay(wanted, actor="ann", dry_run=True)
    assert [event.object.key for event, _ in dry if event.object] == [f"in/replay/{number}" for number in range(3)]
    assert [receipt for _, receipt in dry] == [None] * 3
    real = app.gate.replay(wanted, actor="ann", reason="again")
    assert app.wait_idle(30)

    assert all(receipt and not receipt.duplicate for _, receipt in real)
    assert len(app.gate.replay(wanted, actor="ann", dry_run=True)) == 3, "replays were replayed"
    newest = app.ledger.audit(limit=1).items[0]
    assert (newest.action, newest.subject, newest.reason) == ("events.replay", "3 events", "again")


def test_a_log_is_read_in_pieces_to_its_end(app: App) -> None:
    """From an offset on; complete when the run is over; a run without a log has an empty one."""
    run = ended(app, app.gate.start("second", arguments={}, actor="ann"))
    first = app.gate.log(run.id, limit=4)
    rest = app.gate.log(f"{run.id}_attempt_0", offset=first.next)

    assert (first.text + rest.text, rest.complete) == ("line\n", True)
    assert app.gate.log(run.id, attempt=5).text == ""
    with pytest.raises(NotFound):
        app.gate.log("jr_nothing")


def test_stopping_what_is_over_is_a_conflict(app: App) -> None:
    """It says how the run ended."""
    run = ended(app, app.gate.start("second", arguments={}, actor="ann"))
    with pytest.raises(Conflict, match="it ended FAILED"):
        app.gate.stop(run.id, actor="ann")


def test_a_recipe_is_brought_by_hand_only(app: App) -> None:
    """A run by hand makes the job of the recipe it brings; another door starts only what is there."""
    arguments = {"--recipe_json": "{}"}
    with pytest.raises(NotFound):
        app.gate.start("ingestion:brought", arguments=arguments, actor="ann", door="glue")
    run = ended(app, app.gate.start("ingestion:brought", arguments=arguments, actor="ann"))

    assert (run.engine, run.state) == ("recipe", RunState.FAILED)
    assert "there is no source with a type" in (run.error or "")
