"""What is looked for is found: names without their system, lines that are open."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("pa_identifier_value", "pa_identifier")
    op.create_index("pa_identifier_value", "pa_identifier", ["value", "system"])
    still_open = sa.text("decided IS NULL")
    op.create_index("pa_item_open", "pa_item", ["due"], sqlite_where=still_open, postgresql_where=still_open)
