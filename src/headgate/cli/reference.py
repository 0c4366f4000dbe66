"""This file is where the reference of every command is written, from the words that `--help` shows."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from headgate.cli.ending import MEANING
from headgate.cli.tree import command

_EXIT_CODES = "Exit codes"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with the words it is typed with, in the order of `--help`."""
    yield from _below("headgate", command())


def command_reference() -> str:
    """The reference of the command line, as Markdown: a heading a command, a row an option."""
    lines = ["# Command line", "", f"## {_EXIT_CODES}", "", "| code | means |", "| --- | --- |"]
    lines += [f"| {int(code)} | {meaning} |" for code, meaning in MEANING.items()]
    lines += ["", "## Everywhere", "", "These stand before the command:", "", *_options(command()), ""]
    for name, one in commands():
        lines += [f"## {name}", "", "```sh", _usage(name, one), "```", "", one.help, "", *_options(one), ""]
    return "\n".join(lines).rstrip() + "\n"


def _below(name: str, group: Any) -> Iterator[tuple[str, Any]]:
    for word, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from _below(f"{name} {word}", one)
        else:
            yield f"{name} {word}", one


def _usage(name: str, one: Any) -> str:
    """How it is typed; options that may be left out are in the table below it."""
    words = [_word(param) for param in one.params if _is_argument(param) and not param.hidden]
    return " ".join([name, *(["[OPTIONS]"] if len(words) < len(one.params) else []), *words])


def _word(param: Any) -> str:
    """An argument as it is typed: in brackets where it may be left out, with dots where there may be several."""
    word = str(param.metavar or param.name)
    return (word if param.required else f"[{word}]") + ("..." if param.nargs < 0 else "")


def _options(one: Any) -> list[str]:
    rows = [_row(param) for param in one.params if not param.hidden]
    return ["| option | default | meaning |", "| --- | --- | --- |", *rows] if rows else []


def _row(param: Any) -> str:
    if _is_argument(param):
        name = f"`{_word(param)}`"
    else:
        value = "" if param.is_flag else f" {param.metavar or _choices(param.default)}"
        name = ", ".join(f"`{option}{value}`" for option in sorted(param.opts, key=len, reverse=True))
    default = param.default
    shown = "" if default is None or default is False or callable(default) else f"`{_text(default)}`"
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (name, shown, param.help or "")) + " |"


def _is_argument(param: Any) -> bool:
    return not param.opts[0].startswith("-")


def _choices(default: object) -> str:
    return "|".join(_text(one) for one in type(default)) if isinstance(default, Enum) else "VALUE"


def _text(value: object) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)
