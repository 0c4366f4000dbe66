"""What the embedded catalog, the rules and the doors around DataHub keep.

Kind: add only. Revision 0002, after 0001.
"""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Each part makes its tables in a function of its own."""
