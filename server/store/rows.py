"""Rows written past the session: its unit of work, which finds out what is new and in which order it goes, is
two thirds of the work."""

from functools import cache

import sqlalchemy
from sqlalchemy.orm import make_transient_to_detached

from server.store import Transaction, touched
from server.store.tables import Table


def append(tx: Transaction, *rows: Table) -> None:
    """Writes rows of one table, all of them at once, that nobody changes in this transaction. What waits in
    the session goes first, for they may point to it."""
    if not rows:
        return
    tx.flush()
    statement, names = _insert_into(type(rows[0]))
    tx.connection().execute(statement, [{name: getattr(row, name) for name in names} for row in rows])
    for row in rows:
        touched.note_row(row)


def insert(tx: Transaction, row: Table) -> None:
    """Writes a row that the session knows from then on, as if it had read it: its defaults too, which the
    session would ask the database for."""
    append(tx, row)
    for name in _insert_into(type(row))[1]:
        setattr(row, name, getattr(row, name))
    make_transient_to_detached(row)
    tx.add(row)


@cache
def _insert_into(table: type[Table]) -> tuple[sqlalchemy.Insert, tuple[str, ...]]:
    """The statement, made once, and the columns that a row brings along."""
    known = table.metadata.tables[table.__tablename__]
    names = tuple(column.name for column in known.columns if column is not known.autoincrement_column)
    return sqlalchemy.insert(known), names
