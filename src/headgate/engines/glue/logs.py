"""This file is where what a Glue run writes on AWS is fetched into the run's log here.

How Glue's runs do is looked at by the same thread, so a log that AWS does not give costs little: after a fault its
region is left alone for a while, longer and longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from headgate.aws import Clients, Fault, FaultKind, Place, RunFiles

#: Below this name are the groups of a run that does not say where it writes.
USUAL: Final = "/aws-glue/jobs"
#: Glue 5 puts what the script prints into `output`. A run's streams are named after it.
_KINDS: Final = ("output", "error")
_PAGES: Final = 5  #: of each group at one look: 10,000 lines or 1 MB each
_LAST_PAGES: Final = 50  #: of each group when the run is over
_READ: Final = 5.0  #: seconds a page is waited for
_REST: Final = 15.0  #: seconds before logs are asked for again after a fault; it doubles from fault to fault
_LONGEST_REST: Final = 300.0
_GROUPS: Final = "groups"  #: beside the places in the groups: what they are called before `/output` and `/error`


@dataclass(slots=True)
class _Rest:
    until: float  #: by the monotonic clock
    pause: float  #: seconds
    why: str


class LogFollower:
    """Knows how far each attempt's streams were read; what it knows survives a restart. Belongs to one thread."""

    def __init__(self, clients: Clients, files: RunFiles) -> None:
        self._clients = clients
        self._files = files
        self._lock = threading.Lock()
        self._denied: set[Place] = set()  #: where we may not read logs: asked once
        self._resting: dict[Place, _Rest] = {}  #: where they could not be read a moment ago

    def fetch(self, place: Place, attempt_id: str, run: str, *, base: str = "", over: bool = False) -> None:
        """Add what came since the last time. A log that cannot be fetched is no reason to fail.

        Args:
            place: where and as whom.
            attempt_id: whose log is added to.
            run: Glue's id of it.
            base: the run's `LogGroupName`.
            over: nothing will be asked for again; what is left out is said.
        """
        before = self._files.place(attempt_id)
        after: dict[str, str] = dict(before)
        base = base.rstrip("/") if base.startswith("/") else before.get(_GROUPS) or USUAL
        groups = [f"{base}/{kind}" for kind in _KINDS]
        if before.get(_GROUPS) != base:
            after[_GROUPS] = base
            self._files.say(attempt_id, f"its log on AWS: stream {run} of {' and '.join(groups)}")
        left = self._groups(place, groups, attempt_id, run, after, over=over)
        if after != before:
            self._files.keep_place(attempt_id, after)
        if over and left:
            self._files.say(attempt_id, f"not all of its log is here ({left}); the whole is on AWS")

    def _groups(
        self, place: Place, groups: list[str], attempt_id: str, run: str, tokens: dict[str, str], *, over: bool
    ) -> str:
        """Read each group; answers why something is left, "" where nothing is."""
        if place in self._denied:
            return ""  # said when it was found out
        rest = self._resting.get(place)
        if rest is not None and rest.until > time.monotonic():
            return rest.why
        left = ""
        for group in groups:
            fault = self._fetch(place, group, attempt_id, run, tokens, pages=_LAST_PAGES if over else _PAGES)
            if isinstance(fault, bool):
                left = left if fault else f"more than {_LAST_PAGES} MB came at its end"
                continue
            if fault.kind is FaultKind.MISSING:  # nothing written yet
                continue
            if fault.kind is FaultKind.DENIED:
                self._denied.add(place)
                self._files.say(attempt_id, f"its log cannot be read from here: {fault}")
                return ""
            pause = min(rest.pause * 2, _LONGEST_REST) if rest is not None else _REST
            self._resting[place] = _Rest(time.monotonic() + pause, pause, str(fault))
            return str(fault)
        self._resting.pop(place, None)
        return left

    def _fetch(
        self, place: Place, group: str, attempt_id: str, run: str, tokens: dict[str, str], *, pages: int
    ) -> Fault | bool:
        """Read so many pages of a group; answers whether that was all there is by now."""
        for _ in range(pages):
            token = tokens.get(group)
            more: Mapping[str, str] = {"nextToken": token} if token else {}
            said = self._clients.call(
                place,
                "logs",
                "get_log_events",
                {"logGroupName": group, "logStreamName": run, "startFromHead": True, **more},
                doing=f"reading the log {group} of {run}",
                read=_READ,
            )
            if isinstance(said, Fault):
                return said
            text = "".join(f"{one['message'].rstrip()}\n" for one in said["events"])
            if text:
                self._files.add(attempt_id, text)
            following = said.get("nextForwardToken")
            if not following or following == token:  # the same token again: that is the end, for now
                return True
            tokens[group] = following
        return False
