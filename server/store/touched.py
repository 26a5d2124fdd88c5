"""What a request touched of patients, noticed where it is read and written, so that no handler can forget to
say so.

    with watching() as touched: …answer…
    touched            -> {("patient", "member:M-1"), ("case", "…")}
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import event

from server.store.tables import Assertion, Authorization, PaCase, Table

Touched = set[tuple[str, str]]

_TOUCHED: ContextVar[Touched | None] = ContextVar("touched", default=None)

_NAMED: dict[type[Table], tuple[str, str]] = {
    PaCase: ("case", "id"),
    Assertion: ("assertion", "id"),
    Authorization: ("authorization", "number"),
}
"""Tables that tell of a patient: what a row is called in the trail, and the column with its name."""


@contextmanager
def watching() -> Iterator[Touched]:
    """Collects until the block ends; threads that are started with this context collect here too."""
    touched: Touched = set()
    token = _TOUCHED.set(touched)
    try:
        yield touched
    finally:
        _TOUCHED.reset(token)


def note(kind: str, name: str) -> None:
    """Something of a patient that no row of these tables tells of, such as the EHR server that was read."""
    touched = _TOUCHED.get()
    if touched is not None:
        touched.add((kind, name))


def note_row(target: Any) -> None:
    """A row that was read or written, of whatever table."""
    touched = _TOUCHED.get()
    if touched is None or type(target) not in _NAMED:
        return
    if target.member_key:
        touched.add(("patient", target.member_key))
    kind, column = _NAMED[type(target)]
    touched.add((kind, str(getattr(target, column))))


def _watch(table: type[Table]) -> None:
    event.listen(table, "load", lambda target, context: note_row(target))
    event.listen(table, "after_insert", lambda mapper, connection, target: note_row(target))
    event.listen(table, "after_update", lambda mapper, connection, target: note_row(target))


for _table in _NAMED:
    _watch(_table)
