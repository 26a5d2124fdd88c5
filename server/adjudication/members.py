"""Who a Coverage stands for, as this payer knows them.

A member is the payer's member id, else payor and patient identifier, else the patient's id on the client's
server. The key is only compared, never shown. Whoever loads the payer's own records builds the same key with
`member_key`, so that a client's request finds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from server.fhir.references import Resolver, reference_text

Resource = Mapping[str, Any]

IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"


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
    local = (patient or {}).get("id") or reference_text(coverage.get("beneficiary"))
    return f"local:{(fhir_server or '').rstrip('/')}|{str(local).rpartition('/')[2]}"


def payors(coverage: Resource, resources: Iterable[Resource]) -> Iterator[dict[str, Any]]:
    """The payor Organizations that can be had: contained in the Coverage or among the resources. Looked for
    as they are asked for: a Coverage mostly names its plan itself."""
    resolver = Resolver.of(resources)
    listed = coverage.get("payor")
    for payor in listed if isinstance(listed, list) else []:
        found = resolver.resolve(payor, dict(coverage)) if isinstance(payor, dict) else None
        if found is not None:
            yield found


def _member_id(coverage: Resource, patient: Resource | None) -> str:
    """`subscriberId`, with the dependent's number where one is given, since a family shares the id; else an
    identifier of type MB of the Coverage or of the patient."""
    subscriber = _text(coverage.get("subscriberId"))
    if subscriber:
        dependent = _text(coverage.get("dependent"))
        return f"{subscriber}-{dependent}" if dependent else subscriber
    for resource in (coverage, patient or {}):
        for identifier in _identifiers(resource):
            if _is_member_number(identifier) and _text(identifier.get("value")):
                return _text(identifier["value"])
    return ""


def _is_member_number(identifier: Resource) -> bool:
    kind = identifier.get("type")
    codings = kind.get("coding") if isinstance(kind, dict) else None
    return any(
        isinstance(coding, dict)
        and coding.get("code") == "MB"
        and coding.get("system") in (IDENTIFIER_TYPES, None)
        for coding in (codings if isinstance(codings, list) else [])
    )


def _payor(coverage: Resource) -> str:
    listed = coverage.get("payor")
    for payor in listed if isinstance(listed, list) else []:
        if isinstance(payor, dict):
            identifier = payor.get("identifier")
            named = _named(identifier) if isinstance(identifier, dict) else ""
            if named or reference_text(payor):
                return named or reference_text(payor)
    return ""


def _first_identifier(patient: Resource | None) -> str:
    return next((named for identifier in _identifiers(patient or {}) if (named := _named(identifier))), "")


def _named(identifier: Resource) -> str:
    value = _text(identifier.get("value"))
    return f"{_text(identifier.get('system'))}|{value}" if value else ""


def _identifiers(resource: Resource) -> Sequence[Resource]:
    listed = resource.get("identifier")
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
