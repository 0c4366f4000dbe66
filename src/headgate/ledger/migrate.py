"""This file is where the tables are brought up to date, by Alembic, and refused when newer than this program."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, text

from headgate.errors import LedgerUnavailable
from headgate.ledger import dialects

#: The revision this program writes. A test holds it against the newest file in migrations/versions.
HEAD = "0002"
FOLDER = Path(__file__).parent / "migrations"


def revision(connection: Connection) -> str | None:
    """The tables' revision; None for an empty database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()


def upgrade(engine: Engine) -> None:
    """Make or migrate the tables. Replicas that start together do it one after the other."""
    with engine.connect() as connection:
        if revision(connection) == HEAD:  # the usual start: Alembic is not even imported
            return
    options = {"isolation_level": "AUTOCOMMIT"} if dialects.is_sqlite(engine) else {}
    with engine.connect().execution_options(**options) as connection:
        if dialects.is_sqlite(connection):
            connection.exec_driver_sql("begin immediate")
        else:
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": dialects.MIGRATION_LOCK})
        found = revision(connection)
        if found != HEAD:
            _refuse_newer(found, engine)
            _run(connection)
        dialects.finish_writing(connection, keep=True)


def check(engine: Engine) -> None:
    """Raise LedgerUnavailable unless the tables are as this program knows them."""
    with engine.connect() as connection:
        found = revision(connection)
    if found is None:
        where = engine.url.render_as_string(hide_password=True)
        raise LedgerUnavailable(f"there is no ledger at {where} yet; `headgate serve` makes one")
    if found != HEAD:
        _refuse_newer(found, engine)
        raise LedgerUnavailable(
            f"the ledger is at revision {found}, this program at {HEAD}; start `headgate serve` once"
        )


def _refuse_newer(found: str | None, engine: Engine) -> None:
    if found is not None and found > HEAD:
        where = engine.url.render_as_string(hide_password=True)
        raise LedgerUnavailable(
            f"the ledger at {where} was written by a newer Headgate (revision {found}, this one knows {HEAD}); upgrade"
        )


def _run(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 20 MB that only a migration needs
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
