"""This file is where the little that SQLite and PostgreSQL do not share is: opening, locking, numbering, waking."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from headgate.errors import Invalid, LedgerUnavailable, MissingExtra

CHANNEL = "headgate"
MIGRATION_LOCK = 7_405_116
_TAKE_SQLITE = text("update meta set value = value + :n where name = 'numbers' returning value")
_TAKE_POSTGRES = text("select nextval('numbers') from generate_series(1, :n)")


def is_sqlite(engine_or_connection: Engine | Connection) -> bool:
    return engine_or_connection.dialect.name == "sqlite"


def open_engine(url: str, *, connections: int = 10) -> Engine:
    """An engine for the ledger's URL, with at most so many connections to PostgreSQL.

    Raises:
        Invalid: the URL is no database URL, or of a database we do not speak.
        MissingExtra: PostgreSQL's driver is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Invalid(
            "HEADGATE_DATABASE_URL is no database URL; expected sqlite:////path or postgresql+psycopg://…"
        ) from error
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername.startswith("sqlite"):
        return _open_sqlite(parsed)
    if parsed.drivername != "postgresql+psycopg":
        raise Invalid(f"the ledger speaks SQLite and PostgreSQL, not {parsed.drivername!r}")
    try:
        return sa.create_engine(parsed, pool_size=connections, max_overflow=0, pool_pre_ping=True, connect_args={
            "connect_timeout": 10, "application_name": "headgate",
            "options": "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000",
        })  # fmt: skip
    except (ImportError, NoSuchModuleError) as error:  # psycopg without libpq is an ImportError, too
        raise MissingExtra("a ledger on PostgreSQL", "postgres") from error


def _open_sqlite(url: sa.URL) -> Engine:
    engine = sa.create_engine(url, pool_size=6, connect_args={"check_same_thread": False, "timeout": 10})

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see begin_writing
        _switch_to_wal(connection)
        for pragma in (
            "synchronous=full",
            "busy_timeout=10000",
            "cache_size=-32768",
            "temp_store=memory",
        ):
            connection.execute(f"pragma {pragma}").close()

    event.listen(engine, "connect", on_connect)
    return engine


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Make the file's journal a WAL, once; those who open an empty file together wait for the one who does it.

    SQLite does not wait by itself here: to change the journal needs the file alone, and it says so at once.
    """
    until = time.monotonic() + 10.0
    while True:
        try:
            connection.execute("pragma journal_mode=wal").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def begin_writing(connection: Connection) -> None:
    """Start the batch's transaction; on SQLite with the write lock at once, so that no read has to be upgraded."""
    if is_sqlite(connection):
        connection.exec_driver_sql("begin immediate")


def begin_looking(connection: Connection) -> Connection:
    """Let all that is read until the connection is given back be of one moment; nobody waits for anybody."""
    if is_sqlite(connection):
        connection.exec_driver_sql("begin")
        return connection
    return connection.execution_options(isolation_level="REPEATABLE READ")


def finish_writing(connection: Connection, *, keep: bool) -> None:
    if is_sqlite(connection):
        connection.exec_driver_sql("commit" if keep else "rollback")
    elif keep:
        connection.commit()
    else:
        connection.rollback()


def take_numbers(connection: Connection, count: int) -> Sequence[int]:
    """`count` numbers greater than any given out before (on PostgreSQL: by this session), in order."""
    if is_sqlite(connection):
        last = int(connection.execute(_TAKE_SQLITE, {"n": count}).scalar_one())
        return range(last - count + 1, last + 1)
    return [int(row[0]) for row in connection.execute(_TAKE_POSTGRES, {"n": count})]


def create_numbers(connection: Connection) -> None:
    """Called by the first migration: a row of `meta` on SQLite, a sequence on PostgreSQL."""
    if is_sqlite(connection):
        connection.execute(text("insert into meta(name, value) values ('numbers', 0)"))
    else:
        connection.execute(sa.schema.CreateSequence(sa.Sequence("numbers")))


def insert_many(connection: Connection, table: sa.Table, those: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same keys, straight through the driver.

    The statement is SQLAlchemy's own, compiled once for each table and set of columns; what is left out is the work it
    does anew for every row, which was a fifth of the writer's time.
    """
    if not those:
        return
    columns = tuple(those[0])
    statement = _compiled(connection.dialect, table, columns)
    rows: Any = [tuple(row.values()) for row in those] if is_sqlite(connection) else list(those)
    connection.exec_driver_sql(statement, rows)


@lru_cache(maxsize=64)
def _compiled(dialect: sa.Dialect, table: sa.Table, columns: tuple[str, ...]) -> str:
    return str(table.insert().compile(dialect=dialect, column_keys=_in_table_order(table, columns)))


def _in_table_order(table: sa.Table, columns: tuple[str, ...]) -> list[str]:
    """The statement names columns in the table's order; rows given as tuples must be in the same."""
    ordered = [column.name for column in table.columns if column.name in columns]
    if ordered != list(columns):
        raise ValueError(f"rows of {table.name} must have their keys in the order {ordered}, not {list(columns)}")
    return ordered


def for_update(select: Any, connection: Connection, *, skip_locked: bool = False) -> Any:
    """Lock the rows on PostgreSQL; on SQLite the transaction has the whole database already."""
    return select if is_sqlite(connection) else select.with_for_update(skip_locked=skip_locked)


def notify(connection: Connection, messages: Iterable[str]) -> None:
    """Wake the other replicas (PostgreSQL only), when this transaction commits."""
    if is_sqlite(connection):
        return
    payload = "\n".join(sorted(messages))
    if payload and len(payload) < 7_900:  # PostgreSQL refuses payloads of 8000 bytes
        connection.execute(text("select pg_notify(:c, :p)"), {"c": CHANNEL, "p": payload})


def explain_failure(error: BaseException, url: str) -> LedgerUnavailable:
    """What went wrong with the database, for a person."""
    cause = str(getattr(error, "orig", None) or error).strip()
    where = make_url(url).render_as_string(hide_password=True)
    lower = cause.lower()
    hints = {
        "disk is full": "free some space and try again; nothing accepted so far is lost",
        "readonly database": "the file or its folder cannot be written; check the permissions and the mount",
        "read-only": "the file or its folder cannot be written; check the permissions and the mount",
        "malformed": "the file is damaged; move it away and restore a copy (`sqlite3 FILE .recover` saves what can be)",
        "not a database": "this is no ledger; move it away, or point HEADGATE_DATABASE_URL elsewhere",
        "unable to open": "check that the folder exists and may be written",
        "locked": "another process holds it; stop that one first",
        "connection": "check that PostgreSQL runs there and that user and password are right",
    }
    hint = next((text for sign, text in hints.items() if sign in lower), "")
    return LedgerUnavailable(f"the ledger at {where} cannot be used: {cause}" + (f"; {hint}" if hint else ""))


def listen(engine: Engine, stop: threading.Event) -> Iterator[str]:
    """What the other replicas said, as it comes; and `lost` after each break, when something may have been missed."""
    driver_error: Any = engine.dialect.loaded_dbapi.Error  # of what is asked of the driver behind SQLAlchemy's back
    while not stop.is_set():
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text(f"listen {CHANNEL}"))
                driver: Any = connection.connection.driver_connection
                yield "lost"
                while not stop.is_set():
                    for notice in driver.notifies(timeout=0.5, stop_after=64):
                        yield from str(notice.payload).split("\n")
                connection.detach()
        except (DBAPIError, driver_error):
            stop.wait(1.0)
