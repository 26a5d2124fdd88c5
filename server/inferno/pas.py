"""Presets for the PAS server suites 2.0.1 and 2.2.1.

A pend that nobody reviews cannot be shown to end: the server is started with `DEMO_REVIEWER=60`, or a person
decides with `davinci-payer review` while the kit waits. Each payload is a case of the policy that comes out
as its comment says. What only a person can cause (a modification, a diagnosis or a provider that a reviewer
names) the last must-support request brings to light: it changes nothing about the request that was pended and
decided. The element `ClaimResponse.request` with a reason for its absence comes with authorizations that no
Claim asked for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from server.fhir.systems import TERMINOLOGY, concept
from server.inferno.pas_dialects import V2_0, V2_2
from server.inferno.pas_full import film, full_request, mri
from server.inferno.pas_request import LUMBAR, SHOULDER, Dialect, Request, Study, bundle, item_extensions
from server.inferno.pas_updates import after_review, update_chain
from server.inferno.preset import Input, Preset
from server.pas.terms import CERTIFICATION, CLAIM_ENCOUNTER, X12, coded, extension_url, profile
from server.policy.case_draft import EHR
from server.subscriptions.resource import BACKPORT, CONTENT, FILTER, TOPIC

Resource = dict[str, Any]

PAYLOAD = "payload"


def presets(base: str, day: dt.date) -> Sequence[Preset]:
    return (
        Preset(
            "pas_server_v201",
            "Da Vinci payer, PAS 2.0.1",
            "davinci_pas_server_suite_v201",
            (*_server(f"{base}/r2.0/fhir"), *_v2_0(day)),
        ),
        Preset(
            "pas_server_v221",
            "Da Vinci payer, PAS 2.2.1",
            "davinci_pas_server_suite_v221",
            (*_server(f"{base}/r2.2/fhir"), *_v2_2(day)),
        ),
    )


def _server(base: str) -> Iterator[Input]:
    yield Input("server_endpoint", "Server endpoint", base, comment="The server's FHIR base of this version.")
    yield Input(
        "access_token",
        "Notification access token",
        "preset-notifications",
        comment="What our notifications must carry; the kit tells its sessions apart by it.",
    )


def _v2_0(day: dt.date) -> Iterator[Input]:
    yield _subscription(subscription("Subscription/id-only", "id-only", "orgIdentifier=1992999999"))
    yield from _decisions(V2_0, day)
    yield Input.payload(
        f"pended_pa_inquire_request_{PAYLOAD}",
        "Inquiry after the pended request",
        inquiry(pended(V2_0, day)),
        "Finds the pended request, and after the review its decision.",
    )
    yield from _must_support(V2_0, day)


def _v2_2(day: dt.date) -> Iterator[Input]:
    yield _subscription(subscription("Subscription/full", "full-resource", "org-identifier=1992999999"))
    yield from _decisions(V2_2, day)
    yield from _must_support(V2_2, day)
    yield from _updates(day)


def _subscription(resource: Resource) -> Input:
    return Input.payload(
        "subscription_resource",
        "Subscription",
        resource,
        "Tells of results for the clinic that sends the payloads; the kit fills in its own endpoint.",
    )


def _decisions(dialect: Dialect, day: dt.date) -> Iterator[Input]:
    yield _submission(
        "approval_pa",
        "Request that is approved",
        simple(approved("APPROVE", dialect, day)),
        "A1: six weeks of physiotherapy without success, a film, an examination, a score.",
    )
    yield _submission(
        "denial_pa",
        "Request that is denied",
        simple(denied(dialect, day)),
        "A3: the form attests four weeks of physiotherapy where the plan asks for six (CC-DUR).",
    )
    yield _submission(
        "pended_pa",
        "Request that is pended",
        simple(pended(dialect, day)),
        "A4: a reason outside the list is given, which a person must read (REV-OTHER); the demo reviewer "
        "approves it after DEMO_REVIEWER seconds.",
    )


def _must_support(dialect: Dialect, day: dt.date) -> Iterator[Input]:
    full = replace(approved("FULL", dialect, day), thorough=True)
    yield _submission(
        "must_support_pa",
        "Requests that say everything",
        [
            full_request(full),
            simple(asking(dialect, day)),
            with_unnamed_item(unnamed(dialect, day)),
            after_review(pended(dialect, day)),
        ],
        "A1 of a request with every element; A4 of one without a form, which is asked for with "
        "CommunicationRequest and Task; A1 and an error of one whose second item names no service; of the "
        "pended request, with a message more, what its reviewer decided.",
    )
    yield Input.payload(
        f"must_support_pa_inquire_request_{PAYLOAD}",
        "Inquiries that say everything",
        [
            full_inquiry(full),
            *(inquiry(kind(dialect, day)) for kind in (asking, unnamed, denied, pended)),
        ],
        "Find the requests above; the first names every element that an inquiry may.",
    )


def _updates(day: dt.date) -> Iterator[Input]:
    for name, payload, comment in update_chain(approved("UPDATE", V2_2, day)):
        yield Input.payload(f"claim_update_{name}_submit_{PAYLOAD}", f"Update: {name}", payload, comment)


def _submission(name: str, title: str, content: Resource | list[Resource], comment: str) -> Input:
    return Input.payload(f"{name}_submit_request_{PAYLOAD}", title, content, comment)


def treated(day: dt.date, weeks: int) -> dict[str, Any]:
    """The shoulder form of somebody who had so many weeks of physiotherapy."""
    yesterday = day - dt.timedelta(days=1)
    return {
        "SH-IMM": "none",
        "CC-DUR.start": yesterday - dt.timedelta(weeks=weeks),
        "CC-DUR.end": yesterday,
        "IMG-XR": "normal",
        "IMG-XR.date": day - dt.timedelta(days=40),
        "CC-DUR.modalities": "pt",
        "CC-OUT": "no-change",
        "CC-REEVAL": True,
        "CC-REEVAL.date": yesterday,
        "EXM": "yes",
        "EXM.hawkins": "positive",
        "FUN.quickdash": 30,
    }


def approved(name: str, dialect: Dialect, day: dt.date) -> Request:
    return _request(name, dialect, day, SHOULDER, treated(day, 7))


def denied(dialect: Dialect, day: dt.date) -> Request:
    return _request("DENY", dialect, day, SHOULDER, treated(day, 4))


def pended(dialect: Dialect, day: dt.date) -> Request:
    answers = {
        "LS-IMM": "other",
        "LS-IMM.text": "text: A device in the spine was recalled by its maker.",
        "CC-DUR.none": True,
    }
    return _request("PEND", dialect, day, LUMBAR, answers)


def asking(dialect: Dialect, day: dt.date) -> Request:
    """The clinician asks, in her role, where for all else the clinic does."""
    return replace(_request("ASK", dialect, day, SHOULDER, {}), provider="PractitionerRole/role")


def _request(name: str, dialect: Dialect, day: dt.date, study: Study, answers: dict[str, Any]) -> Request:
    return Request(dialect, f"KIT-{dialect.name.replace('.', '')}-{name}", day, study, answers)


def simple(request: Request) -> Resource:
    return request.bundle(request.claim())


def unnamed(dialect: Dialect, day: dt.date) -> Request:
    return _request("ERROR", dialect, day, SHOULDER, treated(day, 7))


def with_unnamed_item(request: Request) -> Resource:
    """The second item names no service: neither a code of its own nor an order."""
    nothing = concept(f"{TERMINOLOGY}/data-absent-reason", "not-applicable")
    item = request.item(2, extension=item_extensions(request.member, 2, "I"), productOrService=nothing)
    item.pop("modifier")
    return request.bundle(request.claim(request.item(1), item))


def inquiry(request: Request) -> Resource:
    """profile-pas-inquiry-request-bundle after everything of the member."""
    item = {
        "sequence": 1,
        "productOrService": concept(f"{TERMINOLOGY}/data-absent-reason", "not-applicable"),
    }
    claim = request.claim(item, identifier=_own_name(request))
    return _inquiry(request, claim)


def full_inquiry(request: Request) -> Resource:
    """The same, naming every element that an inquiry may; each is what the request had, or its answer."""
    certification = coded("certificationType", CERTIFICATION, "I")
    sent = full_request(request)["entry"][0]["resource"]
    claim = {
        **sent,
        "extension": [*(one for one in sent["extension"] if one["url"] != CLAIM_ENCOUNTER), certification],
        "identifier": _own_name(request),
        "billablePeriod": {"start": request.planned, "end": _expiry(request)},
        "item": [{**_asked_after(request, mri(request)), "informationSequence": [2]}, film(request)],
    }
    return _inquiry(request, claim)


def _asked_after(request: Request, item: Resource) -> Resource:
    """An item as an inquiry names it: without the order and what only a request says, with the answer."""
    left_out = ("epsdtIndicator", "revenueUnitRateLimit", "nursingHome", "requestedService")
    kept = [one for one in item["extension"] if not any(name in one["url"] for name in left_out)]
    told = {name: content for name, content in item.items() if name != "unitPrice"}
    issued = {"start": request.day.isoformat(), "end": _expiry(request)}
    return {
        **told,
        "extension": [
            *kept,
            {"url": extension_url("itemCertificationIssueDate"), "valuePeriod": issued},
            {"url": extension_url("itemCertificationEffectiveDate"), "valueDate": request.planned},
            {"url": extension_url("itemCertificationExpirationDate"), "valueDate": _expiry(request)},
            coded("reviewActionCode", f"{X12}/306", "A1"),
        ],
    }


def _expiry(request: Request) -> str:
    return (dt.date.fromisoformat(request.planned) + dt.timedelta(days=60)).isoformat()


def _inquiry(request: Request, claim: Resource) -> Resource:
    information = [piece for piece in claim.get("supportingInfo", []) if "valueReference" not in piece]
    told = {name: content for name, content in claim.items() if name != "supportingInfo"}
    told |= {"supportingInfo": information} if information else {}
    told |= {"id": "inquiry", "meta": {"profile": [profile("claim-inquiry")]}}
    return bundle(
        "pas-inquiry-request-bundle", f"{request.member}-INQUIRY", request.day, [told, *request.parties]
    )


def _own_name(request: Request) -> list[Resource]:
    return [{"system": f"{EHR}/inquiry", "value": f"Q-{request.member}", **request.dialect.identifier}]


def subscription(name: str, content: str, criteria: str) -> Resource:
    """R4 backport Subscription to the topic of PAS."""
    return {
        "resourceType": "Subscription",
        "id": name.rpartition("/")[2],
        "meta": {"profile": [f"{BACKPORT}/backport-subscription"]},
        "status": "requested",
        "reason": "Results of prior authorization requests",
        "criteria": TOPIC,
        "_criteria": {"extension": [{"url": FILTER, "valueString": criteria}]},
        "channel": {
            "type": "rest-hook",
            "endpoint": "https://ehr.example/notifications",
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": CONTENT, "valueCode": content}]},
            "header": ["Authorization: Bearer preset-notifications"],
        },
    }
