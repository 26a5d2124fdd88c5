"""What `/docs` and `/openapi.json` say beyond what routes declare: the body that an address takes, and the
token. Doors read bodies themselves, and the door-keeper asks for tokens, so FastAPI knows of neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FORM = {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
JSON = {kind: {"schema": {"type": "object"}} for kind in ("application/json", "application/fhir+json")}
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An access token of /auth/token; at a CDS service a JWT signed for its address.",
}


def described(openapi: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """The same description with that in it."""

    def complete() -> dict[str, Any]:
        said = openapi()
        said["components"]["securitySchemes"] = {"bearer": BEARER}
        said["security"] = [{"bearer": []}]
        for path, operations in said["paths"].items():
            body = {"required": True, "content": FORM if path.startswith("/auth/") else JSON}
            for method in operations.keys() & {"post", "put"}:
                operations[method].setdefault("requestBody", body)
        return said

    return complete
