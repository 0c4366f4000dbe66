"""This file is where rules are read from files and the environment, and read again when the mapping file is edited."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from headgate.flow.resolve import RuleKind, RuleSource
from headgate.settings import InvalidSettings, Settings, load
from headgate.settings.mapping import MappingFile

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.us_stocks_sip_v2,PROD)"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:earnings-ingest"
INLINE, FILE = "DATAHUB_INGESTION_LAMBDA_MAPPING", "DATAHUB_INGESTION_LAMBDA_MAPPING_FILE"
DEFAULT, PROPERTY = "DATAHUB_INGESTION_LAMBDA_DEFAULT", "DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN"


def written(folder: Path, text: str = "", environ: Mapping[str, str] | None = None) -> Settings:
    file = folder / "headgate.yaml"
    file.write_text(text, "utf-8")
    return load(file, environ or {})


def wrong(folder: Path, text: str = "", environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(InvalidSettings) as raised:
        written(folder, text, environ)
    return str(raised.value)


@pytest.mark.parametrize("given", [INLINE, FILE, DEFAULT])
def test_a_state_machine_may_stand_in_a_functions_place(tmp_path: Path, given: str) -> None:
    """In each of the three variables; a function's ARN stays a function."""
    (tmp_path / "mapping").write_text(json.dumps({URN: MACHINE, "db": "f"}), "utf-8")
    value = {INLINE: json.dumps({URN: MACHINE, "db": "f"}), FILE: str(tmp_path / "mapping"), DEFAULT: MACHINE}[given]
    first = written(tmp_path, "", {given: value}).rules[0]

    assert (first.state_machine_arn, first.function) == (MACHINE, None)


@pytest.mark.parametrize("value", ["two words", "arn:aws:states:us-east-1:1:x", "arn:aws:s3:::b", "f" * 65, " "])
def test_what_no_function_can_be_named_is_refused_at_the_start(tmp_path: Path, value: str) -> None:
    """With the variable's name and, in a mapping, the column."""
    said = wrong(tmp_path, "", {INLINE: json.dumps({"db": value})})
    assert said.startswith(f"{INLINE}:1:8: expected the name of a Lambda function")
    assert wrong(tmp_path, "", {DEFAULT: value}).startswith(f"{DEFAULT}: expected the name of a Lambda function")


def test_a_rules_region_is_for_its_function(tmp_path: Path) -> None:
    """`region:` beside `lambda:` is kept with the rule; beside another target, or malformed, it is a problem."""
    rule = written(tmp_path, "datasets: [{prefix: db, lambda: f, region: eu-west-1}]\n").rules[0]
    assert (rule.function, rule.region) == ("f", "eu-west-1")
    text = f"datasets: [{{prefix: db, state_machine_arn: '{MACHINE}', region: eu-west-1}}]\n"
    assert "region goes with lambda only" in wrong(tmp_path, text)
    assert "expected an AWS region" in wrong(tmp_path, "datasets: [{prefix: db, lambda: f, region: Europe}]\n")


@pytest.mark.parametrize("target", ["lambda: 'a b'", f"lambda: '{MACHINE}'", "state_machine_arn: 'arn:aws:s3:::b'"])
def test_a_target_of_the_file_is_what_its_key_says(tmp_path: Path, target: str) -> None:
    """A state machine is no Lambda function, and a bucket neither."""
    assert "headgate.yaml:1:" in wrong(tmp_path, f"datasets: [{{prefix: db, {target}}}]\n")


@pytest.mark.parametrize(
    ("environ", "text", "found"),
    [
        ({}, "", "urn:li:structuredProperty:awsStepFunctionArn"),
        ({}, "datahub: {job_arn_property: ''}\n", ""),
        ({PROPERTY: "my.arn"}, "datahub: {job_arn_property: ''}\n", "urn:li:structuredProperty:my.arn"),
        ({PROPERTY: "urn:li:structuredProperty:x"}, "", "urn:li:structuredProperty:x"),
        ({PROPERTY: ""}, "", "urn:li:structuredProperty:awsStepFunctionArn"),
    ],
)
def test_the_property_is_a_urn_an_id_or_nothing(tmp_path: Path, environ: dict[str, str], text: str, found: str) -> None:
    """The seed's id is the default, a bare id becomes its URN, an empty text in the file turns the look-up off."""
    assert written(tmp_path, text, environ).datahub.job_arn_property == found


@pytest.mark.parametrize("value", ["urn:li:tag:x", "urn:li:structuredProperty:", "two words", " "])
def test_another_property_is_refused(tmp_path: Path, value: str) -> None:
    """Another entity's URN, an empty id and blanks are named with the variable."""
    assert PROPERTY in wrong(tmp_path, "", {PROPERTY: value})


class Edited:
    """A mapping file that is edited beneath a running server."""

    def __init__(self, folder: Path, text: str = '{"db": "one"}') -> None:
        self.path = folder / "mapping.json"
        self.path.write_text(text, "utf-8")
        settings = written(folder, "datasets: [{prefix: own, lambda: f}]\n", {FILE: str(self.path)})
        found = MappingFile.of(settings)
        assert found is not None
        self.mapping = found

    def write(self, text: str, *, age: float = 0.0) -> None:
        self.path.write_text(text, "utf-8")
        if age:
            at = self.path.stat().st_mtime - age
            os.utime(self.path, (at, at))

    @property
    def functions(self) -> list[str | None]:
        return [rule.function for rule in self.mapping.rules()]


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    return Edited(tmp_path)


def test_without_a_file_there_is_nothing_to_read_again(tmp_path: Path) -> None:
    """No variable, no mapping file."""
    assert MappingFile.of(written(tmp_path)) is None


def test_an_edit_counts_at_the_next_look(edited: Edited) -> None:
    """As JSON or YAML, the same length at the same instant or not; places are those of the file as it is now."""
    assert edited.functions == ["one"]
    for text, functions in [
        ('{"db": "two"}', ["two"]),
        ('{"db": "six"}', ["six"]),
        ("db: yaml\n'urn:li:tag:x': tagged\n", ["yaml", "tagged"]),
        ("{}", []),
    ]:
        edited.write(text)
        assert edited.functions == functions
    edited.write("\n\ndb: third\n", age=60)
    (rule,) = edited.mapping.rules()
    assert (rule.place, rule.source) == (f"{edited.path}:3", RuleSource.ENVIRONMENT_FILE)
    assert rule.kind is RuleKind.PREFIX
    assert edited.mapping.problem == ""


def test_two_edits_within_one_tick_of_the_clock_both_count(edited: Edited) -> None:
    """Of the same length, and with times that do not tell them apart."""
    edited.write('{"db": "two"}')
    found = edited.path.stat()
    assert edited.functions == ["two"]
    edited.write('{"db": "six"}')
    os.utime(edited.path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert edited.functions == ["six"]


def test_a_file_that_nobody_edits_is_not_read_again(edited: Edited, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look costs one question about its times; a newer time makes it read."""
    edited.write('{"db": "old"}', age=60)
    assert edited.functions == ["old"]
    reads: list[Path] = []
    real = Path.read_bytes

    def counting(path: Path) -> bytes:
        reads.append(path)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    assert edited.functions == ["old"]
    assert reads == []
    edited.write('{"db": "new"}', age=30)
    assert edited.functions == ["new"]
    assert reads == [edited.path]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"db": "a", "db": "b"}', "'db' is given twice"),
        ('{"db": ', "this is not YAML"),
        ("[1]", "expected a mapping of dataset URNs"),
        ('{"urn:li:dataset:x": "f"}', "must stand in parentheses"),
        ('{"db": "a b"}', "expected the name of a Lambda function"),
    ],
)
def test_a_broken_edit_keeps_the_last_good_rules(edited: Edited, text: str, said: str) -> None:
    """What is wrong is said with its place for as long as it is; mending it needs no restart."""
    edited.write('{"db": "good", "dc": "too"}')
    assert edited.functions == ["good", "too"]
    edited.write(text, age=60)

    assert edited.functions == ["good", "too"]
    assert said in edited.mapping.problem
    assert edited.mapping.problem.startswith(f"{edited.path}:"), "with the line and the column"
    assert "the 2 rules it had before stay in force" in edited.mapping.problem
    assert edited.functions == ["good", "too"], "looking again changes nothing"
    edited.write('{"db": "mended"}', age=30)
    assert (edited.functions, edited.mapping.problem) == (["mended"], "")


def test_a_file_that_goes_away_or_becomes_something_else_is_said(edited: Edited) -> None:
    """Removed, a folder, not text: the last good rules stay until it is back."""
    edited.path.unlink()
    assert edited.functions == ["one"]
    assert "No such file" in edited.mapping.problem
    edited.path.mkdir()
    assert edited.functions == ["one"]
    assert "Is a directory" in edited.mapping.problem
    edited.path.rmdir()
    edited.path.write_bytes(b'{"db": "\xff"}')
    assert edited.functions == ["one"]
    assert "UTF-8" in edited.mapping.problem
    edited.write('{"db": "back"}')
    assert (edited.functions, edited.mapping.problem) == (["back"], "")
