"""This file is where a throw-away PostgreSQL cluster is started, as an unprivileged user when we are root."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

USER = "nobody"
_ROOM = 4 << 30  #: bytes; a cluster with what tests write takes some hundred megabytes


def binaries() -> Path | None:
    """The newest PostgreSQL bin directory of this machine; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def cluster(*, fsync: bool = False) -> Generator[str]:
    """The URL of a fresh cluster's database, without fsync unless asked: it is thrown away."""
    folder = binaries()
    if folder is None:
        raise RuntimeError("no PostgreSQL server here: apt-get install postgresql, or set HEADGATE_NO_POSTGRES=1")
    base = Path(tempfile.mkdtemp(prefix="hg-pg-", dir=None if fsync else _memory()))
    data = base / "data"
    try:
        if os.getuid() == 0:
            shutil.chown(base, USER)
        port = _free_port()
        _run([folder / "initdb", "-D", data, "-U", "headgate", "--auth=trust", "-E", "UTF8", "--no-sync"])
        durable = "on" if fsync else "off"
        options = f"-p {port} -k {base} -c listen_addresses=127.0.0.1 -c fsync={durable} -c max_connections=200"
        _run([folder / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", base / "log", "-o", options, "start"])
        try:
            yield f"postgresql+psycopg://headgate@127.0.0.1:{port}/postgres"
        finally:
            _run([folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"])
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _memory() -> Path | None:
    """A folder in memory with room for it: a database is copied ten times as fast there; None: there is none."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < _ROOM:
        return None
    return memory


def _run(command: list[str | Path]) -> None:
    user = USER if os.getuid() == 0 else None
    environ = {**os.environ, "HOME": pwd.getpwnam(USER).pw_dir} if user else None
    done = subprocess.run(
        [str(word) for word in command],
        user=user,
        group=pwd.getpwnam(USER).pw_gid if user else None,
        extra_groups=[] if user else None,
        env=environ,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
