"""This file is where calls are held against AWS's model, and our reading of it against botocore's own."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from botocore.session import get_session
from served import World

from headgate.errors import MissingExtra
from headgate.http.aws_wire import Fault
from headgate.http.glue import model, wire
from headgate.http.glue.workflows import COUNTED
from headgate.model import RunState
from headgate.settings import service_model

SERVED = sorted({*wire.QUICK, *wire.OPERATIONS})
GLUE = get_session().get_service_model("glue")


def problems(operation: str, body: dict[str, Any]) -> str:
    with pytest.raises(Fault) as caught:
        model.load("glue").read(operation, body)
    assert caught.value.code == "ValidationException"
    return str(caught.value)


ONE = "1 validation error detected: Value "
FAILED = "failed to satisfy constraint: Member must"


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        ("StartJobRun", {}, f"null at 'jobName' {FAILED} not be null"),
        ("StartJobRun", {"JobName": "x" * 256},
         f"'{'x' * 100}…' at 'jobName' {FAILED} have length less than or equal to 255"),
        ("StartJobRun", {"JobName": ""}, f"'' at 'jobName' {FAILED} have length greater than or equal to 1"),
        ("GetJobRuns", {"JobName": "a", "MaxResults": 0},
         f"'0' at 'maxResults' {FAILED} have value greater than or equal to 1"),
        ("StartJobRun", {"JobName": "a", "ExecutionClass": "SLOW"},
         f"'SLOW' at 'executionClass' {FAILED} satisfy enum value set: [FLEX, STANDARD]"),
    ],
)  # fmt: skip
def test_a_violation_is_said_as_aws_says_it(operation: str, body: dict[str, Any], message: str) -> None:
    """The value, the place, the constraint."""
    assert problems(operation, body) == ONE + message


def test_all_violations_are_said_at_once() -> None:
    """With their number; places lead into members, lists and maps."""
    found = problems("CreateJob", {
        "Name": "a\nb", "Command": {"PythonVersion": "4"}, "Tags": {"k": "v" * 257},
        "NotificationProperty": {"NotifyDelayAfter": 0},
    })  # fmt: skip
    assert found.startswith("5 validation errors detected: ")
    for place in ("'name'", "'command.pythonVersion'", "'tags.k.member'", "'role'",
                  "'notificationProperty.notifyDelayAfter'"):  # fmt: skip
        assert place in found


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("StartJobRun", {"JobName": 1}), ("StartJobRun", {"JobName": ["a"]}), ("StartJobRun", {"JobName": True}),
        ("StartJobRun", {"JobName": "a", "Arguments": []}), ("StartJobRun", {"JobName": "a", "Arguments": {"--a": 1}}),
        ("StartJobRun", {"JobName": "a", "Timeout": "1"}), ("StartJobRun", {"JobName": "a", "Timeout": 1.5}),
        ("StartJobRun", {"JobName": "a", "Timeout": True}), ("StartJobRun", {"JobName": "a", "Timeout": 2**31}),
        ("StartJobRun", {"JobName": "a", "Timeout": 1e300}), ("StartJobRun", {"JobName": "a", "MaxCapacity": "2"}),
        ("StartJobRun", {"JobName": "a", "JobRunQueuingEnabled": "true"}), ("BatchGetJobs", {"JobNames": "a"}),
        ("CreateJob", {"Name": "a", "Role": "r", "Command": "c"}), ("BatchGetJobs", {"JobNames": [None]}),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_no_serialization_of_it(operation: str, body: dict[str, Any]) -> None:
    """SerializationException, which says where and what."""
    with pytest.raises(Fault) as caught:
        model.load("glue").read(operation, body)
    assert caught.value.code == "SerializationException"
    assert "can not be converted to" in str(caught.value)


def test_members_without_a_value_or_a_place_are_left_out() -> None:
    """null is as if it were not said; what the model does not know is dropped, deep inside as well."""
    body = {"JobName": "a", "Timeout": None, "New": 1, "NotificationProperty": {"NotifyDelayAfter": 2, "New": {}}}
    assert model.load("glue").read("StartJobRun", body) == {
        "JobName": "a", "NotificationProperty": {"NotifyDelayAfter": 2},
    }  # fmt: skip


@pytest.mark.parametrize("operation", SERVED)
def test_every_operation_that_is_served_is_one_of_glues(operation: str) -> None:
    """Its input's members and required members are read as botocore reads them."""
    known = model.load("glue")
    said: Any = GLUE.operation_model(operation)
    shape = said.input_shape
    assert operation in known.operations
    assert known.errors(operation) == {one.name for one in said.error_shapes}
    if shape.required_members:
        found = problems(operation, {})
        required: list[str] = list(shape.required_members)
        assert all(f"'{name[0].lower()}{name[1:]}'" in found for name in required)
    else:
        assert known.read(operation, {}) == {}


def test_every_pattern_in_reach_is_pythons() -> None:
    """None of the patterns that inputs of served operations lead to is left unchecked or has another meaning."""
    reached: set[str] = set()

    def walk(shape: Any, seen: set[str]) -> None:
        if shape.name in seen:
            return
        seen.add(shape.name)
        if pattern := shape.metadata.get("pattern"):
            reached.add(pattern)
        for inner in (*getattr(shape, "members", {}).values(), *(
            getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)
        )):  # fmt: skip
            walk(inner, seen)

    for operation in SERVED:
        walk(GLUE.operation_model(operation).input_shape, set())
    assert len(reached) > 10
    assert all(service_model.translated(one) is not None for one in reached)


@pytest.mark.parametrize(
    ("text", "fits"),
    [("a b", True), ("\t", True), ("\u00e4\u4e2d", True), ("\U0001f600", True), ("\U0010ffff", True), ("a\n", False),
     ("\x00", False), ("\uffff", False), ("\x1f", False)],
)  # fmt: skip
def test_a_name_is_anything_but_control_characters(text: str, fits: bool) -> None:
    r"""The model writes characters beyond the 16-bit range as two halves."""
    pattern = service_model.translated(r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*")
    assert pattern is not None
    assert bool(pattern.fullmatch(text)) is fits


def test_java_counts_words_and_digits_in_ascii() -> None:
    """So does the translation; what Python cannot say is not checked."""
    found = service_model.translated(r"^((\w+\.)+\w+|auto)$")
    assert found is not None
    assert found.fullmatch("5.0")
    assert not found.fullmatch("\u0665.0")
    assert service_model.translated(r"[\p{L}]*") is None
    assert service_model.translated("") is None


def test_without_botocore_it_says_what_to_install(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra, in an answer of the protocol; the rest of the server is there."""
    monkeypatch.setattr(service_model, "find_spec", {}.get)
    model.load.cache_clear()
    try:
        with pytest.raises(MissingExtra, match=re.escape("headgate[aws]")):
            model.load("glue")
        answer = world.call("POST", "/", content=b"{}", headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSGlue.GetJobs",
        })  # fmt: skip
        assert (answer.status_code, "headgate[aws]" in answer.json()["Message"]) == (500, True)
    finally:
        model.load.cache_clear()
    assert "botocore" in sys.modules  # the test's own; the server reads files, and imports none of it


def test_every_state_of_a_run_counts_as_something() -> None:
    """In a workflow run's statistics; each name is one of Glue's."""
    assert set(COUNTED) == set(RunState)
    shapes: Any = GLUE.shape_for("WorkflowRunStatistics")
    assert set(COUNTED.values()) | {"TotalActions"} == set(shapes.members)
