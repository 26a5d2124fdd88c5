"""What payers ruled before, read from ClaimResponses (`use` preauthorization) among the payer's own records.
One that was cancelled or entered in error rules nothing, and a bill that was spends nothing.

Each line is ruled on for itself. As an `Authorization`, of the member it is about: its number is that of the
line's review action, else `preAuthRef`; its service the `addItem.productOrService`, the authorized code of
the item's detail extension, or that of the line of the Claim; its span that of the line, else
`preAuthPeriod`, else from `created` on. It is spent once a bill among the records quotes the number.
Where `insurer` names who ruled by an identifier, that is its `issuer`.

As a `Ruling`, of the clinician who asked (`orderer_of`): approved or denied, and when.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from server.fhir.dates import first_day, last_day, moved
from server.fhir.elements import elements
from server.fhir.extensions import extension, extensions, value, values
from server.fhir.references import Resolver
from server.fhir.systems import BILLED, npis
from server.policy.determination import Line
from server.policy.line import codings, line_of
from server.policy.request import Authorization, Ruling

SPAN = 60
"""How many days an authorization lasts where nothing says otherwise (policy source, section 10)."""

PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition"
ITEM_DETAIL = f"{PAS}/extension-itemAuthorizedDetail"
ITEM_PERIOD = f"{PAS}/extension-itemPreAuthPeriod"
REVIEW_ACTION = f"{PAS}/extension-reviewAction"
REVIEW_ACTION_CODE = f"{PAS}/extension-reviewActionCode"
GRANTED = frozenset({"A1", "A6"})
DENIED = frozenset({"A3"})

Resource = Mapping[str, Any]


def lapses(start: dt.date) -> dt.date:
    """The last day of an authorization that names none itself."""
    return moved(start, SPAN)


def authorizations_of(records: Iterable[Resource]) -> list[Authorization]:
    """The authorizations among the records of one member."""
    listed = [dict(record) for record in records]
    resolver = Resolver.of(listed)
    spent = set(numbers_claimed(listed))
    return [found for record in _responses(listed) for found in _authorizations(record, resolver, spent)]


def rulings_of(records: Iterable[Resource]) -> list[Ruling]:
    """What was approved or denied in these records, of whichever members; a line that was neither, or whose
    orderer or service cannot be told, says nothing."""
    listed = [dict(record) for record in records]
    resolver = Resolver.of(listed)
    return [found for record in _responses(listed) for found in _rulings(record, resolver)]


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


def _authorizations(response: dict[str, Any], resolver: Resolver, spent: set[str]) -> Iterator[Authorization]:
    issuer = _named(response, "insurer", resolver)
    for line, ruling in _lines(response, resolver):
        number = _first(_reviews(ruling), "number") or response.get("preAuthRef")
        own = _first(ruling, ITEM_PERIOD)
        period = own if isinstance(own, dict) else response.get("preAuthPeriod") or {}
        start = first_day(period.get("start")) or first_day(response.get("created"))
        if number and start is not None and _granted(response, ruling):
            yield Authorization(
                number=str(number),
                code=line.code,
                side=line.side,
                start=start,
                end=last_day(period.get("end")) or lapses(start),
                used=str(number) in spent,
                issuer=issuer,
            )


def _rulings(response: dict[str, Any], resolver: Resolver) -> Iterator[Ruling]:
    orderer, day = orderer_of(response, resolver), first_day(response.get("created"))
    payer = _named(response, "insurer", resolver)
    for line, ruling in _lines(response, resolver):
        granted = _granted(response, ruling)
        if orderer and day is not None and (granted or _actions(response, ruling) & DENIED):
            yield Ruling(orderer, line.code, day, approved=granted, payer=payer)


def _lines(response: dict[str, Any], resolver: Resolver) -> Iterator[tuple[Line, list[Resource]]]:
    """What was ruled on, each line with the elements of the response that rule on it: the service that was
    authorized before the one that was asked for. An added line without a number is there for all."""
    for service, ruling in _services(response, resolver):
        line = line_of(_as_order(service))
        if line.code:
            yield line, ruling


def _services(response: dict[str, Any], resolver: Resolver) -> Iterator[tuple[Resource, list[Resource]]]:
    asked = elements(resolver.resolve(response.get("request"), response) or {}, "item")
    ruled, added = elements(response, "item"), elements(response, "addItem")
    replaced: list[Any] = []
    for each in added:
        listed = each.get("itemSequence")
        named = listed if isinstance(listed, list) else []
        lines = [item for item in ruled if not named or item.get("itemSequence") in named]
        replaced.extend(lines)
        yield each, [each, *lines]
    for item in ruled:
        if item not in replaced:
            yield _service_of(item, asked), [item]
    if not ruled and not added:
        yield from ((item, []) for item in asked)


def _service_of(item: Resource, asked: list[dict[str, Any]]) -> Resource:
    """The line of the Claim that an item answers, with the code and modifiers that it authorizes instead."""
    alone = asked[0] if len(asked) == 1 else {}
    line = next((each for each in asked if each.get("sequence") == item.get("itemSequence")), alone)
    detail = extension(item, ITEM_DETAIL)
    code, modifiers = value(extension(detail, "productOrServiceCode")), values(detail, "modifier")
    return {
        **line,
        **({"productOrService": code} if code else {}),
        **({"modifier": modifiers} if modifiers else {}),
    }


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


def _granted(response: Resource, ruling: list[Resource]) -> bool:
    """A response without any review action is one that was kept because it granted something."""
    actions = _actions(response, ruling)
    if actions:
        return bool(actions & GRANTED)
    return not any(True for _ in _reviews([*elements(response, "item"), *elements(response, "addItem")]))


def _actions(response: Resource, ruling: list[Resource]) -> set[Any]:
    """What was done about a line: by the first element that says so, the whole response last."""
    told = (
        {
            c.get("code")
            for c in codings(value(extension(review, REVIEW_ACTION_CODE)) for review in _reviews([each]))
        }
        for each in [*ruling, response]
    )
    return next((actions for actions in told if actions), set())


def _reviews(ruling: Iterable[Resource]) -> Iterator[Resource]:
    for each in ruling:
        for adjudication in elements(each, "adjudication"):
            yield from extensions(adjudication, REVIEW_ACTION)


def _first(parts: Iterable[Resource], url: str) -> Any:
    return next((content for each in parts if (content := value(extension(each, url)))), None)


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
