"""Addresses that claim to be HL7's, or a great code system's, and are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

BASE = "http://hl7.org/fhir/StructureDefinition/"
"""Of the definitions of FHIR's own types."""

HL7 = ("http://hl7.org/fhir/", "http://terminology.hl7.org/")
OTHER_VERSION = re.compile(r"http://hl7\.org/fhir/\d\.\d/")
"""Extensions that stand for elements of another FHIR version; no package of this one has them."""
ELEMENT = re.compile(r"\S+/StructureDefinition/extension-[A-Z][A-Za-z]*(\.[a-z][A-Za-z0-9]*)*(\[x])?")
"""How such an address ends: with the element's own name, `[x]` included."""

FOREIGN = (
    "http://loinc.org",
    "http://snomed.info/sct",
    "http://unitsofmeasure.org",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
)
"""Code systems that nobody subdivides: an address that only begins like one is a mistake."""

_SIDS = """
us-npi us-ssn us-mbi us-medicare icd-9 icd-9-cm icd-10 icd-10-cm icd-10-de icpc-1 icpc-2 ndc cvx mvx ca-hc-din
nui iso-3166-1 dicom-uid
"""
SIDS = frozenset(f"http://hl7.org/fhir/sid/{name}" for name in _SIDS.split())
"""Identifier and code systems that HL7 names without defining them."""


def is_no_code_system(url: str) -> bool:
    """Whether an address only begins like that of a code system."""
    return url.startswith(FOREIGN) and url not in FOREIGN


def inventions(known: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether an address claims to be HL7's and is not; callers choose them: the last are remembered."""
    remembered = lru_cache(maxsize=5_000)(known)

    def invented(url: str) -> bool:
        if not url.startswith(HL7) or url in SIDS:
            return False
        if OTHER_VERSION.match(url):
            return not ELEMENT.fullmatch(url)
        return not remembered(url.partition("|")[0])

    return invented
