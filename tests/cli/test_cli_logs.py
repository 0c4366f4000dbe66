"""This file is where our log lines cannot be written, and nobody is hurt by that."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import structlog

from headgate.cli import logs
from headgate.settings import load


@pytest.mark.parametrize("gone", ["its reader", "the stream"])
def test_a_log_nobody_can_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str) -> None:
    """A line that cannot be written is dropped: whoever logs it goes on."""
    (tmp_path / "headgate.yaml").write_text("jobs: {}\n", "utf-8")
    reader, writer = os.pipe()
    stream = os.fdopen(writer, "w", buffering=1)
    monkeypatch.setattr(sys, "stderr", stream)
    logs.of_server(load(tmp_path, {}))
    log = structlog.get_logger()
    log.info("heard")
    heard = os.read(reader, 1000).decode()
    os.close(reader)
    if gone == "the stream":
        stream.detach().close()

    log.error("not heard", exc_info=ValueError("for some reason"))
    log.error("nor this")

    assert "heard" in heard
    monkeypatch.undo()
    if gone == "its reader":
        with pytest.raises(BrokenPipeError):
            stream.close()
