"""Cases put to the PAS door: each becomes a request Bundle, is submitted over HTTP on both bases, each with a
clean store, and the answer is compared with what the case expects (`davinci-payer policy test --door pas`).

Like `commands`, this stands above the application.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from server.adjudication.orders import with_diagnoses
from server.fhir import json
from server.fhir.extensions import extension, value, values
from server.fhir.references import entry_at
from server.fhir.systems import CPT, TERMINOLOGY, concept
from server.pas.terms import PAS_CODES, PROCESS_PRIORITY, X12, coded, extension_url, profile
from server.policy.case_draft import EHR, ref
from server.policy.cases import Case, Expected
from server.policy.catalog import Catalog
from server.policy.determination import Decision
from server.rehearsal import FHIR, Stage, on_every_base

Resource = dict[str, Any]

ACTIONS = {Decision.APPROVE: "A1", Decision.DENY: "A3", Decision.PEND: "A4", Decision.MORE_INFO: "A4"}


def door(catalog: Catalog) -> PasDoor:
    """The way to put a case to this door."""
    return PasDoor(catalog)


class PasDoor:
    """`differences` plays a case on r2.0 and on r2.2."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._stage = Stage()

    def differences(self, case: Case, expected: Expected) -> Sequence[str]:
        return on_every_base(lambda version: self._differences_on(version, case, expected))

    def _differences_on(self, version: str, case: Case, expected: Expected) -> Iterator[str]:
        request = json.encode(request_of(case))
        answered = self._stage.post(case, f"/r{version}/fhir/Claim/$submit", request, FHIR)
        body = json.decode_object(answered.content)
        if answered.status_code != 200:
            yield f"status {answered.status_code}: {body}"
            return
        yield from self._compared(body, case, expected)

    def _compared(self, bundle: Resource, case: Case, expected: Expected) -> Iterator[str]:
        response = bundle["entry"][0]["resource"]
        if response["outcome"] == "error":
            yield f"not processed: {response['processNote'][0]['text']}"
            return
        told = Told(bundle)
        reserved = expected.decision is Decision.DENY and self._reserved(case, expected)
        wanted = "A4" if reserved else ACTIONS[expected.decision]
        if told.action != wanted:
            yield f"review action {told.action}, expected {wanted}: {told.words}"
            return
        yield from told.otherwise_than(expected, reserved)

    def _reserved(self, case: Case, expected: Expected) -> bool:
        clinical = expected.denial_theme is not None
        return clinical and self._catalog.plan(case.plan).reviewer_denies


class Told:
    """What an answer says of the first item."""

    def __init__(self, bundle: Resource) -> None:
        self.response = bundle["entry"][0]["resource"]
        self.item = self.response["item"][0]
        kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
        self.asks = "CommunicationRequest" in kinds
        self.review = extension(self.item["adjudication"][0], extension_url("reviewAction"))
        texts = {note["number"]: note["text"] for note in self.response.get("processNote", [])}
        self.words = " ".join(texts[number] for number in self.item.get("noteNumber", []))

    @property
    def action(self) -> str:
        return str(value(extension(self.review, extension_url("reviewActionCode")))["coding"][0]["code"])

    def otherwise_than(self, expected: Expected, reserved: bool) -> Iterator[str]:
        in_the_way = (*expected.unmet, *expected.unknown)
        match expected.decision:
            case Decision.APPROVE:
                yield from self._approval(expected)
            case Decision.MORE_INFO:
                if not self.asks:
                    yield "nothing is asked"
                yield from (f"{name} is not asked" for name in in_the_way if f"({name})" not in self.words)
            case Decision.PEND:
                if self.asks:
                    yield "information is asked where a person decides"
            case Decision.DENY if not reserved:
                yield from (f"{name} is not in the reason" for name in in_the_way if name not in self.words)
                if expected.denial_theme and not values(self.review, "reasonCode"):
                    yield "the denial has no reason code"

    def _approval(self, expected: Expected) -> Iterator[str]:
        """A number wherever an authorization is what approves; without one, the words say that none is
        needed."""
        numbered = extension(self.review, "number") is not None
        spared = self.response["disposition"].startswith("No authorization required")
        if expected.pa_needed and not numbered:
            yield "approved without an authorization number"
        if not expected.pa_needed and not (numbered or spared):
            yield "neither an authorization number nor a word that none is required"


def request_of(case: Case) -> Resource:
    """The PAS request Bundle an EHR would send: Claim, what it refers to, and the chart."""
    orders = [case.order, *case.siblings]
    resources = [claim_of(case, orders), case.coverage, *orders, *case.parties, *case.clinical]
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [profile("pas-request-bundle")]},
        "identifier": {"system": f"{EHR}/bundle", "value": case.id},
        "type": "collection",
        "timestamp": case.now.isoformat(),
        "entry": [entry_at(EHR, each) for each in resources],
    }


def claim_of(case: Case, orders: Sequence[Any]) -> Resource:
    reasons = with_diagnoses(case.order, case.clinical).get("reasonCode") or []
    accident = {"accident": {"date": case.injured.isoformat()}} if case.injured else {}
    urgent = case.order.get("priority") in ("stat", "asap", "urgent")
    return {
        "resourceType": "Claim",
        "id": "claim",
        "meta": {"profile": [profile("claim")]},
        "identifier": [{"system": f"{EHR}/claim", "value": case.id}],
        "status": "active",
        "type": concept(f"{TERMINOLOGY}/claim-type", "professional"),
        "use": "preauthorization",
        "patient": ref(case.patient),
        "created": case.day_zero.isoformat(),
        "insurer": case.coverage["payor"][0],
        "provider": {"reference": "Organization/clinic"},
        "priority": concept(PROCESS_PRIORITY, "stat" if urgent else "normal"),
        **({"diagnosis": [_diagnosis(*each) for each in enumerate(reasons, start=1)]} if reasons else {}),
        "insurance": [{"sequence": 1, "focal": True, "coverage": ref(case.coverage)}],
        **accident,
        "item": [
            item_of(number, order, case.modifiers if order is case.order else ())
            for number, order in enumerate(orders, start=1)
        ],
    }


def _diagnosis(sequence: int, reason: Any) -> Resource:
    kind = [concept(PAS_CODES, "principal")]
    return {"sequence": sequence, "diagnosisCodeableConcept": reason, "type": kind}


def item_of(sequence: int, order: Any, modifiers: Sequence[str]) -> Resource:
    place = order.get("locationCode")
    quantity = order.get("quantityQuantity")
    return {
        "extension": [
            {
                "url": extension_url("itemTraceNumber"),
                "valueIdentifier": {"system": f"{EHR}/trace", "value": f"T-{sequence}"},
            },
            coded("serviceItemRequestType", f"{X12}/1525", "HS"),
            coded("certificationType", f"{X12}/1322", "I"),
            {"url": extension_url("requestedService"), "valueReference": ref(order)},
        ],
        "sequence": sequence,
        "category": concept(f"{X12}/1365", "62"),
        "productOrService": {"coding": [order["code"]["coding"][0]]},
        **({"modifier": [concept(CPT, modifier) for modifier in modifiers]} if modifiers else {}),
        **({"locationCodeableConcept": place[0]} if place else {}),
        **({"quantity": quantity} if quantity else {}),
    }
