"""The CapabilityStatement of one FHIR base: each door that answers there says its part.

A door's `routes` module offers `capability(version) -> Contribution`; whoever wires the doors together merges
them with `capability_statement`. Two doors may speak about one resource type: their parts are joined.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.fhir.dates import instant
from server.fhir.responses import FHIR_JSON
from server.fhir.systems import concept

Resource = dict[str, Any]

SECURITY_SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one door does at the base.

    `resources` are CapabilityStatement.rest.resource elements, `operations` those of the whole base;
    `instantiates` the canonicals of a guide's own statements, `guides` of its ImplementationGuide,
    `documentation` what a person should know of the base as a whole.
    """

    resources: Sequence[Mapping[str, Any]] = ()
    operations: Sequence[Mapping[str, Any]] = ()
    instantiates: Sequence[str] = ()
    guides: Sequence[str] = ()
    documentation: str = ""


@dataclass(frozen=True, slots=True)
class Software:
    name: str
    version: str
    released: dt.datetime = field(default_factory=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def capability_statement(
    base: str, software: Software, parts: Iterable[Contribution], token_endpoint: str
) -> Resource:
    """CapabilityStatement (R4) of the running server at `base`."""
    contributed = list(parts)
    rest: Resource = {
        "mode": "server",
        "documentation": " ".join(filter(None, (part.documentation for part in contributed))),
        "security": security(token_endpoint),
        "resource": _joined(resource for part in contributed for resource in part.resources),
    }
    if not rest["documentation"]:
        del rest["documentation"]
    operations = [dict(operation) for part in contributed for operation in part.operations]
    if operations:
        rest["operation"] = operations
    statement: Resource = {
        "resourceType": "CapabilityStatement",
        "url": f"{base}/metadata",
        "name": "PayerCapabilityStatement",
        "title": "What this payer's FHIR base does",
        "status": "active",
        "date": instant(software.released),
        "kind": "instance",
        "instantiates": [url for part in contributed for url in part.instantiates],
        "software": {"name": software.name, "version": software.version},
        "implementation": {"description": "Prior authorization for MRI", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", FHIR_JSON],
        "implementationGuide": [url for part in contributed for url in part.guides],
        "rest": [rest],
    }
    # FHIR allows no empty list.
    return {name: content for name, content in statement.items() if content != []}


def security(token_endpoint: str) -> Resource:
    """SMART on FHIR, for systems: where a token is to be had."""
    return {
        "cors": True,
        "service": [concept(SECURITY_SERVICES, "SMART-on-FHIR")],
        "description": f"SMART Backend Services: a token is to be had at {token_endpoint}.",
    }


def _joined(resources: Iterable[Mapping[str, Any]]) -> list[Resource]:
    """One element a type: lists one after the other, single values from the first that has them."""
    found: dict[str, Resource] = {}
    for resource in resources:
        known = found.setdefault(resource["type"], {"type": resource["type"]})
        for name, content in resource.items():
            if isinstance(content, list):
                known[name] = [
                    *known.get(name, []),
                    *(each for each in content if each not in known.get(name, [])),
                ]
            else:
                known.setdefault(name, content)
    return list(found.values())
