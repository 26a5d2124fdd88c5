"""No index that nobody uses."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("assertion_order", "assertion")
    op.drop_index("authorization_service", "authorization")
    op.drop_index("ix_authorization_case_id", "authorization")
    op.drop_index("pa_item_order", "pa_item")
