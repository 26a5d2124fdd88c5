"""What the answers of the authorization server share: their errors have the body of OAuth (RFC 6749, 5.2; RFC
7591, 3.2.2), not an OperationOutcome."""

from __future__ import annotations

import structlog

from server.fhir.responses import JsonResponse

MAX_BYTES = 40_000
"""Of one request to it."""

FRESH = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""Headers of an answer that is for whoever asked alone."""


class OAuthError(Exception):
    """Why there is no token or no registration: a code and a sentence for the developer."""

    def __init__(self, code: str, description: str) -> None:
        self.code, self.description = code, description
        super().__init__(code)

    @property
    def status(self) -> int:
        return 401 if self.code == "invalid_client" else 400

    def answer(self, event: str) -> JsonResponse:
        """The answer; the log has it under this event."""
        structlog.get_logger().warning(event, error=self.code, why=self.description)
        body = {"error": self.code, "error_description": self.description}
        return JsonResponse(body, status_code=self.status, headers=FRESH)
