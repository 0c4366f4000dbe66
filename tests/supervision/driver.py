"""This file is where a supervisor runs that the tests kill: it starts runs, and says when on stdout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headgate.supervision.launching import Launchers
from headgate.supervision.runs import Exit, Told, Work
from headgate.supervision.supervisor import Supervisor

#: The code is in the name, so that whoever finds the run knows what its true code is.
SCRIPT = "echo begin; sleep 0.03; echo end; exit {code}"


class Silent:
    def running(self, attempt_id: str, handle: str, at: float) -> None: ...
    def progressed(self, attempt_id: str, directory: str) -> None: ...
    def ended(self, attempt_id: str, directory: str, end: Exit) -> None: ...


def work(attempt_id: str, script: str) -> Work:
    environ = {"PATH": os.environ["PATH"], "HEADGATE_ATTEMPT": attempt_id}
    return Work(id=attempt_id, cwd="/", environ=environ, argv=["sh", "-c", script])


def supervisor(folder: Path, told: Told) -> tuple[Supervisor, Launchers]:
    folder.mkdir(exist_ok=True)
    launchers = Launchers(folder / "launchers.log", {"PATH": os.environ["PATH"]})
    return Supervisor(folder, told, launchers), launchers


def main() -> None:
    folder, first, many = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    mine, launchers = supervisor(folder, Silent())
    for number in range(first, first + many):
        if number == first + 1:
            sys.stdout.write(f"{launchers.pids()[0]}\n")
            sys.stdout.flush()
        mine.start(work(f"run-{number}", SCRIPT.format(code=number % 100)))
    sys.stdin.read()


if __name__ == "__main__":
    main()
