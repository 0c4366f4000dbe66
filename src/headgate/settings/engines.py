"""This file is where it stands what a job says about its target, engine by engine.

The engines besides `local` are known by their keys here before they can be started: a configuration that names them is
valid, and starting one names what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headgate.model import Json
from headgate.settings.kinds import BOOLEAN, CORES, PATH, SIZE, TEXT, Kind, one_of, pattern
from headgate.settings.reading import Key, Named, Part, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKeys:
    """The keys of an engine's jobs. Of `exactly_one` exactly one must be given."""

    description: str
    keys: Sequence[Named]
    exactly_one: Sequence[str]


def _optional(name: str, kind: Kind[Any], description: str) -> Key[Any]:
    return Key(name=name, kind=kind, default=None, description=description)


STATE_MACHINE: Final = pattern(
    "an ARN such as arn:aws:states:us-east-1:123456789012:stateMachine:NAME",
    r"arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:stateMachine:\S+",
)
_FUNCTION: Final = pattern("a function as module.function", r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_WORD: Final = pattern("a text", r"[^\0]*")
_VARIABLE: Final = pattern(
    "the name of an environment variable, other than our own HEADGATE_*", r"(?!HEADGATE_)[A-Za-z_][A-Za-z0-9_]*"
)
_REGION: Final = _optional(
    "region",
    pattern("an AWS region such as us-east-1", r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}"),
    "The AWS region; by default the one AWS's own settings name. A region in an ARN wins.",
)
#: How a job's calls to AWS are made: where, and as whom.
_AWS: Final = (
    _REGION,
    _optional(
        "role_arn",
        pattern("a role's ARN such as arn:aws:iam::123456789012:role/NAME", r"arn:aws[a-z-]*:iam::\d{12}:role/\S+"),
        "A role that is assumed for the job's calls to AWS; the session has the run's name.",
    ),
    _optional("external_id", TEXT, "The external id the role asks for."),
)
_ENV: Final = Part(
    name="env",
    expected="a list of names of environment variables",
    description="Environment variables the process is given from ours, by name.",
)
_COMMAND: Final = Part(
    name="command",
    expected="a list of a program and its arguments",
    description="A program and its arguments, started without a shell.",
)
_PLUGINS: Final = Part(
    name="plugins",
    expected="a list of plugins of acryl-datahub or of packages",
    description="What a recipe needs beside its source's own plugin: plugins of acryl-datahub by name (`s3`), packages"
    " as pip takes them (`my-source==1.2`).",
)
_VERSION: Final = pattern("a version such as 1.7.0.17", r"\d+(\.\w+)*")
_LIMITS: Final = (
    _optional("memory", SIZE, "The most memory the process tree may use."),
    _optional("cpu", CORES, "How many CPUs the process tree may use."),
    _optional("log_limit", SIZE, "How much of its log is kept; by default what `log_limit` at the top says."),
)

DEFINITION: Final = Part(
    name="definition",
    expected="a mapping of Glue's own members, such as Role and Command",
    description="The Glue job itself, in the members of AWS's CreateJob: `apply` makes it and changes it by them."
    " Without it the Glue job has to be there, and is never changed.",
)
#: Lists of texts, and what each of them must be.
_LISTS: Final[Mapping[str, Kind[str]]] = {"env": _VARIABLE, "command": _WORD, "plugins": TEXT}

ENGINES: Final[Mapping[str, EngineKeys]] = {
    "local": EngineKeys(
        description="A process on this machine.",
        exactly_one=("run", "command", "script"),
        keys=(
            _optional("run", _FUNCTION, "A Python function, called with one context."),
            _COMMAND,
            _optional("script", PATH, "A Glue-style Python script, started with `--JOB_NAME` and the arguments."),
            _ENV,
            _optional("cwd", PATH, "The folder the process starts in; by default the project's."),
            *_LIMITS,
        ),
    ),
    "recipe": EngineKeys(
        description="A DataHub ingestion recipe, in a process on this machine.",
        exactly_one=("recipe",),
        keys=(
            _optional("recipe", PATH, "The recipe's file: YAML, JSON or TOML, as `datahub ingest` takes it."),
            _optional(
                "version",
                _VERSION,
                "The version of acryl-datahub it runs with; by default the one that is installed. Another one is"
                " installed once, into a folder of its own, with the plugins the recipe needs.",
            ),
            _PLUGINS,
            _ENV,
            *_LIMITS,
        ),
    ),
    "step_functions": EngineKeys(
        description="An execution of an AWS Step Functions state machine.",
        exactly_one=("state_machine_arn",),
        keys=(_optional("state_machine_arn", STATE_MACHINE, "The state machine."), *_AWS),
    ),
    "lambda": EngineKeys(
        description="An invocation of an AWS Lambda function.",
        exactly_one=("function", "function_name"),
        keys=(
            _optional("function", TEXT, "The function's name or ARN."),
            _optional("function_name", TEXT, "The same, under AWS's word for it."),
            _optional("qualifier", TEXT, "A version or an alias of the function."),
            _optional(
                "invocation_type",
                one_of("Event", "RequestResponse"),
                "Event (the default) ends the run once Lambda has accepted it; RequestResponse waits for the answer.",
            ),
            _optional(
                "callback",
                BOOLEAN,
                "Whether the function says itself how it ended (`POST /headgate/api/v1/callbacks`, with the token in"
                " its payload); until then the run is RUNNING.",
            ),
            *_AWS,
        ),
    ),
    "glue": EngineKeys(
        description="A run of an AWS Glue job.",
        exactly_one=("job_name",),
        keys=(
            _optional("job_name", TEXT, "The Glue job's name."),
            _optional(
                "queueing",
                BOOLEAN,
                "Whether a run waits in Glue's own queue at Glue's limits; by default what the Glue job says.",
            ),
            DEFINITION,
            *_AWS,
        ),
    ),
}


def read_target(engine: EngineKeys, name: str, section: Section) -> dict[str, Json]:
    """The engine's own keys of a job: only those that are given, sizes in bytes, paths as they are written."""
    target: dict[str, Json] = {}
    before = len(section.report.problems)
    for key in engine.keys:
        if not section.has(key) or key is DEFINITION:  # that is no target's, and read apart
            continue
        if isinstance(key, Key):
            target[key.name] = section.get(key)
        else:
            target[key.name] = list(section.texts(key, _LISTS[key.name]))
    given = [key for key in engine.exactly_one if key in section.node.keys]
    if len(given) != 1:
        choices = " or ".join(engine.exactly_one)
        expected = f"exactly one of {choices}" if len(engine.exactly_one) > 1 else choices
        has = f"both {' and '.join(given)}" if given else "none"
        section.report.problem(section.place, f"{section.name}: engine {name} needs {expected}, found {has}")
    command = target.get("command")
    if isinstance(command, list) and not (command and command[0]) and len(section.report.problems) == before:
        section.report.problem(section.place, f"{section.name}: command needs at least the program to start")
    return target
