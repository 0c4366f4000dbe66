"""This file is where it is tested what a recipe's process is handed, openly and quietly, and what is masked of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from headgate.engines.recipe.target import Target, read_target
from headgate.engines.recipe.variables import Handed, Server, handed
from headgate.errors import Invalid, MissingSecrets
from headgate.recipes.values import Environment, plain_names, values_of

from .orders import order

ENVIRON = {
    "AWS_PROFILE": "work",
    "AWS_ENDPOINT_URL_GLUE": "http://glue",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
    "PROXY": "http://proxy",
    "OTHER": "x",
}
FILE: Mapping[str, Any] = {"source": {"type": "file", "config": {}}, "sink": {"type": "console"}}


def given(
    document: Mapping[str, Any], target: Target | None = None, server: Server | None = None, **values: str
) -> Handed:
    there = server or Server()
    return handed(dict(document), target or Target(), values, environ=ENVIRON, server=lambda: there)


def test_a_process_gets_what_its_job_names_and_no_more() -> None:
    """Nothing of the environment without a name; what is named, openly."""
    assert given(FILE).environ == {"DATAHUB_TELEMETRY_ENABLED": "false"}
    assert given(FILE, Target(env=("PROXY", "GONE"))).environ["PROXY"] == "http://proxy"


def test_a_recipe_for_aws_gets_where_openly_and_who_quietly() -> None:
    """AWS's variables go to recipes for AWS alone; keys among them only in memory."""
    found = given({**FILE, "source": {"type": "glue", "config": {}}})

    assert (found.environ["AWS_PROFILE"], found.environ["AWS_ENDPOINT_URL_GLUE"]) == ("work", "http://glue")
    assert "AWS_SECRET_ACCESS_KEY" not in found.environ
    assert (found.quiet, found.values) == (("AWS_SECRET_ACCESS_KEY",), {"AWS_SECRET_ACCESS_KEY": "aws-secret"})
    assert "aws-secret" not in repr(found)


def test_a_recipe_without_a_sink_is_told_which_datahub() -> None:
    """The configured DataHub, its token or its system client in memory only; with a sink nothing of it."""
    bare = {"source": FILE["source"]}
    token = given(bare, server=Server(url="http://gms", token="t0ken"))
    client = given(bare, server=Server(url="http://gms", client_id="id", client_secret="s3cret"))

    assert (token.environ["DATAHUB_GMS_URL"], token.values) == ("http://gms", {"DATAHUB_GMS_TOKEN": "t0ken"})
    assert client.environ["DATAHUB_SYSTEM_CLIENT_ID"] == "id"
    assert client.values == {"DATAHUB_SYSTEM_CLIENT_SECRET": "s3cret"}
    assert given(FILE, server=Server(url="http://gms", token="t0ken")).values == {}


def test_variables_that_a_run_brings() -> None:
    """They are quiet, a recipe's own value of the name wins, and only those named like secrets are masked."""
    brought = Target(variables={"LEVEL": "DEBUG", "API_KEY": "k", "SAME": "brought"})
    found = given(FILE, brought, SAME="resolved")

    assert found.values == {"LEVEL": "DEBUG", "API_KEY": "k", "SAME": "resolved"}
    assert (found.quiet, found.brought) == ((), ("LEVEL", "API_KEY", "SAME"))
    assert list(found.plain) == ["LEVEL"]


def test_who_says_what_a_variable_is() -> None:
    """A job's `env` before our own login at DataHub, that before what a run brings, and that before our AWS keys."""
    bare = {"source": {"type": "glue", "config": {}}}
    server = Server(url="http://gms", token="t0ken")
    brought = {"DATAHUB_GMS_TOKEN": "another", "AWS_SECRET_ACCESS_KEY": "brought", "OTHER": "brought"}
    found = given(bare, Target(variables=brought, env=("OTHER",)), server=server)

    assert (found.quiet, found.brought) == (("DATAHUB_GMS_TOKEN",), ("AWS_SECRET_ACCESS_KEY",))
    assert found.values == {"DATAHUB_GMS_TOKEN": "t0ken", "AWS_SECRET_ACCESS_KEY": "brought"}
    assert found.environ["OTHER"] == "x"


def test_which_values_need_no_mask() -> None:
    """Words, and what is used alone where nothing is secret; what is used once elsewhere is masked."""
    config = {
        "aws_region": "${REGION}", "password": "${PASSWORD}", "extract_owners": "${MAYBE}", "server": "${URL:-x}",
        "host": "${BOTH}", "token": "${BOTH}", "url": "http://me:${IN_TEXT}@host", "schema": "${SCHEMA}",
    }  # fmt: skip
    document = {"source": {"type": "x", "config": config}}
    names = ["REGION", "PASSWORD", "URL", "BOTH", "IN_TEXT", "SCHEMA"]
    values = {**dict.fromkeys(names, "something"), "MAYBE": "true"}

    assert sorted(plain_names(document, values, names)) == ["MAYBE", "REGION", "SCHEMA", "URL"]
    assert sorted(plain_names(document, {**values, "URL": "http://me:secret@host"}, names)) == [
        "MAYBE",
        "REGION",
        "SCHEMA",
    ]
    # what was kept as a secret is one, wherever it is used
    assert plain_names(document, values, ()) == ["MAYBE"]


def test_values_with_a_default_may_be_missing() -> None:
    """Who has a default is asked for and may be missing; of the others the missing ones are named."""
    document = {"source": {"type": "${OTHER}", "config": ["${GONE:-x}"]}}

    assert values_of(document, Environment(ENVIRON), foreign=False) == {"OTHER": "x"}
    with pytest.raises(MissingSecrets) as caught:
        values_of({"a": "${OTHER} ${NONE} ${GONE:-x}"}, Environment(ENVIRON), foreign=False)
    assert caught.value.names == ("NONE",)


def test_a_foreign_recipe_does_not_read_our_environment() -> None:
    """What DataHub's users ask for is no way to the variables of this server."""
    asked = order({}, arguments={"--recipe_json": '{"source": {"type": "${OTHER}"}}', "--executor_id": "default"})
    target = read_target(asked, project=None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- not looked at

    assert target.foreign
    with pytest.raises(MissingSecrets):
        values_of(target.document(), Environment(ENVIRON), foreign=target.foreign)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("--extra_pip_requirements", "{}"),
        ("--extra_pip_requirements", "[1]"),
        ("--extra_pip_plugins", "no json"),
        ("--extra_env_vars", "[]"),
        ("--recipe_json", ""),
    ],
)
def test_arguments_that_are_none_are_refused(name: str, value: str) -> None:
    """What a run brings and cannot be read is refused by its name."""
    arguments = {"--recipe_json": "{}", name: value}
    with pytest.raises(Invalid, match=name):
        read_target(order({}, arguments=arguments), project=None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- not looked at
