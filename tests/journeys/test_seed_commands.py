"""This file is where every command of the reference workflow's page is typed, by the script that users have for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from cli.world import Project, address, environment, serving

from .aws_world import CLI_2

SCRIPT: Final = Path(__file__).resolve().parents[2] / "scripts" / "seed-commands.sh"
#: What the script types for each part of the page; the words after these are in the script, as the page has them.
TYPED: Final = (
    "aws glue get-job ", "aws glue start-job-run ", "aws glue get-trigger ", "aws glue get-triggers",
    "aws glue stop-trigger ", "aws glue start-trigger ", "aws glue get-job-runs ", "aws logs get-log-events ",
    "aws s3api get-bucket-notification-configuration ", "aws lambda invoke ", "aws glue delete-trigger ",
)  # fmt: skip

pytestmark = pytest.mark.slow


def test_every_command_of_the_page_does_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S4 from the upload to the deleted trigger, in a project that `headgate init` has just written."""
    project = Project(tmp_path / "hub", None)
    project.ok("init", ".")
    own = Path(sys.executable).parent
    headgate = tmp_path / "headgate"
    headgate.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m headgate "$@"\n', "utf-8")
    headgate.chmod(0o755)
    used = {"AWS": str(own / "aws"), "AWS2": str(CLI_2), "PYTHON": sys.executable, "HEADGATE": str(headgate)}

    def typed() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPT), str(project.folder), address(project)],
            env=environment({**used, "PYTHONWARNINGS": "ignore"}), capture_output=True, text=True, timeout=240,
            check=False,
        )  # fmt: skip

    with serving(project):
        done, again = typed(), typed()
    said = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert [line for line in said if line.startswith("WRONG")] == []
    for command in TYPED:
        assert any(line.startswith(f"ok     {command}") for line in said), (command, said)
    assert (again.returncode, "has run nothing yet" in again.stderr) == (2, True), again
    tail = [line for line in said if "aws logs tail /aws/lambda/trigger-glue-job-lambda --follow" in line]
    if os.access(CLI_2, os.X_OK):
        assert [line.split()[0] for line in tail] == ["ok"]
    else:
        assert "left out" in tail[0]
        with capsys.disabled():
            print(f"\n{CLI_2} is not there: `aws logs tail` was not typed")
