"""This file is where a shim's job begins: a command by spawn, what needs more by fork, Python by a call."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
from typing import Final, NamedTuple, NoReturn

from headgate.supervision import handing, records, tree

COULD_NOT_START: Final = 127
_CHANGED: Final = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGTERM,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGINT,
)


class Held(NamedTuple):
    """A forked job that waits for a byte before it goes on."""

    pid: int
    go: int  #: write end: a byte releases it, the end of the pipe ends it
    failure: int  #: read end: why it could not start, JSON {"errno", "text"}


def open_log(directory: str, note: str) -> int:
    """Open the log for the job itself to append to: no pipe, so no reader's end can be the job's."""
    log = os.open(records.path(directory, records.LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if note:
        os.write(log, f"headgate: {note}\n".encode())
    return log


def simple(spec: records.Record) -> bool:
    """Whether `spawn` can start it: a command without limits."""
    return not (spec.get("call") or spec.get("memory") or spec.get("cpu"))


def spawn(spec: records.Record, environ: dict[str, str], log: int, secrets: dict[str, str]) -> int:
    """Start a command without copying this process first (vfork), and return its pid.

    Raises:
        OSError: it could not start; the text says at which step.
    """
    argv = [str(one) for one in spec["argv"]]
    executable = str(spec.get("executable") or argv[0])
    # the shim's own folder is of no use to it, and spawning knows no chdir
    _enter(str(spec["cwd"]))
    pipe, environ = handing.hand_over(secrets, environ)
    try:
        return (os.posix_spawn if "/" in executable else os.posix_spawnp)(
            executable,
            argv,
            environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                *([] if pipe is None else [(os.POSIX_SPAWN_DUP2, pipe, handing.DESCRIPTOR)]),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=_CHANGED,
        )
    except (OSError, ValueError) as error:
        raise _at(f"execute {executable}", error) from error
    finally:
        if pipe is not None:
            os.close(pipe)


def fork(
    spec: records.Record,
    environ: dict[str, str],
    secrets: dict[str, str],
    enforced: set[str],
    *,
    log: int,
    cgroup: str | None,
    unwanted: tuple[int, ...],
) -> Held:
    """Fork the job, set up and ready but held: the shim publishes meanwhile, and should that die, nothing runs.

    `unwanted`: descriptors of the shim's that the job must not have.
    """
    held, go = os.pipe2(os.O_CLOEXEC)
    failure, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    pid = os.fork()
    if pid == 0:
        for fd in (go, *unwanted):
            os.close(fd)
        _become_the_job(spec, environ, secrets, enforced, log=log, told=told, held=held, cgroup=cgroup)
    os.close(held)
    os.close(told)
    return Held(pid, go, failure)


def _become_the_job(
    spec: records.Record,
    environ: dict[str, str],
    secrets: dict[str, str],
    enforced: set[str],
    *,
    log: int,
    told: int,
    held: int,
    cgroup: str | None,
) -> NoReturn:
    try:
        os.setsid()
        tree.rename_process(records.mark(str(spec["id"])))
        if cgroup:
            tree.join_cgroup(cgroup)
        _limit(spec.get("memory"), spec.get("cpu"), enforced)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        _enter(str(spec["cwd"]))
        if not os.read(held, 1):
            os._exit(COULD_NOT_START)
        _ordinary_signals(python=bool(spec.get("call")))
        if spec.get("call"):
            for fd in (told, held, null, log):
                os.close(fd)
            # imported here only: the light launcher and the shims it forks stay small
            from headgate.supervision.calling import call_warm  # noqa: PLC0415

            call_warm(str(spec["call"]), [str(one) for one in spec["arguments"]], environ, secrets)
        argv = [str(one) for one in spec["argv"]]
        executable = str(spec.get("executable") or argv[0])
        pipe, environ = handing.hand_over(secrets, environ)
        if pipe is not None:
            os.dup2(pipe, handing.DESCRIPTOR)
        try:
            os.execvpe(executable, argv, environ)  # noqa: S606 -- to run what the job says is what we are for
        except (OSError, ValueError) as error:
            raise _at(f"execute {executable}", error) from error
    except OSError as error:
        os.write(told, json.dumps(told_as(error)).encode())
    finally:
        os._exit(COULD_NOT_START)


def told_as(error: OSError) -> records.Record:
    return {"errno": error.errno or 0, "text": error.strerror or str(error)}


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise _at(f"enter the folder {folder}", error) from error


def _at(step: str, error: OSError | ValueError) -> OSError:
    if isinstance(error, OSError):
        return OSError(error.errno, f"{step}: {error.strerror}")
    return OSError(0, f"{step}: {error}")


def _ordinary_signals(*, python: bool) -> None:
    for one in _CHANGED:
        signal.signal(one, signal.SIG_DFL)
    if python:
        # as a fresh interpreter has them
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, set[signal.Signals]())


def _limit(memory: int | None, cpu: float | None, enforced: set[str]) -> None:
    """Limit as well as it goes where no cgroup does it: data size of each process; cores by affinity, less by nice."""
    if memory and "memory" not in enforced:
        # RLIMIT_AS would count what allocators only reserve; RLIMIT_DATA counts what can be written
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    if cpu and "cpu" not in enforced:
        if sys.platform == "linux":
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, cores[-max(1, math.ceil(cpu)) :])
        if cpu < 1:
            os.nice(10)
