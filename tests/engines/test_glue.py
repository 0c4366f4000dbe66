"""This file is where the Glue engine is tried: against moto for the wire, against a misbehaving AWS for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from fakes.aws import FakeAws

from headgate.engines.glue import PLANTED, GlueEngine
from headgate.engines.glue.seen import console_link, read_run
from headgate.errors import EngineInDoubt, EngineRefused, EngineUnavailable
from headgate.model import RunState, StoredObject
from headgate.supervision.logs import read_log

from .orders import Recorder, order, until


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(tmp_path: Path, told: Recorder) -> Iterator[GlueEngine]:
    engine = GlueEngine(tmp_path, told, quickest=0.02, patience=0.3, doubt=0.3)
    yield engine
    engine.close()


def test_a_run_on_moto(engine: GlueEngine, on_moto: str, told: Recorder) -> None:
    """The real client, moto's wire: the run is started with its arguments, found, and its end told."""
    glue: Any = boto3.client("glue")
    glue.create_job(Name="on-moto", Role="glue", Command={"Name": "glueetl", "ScriptLocation": "s3://scripts/a.py"})
    asked = order({"job_name": "on-moto"}, arguments={"--table": "t"})
    handle = engine.start(asked)

    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED
    given = glue.get_job_run(JobName="on-moto", RunId=handle)["JobRun"]["Arguments"]
    assert given["--table"] == "t"
    assert given[PLANTED] == asked.attempt_id


def test_a_start_whose_reply_was_lost_is_found_again(
    engine: GlueEngine, fake_aws: FakeAws, told: Recorder, tmp_path: Path
) -> None:
    """StartJobRun was done and nobody heard: the next start, also another server's, finds that run."""
    asked = order({"job_name": "succeeds"})
    fake_aws.fault("StartJobRun", "lost")
    with pytest.raises(EngineUnavailable):
        engine.start(asked)
    other = GlueEngine(tmp_path / "elsewhere", Recorder(), quickest=0.02)
    try:
        handle = other.start(asked)
    finally:
        other.close()

    assert engine.start(asked) == handle
    assert list(fake_aws.runs) == [handle]
    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED


def test_a_lost_reply_is_given_time_to_show(engine: GlueEngine, fake_aws: FakeAws) -> None:
    """While Glue does not show yet what it started, nothing is started anew; then that run is found."""
    fake_aws.lag = 0.2
    asked = order({"job_name": "lasts"})
    fake_aws.fault("StartJobRun", "lost")
    with pytest.raises(EngineUnavailable):
        engine.start(asked)
    with pytest.raises(EngineUnavailable, match="was lost"):
        engine.start(asked)
    started: list[str] = []

    def start() -> bool:
        try:
            started.append(engine.start(asked))
        except EngineUnavailable:
            return False
        return True

    until(start, "the run to be found")
    assert list(fake_aws.runs) == started


def test_a_start_that_came_to_nothing_is_made_again(engine: GlueEngine, fake_aws: FakeAws) -> None:
    """After a 5xx that did nothing the run is started, once Glue had its time to show otherwise."""
    asked = order({"job_name": "lasts"})
    fake_aws.fault("StartJobRun", "error")
    with pytest.raises(EngineUnavailable, match="InternalServiceException"):
        engine.start(asked)

    def start() -> bool:
        try:
            return bool(engine.start(asked))
        except EngineUnavailable:
            return False

    until(start, "the run to start")
    assert len(fake_aws.runs) == 1


def test_at_glues_limit_the_run_waits(engine: GlueEngine, fake_aws: FakeAws) -> None:
    """ConcurrentRunsExceeded is no failure of the run: it is offered again, at once when there is a place."""
    asked = order({"job_name": "lasts"})
    fake_aws.full = True
    with pytest.raises(EngineUnavailable, match="Concurrent runs exceeded"):
        engine.start(asked)
    fake_aws.full = False
    engine.start(asked)

    assert len(fake_aws.runs) == 1


def test_what_it_writes_there_is_read_here(
    engine: GlueEngine, fake_aws: FakeAws, told: Recorder, tmp_path: Path
) -> None:
    """The run's log follows Glue's, without doubling a line, also when another engine takes over in between."""
    asked = order({"job_name": "lasts"})
    handle = engine.start(asked)
    fake_aws.logs["/aws-glue/jobs/output", handle] = ["first line"]

    def text() -> str:
        return read_log(tmp_path / "logs", asked.attempt_id)[0]

    until(lambda: "first line" in text(), "the first line")
    engine.close()
    fake_aws.logs["/aws-glue/jobs/output", handle].append("second line\n")
    fake_aws.logs["/aws-glue/jobs/error", handle] = ["a warning"]
    second = GlueEngine(tmp_path, told, quickest=0.02)
    second.adopt(asked)
    try:
        until(lambda: "second line" in text() and "a warning" in text(), "the rest")
        fake_aws.let_go()
        told.wait_ended(asked.attempt_id)
    finally:
        second.close()

    assert [text().count(line) for line in ("first line\n", "second line\n", "a warning\n")] == [1, 1, 1]


def test_what_is_shown_only_after_the_end_is_read_too(fake_aws: FakeAws, told: Recorder, tmp_path: Path) -> None:
    """CloudWatch lags: the end is told at once, and the lines that come after it are in the log, each once."""
    engine = GlueEngine(tmp_path, told, quickest=0.02, later=[0.02] * 500)
    asked = order({"job_name": "lasts"})

    def text() -> str:
        return read_log(tmp_path / "logs", asked.attempt_id)[0]

    try:
        handle = engine.start(asked)
        fake_aws.logs["/aws-glue/jobs/output", handle] = ["before"]
        fake_aws.let_go()
        assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED
        looks = fake_aws.count("GetJobRun")
        fake_aws.logs["/aws-glue/jobs/output", handle].append("Traceback: why")
        until(lambda: "Traceback: why" in text(), "what came late")
    finally:
        engine.close()

    assert [text().count(line) for line in ("before\n", "Traceback: why\n")] == [1, 1]
    assert (fake_aws.count("GetJobRun"), len(told.endings[asked.attempt_id])) == (looks, 1)


def test_logs_that_may_not_be_read_are_said_once(
    engine: GlueEngine, fake_aws: FakeAws, told: Recorder, tmp_path: Path
) -> None:
    """Without the right to read logs the run runs all the same; its log says why there is nothing, once."""
    fake_aws.fault("GetLogEvents", "denied", 1000)
    asked = order({"job_name": "lasts"})
    engine.start(asked)
    until(lambda: fake_aws.count("GetJobRun") > 3, "some looks")
    fake_aws.let_go()

    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED
    text = read_log(tmp_path / "logs", asked.attempt_id)[0]
    assert text.count("cannot be read from here") == 1
    assert fake_aws.count("GetLogEvents") == 1


def test_a_start_that_was_killed_is_given_time_to_show(engine: GlueEngine, fake_aws: FakeAws, tmp_path: Path) -> None:
    """A server killed as it asked for the start left no answer; the next one waits for what Glue does not show yet."""
    fake_aws.lag = 3600
    asked = order({"job_name": "lasts"})
    home = tmp_path / "of the killed"
    killed = GlueEngine(home, Recorder(), quickest=3600)
    handle = killed.start(asked)
    killed.close()
    (home / "logs" / asked.attempt_id / "far").unlink()  # it was killed before it could note the answer
    following = GlueEngine(home, Recorder(), quickest=0.02, doubt=3600)
    found: list[str] = []

    def start() -> bool:
        try:
            found.append(following.start(asked))
        except EngineInDoubt:
            return False
        return True

    try:
        assert not start(), "it did not wait"
        fake_aws.runs[handle].shown_after = 0.0
        until(start, "the run to be found")
    finally:
        following.close()

    assert found == list(fake_aws.runs) == [handle]


def test_a_stop_finds_what_is_not_shown_yet(engine: GlueEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """A start whose answer was lost is stopped once Glue shows it, and STOPPED is not said before."""
    fake_aws.lag = 0.15
    asked = order({"job_name": "lasts"})
    fake_aws.fault("StartJobRun", "lost")
    with pytest.raises(EngineInDoubt):
        engine.start(asked)
    engine.stop(asked, grace=0)
    ending = told.wait_ended(asked.attempt_id)

    assert ending.state is RunState.STOPPED
    assert [one.stopped is not None for one in fake_aws.runs.values()] == [True]


def test_the_log_is_where_the_run_says(engine: GlueEngine, fake_aws: FakeAws, told: Recorder, tmp_path: Path) -> None:
    """A Python shell's run writes elsewhere; what came last, and much of it, is fetched when it is over, too."""
    fake_aws.log_group, fake_aws.log_page = "/aws-glue/python-jobs", 2
    asked = order({"job_name": "lasts"})
    handle = engine.start(asked)
    fake_aws.logs["/aws-glue/python-jobs/output", handle] = [f"line {number}." for number in range(40)]
    fake_aws.let_go()
    told.wait_ended(asked.attempt_id)
    text = read_log(tmp_path / "logs", asked.attempt_id)[0]

    assert [text.count(f"line {number}.\n") for number in range(40)] == [1] * 40
    assert f"its log on AWS: stream {handle} of /aws-glue/python-jobs/output" in text


def test_logs_that_cannot_be_read_now_keep_nobody_waiting(
    engine: GlueEngine, fake_aws: FakeAws, told: Recorder, tmp_path: Path
) -> None:
    """While CloudWatch is away runs are looked at all the same, it is left alone, and the log says what is missing."""
    fake_aws.fault("GetLogEvents", "error", 1000)
    asked = order({"job_name": "lasts"})
    engine.start(asked)
    until(lambda: fake_aws.count("GetJobRun") > 5, "some looks")
    fake_aws.let_go()
    told.wait_ended(asked.attempt_id)

    assert fake_aws.count("GetLogEvents") == 1
    assert "not all of its log is here (reading the log" in read_log(tmp_path / "logs", asked.attempt_id)[0]


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
        ("us-iso-east-1", ""),
        ("", ""),
    ],
)
def test_the_console_of_a_partition(region: str, host: str) -> None:
    """The link goes to the console of the region's own partition; where that is not known there is none."""
    link = console_link(region, "a b", "jr_1")
    assert link == (f"{host}gluestudio/home?region={region}#/job/a%20b/run/jr_1" if host else "")


def test_what_glue_is_asked(engine: GlueEngine, fake_aws: FakeAws) -> None:
    """Limit (in minutes, later than ours), queueing flag, objects and the planted id are in the request."""
    asked = order(
        {"job_name": "lasts", "queueing": True, "region": "eu-west-1"},
        timeout=90,
        manifest=[StoredObject(bucket="raw", key="ü b.csv", size=1, etag="e")],
    )
    engine.start(asked)
    call = next(one for one in fake_aws.calls if one.operation == "StartJobRun")

    assert call.region == "eu-west-1"
    assert call.body["Timeout"] == 3
    assert call.body["JobRunQueuingEnabled"] is True
    assert call.body["Arguments"][PLANTED] == asked.attempt_id
    assert '"key":"ü b.csv"' in call.body["Arguments"]["--headgate_objects"]


def test_an_event_saves_the_wait(fake_aws: FakeAws, told: Recorder, tmp_path: Path) -> None:
    """Told of a change by EventBridge, a run is looked at at once; what nobody follows here is not ours."""
    engine = GlueEngine(tmp_path, told, quickest=3600)
    try:
        asked = order({"job_name": "lasts"})
        handle = engine.start(asked)
        fake_aws.let_go()
        assert engine.noticed(handle)
        assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED
        assert not engine.noticed("jr_unknown")
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("said", "state", "retryable"),
    [
        ({"JobRunState": "TIMEOUT"}, RunState.TIMEOUT, True),
        ({"JobRunState": "ERROR"}, RunState.ERROR, True),
        ({"JobRunState": "EXPIRED"}, RunState.FAILED, True),
        ({"JobRunState": "WAITING", "StateDetail": "no capacity"}, RunState.RUNNING, True),
        ({"JobRunState": "FAILED", "ErrorMessage": "ModuleNotFoundError: no x"}, RunState.FAILED, False),
        ({"JobRunState": "FAILED", "ErrorMessage": "Connection reset"}, RunState.FAILED, True),
        ({"JobRunState": "NEW_IN_2030"}, RunState.RUNNING, True),
    ],
)
def test_glues_states_are_ours(said: dict[str, str], state: RunState, retryable: bool) -> None:
    """Every state of Glue has one of ours; one we do not know is not over; failures say something and whether again."""
    seen = read_run(said)
    assert (seen.state, seen.retryable) == (state, retryable)
    assert seen.error or state not in (RunState.FAILED, RunState.ERROR)


def test_a_job_without_a_name_is_refused(engine: GlueEngine, fake_aws: FakeAws) -> None:
    """A target that names no Glue job is refused before AWS is asked."""
    with pytest.raises(EngineRefused, match="names no job_name"):
        engine.start(order({}))
    assert not fake_aws.calls
