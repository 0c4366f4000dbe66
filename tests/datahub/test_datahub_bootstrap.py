"""This file is where the structured property is created, found again, and looked at before it is trusted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fakes.gms import TOKEN, FakeGms
from fakes.gms_graphql import schema
from graphql import OperationDefinitionNode, parse, print_ast, validate
from worlds import ARN, PROPERTY, QUICK, assigned, job

from headgate.app import running_server
from headgate.cli.ending import run
from headgate.datahub import GmsClient, documents
from headgate.datahub.bootstrap import bootstrap
from headgate.errors import Conflict, Invalid, Unavailable
from headgate.settings.load import load

#: Word for word what the first notes of the project asked for.
MUTATION = """
mutation createStructuredProperty($input: CreateStructuredPropertyInput!) {
  createStructuredProperty(input: $input) {
    urn
  }
}
"""
VARIABLES = {
    "input": {
        "id": "awsStepFunctionArn",
        "qualifiedName": "awsStepFunctionArn",
        "displayName": "AWS Step Function ARN",
        "description": "Step Functions state machine ARN for this job",
        "immutable": False,
        "valueType": "urn:li:dataType:datahub.string",
        "cardinality": "SINGLE",
        "entityTypes": ["urn:li:entityType:datahub.dataJob"],
    }
}
DOCUMENTS = sorted(Path(documents.__file__).parent.glob("*.graphql"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_document_is_usable_on_its_own(path: Path) -> None:
    """It fits DataHub's schema, and holds one operation with a name."""
    document = parse(path.read_text())

    assert validate(schema(), document) == []
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name is not None


def test_the_property_is_made_with_the_mutation_of_the_notes(gms: FakeGms, hub: GmsClient) -> None:
    """The document and its variables to the letter; what it makes can hold an ARN."""
    made = bootstrap(hub, PROPERTY)

    assert (made.urn, made.created) == (PROPERTY, True)
    (asked,) = gms.asked("createStructuredProperty")
    assert print_ast(parse(asked.body["query"])) == print_ast(parse(MUTATION))
    assert asked.body["query"].strip() == MUTATION.strip()
    assert asked.body["variables"] == VARIABLES
    hub.emit([assigned(job("a"), awsStepFunctionArn=ARN)])
    assert hub.property_of(job("a"), PROPERTY) == ARN


def test_a_second_time_changes_nothing(gms: FakeGms, hub: GmsClient) -> None:
    """The same URN, and no second mutation; a bare id is the same property."""
    bootstrap(hub, PROPERTY)
    again = bootstrap(hub, "awsStepFunctionArn")

    assert (again.urn, again.created) == (PROPERTY, False)
    assert len(gms.asked("createStructuredProperty")) == 1


def test_another_id_is_made_under_that_id(gms: FakeGms, hub: GmsClient) -> None:
    """The setting names the property."""
    assert bootstrap(hub, "urn:li:structuredProperty:io.acme.arn").urn == "urn:li:structuredProperty:io.acme.arn"

    (asked,) = gms.asked("createStructuredProperty")
    assert asked.body["variables"]["input"] | {"id": "", "qualifiedName": ""} == VARIABLES["input"] | {
        "id": "",
        "qualifiedName": "",
    }


@pytest.mark.parametrize("how", ["lost", "500", "disconnect"])
def test_an_answer_that_was_lost_is_looked_up(gms: FakeGms, hub: GmsClient, how: Any) -> None:
    """The mutation is sent once; whether it did its work is read back."""
    gms.misbehave("/api/graphql", how, operation="createStructuredProperty")
    if how != "lost":
        with pytest.raises(Unavailable):
            bootstrap(hub, PROPERTY)
    made = bootstrap(hub, PROPERTY)

    assert made.urn == PROPERTY
    assert made.created is (how != "lost")
    assert gms.aspects.get(PROPERTY, "propertyDefinition") is not None


def test_two_at_once_agree(gms: FakeGms, hub: GmsClient) -> None:
    """DataHub refuses the second for being there: it is looked at, and fits."""
    first = GmsClient(gms.url, authorization=f"Bearer {TOKEN}", limits=QUICK)
    asked: list[str] = []

    class Late(GmsClient):
        """Another makes it between our look and our mutation."""

        def aspect(self, urn: str, name: str) -> Any:
            found = super().aspect(urn, name)
            if not asked:
                asked.append(name)
                bootstrap(first, PROPERTY)
            return found

    second = Late(gms.url, authorization=f"Bearer {TOKEN}", limits=QUICK)
    assert bootstrap(second, PROPERTY).created is False
    for one in (first, second):
        one.close()


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"valueType": "urn:li:dataType:datahub.number"}, "valueType"),
        ({"cardinality": "MULTIPLE"}, "cardinality is MULTIPLE"),
        ({"entityTypes": ["urn:li:entityType:datahub.dataset"]}, "entityTypes lack"),
        ({"immutable": True}, "immutable"),
        ({"allowedValues": [{"stringValue": "a"}]}, "allowedValues"),
    ],
)
def test_a_property_that_does_not_fit_is_said(gms: FakeGms, hub: GmsClient, others: dict[str, Any], said: str) -> None:
    """In what, and where to mend it; it is not touched."""
    gms.define_property("awsStepFunctionArn", **others)

    with pytest.raises(Conflict, match=said) as caught:
        bootstrap(hub, PROPERTY)
    assert "datahub.job_arn_property" in str(caught.value)
    assert gms.asked("createStructuredProperty") == []


def test_a_deleted_property_is_said(gms: FakeGms, hub: GmsClient) -> None:
    """DataHub would take no value of it."""
    gms.define_property("awsStepFunctionArn")
    gms.aspects.put(PROPERTY, "status", {"removed": True})

    with pytest.raises(Conflict, match="deleted"):
        bootstrap(hub, PROPERTY)


def test_who_may_not_define_is_told(gms: FakeGms) -> None:
    """Our token lacks MANAGE_STRUCTURED_PROPERTIES: nothing is made, and the text says whose right is missing."""
    gms.add_user("weak", "urn:li:corpuser:weak")
    weak = GmsClient(gms.url, authorization="Bearer weak", limits=QUICK)
    with pytest.raises(Unavailable, match="our own credential"):
        bootstrap(weak, PROPERTY)
    weak.close()

    assert gms.aspects.get(PROPERTY, "propertyDefinition") is None


def test_a_name_datahub_does_not_take_is_invalid(hub: GmsClient) -> None:
    """DataHub's own words."""
    with pytest.raises(Invalid, match="spaces"):
        bootstrap(hub, "urn:li:structuredProperty:with space")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own, with nothing of this machine's environment that names a DataHub."""
    for name in ("DATAHUB_GMS_URL", "DATAHUB_GMS_TOKEN", "HEADGATE_URL", "DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEADGATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    structlog.reset_defaults()  # commands say where our log goes: to a stderr that is this test's own


def test_the_command_prints_the_urn(
    gms: FakeGms, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing else on stdout; as JSON it also says whether it was made just now."""
    monkeypatch.setenv("DATAHUB_GMS_URL", gms.url)
    monkeypatch.setenv("DATAHUB_GMS_TOKEN", TOKEN)
    assert run(["datahub", "bootstrap"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{PROPERTY}\n"
    assert "created" in shown.err

    assert run(["datahub", "bootstrap", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"urn": PROPERTY, "created": False}


def test_the_command_says_what_is_missing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No DataHub and no server of ours: exit 3, with what to do."""
    assert run(["datahub", "bootstrap"]) == 3

    assert "DATAHUB_GMS_URL" in capsys.readouterr().err


def test_without_datahub_the_embedded_catalog_is_bootstrapped(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the server that runs, with the same mutation; twice is once."""
    (project / "headgate.yaml").write_text("jobs: {a: {engine: local, command: ['true']}}\n")
    settings = load(project, {"HEADGATE_HOME": str(project / "home")})
    command = [sys.executable, "-m", "headgate", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 60
            while running_server(settings) is None and server.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            codes = [run(["datahub", "bootstrap", "-o", "json"]) for _ in range(2)]
        finally:
            server.terminate()

    assert codes == [0, 0]
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert shown == [{"urn": PROPERTY, "created": True}, {"urn": PROPERTY, "created": False}]


def test_the_command_tells_a_misfit_from_an_outage(
    gms: FakeGms, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 where the property does not fit, 3 where our token is not taken; the token is never shown."""
    monkeypatch.setenv("DATAHUB_GMS_URL", gms.url)
    monkeypatch.setenv("DATAHUB_GMS_TOKEN", TOKEN)
    gms.define_property("awsStepFunctionArn", immutable=True)
    assert run(["datahub", "bootstrap"]) == 1
    monkeypatch.setenv("DATAHUB_GMS_TOKEN", "a-token-nobody-knows")
    assert run(["datahub", "bootstrap"]) == 3

    shown = capsys.readouterr()
    assert "immutable" in shown.err
    assert "DATAHUB_GMS_TOKEN" in shown.err
    assert "a-token-nobody-knows" not in shown.out + shown.err
