"""What went wrong for others at this door, each as a test of ours. The letters are those of the collected
field reports."""

import copy
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.fhir.elements import nodes
from server.pas import intake, v2_0
from server.pas.judging import Docket
from server.pas.terms import extension_url
from server.pas.verdict import ACTION
from server.store import cases, events
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import FHIR, Payer

Resource = dict[str, Any]

WRITTEN = {
    "relative": lambda bundle: bundle,
    "absolute": a.with_absolute_references,
    "urn:uuid": a.with_uuids,
}


def determined(payer: Payer) -> Resource:
    """What was stored of the first line of Anna's case."""
    with payer.app.state.services.store.reading() as tx:
        (row,) = cases.of_member(tx, "member:M-ANNA")
        return dict(cases.items(tx, row.id)[0].determination)


@pytest.mark.parametrize("form", WRITTEN)
def test_f17_the_same_case_in_any_form_of_reference_has_the_same_decision_and_evidence(
    payer: Payer, form: str
) -> None:
    written: Callable[[Resource], Resource] = WRITTEN[form]
    chart = charts.meets_every_criterion()
    answer = payer.submit(written(a.request(*chart)))
    evidence = {
        piece["reference"]
        for criterion in determined(payer)["criteria"]
        for piece in criterion["evidence"]
        if not piece["reference"].startswith(("Patient", "Coverage", "ServiceRequest"))
    }

    assert answer.action == "A1"
    assert evidence
    assert evidence <= {a.name(resource) for resource in chart}


def test_f17_order_and_chart_read_alike_in_all_forms() -> None:
    told = []
    for written in WRITTEN.values():
        bundle = written(a.request(*charts.meets_every_criterion()))
        docket = Docket.of(intake.read(a.raw(bundle), v2_0.SUBMIT))
        told.append((docket.orders, docket.seen(docket.claim["item"][0])))

    assert told[0] == told[1] == told[2]


def test_f18_what_is_echoed_keeps_its_url_its_id_and_its_identifiers(payer: Payer) -> None:
    asked = a.with_uuids(a.request())
    answer = payer.submit(asked)
    sent = {entry["fullUrl"]: entry["resource"] for entry in asked["entry"]}
    back = [entry for entry in answer.bundle["entry"] if entry["fullUrl"].startswith("urn:uuid:")]

    assert {entry["resource"]["resourceType"] for entry in back} == {"Patient", "Organization"}
    assert all(sent[entry["fullUrl"]] == entry["resource"] for entry in back)
    assert [item["itemSequence"] for item in answer.items] == [1]


def test_f19_the_answer_is_a_collection_with_the_response_first(payer: Payer) -> None:
    bundle = payer.submit(a.request()).bundle

    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    assert bundle["entry"][0]["resource"]["resourceType"] == "ClaimResponse"
    assert all(entry["fullUrl"] for entry in bundle["entry"])


def test_f19_a_bundle_that_does_not_open_with_a_claim_is_a_clients_error(payer: Payer) -> None:
    headless = a.request()
    headless["entry"].pop(0)
    status, outcome = payer.refused("$submit", headless)

    assert status == 400
    assert [issue["expression"] for issue in outcome["issue"]] == [["Bundle.entry[0]"]]


def test_f21_an_update_of_an_unknown_claim_opens_no_authorization(payer: Payer) -> None:
    related = [{"claim": {"identifier": {"system": "https://ehr.example/pa", "value": "NEVER"}}}]
    answer = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(related=related)))

    assert answer.response["outcome"] == "error"
    assert "item" not in answer.response
    assert payer.inquire(a.inquiry()) == []


def test_f24_read_inquire_and_the_record_of_events_agree(payer: Payer) -> None:
    granted = payer.granted()
    (found,) = payer.inquire(a.inquiry())
    with payer.app.state.services.store.reading() as tx:
        (event,) = events.of_case(tx, granted.response["id"])

    assert found.number == granted.number == event.detail["number"]
    assert found.response["created"] == granted.response["created"]
    assert event.at == dt.datetime.fromisoformat(granted.response["created"])
    assert payer.read(granted.url)["created"] == granted.response["created"]


OPTIONAL = [
    "meta",
    "diagnosis",
    "careTeam",
    "supportingInfo",
    "accident",
    *(f"item.0.{name}" for name in ("diagnosisSequence", "modifier", "servicedDate", "quantity")),
    "item.0.locationCodeableConcept",
]


@pytest.mark.parametrize("path", OPTIONAL)
def test_f28_no_optional_element_is_missed_so_much_that_anything_breaks(payer: Payer, path: str) -> None:
    claim = a.claim()
    *way, last = path.split(".")
    holder: Any = claim
    for step in way:
        holder = holder[int(step) if step.isdigit() else step]
    holder.pop(last, None)
    if path == "diagnosis":
        del claim["item"][0]["diagnosisSequence"]

    assert payer.submit(a.request(*charts.meets_every_criterion(), claim=claim)).action in ("A1", "A4")


def test_f28_a_line_of_which_nothing_more_is_known_has_no_empty_extension(payer: Payer) -> None:
    """As the kits' own examples ask: a code and a category, no trace number and no day. An empty array is no
    FHIR, and a parser may refuse the whole answer for it."""
    bare = {name: a.item()[name] for name in ("extension", "sequence", "category", "productOrService")}
    bare["extension"] = [one for one in bare["extension"] if one["url"] != extension_url("itemTraceNumber")]
    answer = payer.submit(a.request(claim=a.claim(bare), coverage=a.coverage("no-imaging-pa")))

    assert answer.action == "A1"
    assert "extension" not in answer.response["item"][0]


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceType": "Observation", "id": "odd", "code": None, "effectiveDateTime": ""},
        {"resourceType": "Procedure", "id": "odd", "performedPeriod": {}, "code": []},
        {"resourceType": "MedicationRequest", "id": "odd", "dispenseRequest": "two"},
        {"resourceType": "QuestionnaireResponse", "id": "odd", "item": [{"answer": []}]},
        {"resourceType": "Condition", "id": "odd", "code": {"coding": ["M75.111"]}},
        {"resourceType": "Encounter", "id": "odd", "class": {"code": "AMB"}, "period": "2026"},
    ],
    ids=lambda resource: str(resource["resourceType"]),
)
def test_f28_a_malformed_chart_resource_is_no_reason_to_fail(payer: Payer, broken: Resource) -> None:
    assert payer.submit(a.request(*charts.meets_every_criterion(), broken)).action == "A1"


def test_f29_extensions_with_siblings_survive_to_the_echo(payer: Payer) -> None:
    sex = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"
    curious = [{"url": sex, "valueCode": "F", "_valueCode": {"id": "i"}}]
    answer = payer.submit(a.request(patient=a.anna(extension=curious)))

    assert answer.of_type("Patient")[0]["extension"] == curious


def test_f30_each_fault_is_an_issue_of_its_own(payer: Payer) -> None:
    status, outcome = payer.refused("$submit", a.request(claim=a.claim(use="claim", status="draft")))

    assert status == 400
    assert len(outcome["issue"]) == 2
    assert all(issue["expression"] and issue["diagnostics"] for issue in outcome["issue"])
    assert "detail" not in outcome


@pytest.mark.parametrize("operation", ["$submit", "$inquire"])
def test_f30_an_insurance_without_entries_is_a_fault_with_its_place(payer: Payer, operation: str) -> None:
    sent = a.request() if operation == "$submit" else a.inquiry()
    sent["entry"][0]["resource"]["insurance"] = []
    answered = payer.http.post(f"{payer.base}/Claim/{operation}", json=sent, headers=FHIR)

    assert answered.status_code == 400
    assert any("insurance" in issue["expression"][0] for issue in answered.json()["issue"])


def test_f30_broken_json_is_400_with_an_outcome(payer: Payer) -> None:
    status, outcome = payer.refused("$submit", b'{"resourceType": "Bundle"')

    assert status == 400
    assert outcome["issue"][0]["code"] == "invalid"


@pytest.mark.parametrize(
    "accept",
    ["application/fhir+json;charset=UTF-8", "application/json;q=0.9, */*;q=0.1", "application/fhir+json"],
)
def test_f31_accept_may_have_parameters(payer: Payer, accept: str) -> None:
    response = payer.post("$submit", a.request(), Accept=accept)

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/fhir+json")


def test_f31_a_body_that_is_no_json_is_refused_by_its_type(payer: Payer) -> None:
    url = f"{payer.base}/Claim/$submit"

    assert (
        payer.http.post(
            url, content=b"<Bundle/>", headers={"Content-Type": "application/fhir+xml"}
        ).status_code
        == 415
    )
    assert (
        payer.http.post(
            url, content=a.raw(a.request()), headers={**FHIR, "Accept": "application/xml"}
        ).status_code
        == 406
    )


def test_f32_every_address_of_ours_begins_with_the_public_base(payer: Payer) -> None:
    response = payer.post("$submit", a.request(), Host="evil.example", **{"X-Forwarded-Host": "evil.example"})
    own = [entry["fullUrl"] for entry in response.json()["entry"] if not entry["fullUrl"].startswith(a.HOST)]

    assert own
    assert all(url.startswith(f"http://payer.test{payer.base}/") for url in own)


def test_decimals_come_back_with_their_digits(payer: Payer) -> None:
    """The patient's address may hold a geolocation: 1.10 is not 1.1."""
    place = [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/geolocation",
            "extension": [{"url": "latitude", "valueDecimal": 0}, {"url": "longitude", "valueDecimal": 0}],
        }
    ]
    body = a.raw(a.request(patient=a.anna(address=[{"extension": place, "city": "Ulm"}])))
    body = body.replace(b'"valueDecimal":0', b'"valueDecimal":47.1000')
    response = payer.post("$submit", body)

    assert response.content.count(b"47.1000") == 2


def test_a_copy_of_the_request_is_kept_byte_by_byte(payer: Payer) -> None:
    body = a.raw(copy.deepcopy(a.request())) + b"\n \n"
    answer = payer.submit(body)
    with payer.app.state.services.store.reading() as tx:
        kept = cases.by_id(tx, answer.response["id"])

    assert kept is not None
    assert kept.request == body


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("Certified", "A1"),
        ("Certifiable", "A1"),
        ("OnFile", "A1"),
        ("NotRequired", "A1"),
        ("Modified", "A6"),
        ("Denied", "A3"),
        ("Asked", "A4"),
        ("InReview", "A4"),
        ("Cancelled", "C"),
    ],
)
def test_f20_each_outcome_has_its_one_code(outcome: str, code: str) -> None:
    assert {kind.__name__: found for kind, found in ACTION.items()}[outcome] == code
    assert len(ACTION) == 9


def test_f20_what_needs_no_authorization_is_no_denial(payer: Payer) -> None:
    answer = payer.submit(a.request(coverage=a.coverage("no-imaging-pa")))

    assert answer.action == "A1"
    assert answer.response["disposition"] == "No authorization required"


def test_f34_every_code_is_of_a_system_that_is_known_or_known_to_be_unknown(payer: Payer) -> None:
    """`make conformance` judges the rest; what it cannot look up is listed in one file."""
    listed = (Path(__file__).parent / "unknown-systems.txt").read_text(encoding="utf-8").splitlines()
    unknown = tuple(line.split()[0] for line in listed if not line.startswith("#"))
    known = (
        "http://terminology.hl7.org/",
        "http://hl7.org/fhir/us/",
        "http://loinc.org",
        "https://payer.example/",
    )
    answers = [
        payer.granted(),
        payer.submit(a.request(coverage=a.coverage(period={"end": "2026-06-30"}))),
        payer.submit(a.request(charts.film())),
    ]
    systems = {
        each["system"]
        for answer in answers
        for each in nodes(answer.bundle)
        if "code" in each and isinstance(each.get("system"), str)
    }

    assert {system for system in systems if not system.startswith((*known, *unknown))} == set()
