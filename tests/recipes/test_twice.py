"""This file is where two recipes are compared: whether they would ingest the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.recipes.twice import aim_of, aim_of_text, same
from headgate.recipes.values import Environment

OURS = {
    "source": {"type": "glue", "config": {"aws_region": "${REGION}", "aws_role": "${ROLE}"}},
    "sink": {"type": "datahub-rest", "config": {"server": "${GMS_URL}"}},
}
VALUES = Environment({"REGION": "eu-west-1"})


def theirs(kind: str = "glue", **config: Any) -> str:
    return json.dumps({"source": {"type": kind, "config": config}})


@pytest.mark.parametrize(
    ("recipe", "verdict"),
    [
        (theirs(aws_region="eu-west-1"), True),
        (theirs(aws_region="EU-WEST-1", env="prod", platform="glue"), True),
        (theirs("headgate-glue", aws_region="eu-west-1"), True),
        (theirs(aws_region="eu-west-1", database_pattern={"allow": [".*"]}, platform_instance=None), True),
        (theirs(aws_region="eu-west-1", aws_role="arn:other", extract_transforms=False), True),
        (theirs(aws_region="us-east-1"), False),
        (theirs(), False),
        (theirs("athena", aws_region="eu-west-1"), False),
        (theirs(aws_region="eu-west-1", env="DEV"), False),
        (theirs(aws_region="eu-west-1", platform_instance="x"), False),
        (theirs(aws_region="eu-west-1", catalog_id="210987654321"), False),
        (theirs(aws_region="eu-west-1", database_pattern={"allow": ["sales"]}), False),
        (theirs(aws_region="eu-west-1", table_pattern={"deny": ["tmp.*"]}), False),
        (theirs(aws_region="${SOME_REGION}"), None),
        (theirs(aws_region="${SOME_REGION}", env="DEV"), False),
    ],
)
def test_the_same_is_told_from_the_near(recipe: str, verdict: bool | None) -> None:
    """By type and place with the defaults put in; a variable nobody has a value for leaves it open."""
    mine, other = aim_of(OURS, VALUES), aim_of_text(recipe)

    assert mine is not None
    assert other is not None
    assert (same(mine, other), same(other, mine)) == (verdict, verdict)


def test_the_order_of_patterns_is_no_difference() -> None:
    """Lists of what is allowed mean the same in any order."""
    one = aim_of_text(theirs(database_pattern={"allow": ["a", "b"], "deny": ["c"]}))
    other = aim_of_text(theirs(database_pattern={"deny": ["c"], "allow": ["b", "a"], "ignoreCase": True}))

    assert one == other
    assert one is not None


def test_other_databases_are_told_by_their_hosts() -> None:
    """The same of any source: where it connects to."""
    one, other = (aim_of_text(theirs("postgres", host_port=host)) for host in ("DB:5432", "db:5432"))
    third = aim_of_text(theirs("postgres", host_port="db:5433"))

    assert one is not None
    assert other is not None
    assert third is not None
    assert (same(one, other), same(one, third)) == (True, False)


def test_what_does_not_go_to_datahub_is_nobodys_double() -> None:
    """A recipe into a file, and what is no recipe at all."""
    assert aim_of({**OURS, "sink": {"type": "file", "config": {}}}) is None
    assert [aim_of_text(one) for one in ("", "[1]", "{", '{"source": {}}')] == [None] * 4


def test_a_variable_without_a_value_is_left_as_it_is() -> None:
    """Nothing fails for it: a run that needs it will say so."""
    mine = aim_of(OURS, Environment({}))

    assert mine is not None
    assert mine.places["aws_region"] == "${region}"
