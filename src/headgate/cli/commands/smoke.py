"""This file is where the whole workflow is tried with a canary: in at the door, out in a table, and gone again."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import arrival, chain, session
from headgate.cli.client import Client
from headgate.cli.ending import Failed
from headgate.cli.options import Config
from headgate.cli.printing import note, say
from headgate.cli.progress import lines
from headgate.errors import HeadgateError, NotFound, Unavailable
from headgate.model import StoredObject

if TYPE_CHECKING:
    from headgate.settings import Settings

ROWS = 5
_DEFAULT_TABLE = "collections.collections_data_staging"


@dataclass(frozen=True, slots=True)
class Canary:
    """What was let in, and what has to go again."""

    at: arrival.Door
    key: str
    path: Path
    source_id: str
    table: str


def smoke(
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long the whole of it may take.")
    ] = 120.0,
    config: Config = None,
) -> None:
    """Let a canary file in, wait for all that follows, look for its rows, remove every trace. 0: all of it works."""
    settings = session.settings(config)
    until = time.monotonic() + timeout
    with session.reading(settings) as client:
        if not client.remote:
            raise Unavailable("no server runs, so nobody watches the door; start `headgate serve` first")
        canary = _let_in(settings, arrival.door(settings))
        try:
            _watch(client, settings, canary, until)
        finally:
            _remove(settings, canary)
    say("Everything works.")


def _let_in(settings: Settings, at: arrival.Door) -> Canary:
    from headgate.lake.sample import write_sample  # noqa: PLC0415 - only here

    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    key = f"{at.prefix}ingest_ts={stamp}/headgate-smoke-{secrets.token_hex(6)}.csv"
    path = arrival.put(at, key, lambda hidden: write_sample(hidden, ROWS, seed=secrets.randbits(31)))
    etag = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    source = StoredObject(bucket=at.bucket, key=key, etag=etag).source_id
    arguments = next((job.arguments for name, job in settings.jobs.items() if name == at.job), {})
    say(f"a canary of {ROWS} rows was put at s3://{at.bucket}/{key}")
    return Canary(at, key, path, source, arguments.get("--table", _DEFAULT_TABLE))


def _watch(client: Client, settings: Settings, canary: Canary, until: float) -> None:
    with _timed("its event was recorded, and has a run"):
        first = arrival.run_of(client, canary.at, canary.key, until=until)
    with _timed("the run, and all that follow from it, have ended"):
        found = arrival.follow(client, first, lines(beside=True), until=until)
    if not chain.succeeded(found):
        bad = ", ".join(f"{run['job']} {run['state']}: {run['error']}" for run in found if run["state"] != "SUCCEEDED")
        raise Failed(f"not everything succeeded: {bad}")
    with _timed(f"its rows are in {canary.table}"):
        rows = _rows(settings, canary)
        if rows != ROWS:
            raise Failed(f"{canary.table} holds {rows} of the canary's {ROWS} rows")


def _rows(settings: Settings, canary: Canary) -> int:
    from headgate.lake import read  # noqa: PLC0415 - DuckDB and Arrow, which only the end needs

    sql = f"SELECT count(*) AS n FROM {canary.table} WHERE _source_id = '{canary.source_id}'"  # noqa: S608 - both ours
    return int(str(read.query(settings.lake, sql)[0]["n"]))


def _remove(settings: Settings, canary: Canary) -> None:
    """Whatever happened, leave nothing behind; what cannot be removed is named."""
    from headgate.lake import commit  # noqa: PLC0415 - as above

    canary.path.unlink(missing_ok=True)
    if not any(canary.path.parent.iterdir()):
        canary.path.parent.rmdir()
    try:
        gone = commit.delete_source(settings.lake, canary.source_id, canary.table)
        say(f"its object and its {gone['rows']} rows were removed again")
    except NotFound:
        say("its object was removed again; there is no table yet")
    except HeadgateError as error:
        note(f"rows of the canary may be left: delete those with _source_id {canary.source_id}; {error}")


@contextmanager
def _timed(what: str) -> Generator[None]:
    began = time.monotonic()
    yield
    say(f"{what} ({time.monotonic() - began:.1f} s)")
