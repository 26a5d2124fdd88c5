"""What of the record stood in the way of an order that CRD was asked about."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assertion", sa.Column("chart", sa.Text(), server_default="[]", nullable=False))
