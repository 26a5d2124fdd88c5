"""The one place where an exception becomes an answer: an OperationOutcome, never a framework's own error
body."""

import http

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.fhir.errors import FhirError, InvalidRequest, Issue, MethodNotAllowed, NotFound, Unavailable
from server.fhir.responses import error_response


def answer_errors(app: FastAPI) -> None:
    """Registers the handlers, which need no thread and so wait for nobody who is being judged. What they do
    not know goes on to the logging middleware, which answers 500."""
    app.add_exception_handler(FhirError, _fhir_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _parameter_error)


def unexpected(request_id: str) -> Response:
    """500 that tells the caller nothing but where the operator finds the cause."""
    return error_response(
        FhirError(f"The server failed. Its log has the cause under request id {request_id}.")
    )


async def _fhir_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FhirError)
    return error_response(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(_translated(request, error))


def _translated(request: Request, error: HTTPException) -> FhirError:
    path = request.scope["path"]
    if error.status_code == 404:
        return NotFound(f"Nothing answers at {path}. See / for the addresses.")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        return MethodNotAllowed(
            f"{path} does not answer {request.method}. Use {allowed}.", headers=error.headers
        )
    code = "transient" if error.status_code == Unavailable.status else "processing"
    phrase = http.HTTPStatus(error.status_code).phrase
    return FhirError(Issue(code, diagnostics=phrase), status=error.status_code, headers=error.headers)


async def _parameter_error(request: Request, error: Exception) -> Response:
    """A query, path or header parameter that a route declares and the request does not fit."""
    assert isinstance(error, RequestValidationError)
    issues = [
        Issue("invalid", f"http.{'.'.join(str(step) for step in fault['loc'])}", f"{fault['msg']}.")
        for fault in error.errors()
    ]
    return error_response(InvalidRequest(*issues))
