"""This file is where what hinders a replica, and does not stop it, is put into words: the warnings of /readyz."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from headgate.aws.credentials import could_be_found
from headgate.doors.sqs import QueueDoor
from headgate.errors import HeadgateError, LedgerUnavailable
from headgate.flow.clicked import NAMED_BY_ENGINE
from headgate.ledger.store import Ledger
from headgate.model import Job
from headgate.ports import Engine
from headgate.runtime.dead_letters import DeadLetters
from headgate.runtime.secrets import SecretStore
from headgate.settings import Settings

_LEAST_ROOM: Final = 4 << 20  #: bytes


def of_disk(home: Path) -> list[str]:
    """Whether a disk of our state is full: nothing can be accepted, started or written down as ended then."""
    found: list[str] = []
    for place in (home, home / "logs"):  # which may be elsewhere
        try:
            there = os.statvfs(place)
        except OSError:
            continue  # whoever needs it says so
        if there.f_blocks and there.f_bavail * there.f_frsize < _LEAST_ROOM:
            found.append(f"the disk of {place} is full: runs cannot start, nor be told to have ended; free some space")
    return found[:1]


def of_engines(engines: Mapping[str, Engine]) -> list[str]:
    """What keeps engines from seeing how their runs do: those run on, and nobody hears of their ends."""
    found = ((name, getattr(engine, "problem", None)) for name, engine in engines.items())
    return [f"engine {name}: its runs cannot be looked at now ({why})" for name, why in found if why]


def of_starts(put_off: Mapping[str, int]) -> list[str]:
    """What keeps engines from starting runs: those wait, and each says why."""
    return [
        f"engine {name}: {count} {'run' if count == 1 else 'runs'} could not be started when last tried, and will be"
        " tried again; `headgate runs list` says why"
        for name, count in put_off.items()
    ]


def of_credentials(settings: Settings, jobs: Iterable[Job]) -> list[str]:
    """Whether something would be started on AWS, and there is no place where credentials for it could be found."""
    named = sorted(job.name for job in jobs if job.engine in NAMED_BY_ENGINE)
    rules = [rule for rule in settings.rules if rule.function or rule.state_machine_arn]
    if not (named or rules) or could_be_found(os.environ):
        return []
    what = f"jobs {', '.join(named[:5])}" if named else "what the rules start"
    return [
        f"AWS: {what} will be refused, for there are no credentials here; set AWS_PROFILE or AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY for the server"
    ]


def of_queues(queues: Sequence[QueueDoor], ledger: Ledger) -> list[str]:
    """What hinders the queues' doors, and whether there is something they could not read."""
    said = (f"{one.name}: the queue cannot be read now ({one.problem})" for one in queues if one.problem)
    found = list(dict.fromkeys(said))  # those who poll one queue say the same
    try:
        unread = DeadLetters(ledger).count() if queues else 0
    except HeadgateError:
        return found  # the ledger's own trouble is told elsewhere
    return [*found, f"{unread} messages cannot be read: `headgate events dead list`"] if unread else found


def of_secrets(secrets: SecretStore) -> list[str]:
    """Whether there are secrets of our own that nobody can open; runs that need one will fail."""
    try:
        closed = secrets.closed()
    except LedgerUnavailable:
        return []  # told elsewhere
    except HeadgateError as error:
        return [str(error)]
    named = ", ".join(closed[:5]) + (", …" if len(closed) > 5 else "")
    return [f"{len(closed)} secrets are sealed with a key that is not here: {named}"] if closed else []
