"""What a request did is found by its name."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_audit_access_request_id", "audit_access", ["request_id"])
