"""This file is where DataHub is asked who wrote its datasets last: a sample, newest first, in few calls.

DataHub keeps the runs it has seen by their ids, newest first (rest.li `/runs`, as `datahub ingest list-runs` asks for
them), and beside every aspect who wrote it. Writes without a run id are found by the newest datasets of the search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from headgate.datahub.answers import record, sequence, texts
from headgate.errors import Invalid, NotFound, Unavailable
from headgate.flow.external import INGESTED, newest, write_of
from headgate.model import Json
from headgate.ports import LastWrite

RUNS: Final = 12  #: of the newest, that are looked into; one call each
PATIENCE: Final = 20.0  #: seconds for that
_ROWS: Final = 50  #: of what a run wrote
_PORTION: Final = 50  #: datasets read in one call
_NO_RUN: Final = "no-run-id-provided"
_DATASET: Final = "urn:li:dataset:"
_ENTITY: Final = "/openapi/v3/entity/dataset"


class Ask(Protocol):
    """Asks GMS something that changes nothing. Raises Unavailable; Invalid and NotFound where it takes no such call."""

    def __call__(self, method: str, path: str, body: Json = None) -> Json: ...


def last_writes(ask: Ask, *, most: int, clock: Callable[[], float] = time.monotonic) -> list[LastWrite]:
    """See ports.DataHub. At most 2 + RUNS + most / 50 calls; runs are looked into for PATIENCE seconds."""
    found = [*_of(_page(ask, most))]
    until = clock() + PATIENCE
    lately: dict[str, None] = {}
    for run in _runs(ask):
        if clock() > until:
            break  # the newest are the first
        lately |= dict.fromkeys(_written(ask, run))
    known = {one.dataset for one in found if one is not None}
    missing = [urn for urn in lately if urn not in known][:most]
    for start in range(0, len(missing), _PORTION):
        found += _of(_those(ask, missing[start : start + _PORTION]))
    return newest(found, most)


def _runs(ask: Ask) -> list[str]:
    """Ids of the newest runs DataHub has seen; none where it does not list them."""
    try:
        answer = ask("POST", "/runs?action=list", {"pageOffset": 0, "pageSize": RUNS + 1, "includeSoft": False})
    except (NotFound, Invalid, Unavailable):  # what the search knows is enough
        return []
    ids = texts([record(one).get("runId") for one in sequence(record(answer).get("value"))])
    return [one for one in ids if one != _NO_RUN][:RUNS]


def _written(ask: Ask, run: str) -> list[str]:
    """URNs of datasets the run wrote, as far as the first rows tell."""
    asked = {"runId": run, "start": 0, "count": _ROWS, "includeSoft": False, "includeAspect": False}
    try:
        answer = ask("POST", "/runs?action=describe", asked)
    except (NotFound, Invalid, Unavailable):
        return []
    urns = texts([record(one).get("urn") for one in sequence(record(answer).get("value"))])
    return [one for one in urns if one.startswith(_DATASET)]


def _page(ask: Ask, most: int) -> Sequence[Any]:
    """The datasets that changed last, as far as the search index knows when."""
    asked: list[tuple[str, str | int]] = [
        ("query", "*"), ("count", most), ("sortCriteria", "lastModifiedAt"), ("sortOrder", "DESCENDING"),
        ("systemMetadata", "true"), *(("aspects", name) for name in INGESTED),
    ]  # fmt: skip
    return sequence(record(ask("GET", f"{_ENTITY}?{urlencode(asked)}")).get("entities"))


def _those(ask: Ask, urns: Sequence[str]) -> Sequence[Any]:
    body = [{"urn": one, **{name: dict[str, str]() for name in INGESTED}} for one in urns]
    return sequence(ask("POST", f"{_ENTITY}/batchGet?systemMetadata=true", body))


def _of(entities: Sequence[Any]) -> Iterator[LastWrite | None]:
    for one in map(record, entities):
        urn = one.get("urn")
        if isinstance(urn, str):
            for name in INGESTED:
                system = record(record(one.get(name)).get("systemMetadata"))
                yield write_of(urn, name, system)
