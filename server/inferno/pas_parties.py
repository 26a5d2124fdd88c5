"""The parties of every PAS request: a member, the insurance, this payer, one clinic and its clinician."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from server.fhir.systems import IDENTIFIER_TYPE, NPI, NUCC, TERMINOLOGY, concept
from server.pas.terms import X12, profile
from server.policy.case_draft import EHR

Resource = dict[str, Any]

EIN = "http://terminology.hl7.org/NamingSystem/USEIN"
MEMBER_SYSTEM = "https://payer.example/member-id"


def patient(member: str, extensions: Sequence[Resource]) -> Resource:
    """profile-beneficiary, which is the subscriber as well."""
    return {
        "resourceType": "Patient",
        "id": "patient",
        "meta": {"profile": [profile("beneficiary")]},
        **({"extension": list(extensions)} if extensions else {}),
        "identifier": [
            {"type": concept(IDENTIFIER_TYPE, "MB"), "system": MEMBER_SYSTEM, "value": member},
            {"type": concept(IDENTIFIER_TYPE, "MR"), "system": f"{EHR}/mrn", "value": f"R-{member}"},
        ],
        "name": [{"family": "Sample", "given": ["Robin"], "prefix": ["Dr."], "suffix": ["Jr."]}],
        "telecom": [{"system": "phone", "value": "1-217-555-0140", "use": "home"}],
        "gender": "female",
        "birthDate": "1974-03-02",
        "address": [
            {
                "line": ["12 Orchard Road"],
                "city": "Springfield",
                "district": "Sangamon",
                "state": "IL",
                "postalCode": "62701",
                "country": "US",
                "period": {"start": "2015-05-01"},
            }
        ],
        "multipleBirthInteger": 1,
        "communication": [{"language": concept("urn:ietf:bcp:47", "en-US")}],
    }


def coverage(member: str, day: dt.date) -> Resource:
    """profile-coverage."""
    return {
        "resourceType": "Coverage",
        "id": "coverage",
        "meta": {"profile": [profile("coverage")]},
        "identifier": [{"type": concept(IDENTIFIER_TYPE, "MB"), "system": MEMBER_SYSTEM, "value": member}],
        "status": "active",
        "type": concept(f"{TERMINOLOGY}/v3-ActCode", "HMO"),
        "subscriber": {"reference": "Patient/patient"},
        "subscriberId": member,
        "beneficiary": {"reference": "Patient/patient"},
        "relationship": {
            "coding": [
                {"system": f"{TERMINOLOGY}/subscriber-relationship", "code": "self"},
                {"system": f"{X12}/1069", "code": "18"},
            ]
        },
        "period": {
            "start": (day - dt.timedelta(days=365)).isoformat(),
            "end": (day + dt.timedelta(days=365)).isoformat(),
        },
        "payor": [{"reference": "Organization/payer"}],
        "class": [
            {"type": concept(f"{TERMINOLOGY}/coverage-class", "group"), "value": "G-100", "name": "Staff"},
            {
                "type": concept(f"{TERMINOLOGY}/coverage-class", "plan"),
                "value": "evicore",
                "name": "Standard",
            },
        ],
    }


def payer(besides: Sequence[Resource], *, thorough: bool) -> Resource:
    """profile-insurer."""
    identifiers = [
        {"system": NPI, "value": "1234567893"},
        *([{"system": EIN, "value": "12-3456789"}, *besides] if thorough else []),
    ]
    return _organization("payer", "insurer", "PR", "Example Health", identifiers)


def clinic(*, tax_number: bool) -> Resource:
    """profile-requestor."""
    identifiers = [
        {"system": NPI, "value": "1992999999"},
        *([{"system": EIN, "value": "98-7654321"}] if tax_number else []),
    ]
    return _organization("clinic", "requestor", "1P", "Harbour Clinic", identifiers)


def _organization(name: str, kind: str, code: str, title: str, identifiers: list[Resource]) -> Resource:
    return {
        "resourceType": "Organization",
        "id": name,
        "meta": {"profile": [profile(kind)]},
        "identifier": identifiers,
        "active": True,
        "type": [concept(f"{X12}/98", code)],
        "name": title,
        "telecom": [{"system": "phone", "value": "1-800-555-0101"}],
        "address": [_quay()],
        "contact": [
            {
                "name": {"family": "Desk", "text": "Authorizations desk"},
                "telecom": [{"system": "phone", "value": "1-800-555-0102"}],
            }
        ],
    }


def _quay() -> Resource:
    return {"line": ["2 Quay"], "city": "Springfield", "state": "IL", "postalCode": "62701", "country": "US"}


def clinician() -> Resource:
    """profile-practitioner."""
    return {
        "resourceType": "Practitioner",
        "id": "clinician",
        "meta": {"profile": [profile("practitioner")]},
        "identifier": [{"system": NPI, "value": "1457362881"}],
        "name": [{"family": "Lund", "given": ["Kai"]}],
        "telecom": [{"system": "phone", "value": "1-800-555-0103"}],
        "address": [_quay()],
    }


def role() -> Resource:
    """profile-practitionerrole."""
    return {
        "resourceType": "PractitionerRole",
        "id": "role",
        "meta": {"profile": [profile("practitionerrole")]},
        "practitioner": {"reference": "Practitioner/clinician"},
        "organization": {"reference": "Organization/clinic"},
        "code": [concept(NUCC, "207X00000X")],
        "specialty": [concept(NUCC, "207X00000X")],
        "location": [{"display": "Harbour Clinic, first floor"}],
        "telecom": [{"system": "phone", "value": "1-800-555-0103"}],
        "endpoint": [{"display": "Harbour Clinic, direct messages"}],
    }
