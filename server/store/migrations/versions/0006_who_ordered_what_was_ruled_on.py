"""Who ordered what was ruled on."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pa_item", sa.Column("orderer", sa.String(), server_default="", nullable=False))
    op.create_index("pa_item_orderer", "pa_item", ["orderer", "decided"])
    op.add_column("payer_record", sa.Column("orderer", sa.String(), server_default="", nullable=False))
    op.create_index("payer_record_orderer", "payer_record", ["orderer", "kind"])
