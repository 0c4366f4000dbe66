"""This file is where the reference of the command line is held against the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from headgate.cli.ending import MEANING, ExitCode
from headgate.cli.reference import commands
from headgate.cli.tree import command

ROOT: Final = Path(__file__).parent.parent.parent
PAGE: Final = ROOT / "docs" / "cli.md"


def test_the_page_is_current() -> None:
    """docs/cli.md is what `make docs` writes."""
    code = "import sys; sys.path.insert(0, 'scripts'); import write_docs; sys.stdout.write(write_docs.commands_page())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=90, check=True
    )

    assert PAGE.read_text("utf-8") == done.stdout


def test_every_command_has_its_heading_and_every_option_its_row() -> None:
    """Nothing that can be typed is missing from the page."""
    text = PAGE.read_text("utf-8")
    headings = re.findall(r"^## (headgate .+)$", text, re.MULTILINE)

    assert headings == [name for name, _ in commands()]
    for name, one in commands():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        missing = [option for param in one.params for option in param.opts if f"`{option}" not in section]
        assert [option for option in missing if option.startswith("-")] == [], name


@pytest.mark.parametrize(("name", "one"), [pytest.param(name, one, id=name) for name, one in commands()])
def test_every_command_and_option_says_what_it_does(name: str, one: Any) -> None:
    """Each has help; what people type in has a short name for what is expected there."""
    assert one.help.strip().endswith(".")
    assert [param.name for param in one.params if not param.help] == []
    assert one.get_help(one.make_context(name, [], resilient_parsing=True)).startswith(f"Usage: {name}")


def test_the_groups_say_what_they_are_about() -> None:
    """`headgate --help` has a sentence for every group and command."""
    assert [word for word, one in command().commands.items() if not one.help] == []


def test_every_exit_code_has_its_meaning() -> None:
    """The page's table is the code's, and its codes are those that commands end with."""
    rows = re.findall(r"^\| (\d+) \|", PAGE.read_text("utf-8"), re.MULTILINE)

    assert set(MEANING) == set(ExitCode)
    assert rows == [str(int(code)) for code in ExitCode]
