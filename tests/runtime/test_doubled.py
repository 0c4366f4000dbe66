"""This file is where DataHub schedules what we would, does not, or cannot be asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.gms import TOKEN, FakeGms
from journeys.world import running, until
from ledger.replica import Replica
from structlog.testing import capture_logs

from headgate.catalog import Catalog
from headgate.datahub import GmsClient
from headgate.datahub.sources import scheduled_sources
from headgate.datahub.wire import Limits
from headgate.errors import Unavailable
from headgate.ledger.store import wait_for
from headgate.model import Action, Job, JobName, Trigger, TriggerName, TriggerType
from headgate.recipes.twice import Scheduled
from headgate.recipes.values import Environment
from headgate.runtime.doubled import EVERY, FRESH, PATIENCE, Doubled
from headgate.runtime.sweep import Sweep

RECIPE = "source: {type: glue, config: {aws_region: '${REGION}'}}\n"
URN = "urn:li:dataHubIngestionSource:nightly"
JOB = Job(name=JobName("glue-metadata"), engine="recipe", target={"recipe": "glue.yml"})
OTHER = Job(name=JobName("other"), engine="local", target={"command": ["true"]})
TRIGGER = Trigger(
    name=TriggerName("glue-schedule"),
    type=TriggerType.SCHEDULED,
    schedule="cron(0 0 1 1 ? 2099)",
    at_first_start=True,
    actions=[Action(job=JOB.name), Action(job=OTHER.name)],
)


def source(region: str) -> Scheduled:
    recipe = json.dumps({"source": {"type": "glue", "config": {"aws_region": region}}})
    return Scheduled(urn=URN, name="nightly", schedule="0 3 * * *", timezone="UTC", recipe=recipe)


class Asking:
    """A replica whose sweep knows what DataHub says, which a test says."""

    def __init__(self, folder: Path) -> None:
        (folder / "glue.yml").write_text(RECIPE, "utf-8")
        self.replica = Replica(f"sqlite:///{folder / 'ledger.db'}")
        self.answers: Sequence[Scheduled] | Exception = ()
        self.asked = 0
        self.now = 100.0
        ledger = self.replica.ledger
        self.doubled = Doubled(
            self._ask,
            catalog=lambda: ledger.catalog,
            project=folder,
            resolver=Environment({"REGION": "eu-west-1"}),
            clock=lambda: self.now,
        )
        self.sweep = Sweep(
            ledger, stop_run=lambda _: None, schedules=True, retention_days=90, logs=folder / "logs",
            on_outbox=lambda: None,
        )  # fmt: skip
        self.sweep.elsewhere = self.doubled.said

    def _ask(self) -> Sequence[Scheduled]:
        self.asked += 1
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    def declare(self, **changes: Any) -> None:
        self.replica.declare([JOB, OTHER], [replace(TRIGGER, **changes)])

    def started(self) -> list[str]:
        """What the sweep starts now."""
        self.sweep.look(time.time())
        wait_for(self.replica.ledger.claim([]))
        return [run.job for run in self.replica.taken()]

    def reasons(self) -> list[str]:
        return self.replica.reasons(TRIGGER.name)


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Asking]:
    made = Asking(tmp_path)
    yield made
    made.replica.close()


def test_what_datahub_schedules_is_left_to_it(asking: Asking) -> None:
    """The recipe is skipped, and its decision names DataHub's source and schedule; other actions start."""
    asking.declare()
    asking.answers = [source("us-east-1"), source("eu-west-1")]
    asking.doubled.look()

    assert asking.started() == ["other"]
    why = f"DataHub's ingestion source nightly ({URN}), which runs at 0 3 * * * (UTC) ingests the same"
    assert f"skipped: doubled: {why}" in asking.reasons()
    (warning,) = asking.doubled.warnings()
    assert warning.startswith("trigger glue-schedule does not start glue-metadata: DataHub's ingestion source nightly")


def test_another_region_is_another_catalog(asking: Asking) -> None:
    """What DataHub schedules of it is no reason to skip."""
    asking.declare()
    asking.answers = [source("us-east-1")]
    asking.doubled.look()

    assert asking.started() == ["glue-metadata", "other"]
    assert asking.doubled.warnings() == []


def test_a_trigger_may_do_it_all_the_same(asking: Asking) -> None:
    """With unless_datahub_schedules: false DataHub is not even asked."""
    asking.declare(unless_datahub_schedules=False)
    asking.answers = [source("eu-west-1")]
    asking.doubled.look()

    assert (asking.started(), asking.asked) == (["glue-metadata", "other"], 0)


def test_a_datahub_that_is_away_stops_nothing(asking: Asking) -> None:
    """The run starts; its decision and /readyz say that nobody could be asked, and why."""
    asking.declare()
    asking.answers = Unavailable("DataHub at gms:8080 cannot be reached")
    asking.doubled.look()

    assert asking.started() == ["glue-metadata", "other"]
    said = "DataHub could not be asked whether it schedules the same: DataHub at gms:8080 cannot be reached"
    assert any(said in reason for reason in asking.reasons())
    assert "all of them start (DataHub at gms:8080 cannot be reached)" in asking.doubled.warnings()[0]


def test_what_may_be_the_same_is_started_and_said(asking: Asking) -> None:
    """Where a variable of DataHub's leaves it open: a warning, and no skip."""
    asking.declare()
    asking.answers = [source("${THEIR_REGION}")]
    asking.doubled.look()

    assert asking.started() == ["glue-metadata", "other"]
    assert "may ingest the same" in asking.doubled.warnings()[0]


def test_a_time_that_is_due_waits_for_the_answer(asking: Asking) -> None:
    """Before the first answer, and when that is old; but not for ever."""
    asking.declare()
    catalog = asking.replica.ledger.refresh()
    waits = asking.doubled.said(TRIGGER, catalog)
    assert asking.started() == []
    asking.doubled.look()
    knows = asking.doubled.said(TRIGGER, catalog)
    asking.now += FRESH + 1
    old = asking.doubled.said(TRIGGER, catalog)
    asking.now += PATIENCE
    too_long: Any = asking.doubled.said(TRIGGER, catalog)

    assert (waits, knows, old) == (None, {}, None)
    assert "did not say in time" in too_long["unasked"]
    asking.doubled.look()
    seen: list[str] = []
    until(lambda: seen.extend(asking.started()) or len(seen) == 2, "the sweep to look again")


def test_a_new_trigger_is_asked_about(asking: Asking) -> None:
    """What was answered before it was there says nothing of it."""
    asking.declare(at_first_start=False)
    asking.doubled.look()
    asking.answers = [source("eu-west-1")]
    asking.replica.declare([JOB, OTHER], [replace(TRIGGER, name=TriggerName("new"))])
    waits = asking.started()
    asking.doubled.look()
    seen: list[str] = []
    until(lambda: seen.extend(asking.started()) or seen, "the sweep to look again")

    assert (waits, seen) == ([], ["other"])


def test_nobody_is_asked_about_nothing(asking: Asking) -> None:
    """Without a schedule of a recipe DataHub is left alone."""
    asking.replica.declare([OTHER], [replace(TRIGGER, actions=[Action(job=OTHER.name)])])
    asking.doubled.look()

    assert (asking.asked, asking.started()) == (0, ["other"])


def test_the_thread_asks_when_it_is_wanted(tmp_path: Path) -> None:
    """At its start, and as soon as a time that is due wants to know; a mistake in between does not end it."""
    (tmp_path / "glue.yml").write_text(RECIPE, "utf-8")
    catalog = Catalog.of(1, [JOB, OTHER], [TRIGGER])
    asked: list[float] = []
    now = [0.0]
    wrong = threading.Event()

    def ask() -> Sequence[Scheduled]:
        asked.append(now[0])
        if not wrong.is_set():
            wrong.set()
            raise RuntimeError("a mistake")
        return [source("eu-west-1")]

    doubled = Doubled(
        ask, catalog=lambda: catalog, project=tmp_path, resolver=Environment({"REGION": "eu-west-1"}),
        clock=lambda: now[0],
    )  # fmt: skip
    with capture_logs():  # to draw a traceback takes a second
        doubled.start()
        until(doubled.warnings, "the first answer")
    try:
        first: Any = doubled.said(TRIGGER, catalog)
        now[0] = EVERY / 2
        until(lambda: doubled.said(TRIGGER, catalog) is not None, "the second answer")
        second: Any = doubled.said(TRIGGER, catalog)
    finally:
        doubled.close()

    assert "a mistake of ours" in first["unasked"]
    assert URN in second["elsewhere"]["glue-metadata"]
    assert asked == [0.0, EVERY / 2]


def put(gms: FakeGms, name: str, *, schedule: bool, region: str = "eu-west-1") -> None:
    recipe = json.dumps({"source": {"type": "glue", "config": {"aws_region": region}}})
    info: dict[str, Any] = {
        "name": name, "type": "glue", "config": {"recipe": recipe, "executorId": "default"},
        "schedule": {"interval": "0 3 * * *", "timezone": "Europe/Berlin"} if schedule else None,
    }  # fmt: skip
    gms.aspects.put(f"urn:li:dataHubIngestionSource:{name}", "dataHubIngestionSourceInfo", info)


def test_datahub_is_asked_for_its_schedules() -> None:
    """Sources without one are left out, on however many pages they are."""
    quick = Limits(connect=1.0, silence=1.0, whole=2.0, pause=0.001, longest_pause=0.01)
    with FakeGms() as gms:
        for number in range(230):
            put(gms, f"s{number}", schedule=number % 100 == 7)
        client = GmsClient(gms.url, authorization=f"Bearer {TOKEN}", limits=quick)
        try:
            found = scheduled_sources(client)
            gms.add_user("weak", "urn:li:corpuser:weak")
            other = GmsClient(gms.url, authorization="Bearer weak", limits=quick)
            with pytest.raises(Unavailable, match="own credential"):
                scheduled_sources(other)
            other.close()
        finally:
            client.close()

    assert sorted(one.name for one in found) == ["s107", "s207", "s7"]
    assert {(one.schedule, one.timezone) for one in found} == {("0 3 * * *", "Europe/Berlin")}


def test_a_served_project_does_not_double_datahubs_schedule(tmp_path: Path) -> None:
    """The whole way: DataHub ingests the same catalog, so the first start ingests nothing, and /readyz says why."""
    (tmp_path / "glue.yml").write_text(RECIPE, "utf-8")
    (tmp_path / "headgate.yaml").write_text(
        "jobs:\n  glue-metadata: {engine: recipe, recipe: glue.yml}\n"
        "triggers:\n  glue-schedule: {type: SCHEDULED, schedule: rate(1 day), at_first_start: true,"
        " actions: [glue-metadata]}\n",
        "utf-8",
    )
    with FakeGms() as gms, pytest.MonkeyPatch.context() as patched:
        patched.setenv("REGION", "eu-west-1")
        put(gms, "nightly", schedule=True)
        with running(tmp_path, doors=False, DATAHUB_GMS_URL=gms.url, DATAHUB_GMS_TOKEN=TOKEN) as app:
            until(lambda: app.ledger.decisions(trigger="glue-schedule").items, "the first start to be decided about")
            (decided,) = app.ledger.decisions(trigger="glue-schedule").items
            ready: Any = app.readiness()

    assert (decided.decision.outcome, decided.decision.job, decided.decision.run) == ("skipped", "glue-metadata", None)
    assert decided.decision.reason.startswith(f"doubled: DataHub's ingestion source nightly ({URN})")
    assert (ready["ready"], [one for one in ready["warnings"] if URN in one] != []) == (True, True)
