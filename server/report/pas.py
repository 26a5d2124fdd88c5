"""PASMetricData: one record a prior authorization, from its cases (PAS, metrics; payer's side).

The exchanges of a record are the versions of the request as they came and what was attached in between; what
was answered is told as it stands, what was asked of the provider with the time of what came next. How long an
answer took is not part of the record: a decision is answered in the moment it is made, and the log has the
milliseconds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from server.fhir.dates import instant
from server.fhir.elements import elements
from server.fhir.systems import CPT, LOINC, NPI, concept, npis
from server.pas import verdict
from server.pas.change import change_of
from server.pas.deadlines import Deadlines
from server.pas.evidence import ATTACHED
from server.pas.inquiry import PROVIDERS
from server.pas.intake import Submission, stored
from server.pas.lines import assertion_id
from server.pas.rejection import Rejection
from server.pas.verdict import Denied
from server.policy.line import line_of
from server.services import Services
from server.store import cases, events, tables

Resource = dict[str, Any]

RESULTS = {"A1": "approved", "A6": "modified", "A3": "denied", "A4": "pended", "C": "cancelled"}
CANCELLATION = "cancel"

STAYS = {"12": "home", "21": "inpatient", "51": "inpatient", "61": "inpatient"}
"""CMS's places of service that are none of an outpatient's."""


def records(services: Services, start: dt.datetime, end: dt.datetime) -> Iterator[Resource]:
    """The records of requests that first came in [start, end), oldest first."""
    payer = services.catalog.payer
    with services.store.reading() as tx:
        for some in cases.begun(tx, start, end):
            versions, lines = cases.chains(tx, some), cases.lines(tx, some)
            told = events.of_chains(tx, some)
            for chain in some:
                yield _record(versions[chain], lines, told, payer)


def _record(
    versions: Sequence[tables.PaCase],
    kept: Mapping[str, Sequence[tuple[tables.PaItem, str]]],
    happened: Mapping[str, Sequence[tables.PaEvent]],
    payer: Any,
) -> Resource:
    """`kept` and `happened` are the lines, each with its plan, and the events of many cases."""
    newest = versions[-1]
    reads = [stored(row.request, "Claim", *PROVIDERS) for row in versions]
    read = reads[-1]
    lines = [kept.get(row.id, ()) for row in versions]
    told = [happened.get(row.id, ()) for row in versions]
    plan = next((plan for _, plan in lines[-1]), "")
    since = {line.sequence: line.received for version in reversed(lines) for line, _ in version}
    sent = [
        _Sent(_kind(each), row.created, (at, 0))
        for at, (row, each) in enumerate(zip(versions, reads, strict=True))
    ]
    sent += {
        event.at: _Sent("subsequent", event.at, (at, event.id))
        for at, version in enumerate(told)
        for event in version
        if event.kind == ATTACHED
    }.values()
    record = {
        "source": "payer-src",
        "providerId": _identifier(_parties(read), newest.client),
        "groupId": _identifier(reversed(_parties(read)), newest.client),
        "payerId": {"system": NPI, "value": str(payer["identifier"][0]["value"])},
        "exchange": [each.exchange for each in sent],
        "aaaCodes": [_rejected(Rejection(*parts)) for parts in newest.rejections],
        "itemDetail": [_item(line, told, since) for line, _ in lines[-1]],
        "requestedDoc": [
            _requested(event, (at, event.id), sent)
            for at, version in enumerate(told)
            for event in version
            if event.detail.get("asked")
        ],
        "exceptionSubmission": True,
        "businessLine": {"text": Deadlines.load().line_of(plan)},
    }
    return {name: content for name, content in record.items() if content != []}


class _Sent(NamedTuple):
    """Something that came of the provider, and its place among what happened: the version, and the event in
    it."""

    kind: str
    at: dt.datetime
    place: tuple[int, int]

    @property
    def exchange(self) -> Resource:
        return {
            "type": self.kind,
            "with": "provider",
            "method": "restful",
            "requestTime": instant(self.at),
            "httpResponse": "200",
        }


def _kind(read: Submission) -> str:
    change = change_of(read)
    if change is None:
        return "initial"
    return CANCELLATION if change.everything else "update"


def _item(
    line: tables.PaItem, told: Iterable[Sequence[tables.PaEvent]], since: Mapping[int, dt.datetime]
) -> Resource:
    """`since` says when a line, by sequence, was asked for first."""
    reached = verdict.from_json(line.verdict)
    answers = [
        event
        for version in told
        for event in version
        if event.sequence == line.sequence and event.kind in (events.PENDED, events.DECIDED)
    ]
    detail = {
        "item": concept(CPT, line.cpt) if line.cpt else line.requested["productOrService"],
        "assertionId": assertion_id(line.order),
        "initialSubmissionTime": instant(since[line.sequence]),
        "finalResponseTime": instant(line.decided) if line.decided else None,
        "responsesRequired": max(1, len(answers)),
        "locationType": _location_type(line.order),
        "result": RESULTS[verdict.action(reached)],
        "denialReason": reached.denial.code if isinstance(reached, Denied) else None,
    }
    return {name: content for name, content in detail.items() if content}


def _location_type(order: Mapping[str, Any]) -> str | None:
    """None where the order tells no place."""
    place = line_of(order).place_of_service
    return STAYS.get(place, "outpatient") if place else None


def _requested(event: tables.PaEvent, place: tuple[int, int], sent: Sequence[_Sent]) -> Resource:
    """What was asked of the provider then, and when something came that was no cancellation."""
    answers = (each.at for each in sent if each.place > place and each.kind != CANCELLATION)
    came = min(answers, default=None)
    return {
        "docRequest": [concept(LOINC, code) for code in event.detail["asked"]],
        "timeRequested": instant(event.at),
        **({"timeSubmitted": instant(came)} if came is not None else {}),
    }


def _rejected(rejection: Rejection) -> Resource:
    return {"loopID": rejection.element.partition("-")[0], "aaaCode": rejection.code}


def _parties(read: Submission) -> list[Resource]:
    """Who asks: the provider, the person and the organization behind a role."""
    provider = read.provider
    behind = [read.resolve(provider.get(name), provider) for name in ("practitioner", "organization")]
    return [provider, *(each for each in behind if each is not None)]


def _identifier(parties: Iterable[Resource], client: str) -> Resource:
    """The first NPI among them; the client's name where there is none."""
    number = next((each for party in parties for each in npis(elements(party, "identifier"))), None)
    return {"system": NPI, "value": number} if number else {"value": client or "unknown"}
