"""What payers ruled before, read from ClaimResponses (`use` preauthorization) among the payer's own records.
One that was cancelled or entered in error rules nothing, and a bill that was spends nothing.

As an `Authorization`, of the member it is about: its number is `preAuthRef`; its service the
`addItem.productOrService`, the authorized code of the item's detail extension, or that of the Claim it
answers; its span `preAuthPeriod`, else SPAN days from `created`. It is spent once a bill among the records
quotes the number. Where `insurer` names who ruled by an identifier, that is its `issuer`.

As a `Ruling`, of the clinician who asked (`orderer_of`): approved or denied, and when.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from server.fhir.dates import first_day, last_day
from server.fhir.elements import elements
from server.fhir.extensions import extension, value
from server.fhir.references import Resolver
from server.fhir.systems import BILLED, npis
from server.policy.line import codings, line_of
from server.policy.request import Authorization, Ruling

SPAN = dt.timedelta(days=60)
"""How long an authorization lasts where nothing says otherwise (policy source, section 10)."""

PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition"
ITEM_DETAIL = f"{PAS}/extension-itemAuthorizedDetail"
REVIEW_ACTION = f"{PAS}/extension-reviewAction"
REVIEW_ACTION_CODE = f"{PAS}/extension-reviewActionCode"
GRANTED = frozenset({"A1", "A6"})
DENIED = frozenset({"A3"})

Resource = Mapping[str, Any]


def authorizations_of(records: Iterable[Resource]) -> list[Authorization]:
    """The authorizations among the records of one member."""
    listed = [dict(record) for record in records]
    resolver = Resolver.of(listed)
    spent = set(numbers_claimed(listed))
    found = (_authorization(record, resolver, spent) for record in _responses(listed))
    return [authorization for authorization in found if authorization is not None]


def rulings_of(records: Iterable[Resource]) -> list[Ruling]:
    """What was approved or denied in these records, of whichever members; a response that did neither, or
    whose orderer or service cannot be told, says nothing."""
    listed = [dict(record) for record in records]
    resolver = Resolver.of(listed)
    found = (_ruling(record, resolver) for record in _responses(listed))
    return [ruling for ruling in found if ruling is not None]


def orderer_of(response: Resource, resolver: Resolver) -> str:
    """NPI of who asked for what a ClaimResponse answers: its requestor, else the provider of its Claim."""
    claim = resolver.resolve(response.get("request"), dict(response)) or {}
    return _npi(response, "requestor", resolver) or _npi(claim, "provider", resolver)


def numbers_claimed(records: Iterable[Resource]) -> Iterator[str]:
    """The authorization numbers that bills quote. What tells only of an authorization or an estimate is no
    bill."""
    for record in records:
        is_bill = record.get("resourceType") in ("Claim", "ExplanationOfBenefit")
        if is_bill and record.get("use") == "claim" and record.get("status", "active") == "active":
            for insurance in elements(record, "insurance"):
                yield from (str(number) for number in insurance.get("preAuthRef") or [])
            quoted = record.get("preAuthRef")
            yield from (str(number) for number in (quoted if isinstance(quoted, list) else []))


def _responses(records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        is_ruling = record.get("resourceType") == "ClaimResponse" and record.get("use") == "preauthorization"
        if is_ruling and record.get("status", "active") == "active":
            yield record


def _authorization(response: dict[str, Any], resolver: Resolver, spent: set[str]) -> Authorization | None:
    number, created = response.get("preAuthRef"), first_day(response.get("created"))
    period = response.get("preAuthPeriod") or {}
    start = first_day(period.get("start")) or created
    service = next(_services(response, resolver), None)
    if not number or start is None or service is None or not _granted(response):
        return None
    line = line_of(service)
    return Authorization(
        number=str(number),
        code=line.code,
        side=line.side,
        start=start,
        end=last_day(period.get("end")) or start + SPAN,
        used=str(number) in spent,
        issuer=_named(response, "insurer", resolver),
    )


def _ruling(response: dict[str, Any], resolver: Resolver) -> Ruling | None:
    orderer, day = orderer_of(response, resolver), first_day(response.get("created"))
    service = next(_services(response, resolver), None)
    granted, denied = _granted(response), bool(_actions(response) & DENIED)
    if not orderer or day is None or service is None or not (granted or denied):
        return None
    return Ruling(
        orderer, line_of(service).code, day, approved=granted, payer=_named(response, "insurer", resolver)
    )


def _services(response: dict[str, Any], resolver: Resolver) -> Iterator[dict[str, Any]]:
    """What was ruled on, in the shape of an order: the response's own word first, then the request's."""
    for item in elements(response, "addItem"):
        yield _as_order(item)
    for item in elements(response, "item"):
        code = value(extension(extension(item, ITEM_DETAIL), "productOrServiceCode"))
        if isinstance(code, dict):
            yield _as_order({"productOrService": code})
    claim = resolver.resolve(response.get("request"), response)
    for item in elements(claim or {}, "item"):
        yield _as_order(item)


def _as_order(item: Resource) -> dict[str, Any]:
    """A claim line's service with its modifiers post-coordinated, as an order carries them."""
    billed = [c for c in codings([item.get("productOrService")]) if c.get("system") in BILLED]
    modifiers = [
        f"{coding.get('code')}-{modifier.get('code')}"
        for coding in billed[:1]
        for concept in elements(item, "modifier")
        for modifier in concept.get("coding") or []
    ]
    system = billed[0].get("system") if billed else None
    return {
        "code": {"coding": [*billed, *({"system": system, "code": code} for code in modifiers)]},
        "bodySite": [site] if isinstance(site := item.get("bodySite"), dict) else [],
    }


def _granted(response: Resource) -> bool:
    """A response without a review action is one that was kept because it granted something."""
    actions = _actions(response)
    return not actions or bool(actions & GRANTED)


def _actions(response: Resource) -> set[Any]:
    return {
        coding.get("code")
        for item in [*elements(response, "item"), *elements(response, "addItem")]
        for adjudication in elements(item, "adjudication")
        for coding in codings([value(extension(extension(adjudication, REVIEW_ACTION), REVIEW_ACTION_CODE))])
    }


def _named(resource: Resource, element: str, resolver: Resolver) -> str:
    """The identifier by which a reference names whom it means, or that of the resource it points to."""
    return next((str(one["value"]) for one in _identifiers(resource, element, resolver)), "")


def _npi(resource: Resource, element: str, resolver: Resolver) -> str:
    return next(npis(_identifiers(resource, element, resolver)), "")


def _identifiers(resource: Resource, element: str, resolver: Resolver) -> list[dict[str, Any]]:
    reference = resource.get(element)
    if not isinstance(reference, dict):
        return []
    meant = resolver.resolve(reference, dict(resource)) or {}
    stated = reference.get("identifier")
    listed = [*([stated] if isinstance(stated, dict) else []), *elements(meant, "identifier")]
    return [one for one in listed if one.get("value")]
