"""PAS 2.0.1: what it says in its own way. See `version.Version` for what each entry decides."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from server.pas.case import Case, Item
from server.pas.intake import Demands
from server.pas.response import collection
from server.pas.terms import OBSERVATION_VALUE, extension_url
from server.pas.verdict import Asked, Verdict, pended
from server.pas.version import Service, Version

Resource = dict[str, Any]

SUBMIT = Demands(
    claim={
        "identifier": "the case trace number that the answer echoes",
        "created": "the day of the request",
        "insurer": "the payer",
        "item": "at least one service",
    },
    item={"category": "the service type"},
    pointers={
        "diagnosisSequence": "diagnosis",
        "careTeamSequence": "careTeam",
        "informationSequence": "supportingInfo",
    },
)
"""Why, by whom and on what evidence an item is asked for has to be there."""

INQUIRY = Demands(claim={"insurer": "the payer"})
"""An inquiry looks for what was decided: nothing is read of what its items point to."""


def outcome(verdicts: Sequence[Verdict]) -> str:
    """`queued` where nothing is decided yet; the code is gone from 2.2."""
    waiting = [pended(verdict) for verdict in verdicts]
    return "queued" if waiting and all(waiting) else "partial" if any(waiting) else "complete"


def authorized_detail(item: Item, service: Service) -> list[Resource]:
    """extension-itemAuthorizedDetail holds what was authorized instead of what was asked."""
    return [
        {
            "url": extension_url("itemAuthorizedDetail"),
            "extension": [
                {"url": "productOrServiceCode", "valueCodeableConcept": service.code},
                *({"url": "modifier", "valueCodeableConcept": concept} for concept in service.modifiers),
                {"url": "quantity", "valueQuantity": {"value": service.units}},
            ],
        }
    ]


def no_lines(item: Item, service: Service) -> list[Resource]:
    """addItem came with 2.2."""
    return []


def no_facts(case: Case) -> list[Resource]:
    """ClaimResponse has no extensions of its own here."""
    return []


def error_element(element: str, note: int) -> Resource:
    return {"url": extension_url("errorElement"), "valueString": element}


def no_pend_number(tracking: str) -> list[Resource]:
    """The profile lists extension-administrationReferenceNumber on ClaimResponse.item, the extension's own
    context forbids it there; the tracking number stands in the CommunicationRequest."""
    return []


def line_on_request(sequence: int) -> tuple[list[Resource], list[Resource]]:
    return [], [{"url": extension_url("serviceLineNumber"), "valuePositiveInt": sequence}]


def information(asked: Asked) -> list[str]:
    """Free text, so the words of each criterion go out as they are."""
    return [ask.text for ask in asked.asks]


def task_line(sequence: int) -> Resource:
    return {"url": extension_url("paLineNumber"), "valueInteger": sequence}


def task_form(tracking: Resource) -> tuple[str, Resource]:
    return "questionnaires-needed", {"valueIdentifier": tracking}


def one_bundle(cases: list[list[Resource]], outcomes: list[Resource], now: dt.datetime) -> Resource:
    """One Bundle for all cases, their ClaimResponses first."""
    responses = [entries[0] for entries in cases]
    others = [entry for entries in cases for entry in entries[1:]]
    return collection("pas-inquiry-response-bundle", [*responses, *others, *outcomes], now)


VERSION = Version(
    name="2.0",
    submit_demands=SUBMIT,
    inquiry_demands=INQUIRY,
    identifier_names=True,
    outcome=outcome,
    response_facts=no_facts,
    partial={"security": [{"system": OBSERVATION_VALUE, "code": "SUBSETTED"}]},
    authorized_detail=authorized_detail,
    authorized_lines=no_lines,
    error_element=error_element,
    pend_number=no_pend_number,
    line_on_request=line_on_request,
    information=information,
    task_line=task_line,
    task_window=(),
    task_form=task_form,
    no_request={},
    inquiry_answer=one_bundle,
)
