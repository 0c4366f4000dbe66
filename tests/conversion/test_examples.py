"""This file is where the converter is held against worked examples, and against real events of other projects."""

from __future__ import annotations

import json
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from headgate.errors import MalformedEvent, UnconvertibleEvent
from headgate.openlineage import LIBRARY, convert, rest_defaults

DATA = Path(__file__).parent / "data"
EXAMPLES = sorted((DATA / "examples").glob("*.event.json"))
EVENTS = sorted((DATA / "events").glob("*.json"))
NOW = 1_790_000_000_000


def comparable(proposals: Any) -> Any:
    """The examples' form: the wall clock by its name, logical plans as JSON, custom properties of patches sorted."""
    made = json.loads(json.dumps(proposals).replace(str(NOW), '"<WALL_CLOCK>"'))
    for one in made:
        properties = one["aspect"].get("customProperties", {}) if isinstance(one["aspect"], dict) else {}
        if "spark.logicalPlan" in properties:
            properties["spark.logicalPlan"] = json.loads(properties["spark.logicalPlan"])
        if one["aspectName"] == "datasetProperties":
            one["aspect"].sort(key=itemgetter("path"))
    return made


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name.partition(".")[0])
def test_the_examples_are_met(path: Path) -> None:
    """Every worked example gives exactly what is written beside it, proposal by proposal."""
    expected = json.loads(path.with_name(path.name.replace(".event.", ".expected.")).read_bytes())

    assert comparable(convert(path.read_bytes(), LIBRARY, now=NOW)) == comparable(expected)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name.partition(".")[0])
def test_an_event_may_be_given_as_a_mapping(path: Path) -> None:
    """What JSON text gives converts as the text does."""
    data = path.read_bytes()

    assert convert(json.loads(data), LIBRARY, now=NOW) == convert(data, LIBRARY, now=NOW)


def each_event() -> list[Any]:
    found: list[Any] = []
    for path in EVENTS:
        loaded = json.loads(path.read_bytes())
        events = loaded if isinstance(loaded, list) else [loaded]
        found += [pytest.param(event, id=f"{path.stem[-40:]}-{index}") for index, event in enumerate(events)]
    return found


@pytest.mark.parametrize("event", each_event())
@pytest.mark.parametrize("options", [LIBRARY, rest_defaults(), rest_defaults(released=True)], ids=["T", "REST", "R"])
def test_real_events_convert_or_are_refused(event: Any, options: Any) -> None:
    """Events of other projects' tests, some of them partial on purpose, convert or are refused with a reason."""
    refusal, proposals = "", list[Any]()
    try:
        proposals = convert(event, options, now=int(time.time() * 1000))
    except (MalformedEvent, UnconvertibleEvent) as refused:
        refusal = str(refused)

    assert bool(refusal) != bool(proposals)
    assert json.loads(json.dumps(proposals)) == proposals
