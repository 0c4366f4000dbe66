"""This file is where it is seen that an executor may do what it is there for, before it begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.execution_requests import RequestGms
from fakes.gms import CLIENT_ID, CLIENT_SECRET, TOKEN

from headgate.datahub import connect
from headgate.errors import Forbidden
from headgate.executor.pipeline_file import datahub_as
from headgate.executor.sources import check_rights
from headgate.settings import load
from headgate.settings.record import DataHub

from .world import file


@pytest.fixture(scope="module")
def gms() -> Iterator[RequestGms]:
    with RequestGms() as found:
        found.add_user("poor-token", "urn:li:corpuser:poor", privileges=["MANAGE_INGESTION"])
        found.add_user("poorer-token", "urn:li:corpuser:poorer")
        yield found


def check(folder: Path, datahub: DataHub, *, wanted: bool = True) -> None:
    (folder / "headgate.yaml").touch()
    settings = replace(load(folder, {}), datahub=datahub)
    client = connect(datahub)
    try:
        check_rights(replace(file(), check_privileges=wanted), settings, client)
    finally:
        client.close()


def test_a_token_without_the_right_is_refused(tmp_path: Path, gms: RequestGms) -> None:
    """Whose it is, which privileges are missing, where they are granted; the token itself is not shown."""
    with pytest.raises(Forbidden) as one:
        check(tmp_path, datahub_as(gms.url, "poor-token", {}))
    with pytest.raises(Forbidden) as both:
        check(tmp_path, datahub_as(gms.url, "poorer-token", {}))
    assert "urn:li:corpuser:poor's, who lacks the platform privilege `Manage Secrets`; grant it" in str(one.value)
    assert "privileges `Manage Metadata Ingestion` and `Manage Secrets`" in str(both.value)
    assert "poor-token" not in str(one.value)


def test_a_token_that_is_not_taken_is_said_so(tmp_path: Path, gms: RequestGms) -> None:
    """Expired, or of another DataHub."""
    with pytest.raises(Forbidden, match="does not take the executor's token"):
        check(tmp_path, datahub_as(gms.url, "unknown-token", {}))


def test_who_may_is_let(tmp_path: Path, gms: RequestGms) -> None:
    """An administrator's token, the system client, and whoever says that no secrets are needed."""
    check(tmp_path, datahub_as(gms.url, TOKEN, {}))
    check(tmp_path, datahub_as(gms.url, "", {"Authorization": f"Basic {CLIENT_ID}:{CLIENT_SECRET}"}))
    check(tmp_path, datahub_as(gms.url, "poor-token", {}), wanted=False)


def test_a_datahub_that_is_away_or_asks_nobody_hinders_nothing(tmp_path: Path) -> None:
    """It is told later what is to be told; and where nobody is verified there is nothing to check."""
    check(tmp_path, datahub_as("http://127.0.0.1:9", "token", {}))
    with RequestGms(auth=False) as open_to_all:
        check(tmp_path, datahub_as(open_to_all.url, "token", {}))
