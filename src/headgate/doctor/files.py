"""This file is where given folders are searched for ingestions: `datahub ingest`, recipes, and DataHub's own classes.

It is a look at other people's repositories: bounded in files, bytes and seconds, never out of the folder by a link, and
never quoting more of a line than the words that were found, for a password may stand beside them.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.places import Regular
from headgate.doctor.records import word

_FILES: Final = 20_000  #: that are opened
_LARGEST: Final = 1 << 20  #: bytes of a file; what is larger was made by a program
_BYTES: Final = 256 << 20  #: in all
_SECONDS: Final = 30.0
_TOLD: Final = 50  #: files that are told one by one
_RECIPE: Final = 256 << 10  #: bytes of a file that is read as YAML
_PASSED: Final = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox", ".terraform"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", "site-packages"}
)
#: What a line holds that ingests.
TYPED: Final = re.compile(
    r"\bdatahub(?:\s+--?[\w-]+)*\s+ingest\b"  # as a shell has it
    r"|[\"']datahub[\"']\s*,\s*(?:[\"']--?[\w-]+[\"']\s*,\s*)*[\"']ingest[\"']"  # as a list of words has it
    r"|\bheadgate\s+(?:recipes\s+)?run\b"
)
_CODED: Final = re.compile(r"^\s*(?:from|import)\s+datahub\.ingestion\b[\w.]*")
_SOURCE: Final = re.compile(r"^[\"']?source[\"']?\s*:|^\s*\"source\"\s*:", re.MULTILINE)
_YAML: Final = (".yml", ".yaml", ".json", ".dhub")
_SCHEDULED: Final = re.compile(
    r"^\s*-?\s*cron\s*:|^\s*schedule\s*:|\bschedule(?:_interval)?\s*=|\bkind\s*:\s*CronJob\b|\btriggers\s*\{\s*cron",
    re.MULTILINE,
)
_CRONJOB: Final = re.compile(r"^\s*kind\s*:\s*CronJob\b", re.MULTILINE)
#: When a line of a crontab runs.
CRON: Final = re.compile(r"^\s*(?:@(?:hourly|daily|weekly|monthly|yearly|annually)|(?:[\d*/,-]+\s+){4}[\w*/,-]+)\s")


@dataclass(frozen=True, slots=True)
class Hit:
    """Where something ingests: a line of a file, the words that say so, and who reads such a file."""

    line: int
    words: str
    kind: str = ""  #: of a recipe: its source's type


@dataclass(slots=True)
class _Budget:
    """What is left of what may be looked at."""

    until: float
    clock: Callable[[], float]
    files: int = _FILES
    bytes: int = _BYTES

    @property
    def spent(self) -> bool:
        return self.files <= 0 or self.bytes <= 0 or self.clock() > self.until


def examine(
    paths: Sequence[Path], regular: list[Regular], clock: Callable[[], float] = time.monotonic
) -> Iterator[Finding]:
    """One finding for each file that ingests; what runs by a schedule is added to `regular`."""
    budget = _Budget(clock() + _SECONDS, clock)
    count = 0
    for path in paths:
        if not path.exists():
            yield unseen(f"the folder {path}", "there is no such file or folder", f"ls -ld {word(path)}")
            continue
        closed: list[OSError] = []
        for file in _files(path, budget, closed):
            try:
                found = _file(file, budget, regular)
            except OSError as error:
                yield unseen(str(file), str(error.strerror), f"ls -l {word(file)}")
                continue
            count += found is not None
            if found is not None and count <= _TOLD:
                yield found
        if closed:
            first = closed[0]
            more = f" and {len(closed) - 1} more folders" if len(closed) > 1 else ""
            yield unseen(f"{first.filename}{more}", str(first.strerror), f"ls -ld {word(first.filename)}")
    if count > _TOLD:
        yield Finding(
            Rank.NOTE,
            f"{count - _TOLD} more files speak of ingestions",
            f"{_TOLD} are told one by one",
            "name a narrower folder with --look-in",
        )
    if budget.spent:
        yield unseen(
            "all of " + ", ".join(map(str, paths)),
            f"at most {_FILES:,} files, {_BYTES >> 20} MB and {_SECONDS:g} s are spent on it",
            "name narrower folders with --look-in",
        )


def _files(path: Path, budget: _Budget, closed: list[OSError]) -> Iterator[Path]:
    """The files below, in the order of their names; no link is followed. `closed` takes folders that are not let in."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path, onerror=closed.append):
        if budget.spent:
            return
        folders[:] = sorted(one for one in folders if one not in _PASSED)
        for name in sorted(names):
            if budget.spent:
                return
            yield Path(folder, name)


def _file(file: Path, budget: _Budget, regular: list[Regular]) -> Finding | None:
    """What one file says, if anything; None, too, for what is no text."""
    budget.files -= 1
    found = file.lstat()
    if not stat.S_ISREG(found.st_mode) or not 0 < found.st_size <= _LARGEST:
        return None
    with file.open("rb") as opened:
        data = opened.read(_LARGEST)
    budget.bytes -= len(data)
    if b"\0" in data[:8192] or not (b"datahub" in data or b"source" in data or b"headgate" in data):
        return None
    text = data.decode("utf-8", "replace")
    hits = [*_lines(file, text), *_recipe(file, text)]
    if not hits:
        return None
    first = min(hits, key=lambda one: one.line)
    reader, scheduled = _reader(file, text, hits)
    if scheduled:
        regular.append(Regular(f"{file}:{first.line}", first.kind))
    more = f", and {len(hits) - 1} more lines of it" if len(hits) > 1 else ""
    return Finding(
        Rank.NOTE,
        f"{file}:{first.line} {'ingests by itself' if scheduled else 'may ingest'}: {reader}",
        f"it has {first.words}{more}",
        "" if scheduled else f"headgate recipes check {word(file)}" if first.kind else "",
    )


def _lines(file: Path, text: str) -> Iterator[Hit]:
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.lstrip()
        if bare.startswith(("#", "//")):
            continue
        hit = TYPED.search(line)
        if hit is None and file.suffix in (".py", ".ipynb"):
            hit = _CODED.search(bare.lstrip('"'))
        if hit is not None:
            yield Hit(number, " ".join(hit.group().split()))


def _recipe(file: Path, text: str) -> Iterator[Hit]:
    """A recipe of DataHub's: its `source` has a `type`, and there is a `sink`, or a name that says what it is."""
    if not file.name.endswith(_YAML) or len(text) > _RECIPE or not (begins := _SOURCE.search(text)):
        return
    try:
        found: Any = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - it is the safe one
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    made = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    source: Any = made.get("source")
    kind = cast("dict[str, Any]", source).get("type") if isinstance(source, dict) else None
    sure = isinstance(made.get("sink"), dict) or "recipe" in str(file).lower() or ".dhub" in file.name
    if isinstance(kind, str) and sure:
        yield Hit(text.count("\n", 0, begins.start()) + 1, f"a recipe of {kind}", kind)


def _reader(file: Path, text: str, hits: Sequence[Hit]) -> tuple[str, bool]:
    """Who reads such a file, and whether by a schedule."""
    place, lines = file.as_posix(), text.splitlines()
    scheduled = _SCHEDULED.search(text) is not None
    known = (
        ("a workflow of GitHub Actions", "/.github/workflows/" in place, scheduled),
        ("a pipeline of GitLab", file.name == ".gitlab-ci.yml", False),  # its schedules are kept elsewhere
        ("a pipeline of Jenkins", file.name == "Jenkinsfile", scheduled),
        ("a DAG of Airflow", "airflow" in text and file.suffix == ".py", scheduled),
        ("a CronJob of Kubernetes", _CRONJOB.search(text) is not None, True),
        ("a crontab", _is_crontab(file), any(CRON.match(lines[one.line - 1]) for one in hits)),
        ("a recipe", any(one.kind for one in hits), False),
        ("Python", file.suffix == ".py", False),
    )
    return next(((what, regular) for what, fits, regular in known if fits), ("a command", False))


def _is_crontab(file: Path) -> bool:
    """By its name, or by the folder: `cron.d`, `crontabs`. What is written in another language is none."""
    folder = any(one.startswith("cron") for one in file.parts[:-1]) and file.suffix not in (*_YAML, ".py", ".tf")
    return folder or "crontab" in file.name
