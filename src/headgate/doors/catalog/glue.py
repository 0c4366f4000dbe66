"""This file is where AWS Glue's catalog is looked at: the versions and times that GetTables of each database shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.doors.catalog.reading import Broken, Look
from headgate.flow.match import has_wildcard, watches_database
from headgate.model import CatalogWatch

_PAGES: Final = 10_000  #: of one list
_TRIES: Final = 3


def look_at_glue(clients: Clients, watch: CatalogWatch) -> Look:
    """Read every database that is watched. One that we may not read is left out and named.

    Raises:
        Broken: Glue cannot be asked, does not answer, throttles, or lists without end.
    """
    place = place_of(watch)
    own = {"CatalogId": watch.catalog_id} if watch.catalog_id else {}
    named = [one for one in watch.databases if not has_wildcard(one)]
    if len(named) == len(watch.databases) and named:
        databases = named
    else:
        listed = _Listing(clients, place, "get_databases", "DatabaseList", "listing Glue's databases")
        databases = [name for one in listed.rows(own) if watches_database(watch, name := str(one["Name"]))]
    tables: dict[str, str] = {}
    read: list[str] = []
    unread: dict[str, str] = {}
    for database in databases:
        try:
            doing = f"listing the tables of Glue's database {database}"
            listing = _Listing(clients, place, "get_tables", "TableList", doing)
            for one in listing.rows({"DatabaseName": database, **own}):
                tables[f"{database}.{one['Name']}"] = _version(one)
        except _Refused as refused:
            if refused.fault.kind is not FaultKind.MISSING:
                unread[database] = refused.fault.code
            elif database in named:
                unread[database] = "there is no such database"
            continue  # one that is gone since it was listed has no tables
        read.append(database)
    return Look(tables=tables, databases=read, unread=unread)


def place_of(watch: CatalogWatch) -> Place:
    """Where and as whom AWS is asked."""
    return Place.of(watch, session="headgate-catalog")


class _Refused(Broken):
    """This will be refused again, and says nothing of other calls."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code, str(fault))
        self.fault = fault


class _Listing(NamedTuple):
    """A list of Glue's, page by page."""

    clients: Clients
    place: Place
    operation: str
    key: str  #: of the list in an answer
    doing: str

    def rows(self, asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        token = ""
        for _ in range(_PAGES):
            answer = self._page({**asked, **({"NextToken": token} if token else {})})
            found: Any = answer.get(self.key)
            if not isinstance(found, list):
                raise Broken("no answer of AWS's", f"{self.doing}: the answer has no {self.key}")
            yield from (one for one in cast("list[Mapping[str, Any]]", found) if one.get("Name"))
            following = str(answer.get("NextToken") or "")
            if not following:
                return
            if following == token:
                break
            token = following
        raise Broken("endless list", f"{self.doing}: it does not end")

    def _page(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self.clients.call(self.place, "glue", self.operation, asked, doing=self.doing, attempts=_TRIES)
        if not isinstance(answer, Fault):
            return answer
        if answer.kind in (FaultKind.DENIED, FaultKind.MISSING, FaultKind.REFUSED):
            raise _Refused(answer)
        raise Broken(answer.code, str(answer), answer.wait)


def _version(table: Mapping[str, Any]) -> str:
    """What changes with each change of a table, and when one is made anew under its name."""
    times = [_seconds(table.get(name)) for name in ("UpdateTime", "CreateTime")]
    return "/".join([str(table.get("VersionId") or ""), *times])


def _seconds(at: Any) -> str:
    return f"{at.timestamp():.3f}" if isinstance(at, datetime) else ""
