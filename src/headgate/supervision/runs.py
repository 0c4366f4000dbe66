"""This file is where the words of one supervised run are: what to run, how it ended, and who is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headgate.supervision import records
from headgate.supervision.launching import Warm


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to run. Either `argv`, or `call` ("module:function", called with `arguments` in a warm process)."""

    id: str  #: the attempt's; names the run directory
    cwd: str
    environ: Mapping[str, str]  #: all of it; never written to disk
    argv: Sequence[str] = ()
    executable: str = ""  #: the file of the command; "" looks for argv[0] in PATH
    call: str = ""
    arguments: Sequence[str] = ()
    warm: Warm | None = None
    memory: int | None = None  #: bytes
    log_limit: int | None = None  #: bytes of its log that are kept, beside the end; None: all
    cpu: float | None = None  #: cores
    timeout: float | None = None  #: seconds; kept by the shim, so it holds while no supervisor lives
    grace: float = 10.0  #: seconds between asking and forcing, when the timeout ends it
    #: Handed over in memory and by pipe, see `headgate.supervision.calling.secrets`: never on disk, in argv or in the
    #: environment. What the process writes to its log is masked.
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    plain: Sequence[str] = ()  #: names of those that are no secrets after all, and are not masked
    masked: Sequence[str] = ()  #: names of variables of `environ` that are masked in the log, see `private`


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a run ended, as the exit record says."""

    code: int | None  #: of the main process, negative for a signal; None: never started, or not known
    at: float  #: seconds since 1970
    started: bool = True
    stopped: bool = False
    timed_out: bool = False
    lost: bool = False
    leftovers: int = 0  #: processes that outlived the main one and were ended
    out_of_memory: bool = False
    could_not_start: str = ""
    errno: int = 0


class Told(Protocol):
    """Who a supervisor tells. Called from its thread (`running` also from the caller's of start)."""

    def running(self, attempt_id: str, handle: str, at: float) -> None: ...
    def progressed(self, attempt_id: str, directory: str) -> None: ...
    def ended(self, attempt_id: str, directory: str, end: Exit) -> None: ...


def read_exit(record: records.Record) -> Exit:
    failed = record.get("could_not_start") or {}
    return Exit(
        code=record.get("code"),
        at=float(record.get("at") or 0),
        started=bool(record.get("started", True)),
        stopped=bool(record.get("stopped")),
        timed_out=bool(record.get("timed_out")),
        lost=bool(record.get("lost")),
        leftovers=int(record.get("leftovers") or 0),
        out_of_memory=bool(record.get("out_of_memory")),
        could_not_start=str(failed.get("text") or ""),
        errno=int(failed.get("errno") or 0),
    )
