"""Systems that several packages read: services, diagnoses, places, who is who; under one name each."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"
NPI = "http://hl7.org/fhir/sid/us-npi"
NUCC = "http://nucc.org/provider-taxonomy"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
"""Where HL7 keeps its own, each under its name."""
IDENTIFIER_TYPE = f"{TERMINOLOGY}/v2-0203"
UCUM = "http://unitsofmeasure.org"
NPIS = frozenset({NPI, "urn:oid:2.16.840.1.113883.4.6"})
"""NPIs as clients are seen to name them."""


def npis(identifiers: Iterable[Any]) -> Iterator[str]:
    """The National Provider Identifiers among the identifiers of a resource or reference, in their order."""
    for identifier in identifiers:
        if isinstance(identifier, Mapping) and identifier.get("system") in NPIS and identifier.get("value"):
            yield str(identifier["value"])


def is_npi(text: str) -> bool:
    """Ten digits of which the last is the Luhn check digit of 80840 and the others (45 CFR 162.406)."""
    if not re.fullmatch("[0-9]{10}", text):
        return False
    digits = [int(digit) for digit in reversed(f"80840{text}")]
    return sum(digits[0::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0


def concept(system: str, *codes: str, display: str | None = None) -> dict[str, Any]:
    """A CodeableConcept of these codes; `display` is what the one code is called."""
    named = {"display": display} if display else {}
    return {"coding": [{"system": system, "code": code, **named} for code in codes]}


PLACE_OF_SERVICE = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED = "http://snomed.info/sct"

HCPCS_ALIASES = frozenset(
    {
        HCPCS,
        "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "https://bluebutton.cms.gov/resources/codesystem/hcpcs",
        "urn:oid:2.16.840.1.113883.6.285",
    }
)
"""HCPCS as clients are seen to name it."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    CPT: ("urn:oid:2.16.840.1.113883.6.12", "https://www.ama-assn.org/go/cpt"),
    ICD: ("urn:oid:2.16.840.1.113883.6.90", "http://hl7.org/fhir/sid/icd-10"),
    SNOMED: ("urn:oid:2.16.840.1.113883.6.96",),
    LOINC: ("urn:oid:2.16.840.1.113883.6.1",),
    RXNORM: ("urn:oid:2.16.840.1.113883.6.88",),
    NUCC: ("urn:oid:2.16.840.1.113883.6.101",),
}
"""How EHRs name them too: by OID, where their records are older than FHIR, CPT by https, and ICD-10-CM as the
ICD-10 of which it is the modification: a code of WHO's that ICD-10-CM has means the same there. A chart may;
what is said here does not."""

_OTHERWISE = {
    **{name: system for system, names in ALIASES.items() for name in names},
    PLACE_OF_SERVICE.replace("https:", "http:"): PLACE_OF_SERVICE,
}
"""Systems as clients are seen to name them, with the name that they have here."""

BILLED = HCPCS_ALIASES | {CPT, *ALIASES[CPT]}
"""Systems of the codes that a service is billed by."""


_SEPARATED = re.compile(r"[\s:,-]+")
_BILLED_CODE = re.compile(r"\s*([0-9]{4}[0-9A-Za-z]|[A-Za-z][0-9]{4})(?![0-9A-Za-z])")


def is_billed(coding: Mapping[str, Any]) -> bool:
    """Whether it is what a service is billed by: a code of CPT or HCPCS, with its modifiers or without. A
    clinic's own name of a service is none, under whatever system it comes."""
    code = coding.get("code")
    return coding.get("system") in BILLED and isinstance(code, str) and bool(_BILLED_CODE.match(code))


def billed_parts(coding: Mapping[str, Any]) -> list[str]:
    """A billed code and the modifiers behind it: a clinic writes "73221-RT" or "73221-rt-26", HL7
    "73221:RT,26"."""
    return _SEPARATED.split(str(coding.get("code")).strip().upper())


def is_place_of_service(coding: Mapping[str, Any]) -> bool:
    """Whether it is a code of CMS's places of service, which clients name with https or without."""
    return coding_key(coding)[0] == PLACE_OF_SERVICE


def spellings(codes: Collection[tuple[str | None, str | None]]) -> Iterator[tuple[str, str]]:
    """Other ways in which charts and claims give these codes: the system by another of its names, a diagnosis
    without its point, as X12 and CMS write it, and a code of CPT as one of HCPCS, of which it is a level."""
    bare = [(ICD, code.replace(".", "")) for system, code in codes if system == ICD and code]
    yield from bare
    for system, code in (*codes, *bare):
        if system and code:
            names = (*ALIASES.get(system, ()), *(HCPCS_ALIASES if system == CPT else ()))
            yield from ((name, code) for name in names)


def coding_key(coding: Mapping[str, Any]) -> tuple[str, str]:
    """System and code of a coding, as they are spelt here; "" for what is no text."""
    system, code = (text if isinstance(text := coding.get(name), str) else "" for name in ("system", "code"))
    named = _OTHERWISE.get(system, system)
    return named, _pointed(code.strip().upper()) if named == ICD else code


def _pointed(diagnosis: str) -> str:
    return f"{diagnosis[:3]}.{diagnosis[3:]}" if len(diagnosis) > 3 and "." not in diagnosis else diagnosis


def billed_by(code: str) -> str:
    """The system of a billed code: those of CPT begin with a digit, those of HCPCS with a letter."""
    return CPT if code[:1].isdigit() else HCPCS
