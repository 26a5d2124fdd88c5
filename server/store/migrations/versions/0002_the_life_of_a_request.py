"""The life of a request: chains of changes, decision clocks, events, repeats."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Rows that are there already need a value; whoever adds one says his own.
LONG_AGO = "2000-01-01 00:00:00"


def upgrade() -> None:
    op.add_column("pa_case", sa.Column("chain_id", sa.String(), nullable=False, server_default=""))
    op.add_column("pa_case", sa.Column("replaced_by", sa.String(), nullable=True))
    op.execute("UPDATE pa_case SET chain_id = id")
    op.create_index(op.f("ix_pa_case_chain_id"), "pa_case", ["chain_id"])
    op.add_column("pa_item", sa.Column("requested", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("pa_item", sa.Column("expedited", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in ("received", "due"):
        moment = sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=LONG_AGO)
        op.add_column("pa_item", moment)
    op.add_column("pa_item", sa.Column("decided", sa.DateTime(timezone=True), nullable=True))
    op.add_column("work_item", sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
    op.create_table(
        "pa_event",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["pa_case.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("pa_event_kind", "pa_event", ["kind", "at"])
    op.create_index(op.f("ix_pa_event_case_id"), "pa_event", ["case_id"])
    op.create_table(
        "pa_repeat",
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("answered", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client", "version", "digest"),
    )
