"""This file is where a local job's target is checked: what is right is read, what is wrong is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.local.target import Target, read_target, size, validate_target
from headgate.model import Json


def test_a_whole_target_is_read() -> None:
    """Every key comes out typed, sizes in bytes."""
    target = {"command": ["sh", "-c", "x"], "env": ["A_B"], "cwd": "sub", "memory": "512M", "cpu": 0.5}

    assert validate_target(target) == []
    assert read_target(target) == Target(
        command=("sh", "-c", "x"), env=("A_B",), cwd="sub", memory=512 * 1024 * 1024, cpu=0.5
    )
    assert (read_target({"run": "a.b.c"}).module, read_target({"run": "a.b.c"}).function) == ("a.b", "c")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({}, "exactly one of run, command and script; found none of them"),
        ({"run": "a.b", "script": "x.py"}, "found run and script"),
        ({"run": "main"}, "run: expected module.function"),
        ({"run": "a..b"}, "run: expected module.function"),
        ({"run": 3}, "run: expected module.function"),
        ({"command": "sh -c x"}, "command: expected a list of words"),
        ({"command": []}, "command: expected a list of words"),
        ({"command": ["a", 1]}, "command: expected a list of words"),
        ({"command": ["a\0"]}, "command: a word holds a NUL byte"),
        ({"script": ""}, "script: expected a path"),
        ({"run": "a.b", "env": "HOME"}, "env: expected a list of variable names"),
        ({"run": "a.b", "env": ["A=secret"]}, "env: 'A=secret' is no variable name"),
        ({"run": "a.b", "env": ["HEADGATE_HOME"]}, "env: HEADGATE_HOME is set by Headgate itself"),
        ({"run": "a.b", "memory": "much"}, "memory: expected a size"),
        ({"run": "a.b", "memory": 12}, "memory: expected a size"),
        ({"run": "a.b", "cpu": 0}, "cpu: expected a number of cores"),
        ({"run": "a.b", "cpu": True}, "cpu: expected a number of cores"),
        ({"run": "a.b", "memroy": "1G"}, "unknown key 'memroy'"),
    ],
)
def test_what_is_wrong_is_said(target: Mapping[str, Json], said: str) -> None:
    """Each mistake is one sentence that names the key and what was expected."""
    problems = validate_target(target)

    assert len(problems) == 1
    assert said in problems[0]


def test_what_is_missing_in_the_project_is_said(tmp_path: Path) -> None:
    """With a project, folders and files that are not there are named."""
    (tmp_path / "plain").write_text("")

    assert "there is no file" in validate_target({"script": "x.py"}, tmp_path)[0]
    assert "there is no folder" in validate_target({"run": "a.b", "cwd": "no"}, tmp_path)[0]
    assert "is not executable" in validate_target({"command": ["./plain"]}, tmp_path)[0]
    assert validate_target({"run": "a.b"}, tmp_path) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("512M", 512 << 20),
        ("2g", 2 << 30),
        ("1.5 GiB", 3 << 29),
        ("64KB", 65536),
        (4096, 4096),
        ("x", None),
        (True, None),
    ],
)
def test_sizes(text: Json, number: int | None) -> None:
    """Sizes are read with and without a unit, powers of 1024."""
    assert size(text) == number


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["run", "command", "script", "env", "cwd", "memory", "cpu", "other"])


@given(st.dictionaries(KEYS, JSON))
def test_any_target_is_either_read_or_explained(target: dict[str, Json]) -> None:
    """Whatever stands in a configuration, checking never raises, and what it accepts can be read."""
    problems = validate_target(target)
    assert all(problems), "a problem has no words"
    if not problems:
        assert read_target(target) is not None
