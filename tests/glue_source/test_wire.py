"""This file is where Glue's catalog is read from a Glue that pages, throttles, hangs up and talks nonsense."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.config import Config
from fakes.glue_catalog import ACCOUNT, FAULTS, PAGE, FakeGlue
from services.moto import CREDENTIALS, REGION

from headgate.errors import Forbidden, HeadgateError, NotFound, Unavailable
from headgate.glue_source.wire import GlueCatalog, Unread

Failing = Callable[[str, Mapping[str, Any], int], str | None]


def many(count: int) -> list[dict[str, str]]:
    return [{"Name": f"t{number}"} for number in range(count)]


@contextmanager
def reading(
    tables: Mapping[str, int], failing: Failing | None = None, *, attempts: int = 3, **more: Any
) -> Generator[tuple[GlueCatalog, FakeGlue]]:
    own = {name: many(count) for name, count in tables.items()}
    with FakeGlue({name: {} for name in tables}, own, failing=failing) as fake:
        client = boto3.client(
            "glue",
            endpoint_url=fake.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(read_timeout=0.4, retries={"max_attempts": 2, "mode": "standard"}),
        )
        catalog = GlueCatalog(client, catalog_id=None, attempts=attempts, pause=lambda _: None, **more)
        try:
            yield catalog, fake
        finally:
            catalog.close()


def names(catalog: GlueCatalog, *databases: str) -> dict[str, list[str] | HeadgateError]:
    found: dict[str, Any] = {}
    for one in catalog.tables(databases):
        if isinstance(one, Unread):
            found[f"{one.database}, unread"] = one.error
        else:
            found.setdefault(one[0], []).extend(table["Name"] for table in one[1])
    return found


def expected(count: int) -> list[str]:
    return [one["Name"] for one in many(count)]


def test_every_table_comes_once_and_in_order() -> None:
    """Pages are followed to their end, in more databases than are read at once."""
    counts = {f"d{number}": number * 60 for number in range(7)}
    with reading(counts) as (catalog, fake):
        databases = [one["Name"] for one in catalog.databases()]
        found = names(catalog, *databases)

    assert found == {name: expected(count) for name, count in counts.items()}
    assert list(found) == databases
    assert sum(operation == "GetTables" for operation, _ in fake.calls) == sum(
        max(1, -(-c // PAGE)) for c in counts.values()
    )


def test_databases_are_paged_too() -> None:
    """There may be more than a page of them."""
    with reading(dict.fromkeys((f"d{number:03}" for number in range(250)), 0)) as (catalog, _):
        assert [one["Name"] for one in catalog.databases()] == [f"d{number:03}" for number in range(250)]


@pytest.mark.parametrize("fault", ["throttle", "error", "lost", "hang", "html", "list", "other"])
def test_what_goes_wrong_once_is_tried_again(fault: str) -> None:
    """Throttled, failed, cut off, too slow, not Glue at all: the next call is answered, and nothing is missing."""
    with reading({"d": 150}, lambda _, __, number: fault if number == 1 else None) as (catalog, fake):
        found = names(catalog, "d")

    assert found == {"d": expected(150)}
    assert len(fake.calls) == 3


@pytest.mark.parametrize("fault", [*FAULTS, "lost", "hang"])
def test_what_stays_wrong_is_told_of_its_database(fault: str) -> None:
    """With the pages that came before; the other databases are read all the same."""

    def failing(_: str, asked: Mapping[str, Any], number: int) -> str | None:
        return fault if asked["DatabaseName"] == "bad" and "NextToken" in asked else None

    with reading({"a": 3, "bad": 150, "z": 3}, failing) as (catalog, fake):
        found = names(catalog, "a", "bad", "z", "none")

    error = found.pop("bad, unread")
    missing = found.pop("none, unread")
    assert found == {"a": expected(3), "bad": expected(PAGE), "z": expected(3)}
    assert isinstance(error, Forbidden if fault == "denied" else Unavailable)
    assert isinstance(missing, NotFound)
    assert "the tables of database 'bad'" in str(error)
    tried = sum(asked.get("DatabaseName") == "bad" for _, asked in fake.calls)
    assert tried == (2 if fault == "denied" else 4)


def test_denied_databases_end_it() -> None:
    """Without databases there is nothing to do."""
    with (
        reading({"d": 1}, lambda _, __, ___: "denied") as (catalog, _),
        pytest.raises(Forbidden, match="the databases: AccessDenied"),
    ):
        list(catalog.databases())


def test_stopping_early_asks_for_no_more() -> None:
    """Whoever looks at ten tables does not wait for ten thousand; and no thread stays behind."""
    before = threading.active_count()
    with reading({f"d{number}": 1000 for number in range(9)}) as (catalog, fake):
        pages = catalog.tables([f"d{number}" for number in range(9)])
        next(pages)
        pages.close()
        asked = len(fake.calls)

        assert asked <= 6
        assert len(fake.calls) == asked
    give_up = time.monotonic() + 20
    while threading.active_count() > before:  # the fake's own may take a moment
        assert time.monotonic() < give_up, threading.enumerate()
        time.sleep(0.005)


def test_a_catalog_of_another_account() -> None:
    """The account is named in every call."""
    with reading({"d": 1}) as (_, fake):
        client = boto3.client(
            "glue", endpoint_url=fake.url, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
        )
        catalog = GlueCatalog(client, catalog_id=ACCOUNT, attempts=1)
        list(catalog.databases())
        names(catalog, "d")
        catalog.close()

        assert [asked.get("CatalogId") for _, asked in fake.calls] == [ACCOUNT, ACCOUNT]


def test_the_partition_is_the_regions() -> None:
    """China's ARNs start otherwise."""
    client = boto3.client("glue", region_name="cn-north-1", aws_access_key_id="a", aws_secret_access_key="b")
    catalog = GlueCatalog(client, catalog_id=None, attempts=1)

    assert [catalog.partition(region) for region in ("cn-north-1", None, "")] == ["aws-cn", "aws", "aws"]
    catalog.close()
