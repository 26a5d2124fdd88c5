"""Canonicals and code systems of Da Vinci PAS.

The X12 lists are licensed: codes here are those that public examples show or that the policy's table names,
and their meanings are not vouched for by the list itself.
"""

from typing import Any

from server.fhir.systems import concept

STRUCTURE = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition"
PAS_CODES = "http://hl7.org/fhir/us/davinci-pas/CodeSystem/PASTempCodes"
X12 = "https://codesystem.x12.org/005010"

REVIEW_ACTION = f"{X12}/306"
REVIEW_REASON = "https://codesystem.x12.org/external/886"
REJECT_REASON = f"{X12}/901"
FOLLOW_UP = f"{X12}/889"
CERTIFICATION = f"{X12}/1322"
LEVEL_OF_SERVICE = f"{X12}/1338"
REPORT_TYPE = f"{X12}/755"
ENTITY = f"{X12}/98"

ADJUDICATION = "http://terminology.hl7.org/CodeSystem/adjudication"
DATA_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
PROCESS_PRIORITY = "http://terminology.hl7.org/CodeSystem/processpriority"
LOINC_QUESTIONNAIRE = "102089-0"
LOINC_PROGRESS_NOTE = "11506-3"
LOINC_UNTIL_SERVICE = "18790-6"
"""Attachment modifier: all of it that dates from the day of service or before."""

CLAIM_ENCOUNTER = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Claim.encounter"


def profile(name: str) -> str:
    """`profile("claimresponse")`: the canonical of a PAS profile."""
    return f"{STRUCTURE}/profile-{name}"


def extension_url(name: str) -> str:
    """`extension_url("reviewAction")`: the URL of a PAS extension."""
    return f"{STRUCTURE}/extension-{name}"


def coded(name: str, system: str, code: str, display: str | None = None) -> dict[str, Any]:
    """A PAS extension that says one code."""
    return {"url": extension_url(name), "valueCodeableConcept": concept(system, code, display=display)}
