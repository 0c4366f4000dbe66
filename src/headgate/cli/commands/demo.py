"""This file is where the whole reference workflow is shown on generated data, in a project made for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import arrival, chain, logs
from headgate.cli.client import Client, Doc
from headgate.cli.ending import ExitCode, Failed, code_of, message
from headgate.cli.printing import note, say
from headgate.cli.progress import length, outcome, telling
from headgate.errors import Conflict, HeadgateError, InUse

if TYPE_CHECKING:
    from headgate.app import App
    from headgate.settings import Settings

ROWS, BAD = 100_000, 7
GOOD = ROWS - BAD
VIEW = "collections.collections_data_view"
REJECTS = "collections.collections_data_staging_rejects"
MARK = ".headgate-demo"
FIRST_PORT, LAST_PORT = 8090, 8190
TIMEOUT = 120.0  #: seconds for the runs


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Check the result and leave; 0 only if all of it is so.")
    ] = False,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The scratch project; emptied at each start.")
    ] = Path(".demo"),
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Default: the next free one.")
    ] = None,
) -> None:
    """The whole reference workflow on generated data, with progress; then the console, until Ctrl-C."""
    project = _scratch(folder)
    settings = _settings(project)
    logs.of_command(settings)
    say(f"The example project is in {folder}.")
    from headgate.app import serve  # noqa: PLC0415 - the server, which the listing of commands does without

    shown = _Shown(settings, once=once)
    serve(settings, host="127.0.0.1", port=_free_port() if port is None else port, alongside=shown.run)
    raise typer.Exit(shown.code)


class _Shown:
    """What goes on beside the server. `code` is the verdict."""

    def __init__(self, settings: Settings, *, once: bool) -> None:
        self._settings = settings
        self._once = once
        self.code = int(ExitCode.FAILED)

    def run(self, app: App, url: str) -> None:
        from headgate.cli.local import Local  # noqa: PLC0415 - as in session

        try:
            self._workflow(Local(app.gate))
            self.code = int(ExitCode.DONE)
        except (HeadgateError, OSError, subprocess.SubprocessError) as error:
            note(f"headgate: {message(error)}")
            self.code = int(code_of(error))
        if self._once:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            _invite(url, self._settings)

    def _workflow(self, client: Client) -> None:
        at = arrival.door(self._settings)
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        key = f"{at.prefix}ingest_ts={stamp}/collections.csv"
        began = time.monotonic()
        arrival.put(at, key, _generate)
        size = at.path(key).stat().st_size
        say(f"A CSV of {ROWS:,} records, {BAD} of them bad ({size / 1e6:.0f} MB), was dropped into the inbox.")
        until = time.monotonic() + TIMEOUT
        first = arrival.run_of(client, at, key, until=until)
        with telling(beside=False) as tell:
            found = arrival.follow(client, first, tell, until=until)
        seconds = time.monotonic() - began
        _picture(at, key, found)
        if not chain.succeeded(found) or len(found) < 2:
            raise Failed("not both runs succeeded; see `headgate runs list` and `headgate runs logs RUN`")
        self._check(seconds)

    def _check(self, seconds: float) -> None:
        counted = _count(self._settings)
        say(f"{counted['good']:,} rows in {VIEW}, {counted['bad']} in {REJECTS}; {seconds:.1f} s from file to view.")
        if counted != {"good": GOOD, "bad": BAD}:
            raise Failed(f"expected {GOOD:,} rows and {BAD} rejects")


def _scratch(folder: Path) -> Path:
    """The project's folder, empty but for our mark. Raises Conflict for a folder that is not ours to empty."""
    from headgate.project import write_project  # noqa: PLC0415 - the packaged files

    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise Conflict(f"{folder} is not empty and was not made by `headgate demo`; name another with --dir")
        _in_use(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    write_project(folder)
    return folder.absolute()


def _in_use(folder: Path) -> None:
    from headgate.runtime.home import HomeLock  # noqa: PLC0415 - as above

    home = folder / ".headgate"
    if home.is_dir():
        try:
            HomeLock(home).release()
        except InUse as error:
            raise InUse(f"another demo runs in {folder}; stop it, or name another folder with --dir") from error


def _settings(project: Path) -> Settings:
    """The example's own: what is set for other projects on this machine does not reach into the demo."""
    from headgate.settings import load  # noqa: PLC0415 - `--help` needs none

    kept = ("HEADGATE_DEBUG", "HEADGATE_LOG_LEVEL", "HEADGATE_LOG_FORMAT")
    environ = {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith(("HEADGATE_", "DATAHUB_"))
    }
    return load(project / "headgate.yaml", environ)


def _free_port() -> int:
    for port in range(FIRST_PORT, LAST_PORT):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise InUse(f"no port from {FIRST_PORT} to {LAST_PORT} is free; name one with --port")


def _generate(path: Path) -> None:
    """In a process of its own: the server stays as small as it is in production."""
    # argv is made of our own words alone
    code = "import sys, pathlib; from headgate.lake.sample import write_sample; " \
           "write_sample(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))"  # fmt: skip
    command = [sys.executable, "-c", code, str(path), str(ROWS), str(BAD)]
    subprocess.run(command, check=True, timeout=120)  # noqa: S603 - see above


def _count(settings: Settings) -> Mapping[str, int]:
    """Asked with the command a person would use, in its own process."""
    sql = f"SELECT (SELECT count(*) FROM {VIEW}) AS good, (SELECT count(*) FROM {REJECTS}) AS bad"  # noqa: S608 - ours
    command = [sys.executable, "-m", "headgate", "-c", str(settings.config_file), "lake", "query", sql, "-o", "json"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADGATE_")}
    done = subprocess.run(  # noqa: S603 - our own words alone
        command, check=False, capture_output=True, text=True, timeout=120, env=environ
    )
    if done.returncode:
        raise Failed(f"the lake could not be asked: {done.stderr.strip()}")
    [row] = json.loads(done.stdout)
    return {name: int(value) for name, value in row.items()}


def _picture(at: arrival.Door, key: str, found: Sequence[Doc]) -> None:
    """The chain as it went, from the file to the last run."""
    say()
    say(f"  s3://{at.bucket}/{key}")
    for depth, run in enumerate(found):
        indent = "  " + "      " * depth
        say(f"{indent}└─▶ {run['cause']['trigger']} fired")
        said = f"{run['state']}  {length(run)}  {outcome(run)}".rstrip()
        say(f"{indent}      └─▶ {run['job']}  {run['id'][:15]}…  {said}")
    say()


def _invite(url: str, settings: Settings) -> None:
    where = os.path.relpath(settings.project)
    say(f"Headgate serves at {url}/headgate/ (Ctrl-C ends it). In another terminal:")
    say(f"  headgate -c {where} runs list")
    say(f'  headgate -c {where} lake query "SELECT series_id, count(*) FROM {VIEW} GROUP BY 1"')  # noqa: S608 - shown
    say(f"  cp YOUR.csv {where}/inbox/collections-data/")
