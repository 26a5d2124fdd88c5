"""Alembic's entry: the connection comes from the application, never from a file."""

from typing import Any, Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from server.store.ledger import Ledger
from server.store.tables import Table


def plain_type(kind: str, item: Any, autogen_context: object) -> str | Literal[False]:
    """A migration must not change its meaning with our classes, so it names the database's own type."""
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[Table.metadata, Ledger.metadata],
    transactional_ddl=True,
    render_item=plain_type,
)
with context.begin_transaction():
    context.run_migrations()
