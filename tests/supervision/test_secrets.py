"""This file is where secrets go to a run's process: by pipe and in memory, and nowhere where they could be seen."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.supervision import handing, records
from headgate.supervision.launching import Launchers, Warm
from headgate.supervision.logs import read_log
from headgate.supervision.runs import Work
from headgate.supervision.supervisor import Supervisor

from .test_kills import Ends, gone, until

SECRET = "s3cr3t/&-of-ours"
#: A job that shows what it was given, writes its secret in pieces, and waits.
JOB = """
import os, sys, time
from headgate.supervision import calling

def main(folder):
    value = calling.secrets()["PASSWORD"]
    with open(f"{folder}/got", "w") as got:
        got.write(str(len(value)))
    os.write(1, b"begin ")
    for character in value:
        os.write(1, character.encode())
        time.sleep(0.001)
    print(" end", calling.secrets()["REGION"], flush=True)
    while not os.path.exists(f"{folder}/go"):
        time.sleep(0.01)
    return 7
"""


class World:
    """A supervisor whose jobs have secrets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir()
        (folder / "job_with_secret.py").write_text(JOB, "utf-8")
        self.told = Ends()
        launchers = Launchers(self.logs / "launchers.log", {"PATH": os.environ["PATH"]})
        self.supervisor = Supervisor(self.logs, self.told, launchers)

    def start(self, **more: Any) -> None:
        work = Work(
            id="secretive",
            cwd=str(self.folder),
            environ={"PATH": os.environ["PATH"], records.ATTEMPT: "secretive"},
            secrets={"PASSWORD": SECRET, "REGION": "us-east-1"},
            plain=["REGION"],
            **more,
        )
        self.supervisor.start(work)

    def log(self) -> str:
        return read_log(self.logs, "secretive")[0]

    def python(self, *, cold: bool, **more: Any) -> None:
        modules = ("headgate.supervision.calling", "no_such_module" if cold else "job_with_secret")
        warm = None if cold else Warm(name="job", modules=modules, path=(str(self.folder),))
        if cold:
            source = str(Path(handing.__file__).parents[2])
            words = f"import sys; sys.path[:0] = [{source!r}, {str(self.folder)!r}];"
            words += "from headgate.supervision import calling; calling._secrets.update(calling.read_secrets());"
            words += f"import job_with_secret; sys.exit(job_with_secret.main({str(self.folder)!r}))"
            self.start(argv=[sys.executable, "-I", "-c", words], **more)
        else:
            self.start(call="job_with_secret:main", arguments=[str(self.folder)], warm=warm, **more)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    (tmp_path / "go").touch()
    made.supervisor.close()


@pytest.mark.parametrize(("cold", "limits"), [(False, {}), (True, {}), (True, {"cpu": 1.0})])
def test_a_secret_is_handed_over_and_not_seen(world: World, cold: bool, limits: dict[str, float]) -> None:
    """The job has it; the log masks it, however it was cut; no file, argument or environment on this machine has it."""
    world.python(cold=cold, **limits)
    until(lambda: "end" in world.log(), "the job to have written it")
    seen = [
        file
        for file in [
            *world.logs.rglob("*"),
            *Path("/proc").glob("[0-9]*/cmdline"),
            *Path("/proc").glob("[0-9]*/environ"),
        ]
        if SECRET.encode() in content(file)
    ]
    (world.folder / "go").touch()
    end = world.told.wait("secretive")

    assert (world.folder / "got").read_text() == str(len(SECRET))
    assert world.log().endswith("begin **** end us-east-1\n")
    assert end.code == 7
    assert seen == []


def test_the_log_is_whole_when_the_end_is_told(world: World) -> None:
    """A job that writes a lot and ends at once has all of it in its log, masked, when its end is told."""
    script = "i=0; while [ $i -lt 3000 ]; do echo line $i us-east-1; i=$((i+1)); done; exit 3"
    world.start(argv=["sh", "-c", script])
    end = world.told.wait("secretive")

    assert (end.code, len(world.log().splitlines())) == (3, 3000)


def test_a_job_outlives_what_masks_its_log(world: World) -> None:
    """With its shim killed a job learns at its next output that nobody reads; how it ended is still known."""
    world.start(argv=["sh", "-c", "echo up; until [ -e go ]; do sleep 0.01; done; echo more || exit 9; exit 4"])
    until(lambda: "up" in world.log(), "the job to be up")
    shim = int((records.read(str(world.logs / "secretive"), records.SHIM) or {})["pid"])
    os.kill(shim, 9)
    until(lambda: gone(shim), "the shim to be gone")
    (world.folder / "go").touch()
    end = world.told.wait("secretive")

    assert end.code in {9, -13}


def test_large_secrets_go_by_pipe_too() -> None:
    """More than a pipe usually holds is handed over whole; nothing to hand over is no pipe."""
    values = {"A": "x" * 300_000, "B": "ü"}
    pipe, environ = handing.hand_over(values, {"PATH": "/bin"})
    assert pipe is not None
    with os.fdopen(pipe, "rb") as file:
        found = json.loads(file.read())

    assert found == values
    assert environ == {"PATH": "/bin", handing.VARIABLE: str(handing.DESCRIPTOR)}
    assert handing.hand_over({}, {"PATH": "/bin"}) == (None, {"PATH": "/bin"})


def test_secrets_beyond_any_pipe_are_refused() -> None:
    """What does not fit is an error at once, and nobody waits for a reader that is not there."""
    with pytest.raises(OSError, match="do not fit"):
        handing.hand_over({"A": "x" * (2 << 20)}, {})


def content(file: Path) -> bytes:
    try:
        return file.read_bytes() if file.is_file() else b""
    except OSError:
        return b""
