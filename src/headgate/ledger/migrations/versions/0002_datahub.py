"""What the embedded catalog, the rules and the doors around DataHub keep.

Kind: add only. Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Each part makes its tables in a function of its own."""
    _rules()


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
