"""This file is where the pages of docs/ that are generated are written: `make docs`."""

from __future__ import annotations

from pathlib import Path

from headgate.settings import settings_reference

DOCS = Path(__file__).parent.parent / "docs"

LEDE = """Every key of `headgate.yaml`, with the environment variable that wins over it. This page is written by
`make docs` from the descriptions the settings are read by; `headgate config show` prints what is in force and where it
came from. In the file, `${VAR}`, `${VAR:-default}` and `${VAR:?message}` are filled in from the environment.

Last checked: 2026-11-21
"""


def settings_page() -> str:
    """docs/settings.md, whole."""
    heading, _, rest = settings_reference().partition("\n\n")
    return f"{heading}\n\n{LEDE}\n{rest}"


if __name__ == "__main__":
    (DOCS / "settings.md").write_text(settings_page(), "utf-8")
