"""This file is where the target of a local job is read and checked, before anything is started."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from headgate.model import Json

_KINDS: Final = ("run", "command", "script")
_KEYS: Final = (*_KINDS, "env", "cwd", "memory", "cpu", "log_limit")
_FUNCTION: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+\Z")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\Z", re.IGNORECASE)
_NAME: Final = re.compile(r"[^\W\d]\w*\Z", re.ASCII)
_LEAST_MEMORY: Final = 1 << 20
#: Ours to set; a job that asked for them by name would get something else than it thinks.
_RESERVED: Final = "HEADGATE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a local job runs; exactly one of `run`, `command` and `script` is given."""

    run: str = ""  #: module.function
    command: Sequence[str] = ()
    script: str = ""  #: path of a Python file, relative to the project
    env: Sequence[str] = ()  #: names of variables handed on from the server's environment
    cwd: str = ""  #: relative to the project; "" is the project
    memory: int | None = None  #: bytes
    cpu: float | None = None  #: cores
    log_limit: int | None = None  #: bytes

    @property
    def module(self) -> str:
        return self.run.rpartition(".")[0]

    @property
    def function(self) -> str:
        return self.run.rpartition(".")[2]


def validate_target(target: Mapping[str, Json], project: Path | None = None) -> list[str]:
    """Return what is wrong with a target, one sentence each; with `project` also which files it needs are missing."""
    problems = [f"unknown key {key!r}; known are {', '.join(_KEYS)}" for key in target if key not in _KEYS]
    given = [kind for kind in _KINDS if kind in target]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        problems.append(f"a local job has exactly one of run, command and script; found {found}")
    for key, check in _CHECKS.items():
        if key in target and (problem := check(target[key])):
            problems.append(f"{key}: {problem}")
    if not problems and project is not None:
        problems += _missing(read_target(target), project)
    return problems


def read_target(target: Mapping[str, Json]) -> Target:
    """Read a target that `validate_target` finds nothing wrong with."""
    values = cast("Mapping[str, Any]", target)
    return Target(
        run=values.get("run", ""),
        command=tuple(values.get("command", ())),
        script=values.get("script", ""),
        env=tuple(values.get("env", ())),
        cwd=values.get("cwd", ""),
        memory=size(values["memory"]) if "memory" in values else None,
        cpu=float(values["cpu"]) if "cpu" in values else None,
        log_limit=size(values["log_limit"]) if "log_limit" in values else None,
    )


def size(value: Json) -> int | None:
    """Return the bytes of `512M`, `1.5 GiB` or a number; None when it is no size. K, M, G and T are powers of 1024."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _SIZE.match(str(value).strip())
    if found is None:
        return None
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def _missing(target: Target, project: Path) -> list[str]:
    problems: list[str] = []
    folder = project / target.cwd
    if not folder.is_dir():
        problems.append(f"cwd: there is no folder {folder}")
    if target.script and not (project / target.script).is_file():
        problems.append(f"script: there is no file {project / target.script}")
    if target.command and "/" in target.command[0]:
        file = folder / target.command[0]
        if not file.is_file():
            problems.append(f"command: there is no file {file}")
        elif not os.access(file, os.X_OK):
            problems.append(f"command: {file} is not executable (chmod +x)")
    return problems


def _run(value: Json) -> str:
    if isinstance(value, str) and _FUNCTION.match(value):
        return ""
    return f"expected module.function, e.g. jobs.clean.main; found {value!r}"


def _command(value: Json) -> str:
    words = _strings(value)
    if words is None or not words or not words[0]:
        return f"expected a list of words, e.g. [sh, -c, 'echo hello']; found {value!r}"
    return "a word holds a NUL byte" if any("\0" in word for word in words) else ""


def _path(value: Json) -> str:
    return "" if isinstance(value, str) and value and "\0" not in value else f"expected a path; found {value!r}"


def _env(value: Json) -> str:
    names = _strings(value)
    if names is None:
        return f"expected a list of variable names; found {value!r}"
    if bad := [name for name in names if not _NAME.match(name)]:
        return f"{bad[0]!r} is no variable name; values are never written here, only the names of what to hand on"
    if ours := [name for name in names if name.startswith(_RESERVED)]:
        return f"{ours[0]} is set by Headgate itself"
    return ""


def _memory(value: Json) -> str:
    found = size(value)
    return (
        "" if found and found >= _LEAST_MEMORY else f"expected a size of at least 1M, e.g. 512M or 2G; found {value!r}"
    )


def _cpu(value: Json) -> str:
    fine = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1024
    return "" if fine else f"expected a number of cores, e.g. 0.5 or 2; found {value!r}"


def _strings(value: Json) -> list[str] | None:
    if not isinstance(value, list | tuple):
        return None
    words = [word for word in cast("Sequence[object]", value) if isinstance(word, str)]
    return words if len(words) == len(cast("Sequence[object]", value)) else None


_CHECKS: Final = {
    "run": _run,
    "command": _command,
    "script": _path,
    "cwd": _path,
    "env": _env,
    "memory": _memory,
    "cpu": _cpu,
    "log_limit": _memory,
}
