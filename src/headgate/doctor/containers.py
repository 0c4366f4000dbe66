"""This file is where the containers of DataHub Actions are found with `docker`, and what their logs say of ingestions.

DataHub's own executor runs in such a container and keeps no other record than its log. Nothing is started or stopped;
without docker the command is told that somebody who has one may type.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Final

import msgspec

from headgate.datahub.answers import record
from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.records import word
from headgate.errors import Unavailable
from headgate.settings import Settings

LINES: Final = 2_000  #: of a log, the last ones
_PATIENCE: Final = 10.0  #: seconds for one call of docker
_LARGEST: Final = 8 << 20  #: bytes of what it prints, that are read
_MOST: Final = 5  #: containers whose logs are looked at
_NAME: Final = "datahub-actions"
#: What of the log speaks of an ingestion; the rest of a line may hold a password and is not shown.
_INGESTS: Final = re.compile(
    r"datahub ingest\b|\bRUN_INGEST\b|\bdatahub\.ingestion\b|\bexec(?:ution)?_id=[\w-]{1,64}", re.IGNORECASE
)
_AT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_GREP: Final = "grep -iE 'datahub ingest|RUN_INGEST|exec_id='"
_BY_HAND: Final = f"docker ps -a | grep {_NAME}; docker logs --tail {LINES} CONTAINER 2>&1 | {_GREP}"
#: What docker needs of our environment; all else is none of its business.
_PASSED: Final = ("PATH", "HOME", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK", "LANG")


@dataclass(frozen=True, slots=True)
class Container:
    """One line of `docker ps`."""

    id: str
    name: str
    image: str
    running: bool


@dataclass(frozen=True, slots=True)
class _Docker:
    """The command, as it was found, and what it is given."""

    program: str
    environ: Mapping[str, str]
    patience: float  #: seconds for one call

    def said(self, *words: str) -> str:
        """What it prints, at most _LARGEST bytes of it; of `logs` both streams, for there a container's are both.

        Raises:
            Unavailable: it cannot be started, fails, or takes too long.
        """
        shown = f"docker {words[0]}"
        passed = {name: value for name, value in self.environ.items() if name in _PASSED or name.startswith("DOCKER_")}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(  # noqa: S603 - `docker`, as it was found on PATH, with words of ours
                    [self.program, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT if words[0] == "logs" else errors,
                    env=passed,
                    start_new_session=True,
                )
            except OSError as error:
                raise Unavailable(f"{shown} cannot be started: {error.strerror}") from error
            try:
                code = process.wait(self.patience)
            except subprocess.TimeoutExpired as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise Unavailable(f"{shown} did not end within {self.patience:g} s") from error
            text, said = (_read(one) for one in (out, errors))
        if code != 0:
            raise Unavailable(f"{shown}: {' '.join((said or text).split())[:200] or f'exit {code}'}")
        return text


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_LARGEST).decode("utf-8", "replace")


def examine(settings: Settings, environ: Mapping[str, str], *, patience: float = _PATIENCE) -> Iterator[Finding]:
    """Which containers of DataHub Actions there are, and what their logs say of ingestions.

    `patience`: seconds that one call of docker may take.
    """
    program = shutil.which("docker", path=environ.get("PATH", ""))
    if program is None:
        yield from _told("no docker is on this machine's PATH", settings)
        return
    docker = _Docker(program, environ, patience)
    try:
        found = _containers(docker)
    except Unavailable as error:
        # no daemon here is no trouble: then there are no containers here, either
        away = re.search(
            r"cannot connect to the docker daemon|failed to connect to the docker api", str(error), re.IGNORECASE
        )
        if away:
            yield from _told(str(error), settings)
        else:
            yield unseen("the containers of this machine", str(error), _BY_HAND)
        return
    if not found:
        yield from _told(f"docker lists no container whose image or name says {_NAME}", settings)
        return
    for one in found[:_MOST]:
        yield from _container(docker, one, settings)
    if len(found) > _MOST:
        yield unseen(f"{len(found) - _MOST} more containers of DataHub Actions", f"{_MOST} are looked at", _BY_HAND)


def _told(why: str, settings: Settings) -> Iterator[Finding]:
    """What to type where the containers are; without a DataHub there is nobody to ask for them."""
    if settings.datahub.configured:
        what = "no log of a container of DataHub Actions was looked at"
        yield Finding(Rank.NOTE, what, why, f"where they run: {_BY_HAND}")


def _containers(docker: _Docker) -> list[Container]:
    """Those whose image or name says that they are DataHub's Actions, running ones first.

    Raises:
        Unavailable: docker does not answer, or not with a list.
    """
    text = docker.said("ps", "--all", "--no-trunc", "--format", "{{json .}}")
    found: list[Container] = []
    for line in text.splitlines():
        try:
            one = record(msgspec.json.decode(line)) if line.strip() else {}
        except msgspec.DecodeError as error:
            raise Unavailable(f"docker ps answered what is no JSON: {line[:80]!r}") from error
        names, image = str(one.get("Names") or ""), str(one.get("Image") or "")
        if _NAME in names or _NAME in image:
            running = one.get("State") == "running" or str(one.get("Status") or "").startswith("Up")
            found.append(Container(str(one.get("ID") or names), names.partition(",")[0], image, running))
    return sorted(found, key=lambda one: not one.running)


def _container(docker: _Docker, one: Container, settings: Settings) -> Iterator[Finding]:
    name = one.name or one.id[:12]
    what = f"the container {name} ({one.image})"
    mend = f"docker logs --tail {LINES} {word(name)} 2>&1 | {_GREP}"
    file = settings.datahub.executor
    if one.running and file is not None:
        yield Finding(
            Rank.POSSIBLE,
            f"{what} carries out execution requests, and so does Headgate",
            f"it runs, and datahub.executor is {file}; of one executor id both would race for each request",
            f"docker stop {word(name)}; or give one of them an executor_id of its own (docs/executor.md)",
        )
    try:
        lines = docker.said("logs", "--timestamps", "--tail", str(LINES), one.id).splitlines()
    except Unavailable as error:
        yield unseen(f"the log of {what}", str(error), mend)
        return
    hits = [(line, hit) for line in lines if (hit := _INGESTS.search(line))]
    state = "runs" if one.running else "does not run"
    if not hits:
        yield Finding(
            Rank.NOTE, f"{what} {state}, and its log says nothing of ingestions", f"its last {len(lines)} lines", mend
        )
        return
    line, newest = hits[-1]
    at = _AT.search(line)
    yield Finding(
        Rank.NOTE,
        f"{what} {state}, and its log speaks of ingestions",
        f"{len(hits)} of its last {len(lines)} lines; the newest"
        + (f" at {at.group().replace('T', ' ')} UTC" if at else "")
        + f": {newest.group()}",
        mend,
    )  # fmt: skip
