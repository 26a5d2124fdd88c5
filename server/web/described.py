"""What `/docs` and `/openapi.json` say beyond what routes declare: the body that an address takes, the token,
and how it refuses. Doors read bodies, the door-keeper asks for tokens, and errors are OperationOutcomes:
FastAPI knows of none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FORM = {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
JSON = {"application/json": {"schema": {"type": "object"}}}
RESOURCE = {"application/fhir+json": {"schema": {"type": "object"}}}
"""FHIR bases take the one kind as well as the other; generators of clients stumble over a body of two."""

BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An access token of /auth/token; at a CDS service a JWT signed for its address.",
}
REFUSED = {
    "description": "What is wrong, and what to do: an OperationOutcome; below /auth an error of OAuth.",
    "content": RESOURCE,
}
FOREIGN = ("HTTPValidationError", "ValidationError")
"""FastAPI's own errors, which nobody is sent."""


def described(openapi: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """The same description with that in it."""

    def complete() -> dict[str, Any]:
        said = openapi()
        for each in FOREIGN:
            said["components"]["schemas"].pop(each, None)
        said["components"]["securitySchemes"] = {"bearer": BEARER}
        said["security"] = [{"bearer": []}]
        for path, operations in said["paths"].items():
            kind = FORM if path.startswith("/auth/") else RESOURCE if "/fhir/" in path else JSON
            body = {"required": True, "content": kind}
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["responses"]["4XX"] = REFUSED
            for method in operations.keys() & {"post", "put"}:
                operations[method].setdefault("requestBody", body)
        return said

    return complete
