"""This file is where `functions:` is read: Lambda functions that run on this machine, each a job of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headgate.model import Job, JobName, Json
from headgate.settings.kinds import ANY_TEXT, DESCRIPTION, POSITIVE_DURATION, SIZE, Kind, pattern, whole
from headgate.settings.reading import Key, Named, Part, Section, shown_as, source
from headgate.settings.record import Function

FUNCTIONS: Final = Part(
    name="functions",
    expected="a mapping of names to functions",
    description="Lambda functions as Python handlers of the project, for `aws lambda invoke`; each is a job"
    " `function:NAME`, which triggers may start, too.",
)
HANDLER: Final = Key(
    name="handler",
    kind=pattern("a handler as module.function", r"[^\W\d]\w*(\.[^\W\d]\w*)+"),
    default="",
    shown="required",
    description="The function that is called with the event and a context, as Lambda does it.",
)
ENV: Final = Part(
    name="env",
    expected="a list of names of environment variables",
    description="Environment variables the process is given from ours, by name: credentials, for instance.",
)
VARIABLES: Final = Part(
    name="variables",
    expected="a mapping of names to texts",
    description="Environment variables of the function by their values, which are no secrets: they are kept and shown.",
)


def _timeout(text: str) -> float:
    seconds = POSITIVE_DURATION.parse(text)
    if seconds > 900:
        raise ValueError(text)
    return seconds


TIMEOUT: Final = Key(
    name="timeout",
    kind=Kind("a duration above zero of at most 15m, Lambda's own limit", _timeout),
    default=60.0,
    shown="60s",
    description="After this long an invocation is ended.",
)
MEMORY: Final = Key(
    name="memory", kind=SIZE, default=None, shown="no limit", description="The most memory an invocation may use."
)
AT_A_TIME: Final = Key(
    name="max_concurrent_runs",
    kind=whole(1),
    default=10,
    description="How many invocations may be under way at a time; further ones wait in order.",
)
ABOUT: Final = Key(name="description", kind=DESCRIPTION, default="", description="What it is for.")
FUNCTION: Final[Sequence[Named]] = (HANDLER, ENV, VARIABLES, TIMEOUT, MEMORY, AT_A_TIME, ABOUT)

_VARIABLE: Final = pattern(
    "the name of an environment variable, other than our own HEADGATE_*", r"(?!HEADGATE_)[A-Za-z_][A-Za-z0-9_]*"
)
#: Where an invocation begins, in its own process.
ENTRY: Final = "headgate.engines.local.function.call"


def read_functions(top: Section) -> dict[str, Function]:
    """Read `functions:`."""
    found: dict[str, Function] = {}
    for name, section in top.sections(FUNCTIONS).items():
        section.only(FUNCTION)
        handler = section.required(HANDLER)
        if handler is not None:
            found[name] = Function(name=name, handler=handler, job=_job(name, handler, section))
    return found


def _job(name: str, handler: str, section: Section) -> Job:
    memory: int | None = section.get(MEMORY)
    env = section.texts(ENV, _VARIABLE)
    target: dict[str, Json] = {
        "run": ENTRY,
        **({"env": list(env)} if env else {}),
        **({"memory": memory} if memory else {}),
    }
    return Job(
        name=JobName(f"function:{name}"),
        engine="local",
        target=target,
        arguments={
            "--function": name,
            "--handler": handler,
            "--variables": json.dumps(_variables(section), sort_keys=True),
        },
        max_concurrent_runs=section.get(AT_A_TIME),
        timeout=section.get(TIMEOUT),
        description=section.get(ABOUT),
    )


def _variables(owner: Section) -> Mapping[str, str]:
    section = owner.section_or_empty(VARIABLES)
    values: dict[str, str] = {}
    for name, node in section.node.entries.items():
        value: tuple[Any] | None = section.value(node, ANY_TEXT, section.path(name))
        if value is not None:
            values[name] = value[0]
            section.report.note(section.path(name), shown_as(name, value[0]), source(node))
    return values
