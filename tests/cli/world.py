"""This file is where the real command is typed for tests: a project of quick jobs, and a server that serves it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, TypeVar

from services.tables import put_tables

from .warm import Command

T = TypeVar("T")
#: Seconds anything may take before a test gives up; the machine may be busy with much else.
DEADLINE: Final = 90.0

DATASET: Final = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)"
TOKEN: Final = "hush-hush-token"

PROJECT: Final = """\
jobs:
  first: {engine: local, command: [sh, -c, "echo first runs"], arguments: {--table: t}}
  second: {engine: local, command: [sh, -c, "echo second runs"]}
  broken: {engine: local, command: [sh, -c, "echo no luck; exit 3"]}
  long: {engine: local, command: [sh, -c, "echo begun; while [ ! -e release ]; do sleep 0.05; done; echo over"]}
  far: {engine: recipe, recipe: r.yml}
triggers:
  uploaded: {type: EVENT, s3: {bucket: raw-data, prefix: in/, suffix: [.csv]}, actions: [first]}
  uploaded-bad: {type: EVENT, s3: {bucket: raw-data, prefix: bad/, suffix: [.csv]}, actions: [broken]}
  after-first: {type: CONDITIONAL, predicate: {conditions: [{job: first, state: SUCCEEDED}]}, actions: [second]}
datasets:
  - {urn: "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)", job: first}
  - {prefix: "athena:c.d", job: second}
inboxes: {raw-data: ./inbox}
"""

#: What design.md part 3 promises of a run and of a decision, and the least a listing of the others says.
RUN: Final = frozenset(
    {"id", "job", "engine", "state", "detail", "attempt", "cause", "arguments", "external_id"}
    | {"created_at", "started_at", "ended_at", "error", "result", "predecessors"}
)
CAUSE: Final = frozenset({"event", "trigger", "actor", "reason"})
DECISION: Final = frozenset({"event", "trigger", "outcome", "reason", "run"})


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. `line` is what was typed."""

    line: str
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"{self.line}: exit {self.code}\n{self.out}\n{self.err}"


class Project:
    """A folder in which headgate is typed. What this machine's environment says of Headgate is left out."""

    def __init__(self, folder: Path, text: str | None = PROJECT) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if text is not None:
            (folder / "headgate.yaml").write_text(text, "utf-8")

    @property
    def home(self) -> Path:
        return self.folder / ".headgate"

    def type(self, *words: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Done:
        """One command, to its end, whatever that is; it never shows a traceback or calls itself a defect."""
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(stdin.encode())
            for one in (given, out, err):
                one.seek(0)
            command = Command(words, cwd=self.folder, env=environment(env), stdin=given, stdout=out, stderr=err)
            try:
                code = command.wait(DEADLINE)
            finally:
                command.send_signal(signal.SIGKILL)
            for one in (out, err):
                one.seek(0)
            done = Done(f"headgate {' '.join(words)}", code, out.read().decode(), err.read().decode())
        assert "Traceback" not in done.err + done.out, done
        assert "a defect of ours" not in done.err, done
        return done

    def ok(self, *words: str, stdin: str = "") -> str:
        """What a command that is done says."""
        done = self.type(*words, stdin=stdin)
        assert done.code == 0, done
        return done.out

    def json(self, *words: str) -> Any:
        """The one document of a command that is done."""
        done = self.type(*words, "-o", "json")
        assert done.code == 0, done
        return done.json

    def fails(self, code: int, *words: str, env: Mapping[str, str] | None = None) -> str:
        """The one message of a command that fails with this code."""
        done = self.type(*words, env=env)
        assert done.code == code, done
        assert done.err.strip(), done
        return done.err

    def drop(self, key: str, text: str = "a\n1\n") -> None:
        """A file that appears in the inbox, whole."""
        file = self.folder / "inbox" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        hidden = self.folder / f".{file.name}"
        hidden.write_text(text, "utf-8")
        hidden.replace(file)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process' environment, without what would steer the command from outside."""
    steering = ("HEADGATE_", "DATAHUB_", "AWS_", "PYTEST_", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}


@contextmanager
def serving(project: Project, *options: str, env: Mapping[str, str] | None = None) -> Generator[Command]:
    """A server of the project at a free port, until SIGTERM ends it, which it must obey with exit code 0."""
    put_tables(project.home)
    with (project.folder / "serve.err").open("a") as errors, Path(os.devnull).open("r+") as nothing:
        words = ["serve", "--port", "0", *options]
        process = Command(words, cwd=project.folder, env=environment(env), stdin=nothing, stdout=nothing, stderr=errors)
    try:
        until(lambda: noted(project) == process.pid or process.poll() is not None, "the server says where it is")
        assert process.poll() is None, (project.folder / "serve.err").read_text("utf-8")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(DEADLINE)
    assert code == 0, (project.folder / "serve.err").read_text("utf-8")


def noted(project: Project) -> int | None:
    """The process id of the server that this home knows."""
    try:
        return int(json.loads((project.home / "server.json").read_text("utf-8"))["pid"])
    except (OSError, ValueError):
        return None


def address(project: Project) -> str:
    return str(json.loads((project.home / "server.json").read_text("utf-8"))["url"])


def until(condition: Callable[[], T], what: str) -> T:
    """Wait until it is so."""
    give_up = time.monotonic() + DEADLINE
    while not (answer := condition()):
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for: {what}"
        time.sleep(0.02)
    return answer


def states(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Job and state of each run, oldest first."""
    return [(one["job"], one["state"]) for one in reversed(runs)]
