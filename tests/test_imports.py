"""This file is where the rules of who may import whom are seen to hold, and seen to fail when they are broken."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest

ROOT: Final = Path(__file__).parent.parent
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

#: Rule by rule: a module of ours, and one import that it may not have.
BREAKS: Final = {
    "layers": ("model.py", "import headgate.errors"),
    "siblings": ("doors/schedule.py", "import headgate.doors.object_events"),
    "acyclic": ("ledger/schema.py", "import headgate.ledger.store"),
    "plain-middle": ("flow/accept.py", "import httpx"),
    "sql": ("gate/gate.py", "import sqlalchemy"),
    "web": ("runtime/sweep.py", "import starlette.requests"),
    "lean-server": ("supervision/records.py", "import pyarrow"),
    "glue-source": ("gate/gate.py", "import headgate.glue_source"),
    "lake": ("lake/ingest.py", "import headgate.supervision.logs"),
    "lambda": ("aws_lambda/messages.py", "import msgspec"),
}

#: What is needed but never imported by name, and why it is declared all the same.
UNNAMED: Final = {
    "httptools": "uvicorn's fast parser; it takes it when it is there",
    "psycopg": "SQLAlchemy loads it by the URL's name",
    "tzdata": "the time zones of zoneinfo where the system has none",
    "editables": "the build backend's part for an editable install without network",
    "hatchling": "the build backend",
    "types-pyyaml": "read by pyright alone",
    "pyright": "a command",
    "ruff": "a command",
    "codespell": "a command",
    "import-linter": "a command",
    "uv": "a command",
    "awscli": "a command",
    "moto": "started as a server of its own",
    "acryl-datahub": "imported as `datahub`, which is a folder of ours, too",
    "openlineage-python": "imported as `openlineage`, which is a folder of ours, too",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest",
}

#: What scripts on AWS Glue have of their own, and what only type checkers know.
ELSEWHERE: Final = {"awsglue", "pyspark", "_typeshed"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that may be spoilt, and of its rules."""
    copy = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def lint(tree: Path, *rules: str) -> subprocess.CompletedProcess[str]:
    chosen = [word for rule in rules for word in ("--contract", rule)]
    command = [Path(sys.executable).parent / "lint-imports", "--no-logo", *chosen]
    environ = {"PYTHONPATH": str(tree / "src"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, timeout=100, check=False)


def test_every_rule_has_its_breach() -> None:
    """A rule that nobody has seen fail is not a rule."""
    contracts = cast("list[dict[str, str]]", PROJECT["tool"]["importlinter"]["contracts"])

    assert [one["id"] for one in contracts] == list(BREAKS)


def test_every_rule_is_kept(tree: Path) -> None:
    """The code as it is keeps all of them."""
    done = lint(tree)

    assert (done.returncode, f"{len(BREAKS)} kept, 0 broken" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize("rule", BREAKS)
def test_a_broken_rule_is_found(tree: Path, rule: str) -> None:
    """One import more than allowed fails the rule it is against."""
    where, line = BREAKS[rule]
    file = tree / "src" / "headgate" / where
    before = file.read_text("utf-8")
    try:
        file.write_text(f"{before}\n{line}\n", "utf-8")
        broken = lint(tree, rule)
    finally:
        file.write_text(before, "utf-8")

    assert (broken.returncode, "0 kept, 1 broken" in broken.stdout) == (1, True), broken.stdout


def test_a_new_module_needs_a_place(tree: Path) -> None:
    """A top-level module that the layers do not name fails the check."""
    file = tree / "src" / "headgate" / "helpers.py"
    file.touch()
    try:
        done = lint(tree, "layers")
    finally:
        file.unlink()

    assert done.returncode == 1
    assert "helpers" in done.stdout


@pytest.mark.parametrize("module", ["headgate.app", "headgate.http", "headgate.cli.tree"])
def test_a_server_is_light(module: str) -> None:
    """What serves loads neither the lake nor its libraries nor, before a call, AWS's; not only by the rules."""
    heavy = ["duckdb", "pyarrow", "pyiceberg", "sqlglot", "pandas", "headgate.lake", "datahub", "boto3", "botocore"]
    code = f"import sys, {module}; print([one for one in {heavy!r} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def imported(*folders: str) -> set[str]:
    """The top-level names of other people's packages that the code in these folders imports."""
    names = {name for folder in folders for file in (ROOT / folder).rglob("*.py") for name in _names(file)}
    ours = {file.stem for folder in folders for file in (ROOT / folder).rglob("*.py")} | {"headgate", "tests"}
    ours |= {file.name for folder in folders for file in (ROOT / folder).rglob("*") if file.is_dir()}
    return names - set(sys.stdlib_module_names) - ours - ELSEWHERE


def _names(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def declared(requirements: list[Any]) -> set[str]:
    """The distributions named, normalised; of `{include-group = …}` nothing."""
    lines = [line for line in requirements if isinstance(line, str)]
    return {re.sub(r"[-_.]+", "-", re.split(r"[ \[<>=!~;]", line, maxsplit=1)[0]).lower() for line in lines}


def distributions(modules: set[str]) -> set[str]:
    owners = importlib.metadata.packages_distributions()
    return {re.sub(r"[-_.]+", "-", owners[name][0]).lower() if name in owners else f"?{name}" for name in modules}


def runtime() -> set[str]:
    extras: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
    return declared(PROJECT["project"]["dependencies"]) | {one for extra in extras.values() for one in declared(extra)}


def test_what_is_imported_is_declared() -> None:
    """No import of the package rests on a package that another one happens to bring along."""
    assert distributions(imported("src", "jobs")) - runtime() == set()


def test_what_is_declared_is_imported() -> None:
    """Nobody installs what nothing uses."""
    assert runtime() - distributions(imported("src", "jobs")) - set(UNNAMED) == set()


def test_what_only_tests_need_is_not_installed_with_the_product() -> None:
    """The dev group has what tests, benchmarks and scripts import beside the product's own, and nothing unused."""
    groups: dict[str, list[Any]] = PROJECT["dependency-groups"]
    extra = declared(groups["dev"]) | declared(groups["bootstrap"])
    used = distributions(imported("src", "jobs", "tests", "benchmarks", "scripts"))

    assert used - runtime() - extra == set()
    assert extra - used - set(UNNAMED) == set()
    assert extra & runtime() == set()


def test_the_lock_has_what_is_declared() -> None:
    """requirements/*.txt name every declared package with hashes, and no address to get it from."""
    groups: dict[str, list[Any]] = PROJECT["dependency-groups"]
    for name, wanted in {
        "uv": declared(groups["bootstrap"]),
        "runtime": runtime(),
        "dev": runtime() | declared(groups["dev"]) | declared(groups["bootstrap"]),
    }.items():
        lines = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()
        pins = [line for line in lines if not line.startswith(" ")]

        assert wanted - {re.split(r"[=\[]", pin, maxsplit=1)[0] for pin in pins} == set(), name
        assert all(re.match(r"[a-z0-9-]+==\S+( ; .+)? \\$", pin) for pin in pins), name
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", one) for one in lines if one not in pins), name
