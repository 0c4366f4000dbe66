"""This file is where DataHub's execution requests become runs of others, whatever DataHub says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from headgate.flow.external import ingestion_of, milliseconds
from headgate.model import RunState
from headgate.ports import Ingestion

GIVEN: dict[str, Any] = {
    "task": "CLI Ingestion", "executor": "__datahub_cli_", "source": "urn:li:dataHubIngestionSource:cli-1",
    "actor": "urn:li:corpuser:cron", "requested_ms": 1_000, "status": "SUCCESS", "start_ms": 2_000, "duration_ms": 500,
}  # fmt: skip
URN = "urn:li:dataHubExecutionRequest:abc"


def of(**others: Any) -> Ingestion:
    given: dict[str, Any] = {**GIVEN, **others}
    return ingestion_of(URN, **given)


@pytest.mark.parametrize(
    ("status", "state", "detail"),
    [
        ("", RunState.WAITING, "nobody has taken it yet"),
        ("RUNNING", RunState.RUNNING, ""),
        ("SUCCESS", RunState.SUCCEEDED, ""),
        ("FAILURE", RunState.FAILED, ""),
        ("ABORTED", RunState.FAILED, "lost"),
        ("CANCELLED", RunState.STOPPED, ""),
        ("DUPLICATE", RunState.STOPPED, "another instance has it"),
        ("TIMEOUT", RunState.TIMEOUT, ""),
        ("ROLLED_BACK", RunState.ERROR, "ROLLED_BACK"),
    ],
)
def test_every_status_is_one_of_our_states(status: str, state: RunState, detail: str) -> None:
    """What we have no word for is shown with DataHub's."""
    found = of(status=status)
    assert (found.state, found.detail) == (state, detail)
    assert (found.ended_at is None) == (status in ("", "RUNNING"))


def test_times_and_names_are_what_datahub_says() -> None:
    """Named by its source; without one by its task, then by its id."""
    found = of()
    assert (found.name, found.executor, found.actor) == ("cli-1", "__datahub_cli_", "urn:li:corpuser:cron")
    assert found.ended_at == datetime.fromtimestamp(2.5, UTC)
    assert of(source="").name == "CLI Ingestion"
    assert of(source="", task="").name == "abc"


@pytest.mark.parametrize("value", [None, "1", 1.5, True, -1, 10**15, {}])
def test_what_is_no_time_is_none(value: object) -> None:
    """DataHub may say anything."""
    assert milliseconds(value) is None
    assert of(start_ms=None).ended_at is None
