"""This file is where the quick start is followed to the letter: its commands, typed in their order, do what it says."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.world import DEADLINE, environment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quickstart.md"


class Reader:
    """Somebody with a clone (which has `.venv/bin/headgate`) and the page."""

    def __init__(self, clone: Path) -> None:
        self.folder = clone
        command = clone / ".venv" / "bin" / "headgate"
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m headgate "$@"\n', "utf-8")
        command.chmod(0o755)
        self.environment = environment()
        self.environment["PATH"] = f"{command.parent}:{self.environment['PATH']}"

    def type(self, line: str) -> str:
        """Type a line into a shell; it must not fail."""
        done = subprocess.run(
            ["sh", "-ec", line], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=DEADLINE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def runs(self) -> dict[str, tuple[str, str]]:
        """Id and state of each job's newest run."""
        return {one["job"]: (one["id"], one["state"]) for one in json.loads(self.type("headgate runs list -o json"))}


def lines(title: str) -> list[str]:
    """The commands of a section of the page."""
    section = re.search(rf"^## \d+\. {title}\n(.*?)^## ", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert section, title
    return [line for block in re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """In the project of section 2, which is served."""
    made = Reader(tmp_path)
    init, cd, validate, serve = lines("A project of your own")
    made.type(init)
    made.folder = tmp_path / cd.removeprefix("cd ")
    made.type(validate)
    with (tmp_path / "serve.log").open("wb") as log:
        # the page's port may be taken on this machine
        server = subprocess.Popen([*serve.split(), "--port", "0"], cwd=made.folder, env=made.environment, stdout=log,
                                  stderr=log)  # fmt: skip
    try:
        give_up = time.monotonic() + DEADLINE
        while not (made.folder / ".headgate" / "server.json").exists():
            assert server.poll() is None, (tmp_path / "serve.log").read_text("utf-8")
            assert time.monotonic() < give_up, "the server did not start"
            time.sleep(0.05)
        yield made
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


@pytest.mark.slow
def test_the_page_leads_to_rows_in_a_table(reader: Reader) -> None:
    """A project, a dropped file, the chain of runs in the history, its row and its reject: by the page alone."""
    for line in lines("Drop a file"):
        reader.type(line)
    give_up = time.monotonic() + DEADLINE
    while reader.runs().get("create-views-dual-engine", ("", ""))[1] != "SUCCEEDED":
        assert time.monotonic() < give_up, reader.runs()
        time.sleep(0.2)
    look = {line: reader.type(line) for line in lines("Look")}
    told = [reader.type(line) for line in lines("Act")]

    assert "12.5" in next(out for line, out in look.items() if "FROM collections.collections_data_view" in line)
    assert "not a number" in next(out for line, out in look.items() if "_rejects" in line)
    assert all(out.strip() for out in look.values())
    assert "SUCCEEDED" in told[0]
