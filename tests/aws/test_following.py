"""This file is where following is held to its order: who is asked for comes before whoever is merely due."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from engines.orders import Recorder, order

from headgate.aws import Follower, Looked, RunFiles
from headgate.aws.faults import Fault
from headgate.model import RunState
from headgate.ports import Order


class Slow:
    """A far side that notes who was looked at, and of which everything runs."""

    def __init__(self) -> None:
        self.looked: list[str] = []
        self.stopped = threading.Event()

    def find(self, order: Order) -> str:
        return order.attempt_id

    def look(self, order: Order, handle: str) -> Looked | Fault:  # noqa: ARG002 - the shape is Far's
        self.looked.append(handle)
        return Looked(state=RunState.RUNNING, words="RUNNING", at=datetime.now(UTC))

    def stop(self, order: Order, handle: str) -> Fault | None:  # noqa: ARG002 - as above
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
        assert len(far.looked) <= before + 2
    finally:
        follower.close()
