"""Whose a Coverage among the payer's records is."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

RECORDS = sa.table("payer_record", *map(sa.column, ("id", "kind", "resource", "beneficiary")))


def upgrade() -> None:
    op.add_column("payer_record", sa.Column("beneficiary", sa.String(), nullable=True))
    op.create_index("payer_record_beneficiary", "payer_record", ["beneficiary"])
    connection = op.get_bind()
    asked = sa.select(RECORDS.c.id, RECORDS.c.resource).where(RECORDS.c.kind == "Coverage")
    for record_id, text in connection.execute(asked).all():
        named = str((json.loads(text).get("beneficiary") or {}).get("reference") or "")
        kind, _, patient = named.partition("/_history/")[0].rpartition("/")
        whose = (patient if kind.rpartition("/")[2] == "Patient" else named) or None
        connection.execute(sa.update(RECORDS).where(RECORDS.c.id == record_id).values(beneficiary=whose))
