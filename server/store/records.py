"""The payer's own resources. They come by loading a file; what a client sends never gets here."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Select, bindparam, delete, insert, select, update

from server.store import Transaction, one_by_one, some_of, touched
from server.store.rows import append
from server.store.tables import GoldCard, PayerRecord, Table

# Asked for with every line that is judged, and so made once; and for many resources, which need not be rows
# of the session.
_RECORDS = Table.metadata.tables[PayerRecord.__tablename__]
_RESOURCES = select(_RECORDS.c.member_key, _RECORDS.c.resource).order_by(_RECORDS.c.id)
_OF_MEMBER = _RESOURCES.where(_RECORDS.c.member_key == bindparam("member_key"))
_ANY = select(_RECORDS.c.id, _RECORDS.c.resource)
_KNOWN = select(_RECORDS.c.id, _RECORDS.c.member_key).where(
    _RECORDS.c.kind == bindparam("kind"), _RECORDS.c.resource_id == bindparam("resource_id")
)
_NEW = insert(_RECORDS).returning(_RECORDS.c.id)
_CHANGED = update(_RECORDS).where(_RECORDS.c.id == bindparam("its_id"))
_GOLD_CARDS = Table.metadata.tables[GoldCard.__tablename__]
_TAKEN_BACK = delete(_GOLD_CARDS).where(_GOLD_CARDS.c.record_id == bindparam("its_id"))
_NEAREST = (
    select(_RECORDS.c.resource)
    .where(_RECORDS.c.miles.is_not(None))
    .order_by(_RECORDS.c.miles, _RECORDS.c.id)
    .limit(bindparam("most"))
)
_NAMING = GoldCard.npi.in_(bindparam("npis", expanding=True))
_CARDS = select(GoldCard.member).where(_NAMING).order_by(GoldCard.id)


def alone(tx: Transaction) -> None:
    """From here to the end of the transaction nobody else loads: processes that start together load the
    same."""
    one_by_one(tx, "loading the payer's records")


def put(
    tx: Transaction,
    resource: dict[str, Any],
    member_key: str | None,
    now: datetime,
    orderer: str = "",
    miles: float | None = None,
    beneficiary: str | None = None,
    cards: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> str | None:
    """Adds a resource, or replaces the one of the same type and id, so that a file can be loaded again; gives
    the member key that one had. `orderer` is the NPI by whom a ruling is found again, `miles` the distance
    by which a site is, `beneficiary` the patient by whom a Coverage is, `cards` the members of a list of
    gold cards by their NPI."""
    _note(member_key)
    named = {"kind": resource["resourceType"], "resource_id": resource["id"]}
    row = {**named, "member_key": member_key, "resource": resource, "loaded": now}
    row |= {"orderer": orderer, "miles": miles, "beneficiary": beneficiary}
    writing = tx.connection()
    known = writing.execute(_KNOWN, named).first()
    if known is None:
        record_id = writing.execute(_NEW, row).scalar_one()
    else:
        record_id = known.id
        writing.execute(_CHANGED, {**row, "its_id": record_id})
        writing.execute(_TAKEN_BACK, {"its_id": record_id})
    append(tx, *(GoldCard(record_id=record_id, npi=npi, member=dict(member)) for npi, member in cards))
    return known.member_key if known else None


def move(tx: Transaction, former: str, key: Callable[[dict[str, Any]], str | None]) -> None:
    """Puts what a member has under the keys that its resources have now; what has none stays."""
    for record in tx.scalars(select(PayerRecord).where(PayerRecord.member_key == former)):
        record.member_key = key(record.resource) or former
        _note(former)
        _note(record.member_key)


def of_member(tx: Transaction, member_key: str, *kinds: str) -> list[dict[str, Any]]:
    """The payer's resources about a member, of these kinds or of any, in the order of loading."""
    asked = _OF_MEMBER.where(_RECORDS.c.kind.in_(kinds)) if kinds else _OF_MEMBER
    return _resources(tx, asked, member_key=member_key)


def by_name(tx: Transaction, names: Iterable[tuple[str, str]]) -> dict[int, dict[str, Any]]:
    """The resources of these types and ids, by when they were loaded. Looking for whom a file is about is no
    access to what each has; so with the next."""
    ids: dict[str, list[str]] = defaultdict(list)
    for kind, identifier in names:
        ids[kind].append(identifier)
    found: dict[int, dict[str, Any]] = {}
    for kind, of_kind in ids.items():
        found |= _found(tx, _ANY.where(_RECORDS.c.kind == kind), _RECORDS.c.resource_id, of_kind)
    return found


def covering(tx: Transaction, patients: Collection[str]) -> dict[int, dict[str, Any]]:
    """The Coverages of the patients of these ids, or names in a Bundle, by when they were loaded."""
    return _found(tx, _ANY, _RECORDS.c.beneficiary, list(patients))


def _found(
    tx: Transaction, asked: Select[Any], column: Column[Any], names: Sequence[str]
) -> dict[int, dict[str, Any]]:
    rows = (row for some in some_of(names) for row in tx.execute(asked.where(column.in_(some))))
    return {row.id: row.resource for row in rows}


def nearest_sites(tx: Transaction, most: int) -> list[dict[str, Any]]:
    """The open Locations of the payer's network that say how far they are, nearest first."""
    return list(tx.scalars(_NEAREST, {"most": most}))


def gold_cards(tx: Transaction, npis: Sequence[str]) -> list[dict[str, Any]]:
    """What the payer's lists have of these clinicians: a list that names them alone, where any does."""
    members = list(tx.scalars(_CARDS, {"npis": npis})) if npis else []
    return [{"resourceType": "Group", "type": "practitioner", "member": members}] if members else []


def named(
    tx: Transaction, kind: str, element: str, naming: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The resources of this kind to which a reference, this element of these resources, leads."""
    texts = [str((each.get(element) or {}).get("reference") or "") for each in naming]
    ids = {text.rpartition("/")[2] for text in texts if text}
    if not ids:
        return []
    return _resources(tx, _RESOURCES.where(_RECORDS.c.kind == kind, _RECORDS.c.resource_id.in_(ids)))


def of_orderers(tx: Transaction, orderers: Sequence[str]) -> list[dict[str, Any]]:
    """The rulings of old on what these clinicians asked for, who ruled, and the Claims that they answer, in
    which a ruling may have its service."""
    theirs = _RESOURCES.where(_RECORDS.c.orderer.in_(orderers), _RECORDS.c.kind == "ClaimResponse")
    rulings = _resources(tx, theirs)
    who, what = named(tx, "Organization", "insurer", rulings), named(tx, "Claim", "request", rulings)
    return [*rulings, *who, *what]


def _resources(tx: Transaction, asked: Select[Any], **names: Any) -> list[dict[str, Any]]:
    rows = tx.execute(asked, names).all()
    for member_key in {row.member_key for row in rows}:
        _note(member_key)
    return [row.resource for row in rows]


def _note(member_key: str | None) -> None:
    if member_key:
        touched.note("patient", member_key)
