"""Authorizations on file: those issued here, and those of old among the payer's own records.

A record of old is a ClaimResponse (`use` preauthorization). Its number is `preAuthRef`; its service the
`addItem.productOrService`, the authorized code of the item's detail extension, or that of the Claim it
answers; its span `preAuthPeriod`, else SPAN days from `created`. It is spent once a claim of the payer's
records quotes the number.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from server.adjudication.orders import planned_day, service_code, side
from server.fhir.dates import first_day, last_day
from server.fhir.extensions import extension, value
from server.fhir.references import Resolver
from server.policy.request import Authorization
from server.store import Transaction, authorizations
from server.store import tables as stored

SPAN = dt.timedelta(days=60)
"""How long an authorization lasts where nothing says otherwise (policy source, section 10)."""

PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition"
ITEM_DETAIL = f"{PAS}/extension-itemAuthorizedDetail"
REVIEW_ACTION = f"{PAS}/extension-reviewAction"
REVIEW_ACTION_CODE = f"{PAS}/extension-reviewActionCode"
GRANTED = frozenset({"A1", "A6"})

Resource = Mapping[str, Any]


def on_file(tx: Transaction, member_key: str, records: Sequence[Resource]) -> list[Authorization]:
    """Every authorization of the member that may still be good, newest first, those of old last. A bill among
    the payer's records that quotes a number spends it."""
    spent = set(_numbers_claimed(records))
    rows = authorizations.of_member(tx, member_key)
    issued = [as_issued(row, row.number in spent) for row in rows if row.status == "active"]
    return [*issued, *of_records(records)]


def as_issued(row: stored.Authorization, spent: bool = False) -> Authorization:
    """A stored authorization as the policy sees it."""
    return Authorization(
        number=row.number,
        code=row.cpt,
        side=row.side or None,
        start=row.span_start,
        end=row.span_end,
        used=spent or row.used >= row.units,
        order_key=row.order_key,
    )


def good_for(authorization: Authorization, order: Resource, order_key: str, on: dt.date) -> bool:
    """Whether it satisfies this order on that day: the same order, or the same service and side in its
    span."""
    if authorization.used or not authorization.start <= on <= authorization.end:
        return False
    same_service = authorization.code == service_code(order) and authorization.side == side(order)
    return same_service or (bool(order_key) and authorization.order_key == order_key)


def of_records(records: Iterable[Resource]) -> list[Authorization]:
    """The authorizations of old among the payer's own records of one member."""
    listed = [dict(record) for record in records]
    resolver = Resolver.of(listed)
    spent = set(_numbers_claimed(listed))
    found = (
        _of_claim_response(record, resolver, spent)
        for record in listed
        if record.get("resourceType") == "ClaimResponse"
    )
    return [authorization for authorization in found if authorization is not None]


def _of_claim_response(response: dict[str, Any], resolver: Resolver, spent: set[str]) -> Authorization | None:
    number, created = response.get("preAuthRef"), first_day(response.get("created"))
    period = response.get("preAuthPeriod") or {}
    start = first_day(period.get("start")) or created
    service = next(_services(response, resolver), None)
    if not number or start is None or service is None or not _granted(response):
        return None
    return Authorization(
        number=str(number),
        code=service_code(service),
        side=side(service),
        start=start,
        end=last_day(period.get("end")) or start + SPAN,
        used=str(number) in spent,
    )


def _services(response: dict[str, Any], resolver: Resolver) -> Iterator[dict[str, Any]]:
    """What was authorized, in the shape of an order: the response's own word first, then the request's."""
    for item in _listed(response, "addItem"):
        yield _as_order(item)
    for item in _listed(response, "item"):
        code = value(extension(extension(item, ITEM_DETAIL), "productOrServiceCode"))
        if isinstance(code, dict):
            yield _as_order({"productOrService": code})
    claim = resolver.resolve(response.get("request"), response)
    for item in _listed(claim or {}, "item"):
        yield _as_order(item)


def _as_order(item: Resource) -> dict[str, Any]:
    """A claim line's service with its modifiers post-coordinated, as an order carries them."""
    service = item.get("productOrService") or {}
    codings = [coding for coding in service.get("coding") or [] if isinstance(coding, dict)]
    modifiers = [
        f"{coding.get('code')}-{modifier.get('code')}"
        for coding in codings[:1]
        for concept in _listed(item, "modifier")
        for modifier in concept.get("coding") or []
    ]
    system = codings[0].get("system") if codings else None
    return {
        "code": {"coding": [*codings, *({"system": system, "code": code} for code in modifiers)]},
        "bodySite": [site] if isinstance(site := item.get("bodySite"), dict) else [],
    }


def _granted(response: Resource) -> bool:
    """A response without a review action is one that was kept because it granted something."""
    actions = {
        coding.get("code")
        for item in [*_listed(response, "item"), *_listed(response, "addItem")]
        for adjudication in _listed(item, "adjudication")
        for coding in _codings(value(extension(extension(adjudication, REVIEW_ACTION), REVIEW_ACTION_CODE)))
    }
    return not actions or bool(actions & GRANTED)


def _numbers_claimed(records: Iterable[Resource]) -> Iterator[str]:
    for record in records:
        is_bill = record.get("resourceType") == "ExplanationOfBenefit" or (
            record.get("resourceType") == "Claim" and record.get("use") == "claim"
        )
        if is_bill:
            for insurance in _listed(record, "insurance"):
                yield from (str(number) for number in insurance.get("preAuthRef") or [])
            quoted = record.get("preAuthRef")
            yield from (str(number) for number in (quoted if isinstance(quoted, list) else []))


def _listed(element: Resource, name: str) -> list[dict[str, Any]]:
    found = element.get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _codings(concept: Any) -> list[dict[str, Any]]:
    return _listed(concept, "coding") if isinstance(concept, dict) else []


def day_of_service(order: Resource, day_zero: dt.date) -> dt.date:
    """The day an authorization must hold on: the planned day, else day zero."""
    return planned_day(order) or day_zero
