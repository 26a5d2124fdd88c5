"""Systems that several packages read: services, diagnoses, places, who is who; under one name each."""

CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
NPI = "http://hl7.org/fhir/sid/us-npi"
PLACE_OF_SERVICE = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"

HCPCS_ALIASES = frozenset(
    {
        HCPCS,
        "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "https://bluebutton.cms.gov/resources/codesystem/hcpcs",
        "urn:oid:2.16.840.1.113883.6.285",
    }
)
"""HCPCS as clients are seen to name it."""

BILLED = HCPCS_ALIASES | {CPT}
"""Systems of the codes that a service is billed by."""


def billed_by(code: str) -> str:
    """The system of a billed code: those of CPT begin with a digit, those of HCPCS with a letter."""
    return CPT if code[:1].isdigit() else HCPCS
