"""This file is where `${VAR}`, `${VAR:-default}` and `${VAR:?message}` in a text become what the environment says.

A text is literal but for `${…}`. In a run of dollar signs right before a `{` every two stand for one literal dollar
sign, so `$${VAR}` is the text `${VAR}` and `$$${VAR}` is a dollar sign and a value. A default or a message may hold
expressions of its own, and braces as long as they come in pairs (so that a default may be JSON).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from headgate.errors import Invalid

_DOLLARS: Final = re.compile(r"\$+(?=\{)")
_HEAD: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:-|:\?|\})")
_DEEPEST: Final = 20  #: far more than anyone means, far less than the interpreter's stack
_FORMS: Final = "${NAME}, ${NAME:-default} and ${NAME:?message}"

Operator = Literal["", ":-", ":?"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One `${…}`. `rest` is the default or the message."""

    name: str
    operator: Operator = ""
    rest: tuple[str | Variable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    text: str
    variables: tuple[str, ...]  #: the variables whose values are in the text


def expand(text: str, environ: Mapping[str, str]) -> Expanded:
    """Put the environment's values into a text.

    As in a shell, `:-` and `:?` treat an empty variable like one that is not set; a bare `${VAR}` may be empty.

    Raises:
        Invalid: the text is no valid expression, or a variable that must be set is not.
    """
    used: list[str] = []
    return Expanded(text=_evaluate(parse(text), environ, used), variables=tuple(dict.fromkeys(used)))


def escape(text: str) -> str:
    """The text which expands to this one, whatever the environment."""
    return _DOLLARS.sub(lambda run: run[0] * 2, text)


def parse(text: str) -> tuple[str | Variable, ...]:
    """Take a text apart into literals and variables.

    Raises:
        Invalid: an expression is not closed, or has none of the three forms.
    """
    return _parse(text, 0, depth=0)[0]


def _parse(text: str, at: int, *, depth: int) -> tuple[tuple[str | Variable, ...], int]:
    """Parse up to the end, or inside an expression up to the brace that closes it, which is stepped over."""
    parts: list[str | Variable] = []
    literal = ""
    start, braces = at, 0
    while at < len(text):
        if run := _DOLLARS.match(text, at):
            pairs, odd = divmod(len(run[0]), 2)
            literal, at = literal + "$" * pairs, run.end()
            if odd:
                variable, at = _variable(text, at, depth=depth)
                parts, literal = [*parts, *([literal] if literal else []), variable], ""
                continue
        character = text[at]
        if depth and character == "}" and not braces:
            return (*parts, *([literal] if literal else [])), at + 1
        braces += {"{": 1, "}": -1}.get(character, 0)
        literal, at = literal + character, at + 1
    if depth:
        raise Invalid(f"the expression is not closed with a brace: ...{text[max(0, start - 20) :]!r}")
    return (*parts, *([literal] if literal else [])), at


def _variable(text: str, brace: int, *, depth: int) -> tuple[Variable, int]:
    if depth == _DEEPEST:
        raise Invalid(f"expressions are nested more than {_DEEPEST} deep")
    head = _HEAD.match(text, brace)
    if head is None:
        raise Invalid(f"{text[brace - 1 : brace + 20]!r} is none of {_FORMS}; for the text itself write $${{")
    match head[2]:
        case ":-":
            operator: Operator = ":-"
        case ":?":
            operator = ":?"
        case _:
            return Variable(name=head[1]), head.end()
    rest, after = _parse(text, head.end(), depth=depth + 1)
    return Variable(name=head[1], operator=operator, rest=rest), after


def _evaluate(parts: tuple[str | Variable, ...], environ: Mapping[str, str], used: list[str]) -> str:
    return "".join(part if isinstance(part, str) else _value(part, environ, used) for part in parts)


def _value(variable: Variable, environ: Mapping[str, str], used: list[str]) -> str:
    value = environ.get(variable.name)
    if value or (value is not None and not variable.operator):
        used.append(variable.name)
        return value
    if variable.operator == ":-":
        return _evaluate(variable.rest, environ, used)
    message = _evaluate(variable.rest, environ, [])
    state = "empty" if value == "" else "not set"
    advice = message or f"set it, or write ${{{variable.name}:-default}}"
    raise Invalid(f"the environment variable {variable.name} is {state}: {advice}")
