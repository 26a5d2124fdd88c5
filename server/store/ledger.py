"""The audit trail in the store: written once, never changed, never taken away.

The database itself refuses changes (triggers of the migration), so these tables stand apart from the others:
who empties those does not reach them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, Select, String, func, insert, select, union_all
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from server.store import Transaction, afterwards
from server.store.tables import Instant
from server.store.touched import Touched, watching


class Ledger(MappedAsDataclass, DeclarativeBase, kw_only=True, repr=False, eq=False):
    """Constructors take every column by name, as with the other tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: Instant, str: String}


SENT = "SEND"
"""The `method` of an access by which something of a patient left for a subscriber, of our own accord; its
`request_id` is the subscription's."""


RUN, SHOWN = "", "SHOW"
"""The `method` of an access by a command, which no request made: of one that does something, and of one that
only shows. `client` is the account that ran it, `route` the command, `status` what a request would have."""


SEARCHED, CREATED = "SEARCH", "CREATE"
"""The `method` of an access by a request to a resource type as a whole."""


class Access(Ledger):
    """One access to what is known of patients: who, what, when, outcome. `status` is 0 where the other side
    gave none."""

    __tablename__ = "audit_access"
    __table_args__ = (Index("audit_access_client", "client", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    at: Mapped[datetime] = mapped_column(index=True)
    client: Mapped[str]
    address: Mapped[str]
    method: Mapped[str]
    route: Mapped[str]
    status: Mapped[int]
    request_id: Mapped[str] = mapped_column(index=True)


class Subject(Ledger):
    """Something that an access touched: a patient by the member's key, a case, an assertion, an
    authorization, an EHR's FHIR server."""

    __tablename__ = "audit_subject"
    __table_args__ = (Index("audit_subject_name", "kind", "name"),)

    access_id: Mapped[int] = mapped_column(ForeignKey("audit_access.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


_ACCESSES, _SUBJECTS = (Ledger.metadata.tables[each.__tablename__] for each in (Access, Subject))
_TOLD = [column.name for column in _ACCESSES.columns if column is not _ACCESSES.c.id]
_NEW_ACCESS, _NEW_SUBJECT = insert(_ACCESSES).returning(_ACCESSES.c.id), insert(_SUBJECTS)


def record(tx: Transaction, access: Access, subjects: Iterable[tuple[str, str]]) -> None:
    """Written past the session, which need not know what nobody reads again: it is half the work."""
    told = {name: getattr(access, name) for name in _TOLD}
    access_id = tx.connection().execute(_NEW_ACCESS, told).scalar_one()
    named = [{"access_id": access_id, "kind": kind, "name": name} for kind, name in sorted(set(subjects))]
    if named:
        tx.connection().execute(_NEW_SUBJECT, named)


@dataclass(slots=True)
class Answering:
    """A request that is being answered: the access that it is, by the status it is answered with, what it
    touched so far, and what is on record of it already."""

    access: Callable[[int], Access]
    touched: Touched
    told: tuple[int, Touched] | None = None

    def lacks(self, status: int) -> bool:
        """Whether it is not on record as it ends."""
        return self.told != (status, self.touched)


_ANSWERING: ContextVar[Answering | None] = ContextVar("answering", default=None)


@contextmanager
def answering(access: Callable[[int], Access]) -> Iterator[Answering]:
    """A request, until the block ends; threads that are started with this context answer it too."""
    with watching() as touched:
        token = _ANSWERING.set(request := Answering(access, touched))
        try:
            yield request
        finally:
            _ANSWERING.reset(token)


def along(tx: Transaction, status: int) -> None:
    """Puts the request that is answered on record together with what it comes to, since a second commit would
    keep the answer waiting. To be called last; nothing where no request is."""
    request = _ANSWERING.get()
    if request is None:
        return
    tx.flush()  # what waits in the session was not noticed yet
    touched = set(request.touched)
    record(tx, request.access(status), touched)
    afterwards(tx, lambda: setattr(request, "told", (status, touched)))


def by_id(tx: Transaction, access_id: int) -> Access | None:
    return tx.get(Access, access_id)


def subjects(tx: Transaction, access_ids: Sequence[int]) -> Sequence[Subject]:
    return tx.scalars(
        select(Subject)
        .where(Subject.access_id.in_(access_ids))
        .order_by(Subject.access_id, Subject.kind, Subject.name)
    ).all()


def search(
    tx: Transaction, criteria: Sequence[Any], before: int | None, most: int
) -> tuple[int, Sequence[Access]]:
    """How many accesses meet the criteria (SQL expressions over Access), and the newest of them older than
    the one of id `before`."""
    total = tx.scalar(select(func.count()).select_from(Access).where(*criteria)) or 0
    older = [Access.id < before] if before is not None else []
    found = select(Access).where(*criteria, *older).order_by(Access.id.desc()).limit(most)
    return total, tx.scalars(found).all()


def touching(kinds: Sequence[str], names: Sequence[str]) -> Any:
    """The criterion that an access touched one of these."""
    return Access.id.in_(_touching(kinds, names))


def touching_or_of(kinds: Sequence[str], names: Sequence[str]) -> Any:
    """The criterion that an access touched one of these, or that the request was called so that made it."""
    # In one list: with an OR in its stead databases go through all the accesses there were.
    of_request = select(Access.id).where(Access.request_id.in_(names))
    return Access.id.in_(union_all(_touching(kinds, names), of_request))


def _touching(kinds: Sequence[str], names: Sequence[str]) -> Select[int]:
    return select(Subject.access_id).where(Subject.kind.in_(kinds), Subject.name.in_(names))
