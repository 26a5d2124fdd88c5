"""AuditEvent (R4) of one access, and what a search for accesses may ask."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import false, or_

from server.fhir.dates import first_day, instant, last_day, moment
from server.fhir.errors import InvalidRequest, Issue
from server.store import ledger

Resource = dict[str, Any]

TYPES = "http://terminology.hl7.org/CodeSystem/audit-event-type"
RESTFUL = "http://hl7.org/fhir/restful-interaction"
ENTITY_TYPES = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ROLES = "http://terminology.hl7.org/CodeSystem/object-role"
PATIENT, CASE = "patient", "case"
ENTITIES = (CASE, "assertion", "authorization", "fhir-server")
OURSELVES = {"display": "davinci-payer"}

DICOM = "http://dicom.nema.org/resources/ontology/DCM"
EXPORT = {"system": DICOM, "code": "110106", "display": "Export"}

RECORD = {"system": DICOM, "code": "110110", "display": "Patient Record"}

ACTIONS = {
    "POST": "E",
    "GET": "R",
    "HEAD": "R",
    "PUT": "U",
    "PATCH": "U",
    "DELETE": "D",
    ledger.SENT: "R",
    ledger.SHOWN: "R",
    ledger.RUN: "E",
    ledger.SEARCHED: "E",
    ledger.CREATED: "C",
}
"""Whatever is done otherwise is executed, as a search is (FHIR R4, audit-event-action)."""

INTERACTIONS = {
    "GET": "read",
    "HEAD": "read",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
    ledger.SEARCHED: "search-type",
    ledger.CREATED: "create",
}
"""By method; whatever is done otherwise is an operation."""

PARAMETERS = {
    "_id": "token",
    "date": "date",
    "agent": "token",
    "patient": "token",
    "entity": "token",
    "action": "token",
    "outcome": "token",
    "_count": "number",
}
"""Search parameters. `patient` is the member's key or its last part, `entity` a case, assertion,
authorization or subscription by its id, an EHR's FHIR server by its base, or a request by its
X-Request-ID."""

OUTCOMES = {"0": ((1, 399),), "4": ((400, 499),), "8": ((500, 599), (0, 0))}
"""Ranges of HTTP status by outcome; 0 is no answer at all."""

ENDED = {"0": "done", "4": "refused", "8": "failed"}
"""How a command ended, by outcome."""


def audit_event(access: ledger.Access, subjects: Iterable[ledger.Subject]) -> Resource:
    """AuditEvent of one access, by a request or a command, or of something sent to a subscriber."""
    sent, by_command = access.method == ledger.SENT, access.method in (ledger.RUN, ledger.SHOWN)
    who = {"identifier": {"value": access.client}} if access.client else {"display": "nobody in particular"}
    network = {"network": {"address": access.address, "type": "2"}} if access.address else {}
    return {
        "resourceType": "AuditEvent",
        "id": str(access.id),
        **_kind(sent, by_command, access.method),
        "action": ACTIONS.get(access.method, "E"),
        "recorded": instant(access.at),
        "outcome": outcome(access.status),
        "outcomeDesc": ENDED[outcome(access.status)] if by_command else _answer(access.status),
        "agent": [
            {"who": who, "requestor": not sent, **network},
            *([{"who": OURSELVES, "requestor": True}] if sent else []),
        ],
        "source": {"observer": OURSELVES},
        "entity": [
            *(_entity(subject) for subject in subjects),
            {"description": access.route}
            if by_command
            else {
                "what": {"identifier": {"value": access.request_id or "none"}},
                "description": f"{access.method} {access.route}",
            },
        ],
    }


def _kind(sent: bool, by_command: bool, method: str) -> Resource:
    if sent or by_command:
        return {"type": EXPORT if sent else RECORD}
    restful = {"system": RESTFUL, "code": INTERACTIONS.get(method, "operation")}
    return {"type": {"system": TYPES, "code": "rest"}, "subtype": [restful]}


def _answer(status: int) -> str:
    return f"HTTP {status}" if status else "no answer"


def outcome(status: int) -> str:
    """0 success, 4 the caller's mistake, 8 ours."""
    return next(
        code for code, ranges in OUTCOMES.items() if any(low <= status <= high for low, high in ranges)
    )


def _entity(subject: ledger.Subject) -> Resource:
    is_patient = subject.kind == PATIENT
    return {
        "what": {"identifier": {"value": subject.name}},
        "type": {"system": ENTITY_TYPES, "code": "1" if is_patient else "2"},
        "role": {"system": ROLES, "code": "1" if is_patient else "4"},
        "description": subject.kind,
    }


def criteria(asked: Sequence[tuple[str, str]]) -> list[Any]:
    """The conditions of a search; alternatives stand after commas. Raises InvalidRequest for what cannot be
    searched by."""
    return [_any_of(name, text.split(",")) for name, text in asked]


def _any_of(name: str, texts: Sequence[str]) -> Any:
    """That one of these is met."""
    values = [text.rpartition("|")[2] for text in texts]
    match name:
        case "patient":
            return ledger.touching([PATIENT], [*texts, *(f"member:{value}" for value in values)])
        case "entity":
            return ledger.touching_or_of(ENTITIES, values)
        case _:
            return or_(*(each for text in texts for each in _conditions(name, text)))


def _conditions(name: str, text: str) -> Iterator[Any]:
    access = ledger.Access
    match name:
        case "_id" if text.isdecimal() and len(text) < 18:
            yield access.id == int(text)
        case "date":
            yield _dated(text)
        case "agent":
            yield access.client == text.rpartition("|")[2]
        case "action" if text in ACTIONS.values():
            methods = [method for method, action in ACTIONS.items() if action == text]
            otherwise = access.method.not_in(ACTIONS) if text == "E" else false()
            yield access.method.in_(methods) | otherwise
        case "outcome" if text in OUTCOMES:
            yield or_(*(access.status.between(low, high) for low, high in OUTCOMES[text]))
        case _:
            raise InvalidRequest(
                Issue("invalid", f"http.query.{name}" if name in PARAMETERS else "AuditEvent", _USAGE)
            )


_USAGE = f"Search by {', '.join(PARAMETERS)}; dates as ge2026-01-31 or lt2026-02-01T08:00:00Z."
_COMPARED: Mapping[str, str] = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def _span(text: str) -> tuple[dt.datetime, dt.datetime]:
    """From when until when a second, a day, a month or a year lasts (UTC). Raises ValueError for what is
    none, OverflowError where nothing comes after it."""
    second, first, last = moment(text), first_day(text), last_day(text)
    if second is not None:
        return second, second + dt.timedelta(seconds=1)
    if first is None or last is None or "T" in text:
        raise ValueError(text)
    start, end = (dt.datetime.combine(day, dt.time(), dt.UTC) for day in (first, last))
    return start, end + dt.timedelta(days=1)


def _dated(text: str) -> Any:
    prefix, day = (text[:2], text[2:]) if text[:2] in _COMPARED or text[:2] == "eq" else ("eq", text)
    try:
        start, end = _span(day)
    except (OverflowError, ValueError):
        raise InvalidRequest(Issue("invalid", "http.query.date", _USAGE)) from None
    at = ledger.Access.at
    return {
        "ge": at >= start,
        "gt": at >= end,
        "le": at < end,
        "lt": at < start,
        "eq": (at >= start) & (at < end),
    }[prefix]
