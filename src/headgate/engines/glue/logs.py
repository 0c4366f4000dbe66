"""This file is where what a Glue run writes on AWS is fetched into the run's log here."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from headgate.aws import Clients, Fault, FaultKind, Place, RunFiles

#: The groups of a run's streams, which are named after the run. Glue 5 puts what the script prints into `output`.
GROUPS: Final = ("/aws-glue/jobs/output", "/aws-glue/jobs/error")
_PAGES: Final = 5  #: of each group at one look: 10,000 lines or 1 MB each


class LogFollower:
    """Knows how far each attempt's streams were read; what it knows survives a restart. Belongs to one thread."""

    def __init__(self, clients: Clients, files: RunFiles) -> None:
        self._clients = clients
        self._files = files
        self._lock = threading.Lock()
        self._denied: set[Place] = set()  #: where we may not read logs: asked once

    def fetch(self, place: Place, attempt_id: str, run: str) -> None:
        """Add what came since the last time. A log that cannot be fetched is no reason to fail."""
        if place in self._denied:
            return
        before = self._files.place(attempt_id)
        after: dict[str, str] = dict(before)
        for group in GROUPS:
            fault = self._fetch(place, group, attempt_id, run, after)
            if fault is None or fault.kind is FaultKind.MISSING:  # nothing written yet
                continue
            if fault.kind is FaultKind.DENIED:
                self._denied.add(place)
                self._files.say(attempt_id, f"its log cannot be read from here: {fault}")
                return
        if after != before:
            self._files.keep_place(attempt_id, after)

    def _fetch(self, place: Place, group: str, attempt_id: str, run: str, tokens: dict[str, str]) -> Fault | None:
        for _ in range(_PAGES):
            token = tokens.get(group)
            more: Mapping[str, str] = {"nextToken": token} if token else {}
            said = self._clients.call(
                place,
                "logs",
                "get_log_events",
                {"logGroupName": group, "logStreamName": run, "startFromHead": True, **more},
                doing=f"reading the log {group} of {run}",
            )
            if isinstance(said, Fault):
                return said
            text = "".join(f"{one['message'].rstrip()}\n" for one in said["events"])
            if text:
                self._files.add(attempt_id, text)
            following = said.get("nextForwardToken")
            if not following or following == token:  # the same token again: that is the end, for now
                return None
            tokens[group] = following
        return None
