"""This file is where Glue's API is sent what its own model allows, and what it forbids, for every operation."""

from __future__ import annotations

import pytest
from glue_fuzzing import SERVED, Maker, send_made_up
from served import World


@pytest.mark.parametrize("operation", SERVED)
def test_whatever_is_sent_is_answered_in_the_protocol(world: World, operation: str) -> None:
    """No 500, no page, no hang; every error is one of the operation's or the protocol's; a refusal does nothing."""
    make = Maker(len(operation) * 1000 + sum(map(ord, operation)))
    seen = send_made_up(world, operation, make, 20)

    assert seen[200]
    assert seen[400]
