"""This file is where following is held to its order: who is asked for comes before whoever is merely due."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from engines.orders import Recorder, order

from headgate.aws import Follower, Looked, RunFiles
from headgate.aws.faults import Fault, FaultKind
from headgate.model import RunState
from headgate.ports import Order


class Slow:
    """A far side that notes who was looked at, and of which everything runs."""

    def __init__(self) -> None:
        self.looked: list[str] = []
        self.stopped = threading.Event()

    def find(self, order: Order) -> str:
        return order.attempt_id

    def where(self, order: Order) -> str:
        return str(order.job.target.get("region"))

    def look(self, order: Order, handle: str) -> Looked | Fault:
        self.looked.append(handle)
        if order.job.target.get("region") == "silent":
            time.sleep(0.05)  # as long as its answer is waited for
            return Fault(FaultKind.AWAY, "ReadTimeoutError", "no answer", "looking", answered=False)
        return Looked(state=RunState.RUNNING, words="RUNNING", at=datetime.now(UTC))

    def stop(self, order: Order, handle: str) -> Fault | None:  # noqa: ARG002 - the shape is Far's
        self.stopped.set()
        return None

    def follow(self, order: Order, handle: str, seen: Looked) -> None:
        """It has no log."""


def test_a_stop_does_not_queue_behind_looks(tmp_path: Path) -> None:
    """With more due than the budget allows for, a stop is the next thing that is done."""
    far, orders = Slow(), [order({}) for _ in range(60)]
    follower = Follower("slow", Recorder(), RunFiles(tmp_path), far, quickest=0.001, rate=20.0, burst=1.0)
    try:
        for one in orders:
            follower.adopt(one)
        while len(far.looked) < 3:
            time.sleep(0.005)
        before = len(far.looked)
        follower.stop(orders[-1])
        assert far.stopped.wait(10)
        assert len(far.looked) <= before + 20, "it waited for the fifty before it"
    finally:
        follower.close()


def test_a_region_that_does_not_answer_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Where nobody answers is asked once for all that runs there, less and less often; elsewhere looks go on."""
    far = Slow()
    silent, well = [order({"region": "silent"}) for _ in range(40)], order({"region": "well"})
    follower = Follower("slow", Recorder(), RunFiles(tmp_path), far, quickest=0.05, rate=1000.0, burst=1000.0)
    try:
        for one in (*silent, well):
            follower.adopt(one)
        give_up = time.monotonic() + 10
        while far.looked.count(well.attempt_id) < 10:
            assert time.monotonic() < give_up, "the other region is not looked at"
            time.sleep(0.005)
        assert len(far.looked) - far.looked.count(well.attempt_id) <= 10
    finally:
        follower.close()
