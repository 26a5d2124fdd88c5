"""Of the payer's lists of sites and of gold cards only what is asked for is read."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NPIS = ("http://hl7.org/fhir/sid/us-npi", "urn:oid:2.16.840.1.113883.4.6")
DISTANCE = "http://hl7.org/fhir/StructureDefinition/location-distance"
RECORDS = sa.table("payer_record", *map(sa.column, ("id", "kind", "resource", "miles")))
CARDS = sa.table("gold_card", *map(sa.column, ("record_id", "npi", "member")))


def upgrade() -> None:
    op.add_column("payer_record", sa.Column("miles", sa.Float(), nullable=True))
    op.create_index("payer_record_miles", "payer_record", ["miles"])
    op.create_table(
        "gold_card",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("npi", sa.String(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["payer_record.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_gold_card_record_id"), "gold_card", ["record_id"])
    op.create_index(op.f("ix_gold_card_npi"), "gold_card", ["npi"])
    _loaded_before(op.get_bind())


def _loaded_before(connection: sa.Connection) -> None:
    asked = sa.select(RECORDS.c.id, RECORDS.c.resource).where(RECORDS.c.kind.in_(("Location", "Group")))
    for record_id, text in connection.execute(asked).all():
        resource = json.loads(text)
        for extension in resource.get("extension") or []:
            if extension.get("url") == DISTANCE and resource.get("status") not in ("inactive", "suspended"):
                miles = (extension.get("valueDistance") or {}).get("value")
                connection.execute(sa.update(RECORDS).where(RECORDS.c.id == record_id).values(miles=miles))
        if resource.get("type") == "practitioner" and resource.get("active", True):
            for member in resource.get("member") or []:
                identifier = (member.get("entity") or {}).get("identifier") or {}
                if identifier.get("system") in NPIS and identifier.get("value"):
                    card = {"record_id": record_id, "npi": identifier["value"], "member": json.dumps(member)}
                    connection.execute(sa.insert(CARDS).values(card))
