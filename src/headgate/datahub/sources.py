"""This file is where DataHub is asked which ingestion sources it runs by a schedule of its own."""

from __future__ import annotations

from typing import Any, Final

from headgate.datahub.answers import record, sequence
from headgate.datahub.client import GmsClient
from headgate.recipes.twice import Scheduled

_PAGE: Final = 200
_MOST: Final = 5_000  #: sources that are looked through


def scheduled_sources(client: GmsClient) -> list[Scheduled]:
    """Those with a schedule, in DataHub's order.

    Raises:
        Unavailable: it cannot be asked, or does not let us (it takes MANAGE_INGESTION).
    """
    found: list[Scheduled] = []
    for start in range(0, _MOST, _PAGE):
        answer = client.ask("ingestion_sources", {"start": start, "count": _PAGE})
        page = [record(one) for one in sequence(record(answer.get("listIngestionSources")).get("ingestionSources"))]
        found += [_scheduled(one) for one in page if record(one.get("schedule")).get("interval")]
        if len(page) < _PAGE:
            break
    return found


def _scheduled(one: Any) -> Scheduled:
    schedule = record(one.get("schedule"))
    return Scheduled(
        urn=str(one.get("urn") or ""),
        name=str(one.get("name") or one.get("urn") or ""),
        schedule=str(schedule["interval"]),
        timezone=str(schedule.get("timezone") or "UTC"),
        recipe=str(record(one.get("config")).get("recipe") or ""),
    )
