"""This file is where a log is followed that is over a little before its run is."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate.cli import session
from headgate.cli.client import Piece
from headgate.cli.commands import runs

from .world import Project


class Late:
    """A client to whom the run's end is told at the third look."""

    def __init__(self) -> None:
        self.looks = 0

    def run(self, run: str) -> dict[str, Any]:
        self.looks += 1
        over = self.looks > 2
        state, at = ("SUCCEEDED", "2026-01-01T00:00:00Z") if over else ("RUNNING", None)
        return {"id": run, "state": state, "ended_at": at, "attempt": 0, "error": None}

    def log(self, run: str, *, offset: int, attempt: int | None) -> Piece:
        assert (run, attempt) == ("jr_1", 0)
        return Piece("over\n"[offset:], 5, True)


def test_what_was_shown_is_not_shown_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is waited for the end of the run, and the log stands there once."""
    client = Late()

    @contextmanager
    def reading(_settings: object) -> Generator[Late]:
        yield client

    monkeypatch.setattr(session, "reading", reading)
    runs.show_log("jr_1", follow=True, config=Path(project.folder))

    assert capsys.readouterr().out == "over\n"
    assert client.looks == 3
