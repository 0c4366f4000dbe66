"""This file is where two invocations meet at one moment: with markers one of them starts, and the other finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import boto3
import pytest
from services.moto import CREDENTIALS

from headgate.aws_lambda import handler, marking, starting
from headgate.aws_lambda.handling import Failed
from headgate.aws_lambda.objects import identity_of
from headgate.aws_lambda.starting import Misconfigured

MARKS: Final = "s3://marks/once/"
#: Of the event that `uploaded` makes, as the function plants it.
MARK: Final = identity_of(
    bucket="raw", key="in/a.csv", version="", etag="abc", sequencer="0A", kind="ObjectCreated:Put", fallback=""
)
Doc = dict[str, Any]


class Context:
    """What Lambda hands a function beside the event."""

    def __init__(self, request: str) -> None:
        self.aws_request_id = request


def uploaded(key: str = "in/a.csv", bucket: str = "raw") -> Doc:
    stored = {"key": key, "size": 5, "eTag": "abc", "sequencer": "0A"}
    said = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-01-01T00:00:00.000Z"}
    about = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": stored}}
    return {"Records": [{**said, **about}]}


class World:
    """moto's Glue with a workflow and a job, and a bucket for the markers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.glue: Any = boto3.client("glue")
        self.s3: Any = boto3.client("s3")

    def set(self, **environ: str) -> None:
        for name, value in environ.items():
            self._monkeypatch.setenv(name, value)

    def invoke(self, request: str, event: Doc | None = None) -> Doc:
        """An invocation in a container of its own; what became of the one object."""
        starting.forget()
        (said,) = handler(event or uploaded(), Context(request))["events"]
        return dict(said)

    def runs(self) -> list[str]:
        return [run["WorkflowRunId"] for run in self.glue.get_workflow_runs(Name="ingest")["Runs"]]

    def markers(self) -> list[str]:
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket="marks").get("Contents", [])]

    def between_look_and_start(self, act: Callable[[], None]) -> None:
        """Do something when the next invocation has looked for an earlier start and found none."""
        real = starting._runs  # pyright: ignore[reportPrivateUsage] - where the moment is
        done: list[bool] = []

        def looking(*asked: Any) -> Iterator[Mapping[str, Any]]:
            yield from real(*asked)
            if not done:
                done.append(True)
                act()

        self._monkeypatch.setattr(starting, "_runs", looking)


@pytest.fixture
def world(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    given = {"AWS_ENDPOINT_URL": moto_url, "HEADGATE_GLUE_WORKFLOW": "ingest", "HEADGATE_MARKS": MARKS}
    for name, value in {**CREDENTIALS, **given}.items():
        monkeypatch.setenv(name, value)
    starting.forget()
    made = World(monkeypatch)
    made.glue.create_workflow(Name="ingest")
    made.s3.create_bucket(Bucket="marks")
    yield made
    made.glue.delete_workflow(Name="ingest")
    for key in made.markers():
        made.s3.delete_object(Bucket="marks", Key=key)
    made.s3.delete_bucket(Bucket="marks")


@pytest.mark.parametrize(("marks", "count"), [(MARKS, 1), ("", 2)])
def test_of_two_at_one_moment_one_starts(world: World, marks: str, count: int) -> None:
    """The other fails and finds the run at its retry; without markers (the default) both start, as the page says."""
    world.set(HEADGATE_MARKS=marks)

    def other() -> None:
        world.invoke("other")

    world.between_look_and_start(other)
    if marks:
        with pytest.raises(Failed, match="another invocation is starting it"):
            world.invoke("one")
    else:
        world.invoke("one")
    assert len(world.runs()) == count
    assert world.invoke("one")["outcome"] == "found"
    assert len(world.runs()) == count


def test_another_event_has_another_marker(world: World) -> None:
    """Each object is started; the markers are named by what they are of, and hold no key of an object."""
    assert [world.invoke("r", uploaded(key))["outcome"] for key in ("in/a.csv", "in/b.csv")] == ["started", "started"]
    assert len(set(world.markers())) == 2
    assert all(one.startswith("once/") and len(one) == 5 + 64 for one in world.markers())


def test_a_put_that_was_sent_twice_is_the_first(world: World) -> None:
    """boto3 repeats a put whose answer was lost, and S3 refuses the repetition: the marker is this invocation's own."""
    marks = marking.Marks("marks", "once/")
    assert marks.claim("ingest", MARK)
    assert marks.claim("ingest", MARK)
    assert not marking.Marks("marks", "once/").claim("ingest", MARK)
    assert len(world.markers()) == 1


def test_a_marker_without_a_start_is_nobodys_after_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Young, it holds others off; old, the next one takes it over and starts."""
    assert marking.Marks("marks", "once/").claim("ingest", MARK), "an invocation that died before it started anything"
    with pytest.raises(Failed, match="another invocation"):
        world.invoke("one")
    monkeypatch.setattr(marking, "STALE", -1.0)
    assert world.invoke("one")["outcome"] == "started"
    assert len(world.runs()) == 1


def test_what_was_refused_can_be_started_by_anybody_at_once(world: World) -> None:
    """Glue knows no such workflow: the marker is taken back."""
    world.set(HEADGATE_GLUE_WORKFLOW="none", HEADGATE_START="job", HEADGATE_GLUE_JOB="none")
    with pytest.raises(Failed, match="EntityNotFoundException"):
        world.invoke("one")
    assert world.markers() == []


def test_markers_that_cannot_be_kept_start_nothing(world: World) -> None:
    """Without an answer of S3's nobody knows who starts: the invocation fails, naming the setting."""
    world.set(HEADGATE_MARKS="s3://no-such-bucket/x")
    with pytest.raises(Failed, match="HEADGATE_MARKS: put_object in s3://no-such-bucket/x/: NoSuchBucket"):
        world.invoke("one")
    world.set(HEADGATE_MARKS=MARKS, AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    with pytest.raises(Failed, match=r"HEADGATE_MARKS: .*127\.0\.0\.1"):
        world.invoke("one")
    assert world.runs() == []


@pytest.mark.parametrize("place", ["marks/once", "https://marks/once", "s3://", "s3:///once", "s3://b/p?x=1"])
def test_a_place_that_is_none_is_refused(world: World, place: str) -> None:
    """Named with what is expected, before anything is looked at."""
    world.set(HEADGATE_MARKS=place)
    with pytest.raises(Misconfigured, match=r"HEADGATE_MARKS: expected a place such as s3://bucket/prefix/"):
        world.invoke("one")


def test_a_marker_starts_nothing(world: World) -> None:
    """Where a notification covers the markers, too, the function does not start for its own."""
    world.invoke("one")
    said = world.invoke("one", uploaded(world.markers()[0], "marks"))
    assert (said["outcome"], said["reason"].partition(":")[0]) == ("skipped", "marker")
