"""This file is where a recipe is narrowed to some tables, and roles get the run's name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Invalid
from headgate.recipes.awsing import with_session
from headgate.recipes.targeted import check, missing, narrowed, read_tables

ARN = "arn:aws:iam::123456789012:role/reads-glue"


def glue(**config: Any) -> dict[str, Any]:
    return {"source": {"type": "glue", "config": config}, "sink": {"type": "datahub-rest"}}


def allows(pattern: dict[str, Any], name: str) -> bool:
    """As DataHub reads a pattern: what is denied is out, then what is allowed is in."""
    flags = re.IGNORECASE if pattern["ignoreCase"] else 0
    if any(re.match(one, name, flags) for one in pattern["deny"]):
        return False
    return any(re.match(one, name, flags) for one in pattern["allow"])


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ('["a.b", "c.d", "a.b"]', ("a.b", "c.d")),
        ("a.b, c.d", ("a.b", "c.d")),
        ('["a.b.c"]', ("a.b.c",)),
    ],
)
def test_tables_are_read(given: str, names: tuple[str, ...]) -> None:
    """A JSON list, or names with commas between, each once."""
    assert read_tables(given) == names


@pytest.mark.parametrize("given", ["[", "[]", "[1]", "orders", "a.", ".b", "a.b,", '["a.b", null]'])
def test_what_names_no_table_is_refused(given: str) -> None:
    """A name without a database would match in any of them, or in none."""
    with pytest.raises(Invalid, match="--tables"):
        read_tables(given)


def test_only_the_tables_asked_for_are_left() -> None:
    """Names are taken as they are, not as expressions, and to their end."""
    config = narrowed(glue(aws_region="eu-west-1"), ["sales.orders", "sales.o.x"])["source"]["config"]
    tables, databases = config["table_pattern"], config["database_pattern"]

    assert config["aws_region"] == "eu-west-1"
    assert [allows(tables, one) for one in ("sales.orders", "sales.o.x", "Sales.Orders")] == [True, True, True]
    assert not any(allows(tables, one) for one in ("sales.orders2", "xsales.orders", "salesxorders", "sales.oyx"))
    assert (allows(databases, "sales"), allows(databases, "sales2")) == (True, False)


def test_nothing_is_taken_as_deleted() -> None:
    """Stateful ingestion is off whatever the recipe says, and so are jobs; the recipe itself stays as it is."""
    recipe = glue(stateful_ingestion={"enabled": True, "remove_stale_metadata": True}, extract_transforms=True)
    config = narrowed(recipe, ["a.b"])["source"]["config"]

    assert config["stateful_ingestion"] == {"enabled": False}
    assert config["extract_transforms"] is False
    assert recipe["source"]["config"]["stateful_ingestion"]["enabled"] is True


def test_the_recipes_own_patterns_go_on_counting() -> None:
    """A table that the recipe leaves out, or does not let in, is left out of its targeted runs, too."""
    own = {"table_pattern": {"allow": ["sales[.]o.*"], "deny": [".*_old"]}, "database_pattern": {"deny": ["hr"]}}
    config = narrowed(glue(**own), ["sales.orders", "sales.orders_old", "sales.items", "hr.o"])["source"]["config"]
    tables, databases = config["table_pattern"], config["database_pattern"]

    assert [allows(tables, one) for one in ("sales.orders", "sales.orders_old", "sales.items")] == [True, False, False]
    assert (allows(databases, "sales"), allows(databases, "hr")) == (True, False)


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)).map(".".join), min_size=1, max_size=4), st.text())
def test_any_name_matches_itself_and_nothing_else(names: list[str], other: str) -> None:
    """Whatever characters a name has."""
    pattern = narrowed(glue(table_pattern={"ignoreCase": False}), names)["source"]["config"]["table_pattern"]

    assert all(allows(pattern, one) for one in names if "\n" not in one)
    assert allows(pattern, other) == (other in names) or "\n" in other + "".join(names)


@pytest.mark.parametrize("kind", ["file", "s3", "snowflake"])
def test_a_source_without_such_tables_is_refused(kind: str) -> None:
    """A run that was to ingest two tables must not ingest everything."""
    with pytest.raises(Invalid, match="glue or headgate-glue"):
        check({"source": {"type": kind}})


def test_a_pattern_that_is_none_is_refused() -> None:
    """The recipe's own mistake is told as such."""
    with pytest.raises(Invalid, match="no regular expression"):
        narrowed(glue(table_pattern={"allow": ["("]}), ["a.b"])


@pytest.mark.parametrize(
    ("role", "named"),
    [
        (ARN, [{"RoleArn": ARN, "RoleSessionName": "run"}]),
        ([ARN, {"RoleArn": ARN, "ExternalId": "x"}],
         [{"RoleArn": ARN, "RoleSessionName": "run"}, {"RoleArn": ARN, "ExternalId": "x", "RoleSessionName": "run"}]),
        ([{"RoleArn": ARN, "RoleSessionName": "own"}], [{"RoleArn": ARN, "RoleSessionName": "own"}]),
        ("", ""),
        (None, None),
    ],
)  # fmt: skip
def test_roles_are_assumed_under_the_runs_name(role: Any, named: Any) -> None:
    """In each form DataHub takes, at any depth; a recipe's own name stays, and no role stays none."""
    found = with_session(glue(aws_role=role, aws_connection={"aws_role": role}), "run")["source"]["config"]

    assert found == {"aws_role": named, "aws_connection": {"aws_role": named}}


def test_a_recipe_without_settings_has_no_role() -> None:
    """Such a recipe stays as it is."""
    assert with_session({"source": {"type": "demo-data"}}, "run") == {"source": {"type": "demo-data"}}


def test_tables_that_were_not_found_are_counted() -> None:
    """By what the source counted; another version's report says nothing."""
    report = {"source": {"report": {"aspects": {"dataset": {"container": 1, "status": 1}, "container": {"status": 1}}}}}

    assert missing(report, ["a.b", "a.c", "a.d"]) == 2
    assert missing(report, ["a.b"]) == 0
    assert missing({"source": {"report": {"aspects": {}}}}, ["a.b"]) == 1
    assert missing({"source": {"report": {}}}, ["a.b"]) == 0
