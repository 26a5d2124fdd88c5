"""Systems that several packages read: billed services, diagnoses, who is who; under one name each."""

CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
NPI = "http://hl7.org/fhir/sid/us-npi"

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
