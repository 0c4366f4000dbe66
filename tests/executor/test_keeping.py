"""This file is where the ledger keeps requests: each once, its run made with it, and gone when it is of no use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.datahub_port import DataHubInMemory
from services.tables import ledger_in

from headgate.errors import Invalid, Unavailable
from headgate.executor import results
from headgate.executor.requests import implicit_job_of
from headgate.executor.telling import Told
from headgate.gate import Gate
from headgate.ledger import executions
from headgate.ledger.accepting import Ask
from headgate.ledger.executions import Request, Stage
from headgate.ledger.store import Ledger, wait_for
from headgate.model import Cause, Event, Json, Run, new_event_id
from headgate.ports import Proposal
from headgate.settings.load import load

URN = "urn:li:dataHubExecutionRequest:one"
GIVEN = {"task": "RUN_INGEST", "source": {"ingestionSource": "urn:li:dataHubIngestionSource:s"}}


def request(urn: str = URN, executor: str = "default") -> Request:
    return Request(urn=urn, executor=executor, task="RUN_INGEST", job="ingestion:s", given=GIVEN, requested_at=1.0)


def ask(urn: str = URN) -> Ask:
    event = Event(id=new_event_id(), door="datahub", kind="Asked", identity=f"asked:{urn}", at=datetime.now(UTC))
    job = implicit_job_of(GIVEN)
    return Ask(job=job.name, event=event, cause=Cause(), implicit=job, arguments={"--request": urn})


class Kept:
    """A ledger with requests."""

    def __init__(self, project: Path) -> None:
        self.settings = load(project, {})
        self.ledger = Ledger(ledger_in(project))
        self.ledger.open()

    def accept(self, *those: Request) -> int:
        return wait_for(self.ledger.write(lambda batch: executions.accept(batch, those)))

    def take(self, urn: str = URN) -> Run | None:
        return wait_for(self.ledger.write(lambda batch: executions.take(batch, self.ledger.catalog, urn, ask(urn))))

    def kill(self, urn: str = URN) -> executions.Kept | None:
        return wait_for(self.ledger.write(lambda batch: executions.kill(batch, urn, "urn:li:corpuser:bob")))

    def due(self, executor: str = "default") -> list[str]:
        found = self.ledger.read(lambda connection: executions.due(connection, executor, time.time(), 10))
        return [one.request.urn for one in found]

    def find(self, urn: str = URN) -> executions.Kept:
        return self.ledger.read(lambda connection: executions.find(connection, [urn]))[urn]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    (tmp_path / "headgate.yaml").touch()
    made = Kept(tmp_path)
    yield made
    made.ledger.close()


def test_a_request_is_written_once(kept: Kept) -> None:
    """Delivered again, alone or with others, it is not new; each executor sees its own."""
    assert kept.accept(request()) == 1
    assert kept.accept(request(), request("urn:li:dataHubExecutionRequest:two", "other")) == 1
    assert (kept.due(), kept.due("other")) == ([URN], ["urn:li:dataHubExecutionRequest:two"])


def test_one_source_does_not_stand_before_all_others(kept: Kept) -> None:
    """Asked for many times, it fills no more than its share; one that is cancelled is seen at once, however late."""
    urns = [f"{URN}{number:02}" for number in range(20)]
    kept.accept(*(request(urn) for urn in urns))
    kept.accept(replace(request("urn:li:dataHubExecutionRequest:z"), job="ingestion:other"))
    kept.kill(urns[-1])
    found = kept.ledger.read(lambda connection: executions.due(connection, "default", time.time(), 100))
    due = [one.request.urn for one in found]
    assert due[:3] == [urns[19], urns[0], "urn:li:dataHubExecutionRequest:z"]
    assert due[3:] == urns[1 : executions.MOST_OF_A_JOB]


def test_a_request_has_one_run(kept: Kept) -> None:
    """Taken again, it answers the run it has, and it does not wait any more."""
    kept.accept(request())
    first, again = kept.take(), kept.take()
    assert first is not None
    assert again is not None
    assert first.id == again.id
    assert (kept.find().stage, kept.find().run, kept.due()) == (Stage.TAKEN, first.id, [])


def test_one_that_was_stopped_gets_no_run(kept: Kept) -> None:
    """Between the look at it and its taking somebody cancelled it."""
    kept.accept(request())
    found = kept.kill()
    assert found is not None
    assert (found.stage, found.killed_by) == (Stage.NEW, "urn:li:corpuser:bob")
    assert kept.take() is None
    assert kept.kill("urn:li:dataHubExecutionRequest:unknown") is None


def test_one_that_is_settled_stays_so(kept: Kept) -> None:
    """Its reason is kept; it is neither taken nor due."""
    kept.accept(request())
    wait_for(kept.ledger.write(lambda batch: executions.settle(batch, URN, "somebody else has it")))
    assert kept.take() is None
    assert (kept.find().why, kept.due(), kept.accept(request())) == ("somebody else has it", [], 0)


def test_what_is_over_is_forgotten_and_what_runs_is_not(kept: Kept) -> None:
    """Retention takes requests without a live run, and never one that waits."""
    two, three = "urn:li:dataHubExecutionRequest:two", "urn:li:dataHubExecutionRequest:three"
    kept.accept(request(), request(two), request(three))
    kept.take()
    wait_for(kept.ledger.write(lambda batch: executions.settle(batch, two, "over")))
    wait_for(kept.ledger.write(lambda batch: executions.forget(batch, time.time() + 1)))
    found = kept.ledger.read(lambda connection: executions.find(connection, [URN, two, three]))
    assert set(found) == {URN, three}


def test_the_ledgers_signature_stays(kept: Kept) -> None:
    """Made once, whoever asks."""
    first = wait_for(kept.ledger.write(executions.identity))
    assert len(first) == 16
    assert wait_for(kept.ledger.write(executions.identity)) == first


class Refusing(DataHubInMemory):
    """A DataHub that takes no result."""

    def emit(self, proposals: object) -> None:
        raise Invalid(f"no: {type(proposals).__name__}")


def test_a_result_that_is_refused_is_dropped_and_counted(kept: Kept) -> None:
    """It must not be told for ever; the log has why."""
    kept.accept(request())
    run = kept.take()
    assert run is not None
    told = Told(Gate(kept.settings, kept.ledger), Refusing())
    told.report(results.ENDED, {"request": URN, "run": run.id, "log": ""})
    assert told.dropped == 1


def test_a_run_can_not_speak_for_anothers_request(kept: Kept) -> None:
    """Whoever starts a run with that argument by hand writes no result: nobody took a request for it."""
    kept.accept(request())
    taken = kept.take()
    assert taken is not None
    named = implicit_job_of({"task": "other"})
    forged = wait_for(kept.ledger.ask(Ask(
        job=named.name, event=ask("x").event, cause=Cause(), arguments={"--request": URN}, implicit=named
    )))  # fmt: skip
    datahub = DataHubInMemory()
    told = Told(Gate(kept.settings, kept.ledger), datahub)
    told.report(results.ENDED, {"request": URN, "run": forged.id})
    told.report(results.ENDED, {"request": "urn:li:dataHubExecutionRequest:other", "run": taken.id})
    assert datahub.emitted == []
    told.report(results.ENDED, {"request": URN, "run": taken.id, "log": "the log"})
    [written] = datahub.emitted
    assert isinstance(written, Proposal)
    assert (written.entity_urn, written.aspect_name) == (URN, "dataHubExecutionRequestResult")


class Narrow(DataHubInMemory):
    """A DataHub, or a proxy before it, that fails at long results in its own way."""

    def __init__(self, trouble: Exception) -> None:
        super().__init__()
        self.trouble = trouble

    def emit(self, proposals: Sequence[Proposal]) -> None:
        if len(str(proposals[0].aspect)) > 100_000:
            raise self.trouble
        super().emit(proposals)


@pytest.mark.parametrize(("trouble", "tries"), [(Invalid("413"), 1), (Unavailable("500"), 2)])
def test_a_result_that_is_too_long_is_told_without_its_log(kept: Kept, trouble: Exception, tries: int) -> None:
    """Refused, or failed at twice: how the run stands is told all the same, or DataHub would show it as running."""
    kept.accept(request())
    run = kept.take()
    assert run is not None
    datahub = Narrow(trouble)
    told = Told(Gate(kept.settings, kept.ledger), datahub)
    payload = {"request": URN, "run": run.id, "log": "x" * 200_000}
    for _ in range(tries - 1):
        with pytest.raises(Unavailable):
            told.report(results.ENDED, payload)
    told.report(results.ENDED, payload)
    [written] = datahub.emitted
    aspect = written.aspect
    assert isinstance(aspect, Mapping)
    report = str(aspect["report"])
    assert aspect["status"] == "RUNNING"
    assert run.id in report
    assert "headgate runs logs" in report
    assert "xxx" not in report
    assert told.dropped == 0


class Knows(DataHubInMemory):
    """A DataHub that was told FAILURE before, which it lets anybody write over."""

    def aspect(self, urn: str, name: str) -> Mapping[str, Json] | None:
        return {"status": "FAILURE", "report": f"the log of {urn}, by {name}"}


def test_an_end_that_is_there_is_not_told_again(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that does not have the log would write a FAILURE over without it."""
    kept.accept(request())
    run = kept.take()
    assert run is not None
    datahub = Knows()

    def failure(_run: Run) -> str:
        return "FAILURE"

    monkeypatch.setattr(results, "status_of", failure)
    Told(Gate(kept.settings, kept.ledger), datahub).report(results.ENDED, {"request": URN, "run": run.id, "log": ""})
    assert datahub.emitted == []
