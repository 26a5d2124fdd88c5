"""The preset for the payer suite of the DTR kit (`dtr_payer_server`, DTR 2.0.1).

The kit posts its requests as they stand, so nothing of one answer can reach the next request: the adaptive
form's requests are those of a whole interview, played here against an application of our own. The order is
one for an MRI of the shoulder; a prosthesis that is suspected to be loose (an immediate indication) makes the
outcome certain at once, and so ends the interview in three calls.

Two of the thirteen adaptive tests, 2.07 and 2.08, cannot pass: 2.06, when it passes, throws away the bundles
that they look for.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from server.app import create_app
from server.dtr.artefacts import artefacts_of
from server.dtr.form import Form, plain_answer
from server.dtr.next_question import Interviewer
from server.dtr.package import ADAPTIVE, Packager
from server.dtr.request import read_package_request
from server.dtr.response import information_origin
from server.dtr.v2_0 import V2_0
from server.fhir.systems import CPT, ICD, IDENTIFIER_TYPE, NPI, NUCC, SNOMED, TERMINOLOGY, concept
from server.inferno.preset import Input, Preset
from server.settings import Given

Resource = dict[str, Any]

DTR = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition"
CRD = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition"
BASE = "/r2.0/fhir"
MOST_CALLS = 10

ANSWERS: Mapping[str, Any] = {
    "ORDER.cpt": "73221",
    "ORDER.side": "RT",
    "ORDER.dx": "M25.511",
    "ORDER.pos": "11",
    "PATIENT.age": 52,
    "PLAN.id": "evicore",
    "SH-IMM": "SH-IMM.2",
}


def presets(base: str, day: dt.date) -> Sequence[Preset]:
    return (payer_suite(base, day),)


def payer_suite(base: str, day: dt.date) -> Preset:
    static, adaptive = package_request(day), package_request(day, ADAPTIVE)
    return Preset(
        name="dtr_payer_server_v201",
        title="MRI payer: a shoulder order, standard and adaptive (DTR 2.0.1)",
        suite="dtr_payer_server",
        inputs=(
            Input("retrieval_method", "Questionnaire retrieval method", "Both", "radio"),
            Input("url", "FHIR server base URL", f"{base}{BASE}"),
            Input(
                "access_token",
                "Access token",
                "none-needed",
                comment="Only a run with a client uses it.",
            ),
            Input.payload(
                "initial_static_questionnaire_request",
                "Standard form: request",
                static,
                "One order without history: its policy asks for the form of the shoulder. One bundle comes.",
            ),
            Input.payload(
                "initial_adaptive_questionnaire_request",
                "Adaptive form: request",
                adaptive,
                "The same order; the canonical of the adaptive form limits the answer to it.",
            ),
            Input.payload(
                "next_question_requests",
                "Adaptive form: requests for questions",
                interview(adaptive, base, day),
                "No answers; then the order's facts; then an immediate indication, which completes the form.",
            ),
        ),
    )


def package_request(day: dt.date, questionnaire: str = "") -> Resource:
    """dtr-qpackage-input-parameters, DTR 2.0.1."""
    named = [{"name": "questionnaire", "valueCanonical": questionnaire}] if questionnaire else []
    return {
        "resourceType": "Parameters",
        "meta": {"profile": [f"{DTR}/dtr-qpackage-input-parameters"]},
        "parameter": [
            {"name": "coverage", "resource": crd_coverage(day)},
            {"name": "order", "resource": crd_service_request(day)},
            {"name": "referenced", "resource": patient(day)},
            {"name": "referenced", "resource": practitioner()},
            *named,
        ],
    }


def crd_coverage(day: dt.date) -> Resource:
    """profile-coverage, CRD 2.0.1."""
    return {
        "resourceType": "Coverage",
        "id": "inferno-coverage",
        "meta": {"profile": [f"{CRD}/profile-coverage"]},
        "status": "active",
        "subscriberId": "M-INFERNO-DTR",
        "beneficiary": {"reference": "Patient/inferno-patient"},
        "relationship": concept(f"{TERMINOLOGY}/subscriber-relationship", "self"),
        "period": {"start": f"{day.year}-01-01", "end": f"{day.year + 1}-12-31"},
        "payor": [
            {
                "identifier": {"system": NPI, "value": "1234567893"},
                "display": "Example Health Plan",
            }
        ],
        "class": [{"type": concept(f"{TERMINOLOGY}/coverage-class", "plan"), "value": ANSWERS["PLAN.id"]}],
    }


def crd_service_request(day: dt.date) -> Resource:
    """profile-servicerequest, CRD 2.0.1."""
    return {
        "resourceType": "ServiceRequest",
        "id": "inferno-order",
        "meta": {"profile": [f"{CRD}/profile-servicerequest"]},
        "status": "draft",
        "intent": "order",
        "code": concept(CPT, ANSWERS["ORDER.cpt"]),
        "subject": {"reference": "Patient/inferno-patient"},
        "authoredOn": day.isoformat(),
        "requester": {"reference": "Practitioner/inferno-practitioner"},
        "reasonCode": [concept(ICD, ANSWERS["ORDER.dx"])],
        "bodySite": [concept(SNOMED, "24028007")],
    }


def patient(day: dt.date) -> Resource:
    return {
        "resourceType": "Patient",
        "id": "inferno-patient",
        "identifier": [
            {
                "type": concept(IDENTIFIER_TYPE, "MR"),
                "system": "https://ehr.example/mrn",
                "value": "I-4711",
            }
        ],
        "name": [{"family": "Falk", "given": ["Ida"]}],
        "gender": "female",
        "birthDate": day.replace(year=day.year - ANSWERS["PATIENT.age"], day=1).isoformat(),
    }


def practitioner() -> Resource:
    return {
        "resourceType": "Practitioner",
        "id": "inferno-practitioner",
        "identifier": [{"system": NPI, "value": "1457362880"}],
        "name": [{"family": "Lund", "given": ["Ole"]}],
        "qualification": [{"code": concept(NUCC, "207Q00000X")}],
    }


def interview(request: Resource, base: str, day: dt.date) -> list[Resource]:
    """The requests of a whole interview: the draft of the package, then each form with its answers."""
    requests: list[Resource] = []
    now = dt.datetime.combine(day, dt.time(12), dt.UTC)
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{Path(folder) / 'interview.db'}"
        services = create_app(Given(database_url=database, public_base_url=base)).state.services
        artefacts = artefacts_of(services.catalog, V2_0, services.fhir_base("2.0"), without_version=True)
        packager = Packager(V2_0, artefacts, services.adjudicator)
        interviewer = Interviewer(V2_0, artefacts, services.adjudicator)
        with services.store.reading() as tx:
            bundle = packager.answer(tx, read_package_request(request, V2_0.coverages), now).body
            response = bundle["entry"][1]["resource"]
            while response["status"] != "completed" and len(requests) < MOST_CALLS:
                requests.append(response)
                response = answered(interviewer.answer(tx, response, now).response)
        services.store.close()
    return requests


def answered(response: Resource) -> Resource:
    """With answers to what is asked and not answered yet."""
    form = Form({"item": response["contained"][0].get("item", [])})
    told = {item["linkId"] for item in response.get("item", [])}
    items = [
        item
        for node in form.questionnaire["item"]
        if node["linkId"] not in told and (item := _item(form, node))
    ]
    asked = [*response.get("item", []), *items]
    return {**response, **({"item": asked} if asked else {})}


def _item(form: Form, node: Mapping[str, Any]) -> Resource | None:
    below = [item for each in node.get("item", []) if (item := _item(form, each))]
    question = form.items[node["linkId"]]
    given = ANSWERS.get(question.link_id) if question.is_question else None
    answer = plain_answer(question, given) if given is not None else None
    if answer is None and not below:
        return None
    origin = information_origin("manual", "Practitioner/inferno-practitioner")
    return {
        "linkId": question.link_id,
        "text": node["text"],
        **({"answer": [{**answer, "extension": [origin]}]} if answer else {}),
        **({"item": below} if below else {}),
    }
