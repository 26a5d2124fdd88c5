"""Asking for what is missing: CommunicationRequest and Task beside a pended item (PAS, additional
information).

One CommunicationRequest an item says what is missing, one line a criterion; one Task names the forms to fill,
each by its tracking number, and the address of `$submit-attachment` (CDex: the operation's own, not a base).
The answer comes as an update of the Claim, or as the form itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from server.fhir.dates import instant
from server.fhir.elements import elements
from server.fhir.references import entry_at
from server.fhir.systems import ICD, LOINC, concept
from server.pas.case import Case, Item
from server.pas.intake import Submission
from server.pas.lines import diagnoses
from server.pas.terms import (
    LOINC_PROGRESS_NOTE,
    LOINC_QUESTIONNAIRE,
    LOINC_UNTIL_SERVICE,
    PAS_CODES,
    REPORT_TYPE,
    X12,
    coded,
    extension_url,
    profile,
)
from server.pas.verdict import Asked
from server.pas.version import Version

Resource = dict[str, Any]

TRACKING_SYSTEM = "https://payer.example/pas-tracking"

UNTIL_SERVICE = coded("contentModifier", LOINC, LOINC_UNTIL_SERVICE)
"""What is asked supports the service before it is done, so nothing later is wanted."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Bundle entries."""

    requests: list[Resource] = field(default_factory=list)
    tasks: list[Resource] = field(default_factory=list)


def entries(version: Version, case: Case, base: str) -> Entries:
    asked = [(item, item.verdict) for item in case.items if isinstance(item.verdict, Asked)]
    if not asked:
        return Entries()
    requests = [pas_communication_request(version, case, item, verdict) for item, verdict in asked]
    with_forms = [(item, verdict) for item, verdict in asked if verdict.questionnaires]
    with_documents = [(item, verdict) for item, verdict in asked if _documents(verdict)]
    tasks = [
        *([pas_form_task(version, case, with_forms, base)] if with_forms else []),
        *([pas_document_task(version, case, with_documents, base)] if with_documents else []),
    ]
    return Entries([entry_at(base, one) for one in requests], [entry_at(base, one) for one in tasks])


def pas_communication_request(version: Version, case: Case, item: Item, asked: Asked) -> Resource:
    """profile-communicationrequest."""
    on_request, on_payload = version.line_on_request(item.sequence)
    about = [*on_payload, *_communicated_diagnoses(case.read, item), UNTIL_SERVICE]
    return {
        "resourceType": "CommunicationRequest",
        "id": f"{case.id}-{item.sequence}",
        "meta": {"profile": [profile("communicationrequest")]},
        **({"extension": on_request} if on_request else {}),
        "identifier": [_tracking(asked)],
        "status": "active",
        "category": [concept(REPORT_TYPE, "PY")],
        "medium": [concept(f"{X12}/756", "EL")],
        "payload": [{"extension": about, "contentString": text} for text in version.information(asked)],
        "requester": _reference(case.read, case.read.insurer),
        **_answering(case.read),
    }


def _communicated_diagnoses(read: Submission, item: Item) -> list[Resource]:
    """extension-communicatedDiagnosis: what the item is asked for, in ICD-10-CM, to which it is bound."""
    codes = [
        coding["code"]
        for diagnosis in diagnoses(read.claim, item.requested, read.resolve)
        for coding in diagnosis.get("coding") or []
        if coding.get("system") == ICD and coding.get("code")
    ]
    url = extension_url("communicatedDiagnosis")
    return [{"url": url, "valueCodeableConcept": concept(ICD, code)} for code in dict.fromkeys(codes)]


def pas_form_task(version: Version, case: Case, asked: Sequence[tuple[Item, Asked]], base: str) -> Resource:
    """profile-task, for all the forms that a case asks for."""
    inputs = [_form(version, item, verdict) for item, verdict in asked]
    return _task(case, "forms", "attachment-request-questionnaire", asked, inputs, base)


def pas_document_task(
    version: Version, case: Case, asked: Sequence[tuple[Item, Asked]], base: str
) -> Resource:
    """profile-task, for all the documents that a case asks for."""
    inputs = [
        {
            "extension": [version.task_line(item.sequence), *version.task_window],
            "type": concept(PAS_CODES, "attachments-needed"),
            "valueCodeableConcept": concept(LOINC, code),
        }
        for item, verdict in asked
        for code in _documents(verdict)
    ]
    return _task(case, "documents", "attachment-request-code", asked, inputs, base)


def asked_for(asked: Asked) -> list[str]:
    """LOINC codes: the form, the documents a reviewer wants, or where neither is named, the clinical note."""
    form = [LOINC_QUESTIONNAIRE] if asked.questionnaires else []
    return [*form, *_documents(asked)] or [LOINC_PROGRESS_NOTE]


def _documents(asked: Asked) -> list[str]:
    return [code for ask in asked.asks for code in ask.documents]


def _task(
    case: Case,
    name: str,
    code: str,
    asked: Sequence[tuple[Item, Asked]],
    inputs: list[Resource],
    base: str,
) -> Resource:
    read = case.read
    return {
        "resourceType": "Task",
        "id": f"{case.id}-{name}",
        "meta": {"profile": [profile("task")]},
        "identifier": [_tracking(verdict) for _, verdict in asked],
        "status": "requested",
        "statusReason": {"text": "The decision waits for this information."},
        "intent": "order",
        "code": concept(PAS_CODES, code),
        "for": _reference(read, read.patient),
        "requester": {"identifier": _identifier(read, read.insurer)},
        "owner": {"identifier": _identifier(read, _asked(read))},
        "reasonCode": concept(PAS_CODES, "priorAuthorization"),
        "reasonReference": {"reference": read.claim_url},
        "restriction": {"period": {"end": instant(min(verdict.due for _, verdict in asked))}},
        "input": [
            {"type": concept(PAS_CODES, "payer-url"), "valueUrl": f"{base}/$submit-attachment"},
            *inputs,
        ],
    }


def _form(version: Version, item: Item, asked: Asked) -> Resource:
    code, content = version.task_form(_tracking(asked))
    return {"extension": [version.task_line(item.sequence)], "type": concept(PAS_CODES, code), **content}


def _tracking(asked: Asked) -> Resource:
    return {"system": TRACKING_SYSTEM, "value": asked.tracking}


def _asked(read: Submission) -> Resource:
    """Who is asked: the provider; of a role the organization it is held at, else the person who holds it."""
    provider = read.provider
    behind = (read.resolve(provider.get(name), provider) for name in ("organization", "practitioner"))
    return next((each for each in behind if each is not None), provider)


def _answering(read: Submission) -> Resource:
    """CommunicationRequest.sender, from whom the information is to come (the profile allows an organization
    alone), and recipient, for whom it is meant: who asks."""
    asked = _asked(read)
    sender = {"sender": _reference(read, asked)} if asked["resourceType"] == "Organization" else {}
    return {"recipient": [_reference(read, read.insurer)], **sender}


def _reference(read: Submission, resource: Resource) -> Resource:
    entry = read.resolver.entry_of(resource)
    return {"reference": entry.full_url} if entry else {"display": "see ClaimResponse"}


def _identifier(read: Submission, resource: Resource) -> Resource:
    """The first business identifier, without what else is said of it; the resource's own URL where it has
    none."""
    names = ("use", "type", "system", "value")
    listed = (
        {name: each[name] for name in names if name in each}
        for each in elements(resource, "identifier")
        if each.get("value")
    )
    url = _reference(read, resource).get("reference", read.claim_url)
    return next(listed, {"system": "urn:ietf:rfc:3986", "value": url})
