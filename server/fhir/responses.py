"""Answers in the media type that the caller's protocol asks for.

FHIR bases say `application/fhir+json`, whatever flavour of JSON was asked for; CDS Hooks says
`application/json`. Both go through `json.encode`, so decimals keep their digits; OpenAPI takes both for JSON.
"""

from typing import Any

from starlette import responses

from server.fhir import json
from server.fhir.errors import FhirError, operation_outcome

FHIR_JSON = "application/fhir+json"


class JsonResponse(responses.JSONResponse):
    """A CDS Hooks answer, or any JSON that is not a FHIR resource."""

    def render(self, content: Any) -> bytes:
        return json.encode(content)


class FhirResponse(JsonResponse):
    """A resource: `FhirResponse(resource, status_code=200, headers=…)`."""

    media_type = FHIR_JSON


def error_response(error: FhirError) -> FhirResponse:
    """The OperationOutcome of an error, on FHIR bases and CDS services alike."""
    return FhirResponse(operation_outcome(error.issues), status_code=error.status, headers=error.headers)
