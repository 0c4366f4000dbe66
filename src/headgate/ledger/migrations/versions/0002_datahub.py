"""What the embedded catalog, the rules and the doors around DataHub keep.

Kind: add only. Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Each part makes its tables in a function of its own."""
    _embedded_catalog()
    _rules()
    _secrets()
    _execution_requests()
    _dead_letters()
    _glue()
    _callbacks()
    _glue_applied()
    _first_starts()
    _watches()


def _watches() -> None:
    """What was seen in watched catalogs."""
    op.create_table(
        "catalog_watch",
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("next_look", sa.Double(), nullable=False),
        sa.Column("looked_at", sa.Double(), nullable=True),
        sa.Column("comparable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("trigger"),
    )
    op.create_table(
        "watched_table",
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("trigger", "name"),
    )


def _first_starts() -> None:
    """When a SCHEDULED trigger was started because it was active for the first time."""
    op.add_column("trigger_", sa.Column("first_start", sa.Double(), nullable=True))


def _callbacks() -> None:
    """Tokens by which functions say how they ended."""
    op.create_table(
        "callback",
        sa.Column("attempt", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("attempt", "sha256"),
    )


def _glue() -> None:
    """Definitions, bookmarks, workflow runs and access keys of the Glue door."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "glue_definition",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("invocation", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_table(
        "glue_bookmark",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kept", number, nullable=False),
        sa.Column("cut", number, nullable=False),
        sa.PrimaryKeyConstraint("job"),
    )
    op.create_table(
        "glue_workflow_run",
        sa.Column("seq", number, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("previous", sa.String(), nullable=True),
        sa.Column("properties", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("stopped_at", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("glue_workflow_run_workflow", "glue_workflow_run", ["workflow", "seq"], unique=False)
    op.create_table(
        "glue_workflow_action",
        sa.Column("workflow_run", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("workflow_run", "run"),
    )
    op.create_table(
        "access_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("session", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def _glue_applied() -> None:
    """What was last applied on AWS Glue itself."""
    op.create_table(
        "glue_applied",
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=True),
        sa.Column("made", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("place", "kind", "name"),
    )


def _dead_letters() -> None:
    """Messages of queues that nobody could read."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "dead_letter",
        sa.Column("seq", number, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("receives", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("dead_letter_at", "dead_letter", ["at"], unique=False)


def _secrets() -> None:
    """Our own secrets, sealed."""
    op.create_table(
        "secret",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _rules() -> None:
    """Rules that were given through the API or the console."""
    op.create_table(
        "rule_",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("function", sa.String(), nullable=True),
        sa.Column("state_machine_arn", sa.String(), nullable=True),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _embedded_catalog() -> None:
    """Aspects, series, entities and relationships of the embedded catalog."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "catalog_aspect",
        sa.Column("urn", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("urn", "name", "version"),
    )
    op.create_table(
        "catalog_series",
        sa.Column("urn", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at_ms", number, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("urn", "name", "at_ms", "digest"),
    )
    op.create_table(
        "catalog_entity",
        sa.Column("urn", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("platform", sa.String(), nullable=True),
        sa.Column("origin", sa.String(), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("urn"),
    )
    op.create_index("catalog_entity_kind", "catalog_entity", ["kind", "urn"], unique=False)
    op.create_table(
        "catalog_edge",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("aspect", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("source", "aspect", "type", "target"),
    )
    op.create_index("catalog_edge_target", "catalog_edge", ["target", "type"], unique=False)


def _execution_requests() -> None:
    """Requests of DataHub's to execute something, and what executors remember."""
    op.create_table(
        "execution_request",
        sa.Column("urn", sa.String(), nullable=False),
        sa.Column("executor", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("given", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.Double(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=True),
        sa.Column("killed_by", sa.String(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("urn"),
    )
    op.create_index("execution_request_state", "execution_request", ["executor", "state", "received_at"], unique=False)
    op.create_table(
        "executor_note",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
