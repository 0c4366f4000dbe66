"""This file is where every test of the command line gets a project of its own, or a module its served one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import Project, serving


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project no server serves."""
    return Project(tmp_path / "project")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that one server serves for all the tests of a module."""
    made = Project(tmp_path_factory.mktemp("served"))
    with serving(made):
        yield made
