"""This file is where recipes are looked through: plain secrets, unknown keys and fields, missing plugins."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from headgate.recipes import lint, text
from headgate.recipes.findings import Severity

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/", "DATAHUB_TELEMETRY_ENABLED": "false"}
WRITTEN = """\
source:
  type: glue
  config:
    aws_region: us-east-1
    aws_secret_access_key: plain-as-day
    password: ${DB_PASSWORD}
sinks: {}
"""


def test_what_counts_twice_or_not_at_all_is_told() -> None:
    """A key that stands there twice, and a `${` without its end, are no errors, and hardly meant."""
    written = "source:\n  type: file\n  type: csv\n  config: {path: 'x${HOME', q: '$${x'}\nsink: {type: console}\n"
    found = lint.lint(text.parse_recipe(written, "r.yml"), written, "r.yml")
    assert [(one.severity, one.line) for one in found] == [(Severity.WARNING, 4), (Severity.WARNING, 3)]
    assert "the last one counts" in found[1].message


def test_findings_have_their_place() -> None:
    """A key nobody knows and a secret in plain text are found where they stand; the value is not repeated."""
    found = {one.at: one for one in lint.lint(text.parse_recipe(WRITTEN, "r.yml"), WRITTEN, "r.yml")}
    secret = found["source.config.aws_secret_access_key"]

    assert (secret.severity, secret.line, secret.column) == (Severity.ERROR, 5, 5)
    assert "plain-as-day" not in "".join(one.message for one in found.values())
    assert "headgate secrets set AWS_SECRET_ACCESS_KEY" in secret.message
    assert (found["sinks"].line, "did you mean 'sink'" in found["sinks"].message) == (7, True)
    assert found[""].severity is Severity.NOTE
    assert "source.config.password" not in found


@pytest.mark.parametrize(
    ("key", "value", "secret"),
    [
        ("password", "hunter2", True),
        ("token", "eyJ", True),
        ("client_secret", "x", True),
        ("api_key", "x", True),
        ("private_key", "x", True),
        ("__DATAHUB_TO_FILE_private_key", "x", True),
        ("passphrase", "x", True),
        ("connect_uri", "postgresql://me:hunter2@host/db", True),
        ("options", "AKIAIOSFODNN7EXAMPLE", True),
        ("text", "-----BEGIN RSA PRIVATE KEY-----\nx", True),
        ("password", "${PASSWORD}", False),
        ("password", "", False),
        ("private_key_path", "/run/key.pem", False),
        ("token_url", "https://host/token", False),
        ("secret_name", "my-secret", False),
        ("connect_uri", "postgresql://me@host/db", False),
        ("connect_uri", "postgresql://me:${PASSWORD}@host/db", False),
        ("table_pattern", "tokens", False),
    ],
)
def test_what_a_plain_secret_is(key: str, value: str, secret: bool) -> None:
    """By the key's name or the value's looks; what names a secret, or is put in later, is none."""
    document = {"source": {"type": "x", "config": {key: value}}, "sink": {"type": "console"}}
    found = [one.at for one in lint.lint(document, json.dumps(document), "r.json")]

    assert found == ([f"source.config.{key}"] if secret else [])


def test_datahub_says_what_it_does_not_know() -> None:
    """Fields, plugins and types that DataHub's SDK refuses are found without a run; what nobody knows is not judged."""
    recipe: dict[str, Any] = {
        "source": {
            "type": "glue",
            "config": {"aws_region": "${REGION}", "extract_transforms": "${MAYBE}", "tabel_pattern": {}, "env": 5},
        },
        "sink": {"type": "filee", "config": {}},
        "transformers": [{"type": "no-such", "config": {}}, 3],
    }
    found = {one.at: one.message for one in lint.inspect(recipe, {"REGION": "us-east-1"}, environ=ENVIRON)}

    assert found["source.config.tabel_pattern"] == "nobody knows this field"
    assert "did you mean 'file'" in found["sink.type"]
    assert "no transformer of type 'no-such'" in found["transformers.0.type"]
    assert "transformers.1" in found
    assert "source.config.extract_transforms" not in found
    assert "source.config.aws_region" not in found


def test_a_field_that_would_be_ignored_is_told() -> None:
    """Where DataHub would go on without a word, the field is a warning."""
    recipe = {"source": {"type": "file", "config": {"path": "x", "pathx": 1}}, "sink": {"type": "console"}}
    [found] = lint.inspect(recipe, {}, environ=ENVIRON)

    assert (found.at, found.severity) == ("source.config.pathx", Severity.WARNING)
    assert "did you mean 'path'" in found.message


def test_values_stay_out_of_findings() -> None:
    """What a validator says of a value is told without the value."""
    recipe = {"source": {"type": "glue", "config": {"aws_region": "us-east-1", "extract_owners": "${X}"}}}
    found = lint.inspect(recipe, {"X": "hunter2-hunter2"}, environ=ENVIRON)

    assert [one.at for one in found] == ["source.config.extract_owners"]
    assert "hunter2" not in str(found)
