"""What can go wrong with a request, as values with a place and a remedy.

    FhirError                       500  exception
    ├── InvalidJson                 400  invalid        not JSON at all, or JSON no FHIR server may accept
    ├── InvalidRequest              400  invalid        JSON, but breaks FHIR, CDS Hooks or the operation
    ├── Unauthorized                401  login
    ├── Forbidden                   403  forbidden
    ├── NotFound                    404  not-found
    ├── MethodNotAllowed            405  not-supported
    ├── NotAcceptable               406  not-supported
    ├── TimedOut                    408  timeout
    ├── Conflict                    409  conflict
    ├── PreconditionFailed          412  processing     data the answer needs could not be had
    ├── TooLarge                    413  too-long
    ├── UnsupportedMediaType        415  not-supported
    ├── Unprocessable               422  business-rule  well-formed, but breaks a rule of the guide
    ├── TooManyRequests             429  throttled
    └── Unavailable                 503  transient

The class says which layer of rules broke. Guides draw the line between 400 and 422 in different places, so
a door may translate classes to other statuses with `answered_as`. `handlers` makes the one OperationOutcome
out of any of them; nobody else writes an error body.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault: what is wrong, where, and how to mend it.

    `code` is from http://hl7.org/fhir/issue-type. `expression` is a FHIRPath to the element, such as
    `Bundle.entry[0].resource.insurance`; several when the fault lies between elements. Never put a
    patient's data into `diagnostics`.
    """

    code: str
    expression: str | tuple[str, ...] = ()
    diagnostics: str = ""
    severity: Severity = "error"

    @property
    def expressions(self) -> tuple[str, ...]:
        return (self.expression,) if isinstance(self.expression, str) else self.expression

    @property
    def line(self) -> str:
        """Where and what, for a person."""
        return ": ".join(filter(None, (", ".join(filter(None, self.expressions)), self.diagnostics)))


class FhirError(Exception):
    """Raise a subclass with one `Issue` or several, or with a sentence that gets the class's own issue
    code."""

    status: int = 500
    code: ClassVar[str] = "exception"

    def __init__(
        self,
        *issues: Issue | str,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.issues = tuple(
            Issue(self.code, diagnostics=issue) if isinstance(issue, str) else issue for issue in issues
        )
        self.headers = dict(headers or {})
        if status is not None:
            self.status = status
        super().__init__("; ".join(issue.diagnostics or issue.code for issue in self.issues))


class InvalidJson(FhirError):
    status = 400
    code = "invalid"


class InvalidRequest(FhirError):
    status = 400
    code = "invalid"


class Unauthorized(FhirError):
    """401; says how to authenticate unless the raiser gives another challenge."""

    status = 401
    code = "login"

    def __init__(
        self, *issues: Issue | str, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(*issues, status=status, headers={"WWW-Authenticate": "Bearer", **(headers or {})})


class Forbidden(FhirError):
    status = 403
    code = "forbidden"


class NotFound(FhirError):
    status = 404
    code = "not-found"


class MethodNotAllowed(FhirError):
    status = 405
    code = "not-supported"


class NotAcceptable(FhirError):
    status = 406
    code = "not-supported"


class TimedOut(FhirError):
    status = 408
    code = "timeout"


class Conflict(FhirError):
    status = 409
    code = "conflict"


class PreconditionFailed(FhirError):
    status = 412
    code = "processing"


class TooLarge(FhirError):
    status = 413
    code = "too-long"


class UnsupportedMediaType(FhirError):
    status = 415
    code = "not-supported"


class Unprocessable(FhirError):
    status = 422
    code = "business-rule"


class TooManyRequests(FhirError):
    status = 429
    code = "throttled"


class Unavailable(FhirError):
    status = 503
    code = "transient"


@contextmanager
def answered_as(statuses: Mapping[type[FhirError], int]) -> Iterator[None]:
    """Within this block an error of exactly such a class is answered with that status instead of its own:
    `with answered_as({InvalidRequest: 422}): …` where a guide counts broken FHIR among the 422s."""
    try:
        yield
    except FhirError as error:
        error.status = statuses.get(type(error), error.status)
        raise


@contextmanager
def placed(root: str, place: str) -> Iterator[None]:
    """Within this block what is told of a resource is told of where it lay in the body:
    `placed("QuestionnaireResponse", "Parameters.parameter[0].resource")`."""
    try:
        yield
    except FhirError as error:
        if place != root:
            error.issues = tuple(_placed(issue, root, place) for issue in error.issues)
        raise


def _placed(issue: Issue, root: str, place: str) -> Issue:
    named = (re.sub(f"^{root}\\b", place, each) for each in issue.expressions)
    return replace(issue, expression=tuple(named))


def operation_outcome(issues: tuple[Issue, ...] | list[Issue]) -> dict[str, Any]:
    """OperationOutcome (R4), one `issue` a fault, worst first as given by the caller."""
    return {"resourceType": "OperationOutcome", "issue": [outcome_issue(issue) for issue in issues]}


def outcome_issue(issue: Issue) -> dict[str, Any]:
    element: dict[str, Any] = {"severity": issue.severity, "code": issue.code}
    if issue.diagnostics:
        element["diagnostics"] = issue.diagnostics
    if issue.expressions:
        element["expression"] = list(issue.expressions)
    return element
