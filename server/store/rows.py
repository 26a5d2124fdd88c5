"""Rows written past the session. It need not know what nobody changes in the same transaction, and keeping
account of that is two thirds of the work."""

from functools import cache

from sqlalchemy import Insert, insert

from server.store import Transaction, touched
from server.store.tables import Table


def append(tx: Transaction, *rows: Table) -> None:
    """Writes rows of one table, all of them at once. What waits in the session goes first, for they may point
    to it."""
    if not rows:
        return
    tx.flush()
    statement, names = _insert_into(type(rows[0]))
    tx.connection().execute(statement, [{name: getattr(row, name) for name in names} for row in rows])
    for row in rows:
        touched.note_row(row)


@cache
def _insert_into(table: type[Table]) -> tuple[Insert, tuple[str, ...]]:
    """The statement, made once, and the columns that a row brings along."""
    known = table.metadata.tables[table.__tablename__]
    names = tuple(column.name for column in known.columns if column is not known.autoincrement_column)
    return insert(known), names
