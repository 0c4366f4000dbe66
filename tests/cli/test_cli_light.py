"""This file is where commands are held to start light: what only a server or a job needs is not loaded by them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .world import DEADLINE, Project, environment

#: Run one command line, then say on the last line of stderr which modules of the world it has loaded.
LOADED = """
import json, sys
from headgate.cli.ending import run
code = run(sys.argv[1:])
sys.stdout.flush()
sys.stderr.write(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
sys.exit(code)
"""

OF_JOBS = {"duckdb", "pyarrow", "pyiceberg", "sqlglot", "pandas", "numpy"}
OF_SERVERS = {"fastapi", "starlette", "uvicorn", "uvloop", "prometheus_client", "jinja2", "apprise"}
OF_LEDGERS = {"sqlalchemy", "alembic", "httpx"}


def loaded(project: Project, *words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words],
        cwd=project.folder, env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", ["--help", "--version", "runs --help", "serve --help", "lake query --help"])
def test_help_loads_nothing_heavy(project: Project, words: str) -> None:
    """To say what there is takes neither a ledger nor a server nor the lake."""
    assert loaded(project, *words.split()) & (OF_JOBS | OF_SERVERS | OF_LEDGERS | {"rich", "yaml"}) == set()


@pytest.mark.parametrize("words", ["validate", "config show"])
def test_the_configuration_is_read_without_a_ledger(project: Project, words: str) -> None:
    """To read headgate.yaml takes YAML and nothing else."""
    there = loaded(project, *words.split())

    assert there & (OF_JOBS | OF_SERVERS | OF_LEDGERS) == set()
    assert "yaml" in there  # else this test could not fail


@pytest.mark.parametrize("words", ["runs list", "jobs list", "events list", "plan", "run second"])
def test_the_ledger_is_used_without_server_and_lake(project: Project, words: str) -> None:
    """To look at the ledger, or to run a command's job here, takes no web framework and no lake."""
    there = loaded(project, *words.split())

    assert there & (OF_JOBS | OF_SERVERS) == set()
    assert "sqlalchemy" in there
