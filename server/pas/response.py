"""The response Bundle of a case: a ClaimResponse, what it refers to as the client sent it, what is asked.

Shared by the guide versions; where they differ, the `Version` says how. Resources of the request are echoed
under their own fullUrl, id and identifiers, so that a client recognises them; references are absolute.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from server.adjudication.orders import service_code
from server.fhir.dates import instant
from server.fhir.extensions import extension, value
from server.fhir.references import reference_texts
from server.fhir.systems import ICD, PLACE_OF_SERVICE, billed_by, concept
from server.pas import information
from server.pas.case import Case, Item
from server.pas.intake import Submission
from server.pas.rejection import Rejection
from server.pas.terms import (
    ADJUDICATION,
    FOLLOW_UP,
    REJECT_REASON,
    REVIEW_ACTION,
    REVIEW_REASON,
    coded,
    extension_url,
    profile,
)
from server.pas.verdict import (
    ACTION,
    ACTION_WORDS,
    DISPOSITION,
    Asked,
    Certified,
    Denied,
    Modified,
    NotRequired,
    OnFile,
    Span,
    Verdict,
    action,
    note_texts,
    number_of,
    review_of,
    span_of,
    tracking_of,
    valid_number,
)
from server.pas.version import Service, Version

Resource = dict[str, Any]

BUNDLE_SYSTEM = "https://payer.example/pas-response"

# Even a denial is `submitted`: profile-claimresponse fixes item.adjudication.category, and the verdict is in
# extension-reviewAction.
CATEGORY = concept(ADJUDICATION, "submitted")


@dataclass(slots=True)
class Notes:
    """ClaimResponse.processNote, numbered as items refer to them."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> int:
        self.texts.append(text)
        return len(self.texts)

    @property
    def elements(self) -> list[Resource]:
        return [
            {"number": number, "type": "display", "text": text}
            for number, text in enumerate(self.texts, start=1)
        ]


def pas_response_bundle(version: Version, case: Case, base: str, now: dt.datetime) -> Resource:
    """profile-pas-response-bundle. `base` is the FHIR base that the answer's own addresses begin with."""
    asked = information.entries(version, case, base)
    response = pas_claim_response(version, case, [entry["fullUrl"] for entry in asked.requests])
    entries = [
        {"fullUrl": claim_response_url(case, base), "resource": response},
        *echoed(case.read, response),
        *asked.requests,
        *asked.tasks,
    ]
    return collection("pas-response-bundle", entries, now)


def pas_inquiry_response_entries(version: Version, case: Case, base: str) -> list[Resource]:
    """The entries that tell of one case in answer to an inquiry: a ClaimResponse of
    profile-claiminquiryresponse, without the requests for information that only the submitter gets, and the
    Tasks that are open."""
    response = pas_claim_response(version, case) | {"meta": {"profile": [profile("claiminquiryresponse")]}}
    return [
        {"fullUrl": claim_response_url(case, base), "resource": response},
        *echoed(case.read, response),
        *information.entries(version, case, base).tasks,
    ]


def collection(profile_name: str, entries: Sequence[Resource], now: dt.datetime) -> Resource:
    """A Bundle of that profile. Entries that name the same resource go in once, the first as it is."""
    identifier = str(uuid4())
    return {
        "resourceType": "Bundle",
        "id": identifier,
        "meta": {"profile": [profile(profile_name)]},
        "identifier": {"system": BUNDLE_SYSTEM, "value": identifier},
        "type": "collection",
        "timestamp": instant(now),
        "entry": list({entry["fullUrl"]: entry for entry in reversed(entries)}.values())[::-1],
    }


def claim_response_url(case: Case, base: str) -> str:
    """Where the ClaimResponse can be read again; a name of no place where there is nothing to read."""
    return f"{base}/ClaimResponse/{case.id}" if case.request and not case.dry else f"urn:uuid:{case.id}"


def pas_claim_response(version: Version, case: Case, information_requests: Sequence[str] = ()) -> Resource:
    """profile-claimresponse."""
    read, verdicts, notes = case.read, [item.verdict for item in case.items], Notes()
    items = [_item(version, read, item, notes) for item in case.items]
    facts = version.response_facts(case)
    errors = [_error(version, rejection, notes) for rejection in case.rejections]
    response = {
        "resourceType": "ClaimResponse",
        "id": case.id,
        "meta": {"profile": [profile("claimresponse")], **(version.partial if case.partial else {})},
        **({"extension": facts} if facts else {}),
        "identifier": case.identifiers,
        "status": "active",
        "type": read.claim["type"],
        "use": "preauthorization",
        "patient": {"reference": read.url_of(read.patient)},
        "created": instant(case.decided),
        "insurer": {"reference": read.url_of(read.insurer)},
        "requestor": {"reference": read.url_of(read.provider)},
        **({"request": {"reference": case.request}} if case.request else version.no_request),
        "outcome": "error" if errors else version.outcome(verdicts),
        "disposition": _disposition(case),
        **_header_authorization(verdicts),
        **({"item": items} if items else {}),
        **_added_lines(version, case),
        **(
            {"communicationRequest": [{"reference": url} for url in information_requests]}
            if information_requests
            else {}
        ),
        **({"processNote": notes.elements} if notes.texts else {}),
        **({"error": errors} if errors else {}),
    }
    return dict(_told_here(read, response))


def _told_here(read: Submission, element: Any) -> Any:
    """The element, what it has from the Claim included, with references as they hold in the answer: to the
    fullUrl of an entry, and of what the Claim contains, which is not there, in words."""
    if isinstance(element, list):
        return [_told_here(read, each) for each in element]
    if not isinstance(element, dict):
        return element
    told = {name: _told_here(read, content) for name, content in element.items()}
    target = read.resolve(element) if "reference" in element else None
    if target is None:
        return told
    entry = read.resolver.entry_of(target)
    if entry is not None:
        return {**told, "reference": entry.full_url}
    del told["reference"]
    return {"display": str(target.get("name") or target["resourceType"]), **told}


def echoed(read: Submission, response: Resource) -> list[Resource]:
    """Entries for what the response refers to (patient, insurer, requestor, authorized providers, who gave a
    number), and for what they refer to, each once and as sent."""
    named = [read.resolve(text) for text in reference_texts(response)]
    waiting = [each for each in named if each is not None]
    found: dict[int, Resource] = {}
    while waiting:
        resource = waiting.pop(0)
        entry = read.resolver.entry_of(resource)
        if entry is None or id(resource) in found or resource is read.claim:
            continue
        found[id(resource)] = {"fullUrl": entry.full_url, "resource": resource}
        targets = (read.resolve(text, resource) for text in reference_texts(resource))
        waiting += [target for target in targets if target is not None]
    return list(found.values())


def _item(version: Version, read: Submission, item: Item, notes: Notes) -> Resource:
    numbers = [notes.add(text) for text in note_texts(item.verdict)]
    facts = [
        *_traces(item),
        *_authorized_span(item.verdict),
        *_numbers(version, item),
        *_day_asked_for(item),
        *_detail(version, item),
        *_reviewed(read, item.verdict),
    ]
    return {
        **({"extension": facts} if facts else {}),
        "itemSequence": item.sequence,
        **({"noteNumber": numbers} if numbers else {}),
        "adjudication": [{"extension": [review_action(item.verdict)], "category": CATEGORY}],
    }


def review_action(verdict: Verdict) -> Resource:
    """extension-reviewAction. The code stands under the full URL of its own extension: the slice is called
    `code`, the extension is not."""
    return _review_action(action(verdict), number_of(verdict), _reasons(verdict))


def _certified(verdict: Verdict) -> Resource:
    """The review action of a line that was authorized in place of another."""
    return _review_action(ACTION[Certified], number_of(verdict), [])


def _review_action(code: str, number: str | None, reasons: Sequence[str]) -> Resource:
    return {
        "url": extension_url("reviewAction"),
        "extension": [
            *([{"url": "number", "valueString": number}] if number else []),
            *(
                {"url": "reasonCode", "valueCodeableConcept": concept(REVIEW_REASON, reason)}
                for reason in reasons
            ),
            coded("reviewActionCode", REVIEW_ACTION, code, ACTION_WORDS.get(code)),
        ],
    }


def _reasons(verdict: Verdict) -> list[str]:
    match verdict:
        case Denied(denial) if denial.code:
            return [denial.code]
        case Asked(code=code) if code:
            return [code]
    return []


def _traces(item: Item) -> list[Resource]:
    return [
        {"url": extension_url("itemTraceNumber"), "valueIdentifier": trace} for trace in item.trace_numbers
    ]


def _authorized_span(verdict: Verdict) -> list[Resource]:
    issued = [verdict.issued] if isinstance(verdict, Certified | Modified) else []
    span = span_of(verdict)
    return [
        *({"url": extension_url("itemPreAuthIssueDate"), "valueDate": day.isoformat()} for day in issued),
        *([{"url": extension_url("itemPreAuthPeriod"), "valuePeriod": _period(span)}] if span else []),
    ]


def _numbers(version: Version, item: Item) -> list[Resource]:
    """The earlier authorization that the request quotes, and our reference of a pend; where we give none, the
    administrative number that the request quotes."""
    own = version.pend_number(tracking) if (tracking := tracking_of(item.verdict)) else []
    return [
        *_quoted(item, "authorizationNumber"),
        *(own or _quoted(item, "administrationReferenceNumber")),
    ]


def _quoted(item: Item, name: str) -> list[Resource]:
    number = value(extension(item.requested, extension_url(name)))
    return [{"url": extension_url(name), "valueString": number}] if number else []


def _day_asked_for(item: Item) -> list[Resource]:
    url = extension_url("itemRequestedServiceDate")
    if "servicedDate" in item.requested:
        return [{"url": url, "valueDateTime": item.requested["servicedDate"]}]
    if "servicedPeriod" in item.requested:
        return [{"url": url, "valuePeriod": item.requested["servicedPeriod"]}]
    return []


def _reviewed(read: Submission, verdict: Verdict) -> list[Resource]:
    """What a reviewer communicates beside the decision: diagnoses, and for whom it is authorized."""
    review = review_of(verdict)
    if review is None:
        return []
    provider = read.resolve(review.provider) if review.provider else None
    return [
        *([_authorized_provider(read.url_of(provider))] if provider is not None else []),
        *(coded("communicatedDiagnosis", ICD, code) for code in review.diagnoses),
    ]


def _authorized_provider(url: str) -> Resource:
    return {
        "url": extension_url("itemAuthorizedProvider"),
        "extension": [
            {"url": "provider", "valueReference": {"reference": url}},
        ],
    }


def _detail(version: Version, item: Item) -> list[Resource]:
    service = _otherwise_authorized(item)
    return version.authorized_detail(item, service) if service else []


def _added_lines(version: Version, case: Case) -> Resource:
    services = [(item, service) for item in case.items if (service := _otherwise_authorized(item))]
    lines = [line for item, service in services for line in version.authorized_lines(item, service)]
    return {"addItem": lines} if lines else {}


def authorized_line(item: Item, service: Service) -> Resource:
    """ClaimResponse.addItem: the service that was authorized for an item, as a line of its own."""
    quantity = {**item.requested.get("quantity", {"unit": "unit"}), "value": service.units}
    category = item.requested.get("category")
    return {
        "extension": [
            *_traces(item),
            *_authorized_span(item.verdict),
            *([{"url": extension_url("itemCategory"), "valueCodeableConcept": category}] if category else []),
        ],
        "itemSequence": [item.sequence],
        "productOrService": service.code,
        **({"modifier": service.modifiers} if service.modifiers else {}),
        **({"locationCodeableConcept": service.place} if service.place else {}),
        "quantity": quantity,
        "adjudication": [{"extension": [_certified(item.verdict)], "category": CATEGORY}],
    }


def _otherwise_authorized(item: Item) -> Service | None:
    """The service that was authorized, where the Claim alone does not tell."""
    asked, modifiers = item.requested["productOrService"], item.requested.get("modifier") or []
    where = item.requested.get("locationCodeableConcept")
    match item.verdict:
        case Modified(code=code, units=units, place=place):
            own = service_code({"code": asked}) == code
            service = asked if own else concept(billed_by(code), code)
            return Service(service, modifiers, units, concept(PLACE_OF_SERVICE, place) if place else where)
        case OnFile(units=units):
            return Service(asked, modifiers, units, where)
    return None


def _header_authorization(verdicts: Sequence[Verdict]) -> Resource:
    """preAuthRef and preAuthPeriod where one number, or one span, is true of each line that needs one: beside
    a line that is pended or denied they would seem to authorize it as well."""
    needing = [verdict for verdict in verdicts if not isinstance(verdict, NotRequired)]
    numbers = {valid_number(verdict) for verdict in needing}
    spans = {span_of(verdict) for verdict in needing}
    number = numbers.pop() if len(numbers) == 1 else None
    span = spans.pop() if len(spans) == 1 else None
    return {
        **({"preAuthRef": number} if number else {}),
        **({"preAuthPeriod": _period(span)} if span else {}),
    }


def _disposition(case: Case) -> str:
    words = [DISPOSITION[type(item.verdict)] for item in case.items]
    words += ["not processed"] * bool(case.rejections)
    text = "; ".join(dict.fromkeys(words))
    told = f"dry run, nothing was stored: {text}" if case.dry else text
    return told[:1].upper() + told[1:]


def _period(span: Span) -> Resource:
    return {"start": span.start.isoformat(), "end": span.end.isoformat()}


def _error(version: Version, rejection: Rejection, notes: Notes) -> Resource:
    note = notes.add(rejection.text)
    return {
        "extension": [
            version.error_element(rejection.element, note),
            {"url": extension_url("errorPath"), "valueString": rejection.path},
            coded("errorFollowupAction", FOLLOW_UP, rejection.follow_up),
        ],
        "code": concept(REJECT_REASON, rejection.code),
    }
