"""Prior-authorization requests as PAS received them, their lines, and the names clients know them by."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import JSON, Text, and_, bindparam, cast, exists, func, or_, select, update
from sqlalchemy.orm import defer

from server.store import AT_A_TIME, Transaction
from server.store.authorizations import alone
from server.store.rows import append
from server.store.tables import Authorization, PaCase, PaIdentifier, PaItem, Table

_CASES = Table.metadata.tables[PaCase.__tablename__]
_REACHED = (
    update(_CASES)
    .where(_CASES.c.id == bindparam("case"))
    .values({name: bindparam(name) for name in ("status", "rejections", "response")})
)
_NAMED = (
    select(PaCase)
    .join(PaIdentifier, PaIdentifier.case_id == PaCase.id)
    .where(
        PaCase.client == bindparam("client"),
        PaCase.member_key == bindparam("member_key"),
        PaIdentifier.system == bindparam("system"),
        PaIdentifier.value == bindparam("value"),
    )
    .order_by(PaCase.replaced_by.is_not(None), PaCase.created.desc(), PaCase.id)
    .limit(1)
    .with_for_update(of=PaCase)
)

# Read with every answer about a case, and so made once. The answer that went out, what was ordered and what
# was determined wait until somebody looks at them: they are most of a row.
_OF_MEMBER = (
    select(PaCase)
    .options(defer(PaCase.response))
    .where(PaCase.member_key == bindparam("member_key"), PaCase.replaced_by.is_(None))
    .order_by(PaCase.created.desc(), PaCase.id)
)
_ITEMS = select(PaItem).where(PaItem.case_id == bindparam("case_id")).order_by(PaItem.sequence)
_LATER = (defer(PaItem.order), defer(PaItem.determination))
_TOLD = _ITEMS.options(*_LATER)
PLAN = cast(PaItem.determination, JSON().with_variant(Text(), "sqlite"))["plan"].as_string()
"""The plan alone: the rest of a determination is most of what is kept of a year."""

_HOLDS_LAST = (PaCase.replaced_by.is_(None), PaCase.created, PaCase.id)
_LINES = select(PaItem).join(PaCase, PaCase.id == PaItem.case_id)
_THAT_HOLD = _LINES.where(PaCase.replaced_by.is_(None))
_TOLD_OF_MEMBER = (
    _THAT_HOLD.options(*_LATER).where(PaCase.member_key == bindparam("member_key")).order_by(PaItem.sequence)
)
_BEFORE = _LINES.options(*_LATER).where(
    PaCase.chain_id == bindparam("chain_id"), PaCase.replaced_by.is_not(None)
)
_UNDER_NUMBER = _TOLD_OF_MEMBER.where(PaItem.authorization_number == bindparam("number"))


def add(tx: Transaction, case: PaCase) -> None:
    """The case alone: what is granted in it points to it."""
    append(tx, case)


def complete(
    tx: Transaction, case: PaCase, items: Iterable[PaItem] = (), identifiers: Iterable[PaIdentifier] = ()
) -> None:
    """What became of a case that was just added, with its lines and names."""
    reached = {
        "case": case.id,
        "status": case.status,
        "rejections": case.rejections,
        "response": case.response,
    }
    tx.connection().execute(_REACHED, reached)
    append(tx, *items)
    append(tx, *identifiers)


def by_id(tx: Transaction, case_id: str) -> PaCase | None:
    return tx.get(PaCase, case_id)


def hold(tx: Transaction, case_id: str) -> PaCase:
    """The case as it is now, for this transaction alone until it ends, as is whatever else its member has:
    lines of one request rest on what was granted to another. Whoever changes a line of a case holds the case
    first, so that a change, a review and the clock come one after the other."""
    alone(tx, tx.scalars(select(PaCase.member_key).where(PaCase.id == case_id)).one())
    return tx.get_one(PaCase, case_id, with_for_update=True, populate_existing=True)


def named(tx: Transaction, client: str, member_key: str, system: str, value: str) -> PaCase | None:
    """The case of a member that this client sent under such a name, the one that holds before those that were
    replaced, the newest first; another client's names are its own. It is held, as by `hold`."""
    alone(tx, member_key)
    names = {"client": client, "member_key": member_key, "system": system, "value": value}
    return tx.scalars(_NAMED, names).first()


def called(tx: Transaction, system: str | None, value: str) -> Sequence[str]:
    """Ids of the cases that hold of requests that any client sent, in whatever version, under such a name,
    under whatever system where none is given. Whom they concern is for the caller to find out."""
    named = (
        select(PaCase.chain_id)
        .join(PaIdentifier, PaIdentifier.case_id == PaCase.id)
        .where(PaIdentifier.value == value)
    )
    if system is not None:
        named = named.where(PaIdentifier.system == system)
    asked = select(PaCase.id).where(PaCase.chain_id.in_(named), PaCase.replaced_by.is_(None))
    return tx.scalars(asked).all()


def line_called(tx: Transaction, reference: str) -> tuple[PaCase, PaItem] | None:
    """The line that our reference number names (`{case id}-{sequence}`) and its case, in the version that
    holds now; None if the number is not ours."""
    case_id, _, sequence = reference.rpartition("-")
    named = by_id(tx, case_id)
    if named is None or not (sequence.isdecimal() and len(sequence) < 10):
        return None
    case = current(tx, named)
    line = tx.get(PaItem, (case.id, int(sequence)))
    return (case, line) if line is not None else None


def lines_traced(tx: Transaction, number: str) -> Iterator[tuple[PaCase, PaItem]]:
    """The undecided lines, each with its case, that any client sent under this trace number, which is an
    extension of the item. Whom they concern is for the caller to find out."""
    for case_id in called(tx, None, number):
        for line in items(tx, case_id):
            traces = (each.get("valueIdentifier") for each in line.requested.get("extension") or [])
            if line.decided is None and any(trace and trace.get("value") == number for trace in traces):
                yield tx.get_one(PaCase, case_id), line


def line_granted(tx: Transaction, granted: Authorization) -> tuple[PaCase, PaItem] | None:
    """The line that an authorization was granted for and its case, in the version that holds now; where
    others keep the number good that this line has no more, one of those that the same client asked for. None
    where no request asked for it, or none has it."""
    named = by_id(tx, granted.case_id) if granted.case_id is not None else None
    if named is None:
        return None
    case = current(tx, named)
    having = [
        (line, tx.get_one(PaCase, line.case_id))
        for line in under_number(tx, granted.member_key, granted.number)
        if granted.status == "cancelled" or line.outcome != "C"
    ]
    own = [(other, line) for line, other in having if other.client == granted.client]
    return min(own, key=lambda each: each[0].id != case.id, default=None)


def current(tx: Transaction, case: PaCase) -> PaCase:
    """The case that holds now in the chain that this one belongs to."""
    asked = select(PaCase).where(PaCase.chain_id == case.chain_id, PaCase.replaced_by.is_(None))
    return tx.scalars(asked).one()


def hold_current(tx: Transaction, case: PaCase) -> PaCase:
    """The case that holds now in the chain that this one belongs to, held; the next one where another took
    its place while this transaction waited."""
    while (held := hold(tx, current(tx, case).id)).replaced_by is not None:
        pass
    return held


def replace(tx: Transaction, case: PaCase, by: str, now: datetime) -> bool:
    """Lets another case take the place of this one, which is held; False, and nothing done, where one has
    already."""
    if case.replaced_by is not None:
        return False
    case.replaced_by, case.status, case.updated = by, "replaced", now
    tx.flush()
    return True


def of_member(tx: Transaction, member_key: str) -> Sequence[PaCase]:
    """Every case of a member that holds (nobody replaced it), newest first."""
    return tx.scalars(_OF_MEMBER, {"member_key": member_key}).all()


def begun(tx: Transaction, start: datetime, end: datetime) -> Iterator[Sequence[str]]:
    """The chains of the requests that first came in [start, end), oldest first, some at a time."""
    first = PaCase.id == PaCase.chain_id, PaCase.created >= start, PaCase.created < end
    asked = select(PaCase.chain_id).where(*first).order_by(PaCase.created, PaCase.id)
    return tx.scalars(asked, execution_options={"yield_per": AT_A_TIME}).partitions()


def chain(tx: Transaction, chain_id: str) -> Sequence[PaCase]:
    """Every version of a request, the one that holds last."""
    return tx.scalars(select(PaCase).where(PaCase.chain_id == chain_id).order_by(*_HOLDS_LAST)).all()


def chains(tx: Transaction, chain_ids: Sequence[str]) -> dict[str, list[PaCase]]:
    """Every version of several requests, the one that holds last. What was answered waits until somebody
    looks at it."""
    asked = select(PaCase).options(defer(PaCase.response)).where(PaCase.chain_id.in_(chain_ids))
    found = defaultdict[str, list[PaCase]](list)
    for case in tx.scalars(asked.order_by(*_HOLDS_LAST)):
        found[case.chain_id].append(case)
    return found


def lines(tx: Transaction, chain_ids: Sequence[str]) -> dict[str, list[tuple[PaItem, str]]]:
    """The lines of every version of several requests, by case and in the order of their sequence numbers,
    each with the plan that it was judged under. What else was determined waits until somebody looks at it."""
    asked = select(PaItem, PLAN).join(PaCase, PaCase.id == PaItem.case_id)
    asked = asked.options(defer(PaItem.determination)).where(PaCase.chain_id.in_(chain_ids))
    found = defaultdict[str, list[tuple[PaItem, str]]](list)
    for item, plan in tx.execute(asked.order_by(PaItem.sequence)):
        found[item.case_id].append((item, plan))
    return found


def items(tx: Transaction, case_id: str) -> Sequence[PaItem]:
    """The lines of a case in the order of their sequence numbers."""
    return tx.scalars(_ITEMS, {"case_id": case_id}).all()


def before(tx: Transaction, chain_id: str) -> Sequence[PaItem]:
    """The lines as the replaced versions of a request had them, for whoever only tells of them."""
    return tx.scalars(_BEFORE, {"chain_id": chain_id}).all()


def told(tx: Transaction, case_id: str) -> Sequence[PaItem]:
    """The same lines for whoever only tells of them."""
    return tx.scalars(_TOLD, {"case_id": case_id}).all()


def under_number(tx: Transaction, member_key: str, number: str) -> Sequence[PaItem]:
    """The lines, in those cases of a member that hold, which have this authorization number, or had it until
    they were cancelled."""
    return tx.scalars(_UNDER_NUMBER, {"member_key": member_key, "number": number}).all()


def told_of_member(tx: Transaction, member_key: str) -> Sequence[PaItem]:
    """As `told`, of all the cases of a member that hold."""
    return tx.scalars(_TOLD_OF_MEMBER, {"member_key": member_key}).all()


def identifiers(tx: Transaction, case_id: str) -> Sequence[PaIdentifier]:
    asked = select(PaIdentifier).where(PaIdentifier.case_id == case_id)
    return tx.scalars(asked.order_by(PaIdentifier.kind, PaIdentifier.system, PaIdentifier.value)).all()


def decided_for(tx: Transaction, orderers: Sequence[str], start: datetime, end: datetime) -> Sequence[PaItem]:
    """The lines of cases that hold which were decided in [start, end) for these orderers (NPI)."""
    asked = _THAT_HOLD.where(PaItem.orderer.in_(orderers), PaItem.decided >= start, PaItem.decided < end)
    return tx.scalars(asked.order_by(PaItem.decided, PaItem.case_id, PaItem.sequence)).all()


def granted_meanwhile(tx: Transaction) -> list[tuple[PaCase, PaItem]]:
    """The undecided lines, each with its case, of cases that hold whose member was granted an authorization
    of the same order, or of the same service and side, since they were received. What was sent, attachments
    and all, and what was answered wait until somebody looks at them."""
    same_service = and_(Authorization.cpt == PaItem.cpt, Authorization.side == PaItem.side)
    granted = exists().where(
        Authorization.member_key == PaCase.member_key,
        Authorization.status == "active",
        Authorization.created >= PaItem.received,
        or_(Authorization.order_key == PaItem.order_key, same_service),
    )
    asked = (
        select(PaCase, PaItem)
        .join(PaItem, PaItem.case_id == PaCase.id)
        .options(defer(PaCase.request), defer(PaCase.response))
        .where(PaItem.decided.is_(None), PaCase.replaced_by.is_(None), granted)
    )
    return [(case, line) for case, line in tx.execute(asked)]


def due(tx: Transaction, now: datetime) -> Sequence[PaItem]:
    """The lines of cases that hold which are not decided though their time is up. What was asked for, ordered
    and determined waits until somebody looks at it: reviews that are late are gone through in every round."""
    late = _THAT_HOLD.where(PaItem.decided.is_(None), PaItem.due <= now)
    asked = late.options(*_LATER, defer(PaItem.requested))
    return tx.scalars(asked.order_by(PaItem.due, PaItem.case_id, PaItem.sequence)).all()


def open_until(tx: Transaction, *moments: datetime) -> list[int]:
    """How many lines of cases that hold are not decided: of those that are due by each moment, and of all."""
    counts = [func.count().filter(PaItem.due <= moment) for moment in moments]
    asked = _THAT_HOLD.where(PaItem.decided.is_(None)).with_only_columns(*counts, func.count())
    return [int(number) for number in tx.execute(asked).one()]
