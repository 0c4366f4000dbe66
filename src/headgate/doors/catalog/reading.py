"""This file is where it is said what a look at a catalog finds, and what became of the tables since the last one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from headgate.model import TABLE_CHANGES, CatalogWatch, Event, StoredObject, new_event_id

DOOR: Final = "catalog"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is there: each table (`database.table`) with what changes when it does."""

    tables: Mapping[str, str]
    databases: Sequence[str] = ()  #: that were read, empty ones too
    unread: Mapping[str, str] = field(default_factory=dict[str, str])  #: databases that were not, each with why


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether it is this replica's turn to look, and else after how many seconds somebody's is."""

    ours: bool
    wait: float = 0.0


class Broken(Exception):
    """The catalog could not be looked at. `word` says why without a name of AWS's; `wait` is what it asked for."""

    def __init__(self, word: str, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.word = word
        self.wait = wait


#: Looks once. Raises Broken.
Reader = Callable[[CatalogWatch], Look]


@dataclass(frozen=True, slots=True)
class Change:
    kind: str  #: of TABLE_CHANGES
    table: str
    version: str

    @property
    def removed(self) -> bool:
        return self.kind == TABLE_CHANGES["removed"]


#: What is remembered of a database, beside its tables: under its name and a dot.
_READ, _UNREAD = "read", "unread"


def mark(database: str) -> str:
    """What stands for a database among the names of tables."""
    return f"{database}."


def marks(before: Mapping[str, str], look: Look) -> dict[str, str]:
    """What is to be remembered of the databases: one that was read once can be compared with for ever."""
    never = [one for one in look.unread if before.get(mark(one)) != _READ]
    return {mark(one): _READ for one in look.databases} | {mark(one): _UNREAD for one in never}


def changes(before: Mapping[str, str], look: Look) -> Iterator[Change]:
    """Say what happened between what was remembered and now; `before` is empty at the first look.

    Of a database that could not be read before, nobody knows what is new in it; of one that cannot be now, nobody knows
    what is gone.
    """
    unknown = {name for name, said in before.items() if name.endswith(".") and said == _UNREAD}
    for name, version in look.tables.items():
        known = before.get(name)
        if known == version or (known is None and mark(database_of(name, look)) in unknown):
            continue
        yield Change(TABLE_CHANGES["created" if known is None else "updated"], name, version)
    for name, version in before.items():
        if name.endswith(".") or name in look.tables or database_of(name, look) in look.unread:
            continue
        yield Change(TABLE_CHANGES["removed"], name, version)


def database_of(table: str, look: Look) -> str:
    """The database of a table: the longest name of those that are known, since names may hold dots."""
    known = (one for one in (*look.databases, *look.unread) if table.startswith(mark(one)))
    return max(known, key=len, default=table.rpartition(".")[0])


def event_of(watch: CatalogWatch, change: Change, now: datetime) -> Event:
    """The event of a change. Its identity is the catalog, the table and its version, whoever finds it and how often."""
    parts = (DOOR, watch.name, change.table, change.version, *(("removed",) if change.removed else ()))
    return Event(
        id=new_event_id(),
        door=DOOR,
        kind=change.kind,
        identity=hashlib.sha256("\0".join(parts).encode()).hexdigest(),
        at=now,
        object=StoredObject(bucket=watch.name, key=change.table, version=change.version),
    )
