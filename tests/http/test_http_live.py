"""This file is where what is live is watched: one render for all viewers, none for nobody, logs that grow."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from served import API, DEADLINE, World, serving, until

from headgate.errors import NotFound
from headgate.http import live
from headgate.http.live import TICK, Broadcaster
from headgate.model import RunState


@contextmanager
def reading(url: str, **more: Any) -> Generator[Iterator[tuple[str, Any]]]:
    """The events of a stream, as (name, data)."""
    with (
        httpx.Client(timeout=DEADLINE, trust_env=False) as client,
        client.stream("GET", url, headers=more) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        yield _events(answer)


def _events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def test_a_page_is_told_what_happens(world: World) -> None:
    """The first frame is the present state; a run that starts comes by itself."""
    with serving(world) as url, reading(f"{url}/headgate/live") as events:
        name, first = next(events)
        run = world.start("views", reason="look <here>")
        later = next(data for _, data in events if run.id in data["runs"])

    assert name == "view"
    assert set(first) == {"picture", "runs", "jobs", "triggers"}
    assert run.id not in first["runs"]
    assert "look &lt;here&gt;" in later["runs"]


def test_a_runs_page_is_told_of_its_progress(world: World) -> None:
    """Progress and end reach the page of the run."""
    run = world.begin(world.start("views"))
    with serving(world) as url, reading(f"{url}/headgate/live/runs/{run.id}") as events:
        next(events)
        world.progress(run, rows=1234)
        assert any("1,234" in data["facts"] for _, data in events)
        world.end(run)
        assert any("succeeded" in data["facts"] for _, data in events)


def test_many_viewers_cost_one_render(world: World) -> None:
    """Twenty streams of one view are rendered once for each change, and nothing is when they have gone."""
    broadcaster: Broadcaster = world.port.app.state.broadcaster
    with serving(world) as url:
        streams = [reading(f"{url}/headgate/live") for _ in range(20)]
        opened = [stream.__enter__() for stream in streams]
        for events in opened:
            next(events)
        assert broadcaster.viewers == 20
        before = broadcaster.renders
        run = world.start("views")
        for events in opened:
            assert any(run.id in data["runs"] for _, data in events)
        assert broadcaster.renders - before <= 4, "a render each viewer would be twenty"
        for stream in streams:
            stream.__exit__(None, None, None)
        until(lambda: broadcaster.viewers == 0, "the viewers are seen to leave")
        until(lambda: broadcaster.idle, "rendering stops")


def test_what_is_unchanged_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A render that gives the same again wakes nobody; what others wrote is found all the same."""
    monkeypatch.setattr(live, "RENDER_ANYWAY", 0.2)
    shown = ["a"]

    async def watch() -> list[bytes]:
        broadcaster = Broadcaster(lambda: (0, 0))
        frames = broadcaster.frames("x", lambda: shown[0])
        got = [await anext(frames)]
        waiting = asyncio.ensure_future(anext(frames))
        renders = broadcaster.renders
        while broadcaster.renders == renders:  # noqa: ASYNC110 - nothing tells of a render that changed nothing
            await asyncio.sleep(TICK / 5)
        assert not waiting.done()
        shown[0] = "b"
        got.append(await asyncio.wait_for(waiting, DEADLINE))
        await frames.aclose()
        return got

    assert asyncio.run(watch()) == [b'event: view\ndata: "a"\n\n', b'event: view\ndata: "b"\n\n']


def test_a_view_that_cannot_be_drawn_says_so() -> None:
    """Our errors are told in words, a bug without its details; the others' streams go on."""

    def missing() -> object:
        raise NotFound("run", "x")

    def broken() -> object:
        raise RuntimeError("secret detail")

    async def watch() -> list[bytes]:
        broadcaster = Broadcaster(lambda: (0, 0))
        streams: list[AsyncGenerator[bytes]] = [
            broadcaster.frames("1", missing), broadcaster.frames("2", broken), broadcaster.frames("3", lambda: 1)
        ]  # fmt: skip
        got = [await anext(one) for one in streams]
        for one in streams:
            await one.aclose()
        return got

    gone, bug, fine = asyncio.run(watch())
    assert b"event: problem" in gone
    assert b"there is no run" in gone
    assert b"event: problem" in bug
    assert b"secret" not in bug
    assert fine == b"event: view\ndata: 1\n\n"


def test_a_log_is_followed_to_its_end(world: World) -> None:
    """What is there comes at once, what is written later as it comes, then `end`."""
    run = world.begin(world.start("views"))
    world.write_log(run.id, "first\n")
    with serving(world) as url, reading(f"{url}{API}/runs/{run.id}/log?follow=1") as events:
        assert next(events) == ("log", {"text": "first\n", "next": 6, "complete": False})
        world.write_log(run.id, "zwölf\n")
        assert next(events)[1]["text"] == "zwölf\n"
        world.write_log(run.id, "last\n", over=True)
        world.end(run)
        rest = list(events)

    assert "".join(data["text"] for name, data in rest if name == "log") == "last\n"
    assert rest[-1] == ("end", {"next": 18})


def test_a_lost_connection_goes_on_where_it_was(world: World) -> None:
    """A browser says the last id it saw; nothing is sent twice."""
    run = world.end(world.begin(world.start("views")))
    world.write_log(run.id, "one\ntwo\n", over=True)
    with serving(world) as url, reading(f"{url}{API}/runs/{run.id}/log?follow=1", **{"last-event-id": "4"}) as events:
        assert next(events)[1]["text"] == "two\n"


def test_a_follower_stays_with_its_attempt(world: World) -> None:
    """When the run is tried again, the first try's log ends, and the new one is another stream."""
    run = world.begin(world.start("ingest"))
    world.write_log(run.id, "first try\n", over=True)
    assert world.end(run, RunState.FAILED).attempt == 1
    world.write_log(f"{run.id}_attempt_1", "second try\n")
    with serving(world) as url, reading(f"{url}{API}/runs/{run.id}/log?follow=1&attempt=0") as events:
        assert [data.get("text") for _, data in events] == ["first try\n", None]


def test_following_what_is_not_there_is_404(world: World) -> None:
    """Before a stream begins, an unknown run is an error as everywhere."""
    assert world.call("GET", f"{API}/runs/jr_none/log?follow=1").status_code == 404
    assert world.call("GET", "/headgate/live/runs/jr_none").status_code == 404


def test_closing_ends_every_stream(world: World) -> None:
    """A server that is told to stop is not held up by those who look."""
    run = world.begin(world.start("views"))
    ended = threading.Event()
    with serving(world) as url:

        def look() -> None:
            with reading(f"{url}/headgate/live") as events:
                list(events)
            ended.set()

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        with reading(f"{url}{API}/runs/{run.id}/log?follow=1") as events:
            until(lambda: world.port.app.state.broadcaster.viewers, "the page is looked at")
            world.port.close()
            assert list(events) == []
        assert ended.wait(DEADLINE)
        looking.join(DEADLINE)


def test_a_stream_that_comes_after_the_closing_ends_at_once(world: World) -> None:
    """Also when nobody ever looked before: a browser that connects again holds up no server that stops."""
    with serving(world) as url:
        world.port.close()
        with reading(f"{url}/headgate/live") as events:
            assert list(events) == []
