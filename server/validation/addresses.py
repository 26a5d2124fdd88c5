"""Addresses that claim to be HL7's, or a great code system's, and are not."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable

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


class Invented(OrderedDict[str, bool]):
    """Verdicts on addresses; callers choose them, so only the last few are kept."""

    def __init__(self, known: Callable[[str], bool]) -> None:
        super().__init__()
        self._known = known

    def holds(self, url: str) -> bool:
        """Whether an address claims to be HL7's and is not."""
        if not url.startswith(HL7) or url in SIDS:
            return False
        if OTHER_VERSION.match(url):
            return not ELEMENT.fullmatch(url)
        if url not in self:
            self[url] = not self._known(url.partition("|")[0])
        return self[url]

    def __setitem__(self, url: str, verdict: bool) -> None:
        super().__setitem__(url, verdict)
        if len(self) > 5_000:
            self.popitem(last=False)
