"""The payer's own resources. They come by loading a file; what a client sends never gets here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from server.store import Transaction
from server.store.tables import PayerRecord

# Asked for with every line that is judged, and so made once.
_OF_MEMBER = (
    select(PayerRecord).where(PayerRecord.member_key == bindparam("member_key")).order_by(PayerRecord.id)
)
_OF_KINDS = (
    select(PayerRecord)
    .where(PayerRecord.kind.in_(bindparam("kinds", expanding=True)))
    .order_by(PayerRecord.id)
)


def put(
    tx: Transaction,
    resource: dict[str, Any],
    member_key: str | None,
    now: datetime,
    kind: str | None = None,
    orderer: str = "",
) -> None:
    """Adds a resource, or replaces the one of the same kind and id, so that a file can be loaded again.

    `kind` is the resource type unless the caller tells resources of one type apart; `orderer` the NPI by whom
    a ruling is found again.
    """
    kind = kind or resource["resourceType"]
    asked = select(PayerRecord).where(PayerRecord.kind == kind, PayerRecord.resource_id == resource["id"])
    known = tx.scalars(asked).first()
    if known is None:
        tx.add(
            PayerRecord(
                kind=kind,
                resource_id=resource["id"],
                member_key=member_key,
                resource=resource,
                loaded=now,
                orderer=orderer,
            )
        )
    else:
        known.resource, known.member_key, known.loaded = resource, member_key, now
        known.orderer = orderer
    tx.flush()


def of_member(tx: Transaction, member_key: str, *kinds: str) -> list[dict[str, Any]]:
    """The payer's resources about a member, of these kinds or of any, in the order of loading."""
    asked = _OF_MEMBER.where(PayerRecord.kind.in_(kinds)) if kinds else _OF_MEMBER
    return _resources(tx.scalars(asked, {"member_key": member_key}).all())


def of_kind(tx: Transaction, *kinds: str) -> list[dict[str, Any]]:
    """Every resource of these kinds: network locations, gold cards, members."""
    return _resources(tx.scalars(_OF_KINDS, {"kinds": kinds}).all())


def of_orderers(tx: Transaction, orderers: Sequence[str]) -> list[dict[str, Any]]:
    """The rulings of old on what these clinicians asked for, and the Claims that they answer, in which a
    ruling may have its service."""
    asked = select(PayerRecord).where(PayerRecord.orderer.in_(orderers), PayerRecord.kind == "ClaimResponse")
    rulings = tx.scalars(asked.order_by(PayerRecord.id)).all()
    answered = {
        str((row.resource.get("request") or {}).get("reference")).rpartition("/")[2] for row in rulings
    }
    claims = select(PayerRecord).where(PayerRecord.kind == "Claim", PayerRecord.resource_id.in_(answered))
    return _resources([*rulings, *(tx.scalars(claims.order_by(PayerRecord.id)).all() if rulings else ())])


def _resources(rows: Sequence[PayerRecord]) -> list[dict[str, Any]]:
    return [row.resource for row in rows]
