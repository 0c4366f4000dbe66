"""This file is where those who ask for job runs share looks, and nobody's trouble is another's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from headgate.errors import LedgerUnavailable, Unavailable
from headgate.http.glue.looks import MOST, Looks, Named
from headgate.ledger.glue_runs import JobRun

DEADLINE = 10.0


class Far:
    """What is looked at: it answers with the name itself, may be held, and chokes on what it is told to."""

    def __init__(self) -> None:
        self.looks: list[list[Named]] = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()
        self.chokes: dict[str, Exception] = {}

    def look(self, named: Sequence[Named]) -> Sequence[JobRun | None]:
        self.looks.append(list(named))
        self.began.set()
        assert self.go.wait(DEADLINE)
        for _, name in named:
            if name in self.chokes:
                raise self.chokes[name]
        return [cast("Any", None if name == "none" else name) for _, name in named]


async def found(looks: Looks, *names: str) -> list[Any]:
    those = [looks.find("job", name) for name in names]
    return await asyncio.wait_for(asyncio.gather(*those, return_exceptions=True), DEADLINE)


def test_who_asks_while_a_look_is_under_way_is_in_the_next() -> None:
    """Nobody is answered from a look that began before they asked; all who came meanwhile share one."""
    far = Far()

    async def story() -> list[list[Any]]:
        looks = Looks(asyncio.get_running_loop(), far.look)
        far.go.clear()
        first = asyncio.ensure_future(found(looks, "a"))
        assert await asyncio.to_thread(far.began.wait, DEADLINE)
        rest = [asyncio.ensure_future(found(looks, *names)) for names in (("a", "b"), ("none", "b"))]
        await asyncio.sleep(0)
        far.go.set()
        return [await one for one in (first, *rest)]

    assert asyncio.run(story()) == [["a"], ["a", "b"], [None, "b"]]
    assert far.looks == [[("job", "a")], [("job", "a"), ("job", "b"), ("job", "none")]]


def test_what_is_wrong_with_one_is_its_own_trouble() -> None:
    """One that cannot be looked at fails alone, as itself; those who asked with it get their answers."""
    far = Far()
    far.chokes["bad"] = ValueError("no such thing")

    async def story() -> list[Any]:
        return await found(Looks(asyncio.get_running_loop(), far.look), "a", "bad", "b")

    first, bad, last = asyncio.run(story())
    assert (first, last) == ("a", "b")
    assert isinstance(bad, ValueError)


def test_while_the_ledger_is_away_everybody_hears_so_at_once() -> None:
    """A ledger that is away is not asked again for each who waits; the next to ask tries anew."""
    far = Far()
    far.chokes["a"] = LedgerUnavailable("away")

    async def story() -> tuple[list[Any], list[Any]]:
        looks = Looks(asyncio.get_running_loop(), far.look)
        away = await found(looks, "a", "b", "c")
        far.chokes.clear()
        return away, await found(looks, "a")

    away, back = asyncio.run(story())
    assert [type(one) for one in away] == [LedgerUnavailable] * 3
    assert issubclass(LedgerUnavailable, Unavailable)
    assert back == ["a"]
    assert len(far.looks) == 2


@pytest.mark.parametrize("gone", [0, 1])
def test_a_client_that_hangs_up_leaves_the_others_their_answer(gone: int) -> None:
    """Of two who wait for one look either may go; the other is answered, and so is whoever asks next."""
    far = Far()

    async def story() -> tuple[Any, Any]:
        looks = Looks(asyncio.get_running_loop(), far.look)
        far.go.clear()
        both = [asyncio.ensure_future(looks.find("job", name)) for name in ("a", "b")]
        assert await asyncio.to_thread(far.began.wait, DEADLINE)
        both[gone].cancel()
        await asyncio.sleep(0)
        far.go.set()
        stays = await asyncio.wait_for(both[1 - gone], DEADLINE)
        return stays, await asyncio.wait_for(looks.find("job", "c"), DEADLINE)

    assert asyncio.run(story()) == ("ab"[1 - gone], "c")


def test_a_look_is_of_so_many_and_no_more() -> None:
    """A crowd is served in looks of a bounded size, each asked for once."""
    far = Far()
    names = [str(number) for number in range(2 * MOST + 1)]

    async def story() -> list[Any]:
        return await found(Looks(asyncio.get_running_loop(), far.look), *names)

    assert asyncio.run(story()) == names
    assert [len(one) for one in far.looks] == [MOST, MOST, 1]
