"""This file is where pipeline files of DataHub Actions are read: the seed's, DataHub's own, and wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from headgate.errors import InvalidConfiguration
from headgate.executor.pipeline_file import (
    MCL,
    OPTIONS,
    PipelineFile,
    options_reference,
    read_options,
    read_pipeline_file,
)
from headgate.executor.sources import with_datahub
from headgate.settings import load

SEED = """\
name: "pipeline-name"
source:
  # source configs
action:
  type: "executor"
# Requires DataHub API configurations to report to DataHub
datahub:
  server: "http://${DATAHUB_GMS_HOST:-localhost}:${DATAHUB_GMS_PORT:-8080}"
  # token: <token> # Must have "Manage Secrets" privilege
"""

#: As DataHub's container has it, filters, options and all.
CONTAINER = """\
name: ${EXECUTOR_GROUP:-ingestion_executor}
enabled: true
source:
  type: "kafka"
  config:
    connection:
      bootstrap: ${KAFKA_BOOTSTRAP_SERVER:-localhost:9092}
      schema_registry_url: ${SCHEMA_REGISTRY_URL:-http://localhost:8081}
      schema_registry_config: {basic.auth.user.info: "me:hush-hush"}
      consumer_config: {max.poll.interval.ms: 60000, security.protocol: PLAINTEXT}
    topic_routes:
      mcl: ${MCL_TOPIC:-MetadataChangeLog_Versioned_v1}
      pe: PlatformEvent_v1
filter:
  event_type: "MetadataChangeLogEvent_v1"
  event: {entityType: "dataHubExecutionRequest", changeType: "UPSERT"}
action:
  type: "executor"
  config: {executor_id: "${EXECUTOR_ID:-default}"}
datahub:
  server: "http://gms:8080"
  extra_headers: {Authorization: "Basic ${ID:-__datahub_system}:${WORD:-JohnSnowKnowsNothing}"}
options: {retry_count: 0, failure_mode: CONTINUE}
"""


def read(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> PipelineFile:
    file = tmp_path / "executor.yml"
    file.write_text(text, "utf-8")
    return read_pipeline_file(file, environ or {})


@pytest.mark.parametrize(
    ("environ", "server"),
    [
        ({}, "http://localhost:8080"),
        ({"DATAHUB_GMS_HOST": "gms"}, "http://gms:8080"),
        ({"DATAHUB_GMS_PORT": "9"}, "http://localhost:9"),
        ({"DATAHUB_GMS_HOST": "gms", "DATAHUB_GMS_PORT": ""}, "http://gms:8080"),
    ],
)
def test_the_seeds_file_is_read_as_it_is(tmp_path: Path, environ: Mapping[str, str], server: str) -> None:
    """Without a source it is HTTP; the executor is `default`; the address is put together like a shell would."""
    found = read(tmp_path, SEED, environ)
    assert (found.name, found.kafka, found.options.executor_id) == ("pipeline-name", None, "default")
    assert found.datahub is not None
    assert found.datahub.gms_url == server


def test_datahubs_own_file_is_read(tmp_path: Path) -> None:
    """Kafka with its settings, the system client, and what only the framework needs passed over."""
    environ = {
        "KAFKA_PROPERTIES_SASL_MECHANISM": "PLAIN",
        "KAFKA_PROPERTIES_SSL_KEYSTORE_LOCATION": "x",
        "EXECUTOR_ID": "b",
    }
    found = read(tmp_path, CONTAINER, environ)
    assert found.kafka is not None
    assert (found.kafka.bootstrap, found.kafka.registry) == ("localhost:9092", "http://localhost:8081")
    assert (found.kafka.group, found.kafka.topic) == ("ingestion_executor", MCL)
    assert found.kafka.consumer == {
        "sasl.mechanism": "PLAIN", "max.poll.interval.ms": "60000", "security.protocol": "PLAINTEXT",
    }  # fmt: skip
    assert found.options.executor_id == "b"
    assert found.datahub is not None
    assert found.datahub.client_secret is not None
    assert (found.datahub.client_id, found.datahub.client_secret.reveal()) == (
        "__datahub_system", "JohnSnowKnowsNothing",
    )  # fmt: skip
    assert "hush-hush" not in repr(found)
    assert "JohnSnow" not in repr(found)


def test_the_files_datahub_is_the_one(tmp_path: Path) -> None:
    """Its address wins over headgate.yaml's; a credential it does not have is taken from there."""
    (tmp_path / "headgate.yaml").touch()
    settings = load(tmp_path, {"DATAHUB_GMS_URL": "http://other:1", "DATAHUB_GMS_TOKEN": "from-the-environment"})
    found = with_datahub(settings, read(tmp_path, SEED)).datahub
    assert found.token is not None
    assert (found.gms_url, found.token.reveal()) == ("http://localhost:8080", "from-the-environment")
    own = with_datahub(settings, read(tmp_path, SEED.replace("# token: <token>", "token: its-own"))).datahub
    assert own.token is not None
    assert own.token.reveal() == "its-own"
    assert with_datahub(settings, read(tmp_path, SEED.partition("datahub:")[0])).datahub.gms_url == "http://other:1"


@pytest.mark.parametrize("blank", ["", "null", '""', '"${NO_SUCH_ID:-}"'])
def test_an_id_that_is_left_blank_is_default(tmp_path: Path, blank: str) -> None:
    """As with the stock executor, whose file in DataHub's container may name a variable that is empty."""
    text = SEED.replace('type: "executor"', f'type: "executor"\n  config:\n    executor_id: {blank}')
    assert read(tmp_path, text).options.executor_id == "default"


def test_the_files_datahub_is_asked_for_secrets(tmp_path: Path) -> None:
    """The file alone knows of a DataHub: its secrets are the last asked for, unless headgate.yaml says who is asked."""
    (tmp_path / "headgate.yaml").touch()
    kinds = [one.kind for one in with_datahub(load(tmp_path, {}), read(tmp_path, SEED)).secrets.providers]
    assert kinds == ["store", "env", "datahub"]
    known = load(tmp_path, {"DATAHUB_GMS_URL": "http://other:1"})
    assert with_datahub(known, read(tmp_path, SEED)).secrets == known.secrets
    (tmp_path / "headgate.yaml").write_text("secrets: {providers: [store, env]}\n", "utf-8")
    said = load(tmp_path, {})
    assert with_datahub(said, read(tmp_path, SEED)).secrets == said.secrets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            SEED.replace('"executor"', '"hello_world"'),
            "executor.yml:5:9: action.type: unsupported action type 'hello_world'",
        ),
        (SEED.replace("name:", "nmae:"), "did you mean 'name'?"),
        (SEED.replace("  # source configs", "  type: pulsar"), "executor.yml:3:9: source.type: expected kafka or"),
        (SEED.replace('type: "executor"', "type: executor\n  config: {executor: a}"), "did you mean 'executor_id'?"),
        (
            SEED.replace('type: "executor"', "type: executor\n  config: {max_age: soon}"),
            "expected a duration above zero",
        ),
        (SEED.replace("server:", "servers:"), "expected the key 'server'"),
        (SEED.replace("${DATAHUB_GMS_PORT:-8080}", "${NOT_SET}"), "the environment variable NOT_SET is not set"),
        (SEED.replace("action:", "enabled: false\naction:"), "switched off"),
        ("- a\n- b\n", "expected a pipeline with name"),
        ("", "found nothing"),
        ("name: [", "executor.yml:"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """File, line, column, and what was expected."""
    with pytest.raises(InvalidConfiguration) as raised:
        read(tmp_path, text)
    assert said in str(raised.value).replace(f"{tmp_path}/", "")


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """And which one that was."""
    with pytest.raises(InvalidConfiguration, match=r"nothing\.yml: the executor's file cannot be read: No such file"):
        read_pipeline_file(tmp_path / "nothing.yml", {})


def test_the_frameworks_action_takes_the_same_options() -> None:
    """As a mapping, with numbers that are numbers."""
    found = read_options({"executor_id": "x", "max_concurrent_runs": 2, "check_privileges": False}, name="p")
    assert (found.name, found.options.executor_id, found.options.most, found.check_privileges) == ("p", "x", 2, False)
    with pytest.raises(InvalidConfiguration, match="did you mean 'executor_id'"):
        read_options({"executorid": "x"}, name="p")


def test_every_option_is_described_on_its_page() -> None:
    """docs/executor.md has the table that is made of the descriptions; none lacks one."""
    page = (Path(__file__).parents[2] / "docs" / "executor.md").read_text("utf-8")
    assert options_reference() in page
    assert all(one.description.endswith(".") for one in OPTIONS)
