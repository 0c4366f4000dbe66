"""This file is where the REST API is sent what its own document allows, and what it forbids, for every operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import hypothesis
import pytest
from fuzzing import MODES, SLOW, Target, attack, target

#: The same calls each time. `make fuzz` sends others, for as long as one likes.
EXAMPLES: Final = {"fitting": 6, "unfit": 2}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("fuzzed")) as made:
        yield made


def test_every_door_is_in_the_document(served: Target) -> None:
    """The REST API, the button's calls, the events and OpenLineage are described, and so are sent to."""
    paths = {label.partition(" ")[2] for label in served.operations}
    for place in ("/headgate/api/v1/runs", "/api/ingestion/run", "/api/ingestion/events",
                  "/openapi/openlineage/api/v1/lineage", "/openapi/openlineage/api/v1/lineage/batch"):  # fmt: skip
        assert place in paths
    assert len(served.operations) > 45


@pytest.mark.parametrize("mode", MODES)
def test_whatever_is_sent_is_answered_as_documented(served: Target, mode: str) -> None:
    """No 500, no page, no hang; status and type are the document's; what is refused has started nothing.

    Every operation (but one, see `fuzzing.NEVER`) is seen to be done at least once.
    """
    settings = hypothesis.settings(
        max_examples=EXAMPLES[mode], derandomize=True, database=None, deadline=None,
        phases=[hypothesis.Phase.generate], suppress_health_check=SLOW,
    )  # fmt: skip
    seen: dict[int, int] = {}
    for operation in served.operations.values():
        for status, count in attack(served, operation, mode, settings).items():
            seen[status] = seen.get(status, 0) + count

    # neither all refused nor all taken
    assert seen[400] > 20
    assert mode == "unfit" or seen[200] > 60
