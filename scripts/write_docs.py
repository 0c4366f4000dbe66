"""This file is where the pages of docs/ that are generated are written: `make docs`."""

from __future__ import annotations

from pathlib import Path

from headgate.cli.reference import command_reference
from headgate.settings import settings_reference

DOCS = Path(__file__).parent.parent / "docs"

LEDE = """Every key of `headgate.yaml`, with the environment variable that wins over it. This page is written by
`make docs` from the descriptions the settings are read by; `headgate config show` prints what is in force and where it
came from. In the file, `${VAR}`, `${VAR:-default}` and `${VAR:?message}` are filled in from the environment.

Last checked: 2026-11-21
"""

COMMANDS_LEDE = """Every command, in the words that `headgate --help` shows; `make docs` writes this page from them. A
command finds a running server through `HEADGATE_URL` or the home of the project and asks it; with none running it uses
the ledger itself. `--output json` prints one JSON document on standard output, whatever is told beside it. What fails
says what happened, to which thing, and what to do, on standard error; `HEADGATE_DEBUG=1` adds where in the code.
`headgate --install-completion` teaches the shell the names of jobs, triggers and runs.

Last checked: 2026-11-21
"""


def settings_page() -> str:
    """docs/settings.md, whole."""
    heading, _, rest = settings_reference().partition("\n\n")
    return f"{heading}\n\n{LEDE}\n{rest}"


def commands_page() -> str:
    """docs/cli.md, whole."""
    heading, _, rest = command_reference().partition("\n\n")
    return f"{heading}\n\n{COMMANDS_LEDE}\n{rest}"


if __name__ == "__main__":
    (DOCS / "settings.md").write_text(settings_page(), "utf-8")
    (DOCS / "cli.md").write_text(commands_page(), "utf-8")
