"""PAS requests in the way of each guide version: 2.0.1 and 2.2.1."""

from __future__ import annotations

from server.fhir.systems import TERMINOLOGY, concept
from server.inferno.pas_request import Dialect
from server.pas.terms import X12, coded, extension_url

JURISDICTION = "https://www.usps.com/"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
UNANSWERED = {"url": "text", "valueString": "Asked, not answered"}

V2_0 = Dialect(
    name="2.0",
    revenue="https://www.nubc.org/revenue-code",
    identifier={},
    claim=(),
    document=(),
    payer=(),
    quantity={"unit": "unit"},
    person=(
        {
            "url": f"{US_CORE}/us-core-race",
            "extension": [
                {
                    "url": "ombCategory",
                    "valueCoding": {"system": f"{TERMINOLOGY}/v3-NullFlavor", "code": "ASKU"},
                },
                UNANSWERED,
            ],
        },
        {"url": f"{US_CORE}/us-core-ethnicity", "extension": [UNANSWERED]},
        {"url": f"{US_CORE}/us-core-birthsex", "valueCode": "F"},
    ),
    brings_prior=False,
)

V2_2 = Dialect(
    name="2.2",
    revenue="https://www.nubc.org/CodeSystem/RevenueCodes",
    identifier={
        "extension": [
            {"url": extension_url("identifierSubDepartment"), "valueString": "Orthopaedics"},
            coded("identifierJurisdiction", JURISDICTION, "IL"),
        ]
    },
    claim=(
        {
            "url": extension_url("TransmissionIdentifiers"),
            "extension": [
                {"url": "applicationSenderCode", "valueString": "HARBOUR"},
                {"url": "applicationReceiverCode", "valueString": "EXAMPLE"},
                {"url": "interchangeSenderID", "valueString": "HARBOUR-01"},
                {"url": "interchangeReceiverID", "valueString": "EXAMPLE-01"},
            ],
        },
    ),
    document=(
        {
            "url": extension_url("documentInformation"),
            "extension": [{"url": "reportTypeCode", "valueCodeableConcept": concept(f"{X12}/755", "PY")}],
        },
    ),
    payer=(
        {
            "type": concept("http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBIdentifierType", "payerid"),
            "system": "https://payer.example/payer-id",
            "value": "EXAMPLE",
        },
    ),
    quantity={"unit": "unit"},
    person=(),
    brings_prior=True,
)
