"""PASMetricData: one record a prior authorization, from its cases (PAS, metrics; payer's side).

The exchanges of a record are the versions of the request as they came and what was attached in between; what
was answered is told as it stands. How long an answer took is not part of the record: a decision is answered
in the moment it is made, and the log has the milliseconds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from server.fhir.dates import instant
from server.fhir.extensions import extension, value
from server.pas import casebook, verdict
from server.pas.casebook import Standing
from server.pas.change import change_of
from server.pas.deadlines import Deadlines
from server.pas.evidence import ATTACHED
from server.pas.intake import Submission, stored
from server.pas.rejection import Rejection
from server.pas.terms import COVERAGE_INFORMATION, CPT, LOINC, LOINC_QUESTIONNAIRE, NPI, concept
from server.pas.verdict import Asked, Denied
from server.services import Services
from server.store import Transaction, cases, events, tables

Resource = dict[str, Any]

RESULTS = {"A1": "approved", "A6": "modified", "A3": "denied", "A4": "pended", "C": "cancelled"}
AMBULATORY = "outpatient"


def records(services: Services, start: dt.datetime, end: dt.datetime) -> Iterator[Resource]:
    """The records of requests that first came in [start, end), oldest first."""
    payer = services.catalog.payer
    with services.store.reading() as tx:
        for first in cases.begun(tx, start, end):
            yield _record(tx, cases.chain(tx, first.chain_id), payer)


def _record(tx: Transaction, versions: Sequence[tables.PaCase], payer: Any) -> Resource:
    newest = versions[-1]
    read = stored(newest.request)
    standing = casebook.standing_of(tx, newest.id)
    plan = next((line.determination["plan"] for line in standing), "")
    told = [event for row in versions for event in events.of_case(tx, row.id)]
    record = {
        "source": "payer-src",
        "providerId": _identifier(read, newest.client),
        "groupId": _identifier(read, newest.client),
        "payerId": {"system": NPI, "value": str(payer["identifier"][0]["value"])},
        "exchange": [
            *(_exchange(_kind(row), row.created) for row in versions),
            *(_exchange("subsequent", at) for at in sorted({e.at for e in told if e.kind == ATTACHED})),
        ],
        "aaaCodes": [_rejected(Rejection(*parts)) for parts in newest.rejections],
        "itemDetail": [_item(line, told) for line in standing],
        "requestedDoc": [_requested(line, told) for line in standing if isinstance(line.item.verdict, Asked)],
        "exceptionSubmission": True,
        "businessLine": {"text": Deadlines.load().line_of(plan)},
    }
    return {name: content for name, content in record.items() if content != []}


def _kind(row: tables.PaCase) -> str:
    change = change_of(stored(row.request))
    if change is None:
        return "initial"
    return "cancel" if change.everything else "update"


def _exchange(kind: str, at: dt.datetime) -> Resource:
    return {
        "type": kind,
        "with": "provider",
        "method": "restful",
        "requestTime": instant(at),
        "httpResponse": "200",
    }


def _item(line: Standing, told: Sequence[tables.PaEvent]) -> Resource:
    reached = line.item.verdict
    mine = [event for event in told if event.sequence == line.item.sequence]
    detail = {
        "item": concept(CPT, line.cpt) if line.cpt else line.item.requested["productOrService"],
        "assertionId": value(extension(extension(line.order, COVERAGE_INFORMATION), "coverage-assertion-id")),
        "initialSubmissionTime": instant(line.received),
        "finalResponseTime": instant(line.decided) if line.decided else None,
        "responsesRequired": max(1, sum(event.kind in (events.PENDED, events.DECIDED) for event in mine)),
        "locationType": AMBULATORY,
        "result": RESULTS[verdict.action(reached)],
        "denialReason": reached.denial.code if isinstance(reached, Denied) else None,
    }
    return {name: content for name, content in detail.items() if content}


def _requested(line: Standing, told: Sequence[tables.PaEvent]) -> Resource:
    asked = line.item.verdict
    assert isinstance(asked, Asked), "only a line that waits for information asks for it"
    documents = [code for ask in asked.asks for code in ask.documents]
    since = [
        event.at for event in told if event.kind == events.PENDED and event.sequence == line.item.sequence
    ]
    return {
        "docRequest": [concept(LOINC, code) for code in documents or [LOINC_QUESTIONNAIRE]],
        "timeRequested": instant(since[0] if since else line.received),
    }


def _rejected(rejection: Rejection) -> Resource:
    return {"loopID": rejection.element.partition("-")[0], "aaaCode": rejection.code}


def _identifier(read: Submission, client: str) -> Resource:
    """The NPI of who asked; the client's name where there is none."""
    listed = read.provider.get("identifier") or []
    number = next((one for one in listed if one.get("system") == NPI and one.get("value")), None)
    return {"system": NPI, "value": number["value"]} if number else {"value": client or "unknown"}
