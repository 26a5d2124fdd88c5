"""Who a Coverage stands for, as this payer knows them.

A member is the payer's member id, else payor and patient identifier, else the patient's id on the client's
server. The key is only compared, never shown. Whoever loads the payer's own records builds the same key with
`member_key`, so that a client's request finds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from server.fhir.elements import elements
from server.fhir.references import Resolver, reference_text
from server.fhir.systems import IDENTIFIER_TYPE
from server.policy.line import codings

Resource = Mapping[str, Any]

SELF = frozenset({"self", "18"})
"""Codes of Coverage.relationship (HL7's and X12 1069) by which the subscriber is the one covered."""


def member_key(coverage: Resource, patient: Resource | None = None, fhir_server: str | None = None) -> str:
    """The key of the Coverage's beneficiary.

    `patient` is the beneficiary where it could be had; `fhir_server` tells apart two servers' `Patient/1`
    (a caller without one passes whatever names its sender).
    """
    member_id = _member_id(coverage, patient)
    if member_id:
        return f"member:{member_id}"
    payor, known_as = _payor(coverage), _first_identifier(patient)
    if payor and known_as:
        return f"patient:{payor}|{known_as}"
    return f"local:{(fhir_server or '').rstrip('/')}|{_local_id(coverage, patient)}"


def is_of_another(key: str, coverage: Resource) -> bool:
    """Whether a key is surely not that of the Coverage's beneficiary: each is known by a number, and it is
    another one. The members of a family, who share one, are not told apart."""
    subscriber, (scheme, _, number) = _text(coverage.get("subscriberId")), key.partition(":")
    if not subscriber or scheme != "member" or _covers_another(coverage):
        return False
    return number != subscriber and not number.startswith(f"{subscriber}-")


def covers_subscriber(coverage: Resource) -> bool:
    """Whether the Coverage says that its beneficiary is the subscriber: then its number tells who that is."""
    return bool(_text(coverage.get("subscriberId"))) and not SELF.isdisjoint(_relationship(coverage))


def of_somebody_else(records: Iterable[Resource], patient: Resource) -> bool:
    """Whether the payer's records under a member's number are surely not of this patient: all whom they name
    were born on another day."""
    days = [_day_of_birth(record) for record in records if record.get("resourceType") == "Patient"]
    day = _day_of_birth(patient)
    return bool(day and days and all(days)) and day not in days


def _day_of_birth(patient: Resource) -> str:
    """Empty where it is not known to the day."""
    born = _text(patient.get("birthDate"))
    return born if len(born) == len("YYYY-MM-DD") else ""


def payors(coverage: Resource, resources: Iterable[Resource]) -> Iterator[dict[str, Any]]:
    """The payor Organizations that can be had: contained in the Coverage or among the resources. Looked for
    as they are asked for: a Coverage mostly names its plan itself."""
    resolver = Resolver.of(resources)
    found = (resolver.resolve(payor, dict(coverage)) for payor in elements(coverage, "payor"))
    yield from (payor for payor in found if payor is not None)


def _member_id(coverage: Resource, patient: Resource | None) -> str:
    """`subscriberId`, for one of the family with what tells them apart, since a family shares the id; else an
    identifier of type MB of the Coverage or of the patient. Number 0 of a family is the subscriber."""
    subscriber = _text(coverage.get("subscriberId"))
    numbers = [
        number
        for resource in (coverage, patient or {})
        for identifier in elements(resource, "identifier")
        if _is_member_number(identifier) and (number := _text(identifier.get("value")))
    ]
    if not subscriber:
        return next(iter(numbers), "")
    dependent = _text(coverage.get("dependent"))
    if not (dependent.strip("0") or _covers_another(coverage)):
        return subscriber
    if dependent:
        return f"{subscriber}-{dependent}"
    own = next((number for number in numbers if number != subscriber), "")
    return own or f"{subscriber}-{_born(coverage, patient)}"


def _covers_another(coverage: Resource) -> bool:
    """Whether the Coverage says that its beneficiary is another than the subscriber."""
    told = _relationship(coverage)
    return bool(told) and told.isdisjoint(SELF)


def _relationship(coverage: Resource) -> set[Any]:
    return {coding.get("code") for coding in codings([coverage.get("relationship")])}


def _born(coverage: Resource, patient: Resource | None) -> str:
    """What a payer tells the members of a family apart by, who have no numbers of their own: the day they
    were born on; where that is not known, the client's id of the patient."""
    return _text((patient or {}).get("birthDate")) or f"Patient/{_local_id(coverage, patient)}"


def _local_id(coverage: Resource, patient: Resource | None) -> str:
    local = (patient or {}).get("id") or reference_text(coverage.get("beneficiary"))
    return str(local).rpartition("/")[2]


def _is_member_number(identifier: Resource) -> bool:
    return any(
        coding.get("code") == "MB" and coding.get("system") in (IDENTIFIER_TYPE, None)
        for coding in codings([identifier.get("type")])
    )


def _payor(coverage: Resource) -> str:
    for payor in elements(coverage, "payor"):
        identifier = payor.get("identifier")
        named = _named(identifier) if isinstance(identifier, dict) else ""
        if named or reference_text(payor):
            return named or reference_text(payor)
    return ""


def _first_identifier(patient: Resource | None) -> str:
    """The first that means the patient everywhere: a number without a system is another's elsewhere."""
    listed = (each for each in elements(patient or {}, "identifier") if _text(each.get("system")))
    return next((named for identifier in listed if (named := _named(identifier))), "")


def _named(identifier: Resource) -> str:
    value = _text(identifier.get("value"))
    return f"{_text(identifier.get('system'))}|{value}" if value else ""


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
