"""This file is where Glue's catalog is read: page after page, a few databases at once, as the JSON that came.

The calls are botocore's own (who we are, where to, signed, tried again, timed out); only the answers are not given to
its parser, which takes longer over a table than everything we do with it. What that parser would have changed is done
by those who need it (`headgate.glue_source.aspects`).
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from botocore.exceptions import BotoCoreError, ClientError

from headgate.aws.faults import Fault, FaultKind, fault_of
from headgate.errors import Forbidden, HeadgateError, NotFound, Unavailable

logger = logging.getLogger(__name__)

READERS: Final = 4  #: databases that are read at once; Glue allows ten calls a second and more
_BODY: Final = "headgate.body"

Wire: TypeAlias = dict[str, Any]  #: a database or a table as Glue sends it


@dataclass(frozen=True, slots=True)
class Unread:
    """A database whose tables could not be listed (to their end)."""

    database: str
    error: HeadgateError


class GlueCatalog:
    """Glue's catalog, through a boto3 client that is ours alone. Close it."""

    def __init__(
        self,
        client: Any,
        *,
        catalog_id: str | None,
        attempts: int,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = client
        self._whose: Wire = {"CatalogId": catalog_id} if catalog_id else {}
        self._attempts = max(1, attempts)
        self._pause = pause
        for operation in ("GetDatabases", "GetTables"):
            client.meta.events.register(f"before-parse.glue.{operation}", _keep_as_it_came)

    def partition(self, region: str | None) -> str:
        """Which of AWS's worlds (`aws`, `aws-cn`, …) a region is in; of one that is not said it is the usual one."""
        meta = self._client.meta
        return str(meta.partition) if region and region == meta.region_name else "aws"

    def close(self) -> None:
        self._client.close()

    def databases(self) -> Iterator[Wire]:
        """Yield all databases.

        Raises:
            Unavailable: Glue does not answer, or not sensibly. Forbidden: it may not be asked. NotFound: no catalog.
        """
        token = ""
        while True:
            page = self._page("get_databases", "the databases", "DatabaseList", token)
            yield from page.items
            token = page.token
            if not token:
                return

    def tables(self, databases: Iterable[str]) -> Generator[tuple[str, list[Wire]] | Unread]:
        """Yield (database, tables of a page), database by database in the order given.

        While one page is made use of, the next is on its way, and so are the first ones of the databases after it.
        A database that cannot be listed is told at its place, after the pages that came; the others go on.
        """
        names = iter(databases)
        ahead: deque[tuple[str, Future[_Page]]] = deque()
        with ThreadPoolExecutor(READERS, "glue") as pool:

            def ask(database: str, token: str = "") -> Future[_Page]:
                what = f"the tables of database {database!r}"
                return pool.submit(self._page, "get_tables", what, "TableList", token, DatabaseName=database)

            try:
                for name in names:
                    ahead.append((name, ask(name)))
                    if len(ahead) == READERS:
                        break
                while ahead:
                    database, asked = ahead.popleft()
                    try:
                        page = asked.result()
                    except HeadgateError as error:
                        found: tuple[str, list[Wire]] | Unread = Unread(database, error)
                        page = _Page([], "")
                    else:
                        found = database, page.items
                    if page.token:
                        ahead.appendleft((database, ask(database, page.token)))
                    elif following := next(names, None):
                        ahead.append((following, ask(following)))
                    yield found
            finally:  # whoever stops early waits for the calls under way and for no others
                for _, asked in ahead:
                    asked.cancel()

    def table(self, catalog_id: str, database: str, name: str) -> Wire:
        """Get one table, of another account perhaps.

        Raises:
            Unavailable, Forbidden, NotFound: it cannot be read.
        """
        try:
            answer = self._client.get_table(CatalogId=catalog_id, DatabaseName=database, Name=name)
        except (ClientError, BotoCoreError) as error:
            raise _raised(fault_of(error, f"reading table {name!r} of database {database!r}")) from error
        return cast("Wire", answer["Table"])

    def _page(self, operation: str, what: str, key: str, token: str, **more: str) -> _Page:
        """Get one page. botocore tries again what is worth it; an answer that is none of Glue's we ask for again."""
        asked = {**self._whose, **more, **({"NextToken": token} if token else {})}
        for attempt in range(self._attempts):
            if attempt:
                self._pause(random.random() * min(20.0, 0.1 * 2**attempt))  # noqa: S311 - so that callers spread out
            try:
                answer = getattr(self._client, operation)(**asked)
            except (ClientError, BotoCoreError) as error:
                raise _raised(fault_of(error, f"listing {what}")) from error
            page = _read(cast("bytes", answer.get(_BODY, b"")), key)
            if page:
                return page
            logger.warning("Glue's answer about %s was not JSON with a %s; asking again", what, key)
        raise Unavailable(
            f"listing {what}: what answers is not AWS Glue, {self._attempts} times over; look at the endpoint, the "
            "proxy and what is between"
        )


@dataclass(frozen=True, slots=True)
class _Page:
    items: list[Wire]
    token: str  #: "" on the last


def _keep_as_it_came(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """A handler of botocore: keep a good answer's text away from its parser, and hand it through."""
    if response_dict["status_code"] == 200:
        customized_response_dict[_BODY] = response_dict["body"]
        response_dict["body"] = b"{}"


def _read(body: bytes, key: str) -> _Page | None:
    try:
        said: Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(said, Mapping):
        return None
    page = cast("Mapping[str, Any]", said)
    items = page.get(key, [] if page.keys() <= {"NextToken"} else None)  # what is empty may be left out
    if not isinstance(items, list):
        return None
    return _Page([one for one in cast("list[Any]", items) if isinstance(one, dict)], str(page.get("NextToken") or ""))


def _raised(fault: Fault) -> HeadgateError:
    if fault.kind is FaultKind.MISSING:
        return NotFound("such thing in Glue's catalog, asked when", fault.doing, fault.message)
    if fault.kind in (FaultKind.DENIED, FaultKind.NO_CREDENTIALS):
        return Forbidden(str(fault))
    return Unavailable(str(fault))
