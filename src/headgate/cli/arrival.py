"""This file is where a command lets a file arrive at a watched folder, and waits for what it leads to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.cli import chain
from headgate.cli.chain import Tell
from headgate.cli.client import Client, Doc, EventsWanted
from headgate.cli.ending import Failed
from headgate.errors import Invalid
from headgate.model import Outcome, TriggerType

if TYPE_CHECKING:
    from headgate.settings import Settings

LOOK = 0.05  #: seconds between two looks for the event


@dataclass(frozen=True, slots=True)
class Door:
    """A watched folder with a trigger behind it."""

    trigger: str
    job: str
    bucket: str
    prefix: str
    folder: Path

    def path(self, key: str) -> Path:
        return self.folder / key


def door(settings: Settings) -> Door:
    """The first EVENT trigger whose bucket is a folder of this machine. Raises Invalid where there is none."""
    for trigger in settings.triggers.values():
        objects = trigger.objects
        if trigger.type is TriggerType.EVENT and objects is not None and objects.bucket in settings.inboxes:
            folder = settings.inboxes[objects.bucket]
            return Door(trigger.name, trigger.actions[0].job, objects.bucket, objects.prefix, folder)
    raise Invalid(
        "no EVENT trigger watches a bucket that `inboxes:` names, so no file can be let in here;"
        " see docs/quickstart.md for both"
    )


def put(at: Door, key: str, write: Callable[[Path], None]) -> Path:
    """Write a file beside its place, out of sight, and move it there whole."""
    path = at.path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}")
    try:
        write(hidden)
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
    return path


def run_of(client: Client, at: Door, key: str, *, until: float) -> Doc:
    """The run that the file's event fired or joined. Raises Failed when it was skipped, or nothing came in time."""
    wanted = EventsWanted(prefix=f"s3://{at.bucket}/{key}")
    while time.monotonic() < until:
        for event in client.events(wanted):
            decisions = event["decisions"]
            made = next((one for one in decisions if one["run"] and one["trigger"] == at.trigger), None)
            if made is not None:
                return client.run(made["run"])
            why = "; ".join(one["reason"] for one in decisions if one["outcome"] == Outcome.SKIPPED)
            raise Failed(f"s3://{at.bucket}/{key} arrived and started nothing: {why or 'no decision was made'}")
        time.sleep(LOOK)
    raise Failed(
        f"s3://{at.bucket}/{key} was put into {at.folder}, and no event of it came; is the server watching that folder?"
    )


def follow(client: Client, first: Doc, tell: Tell, *, until: float) -> Sequence[Doc]:
    """Wait for the run and all that follow. Raises Failed when they are not over in time."""
    found = chain.follow(client, first, tell, until=until)
    if unfinished := [run for run in found if not chain.ended(run)]:
        names = ", ".join(f"{run['job']} ({run['state']})" for run in unfinished)
        raise Failed(f"not over in time: {names}; see `headgate runs list`")
    return found
