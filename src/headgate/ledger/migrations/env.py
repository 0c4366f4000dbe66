"""This file is where Alembic is given the connection that `migrate.upgrade` holds the lock on."""

from alembic import context

from headgate.ledger import schema

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=schema.metadata, transactional_ddl=False)
context.run_migrations()
