"""`POST /{version}/fhir/{Type}/$validate`: for testers; what is wrong with a resource, all at once.

The body is the resource, or Parameters with `resource` and `profile`; `?profile=` says the same. Without a
type in the address, as a CapabilityStatement has it that lists no types, any will do. The answer is always
200 with an OperationOutcome, as FHIR has it: the faults are the result. Structure is held to the models of
FHIR R4 and, where FHIR_PACKAGES is set, to profiles.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from server.fhir import json
from server.fhir.capability import Contribution
from server.fhir.errors import InvalidRequest, Issue, operation_outcome
from server.fhir.requests import FhirBody, wants_json
from server.fhir.responses import FhirResponse
from server.fhir.structure import faults
from server.services import Services, Version
from server.validation.guides import validator_of
from server.validation.validator import Validator

Resource = dict[str, Any]

OPERATION = "http://hl7.org/fhir/OperationDefinition/Resource-validate"

NOTHING = Issue("informational", diagnostics="Nothing is wrong.", severity="information")
BARE = Issue(
    "informational",
    diagnostics="Profiles were not checked: FHIR_PACKAGES names no packages. Structure was.",
    severity="information",
)


def capability(version: Version) -> Contribution:
    """What this door adds to the CapabilityStatement of the base."""
    return Contribution(operations=[{"name": "validate", "definition": OPERATION}])


def router(services: Services, version: Version) -> APIRouter:
    routes = APIRouter(tags=["validation"], dependencies=[Depends(wants_json)])

    @routes.post("/$validate", include_in_schema=False)
    @routes.post("/{kind}/$validate", summary="What is wrong with a resource", response_class=FhirResponse)
    def validate(
        body: FhirBody, kind: str = "", profile: Annotated[list[str] | None, Query()] = None
    ) -> FhirResponse:
        resource, named = _asked(json.decode_object(body))
        if kind and resource.get("resourceType") != kind:
            words = f"The resource is no {kind}. Send one, or use the address of its type."
            raise InvalidRequest(Issue("invalid", "resourceType", words))
        validator = validator_of(services.settings.fhir_packages, version)
        issues = outcome(validator, resource, [*(profile or []), *named])
        return FhirResponse(operation_outcome(issues))

    return routes


def outcome(validator: Validator | None, resource: Resource, profiles: list[str]) -> list[Issue]:
    """Everything that is wrong, worst first; one remark where nothing is."""
    if validator is None:
        return [*faults(resource, str(resource.get("resourceType", "Resource"))), BARE]
    unknown = [
        Issue("not-found", diagnostics=f"The packages have no profile {url}.", severity="warning")
        for url in profiles
        if not validator.knows(url)
    ]
    found = [finding.issue() for finding in validator.check(resource, profiles)]
    return [*found, *unknown] or [NOTHING]


def _asked(body: Resource) -> tuple[Resource, list[str]]:
    """The resource and the profiles of a request."""
    listed = body.get("parameter")
    if body.get("resourceType") != "Parameters" or not isinstance(listed, list):
        return body, []
    parameters = [each for each in listed if isinstance(each, dict)]
    resource = next((each.get("resource") for each in parameters if each.get("name") == "resource"), None)
    if not isinstance(resource, dict):
        return body, []
    named = [
        str(value)
        for each in parameters
        if each.get("name") == "profile"
        for name, value in each.items()
        if name.startswith("value")
    ]
    return resource, named
