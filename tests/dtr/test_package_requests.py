"""What `$questionnaire-package` takes, what it makes of half a request, and what it refuses."""

import datetime as dt
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from starlette.testclient import TestClient

from server.dtr.package import ADAPTIVE
from server.fhir import json
from server.fhir.extensions import values
from server.store import Store, records
from server.store.tables import Table
from tests.crd.builders import CPT, PATIENT, PAYOR, appointment, concept, coverage, ref, shoulder
from tests.dtr.conftest import FHIR_JSON, Dtr, context, named, resource
from tests.dtr.test_package import DTR, LUMBAR, SHOULDER

CHILD = concept("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "child")
OTHER_ORDERS = [
    "Appointment",
    "CommunicationRequest",
    "DeviceRequest",
    "Encounter",
    "ImmunizationRecommendation",
    "MedicationRequest",
    "NutritionOrder",
    "SupplyRequest",
    "VisionPrescription",
]


def test_a_a_context_of_nobodys_is_refused_where_there_is_nothing_else_to_go_by(dtr: Dtr) -> None:
    status, (issue,) = dtr.refused(dtr.ask(resource("coverage", coverage()), context("not-ours")))
    assert (status, issue["code"]) == (404, "not-found")
    assert issue["expression"] == ["Parameters.parameter[1]"]


@pytest.mark.parametrize("beside", [resource("order", shoulder()), named(SHOULDER)])
def test_a_beside_something_to_go_by_2_0_remarks_on_it_and_2_2_refuses_it(
    dtr: Dtr, beside: dict[str, Any]
) -> None:
    asked = [resource("coverage", coverage()), beside, context("not-ours")]
    if dtr.version == "2.2":
        assert dtr.refused(dtr.ask(*asked))[0] == 404
    else:
        assert len(dtr.packages(*asked)) == 1
        assert [issue["severity"] for issue in dtr.outcome(*asked)] == ["warning"]


def test_a_a_context_of_another_member_is_nobodys(dtr: Dtr) -> None:
    """An adaptive form begun with it ended in the one's authorization number under the other's Coverage."""
    foreign = context(dtr.asserted(shoulder(), coverage("M-ours")))
    for number in ("M-ours", "M-theirs"):
        asked = [resource("coverage", coverage(number)), named(ADAPTIVE), foreign]
        if number == "M-ours":
            (package,) = dtr.packages(*asked)
            assert package.draft["identifier"]["value"] == foreign["valueString"]
        elif dtr.version == "2.2":
            assert dtr.refused(dtr.ask(*asked))[0] == 404
        else:
            (package,) = dtr.packages(*asked)
            assert "identifier" not in package.draft


def test_a_a_context_of_a_brother_is_nobodys(dtr: Dtr) -> None:
    """They have a number in common; the form came tied to the one's order and the other's Coverage."""
    anna, ben = (
        coverage("M-family", relationship=CHILD, beneficiary={"reference": f"Patient/{name}"})
        for name in ("anna", "ben")
    )
    hers = context(dtr.asserted(shoulder(), anna))
    assert len(dtr.packages(resource("coverage", anna), hers)) == 1
    assert dtr.refused(dtr.ask(resource("coverage", ben), hers))[0] == 404


def test_a_a_context_is_kept_where_the_record_of_the_subscriber_is_merged_into_another(dtr: Dtr) -> None:
    """The number is the same, the client's name for the patient no more."""
    hers, anna = context(dtr.asserted(shoulder(), coverage("M-merged"))), {"reference": "Patient/anna-2"}
    now = resource("coverage", coverage("M-merged", beneficiary=anna))
    (package,) = dtr.packages(now, resource("order", shoulder(subject=anna)), hers)
    assert package.draft["subject"] == anna


@pytest.mark.parametrize("by", [resource("order", shoulder()), named(SHOULDER)])
def test_a_the_coverage_of_nobody_we_know_is_refused(dtr: Dtr, registry: FastAPI, by: dict[str, Any]) -> None:
    own = Dtr(TestClient(registry), dtr.version, registry)
    status, (issue,) = own.refused(own.ask(resource("coverage", coverage("M-stranger")), by))
    assert (status, issue["code"]) == (404, "not-found")
    with registry.state.services.store.transaction() as tx:
        records.put(tx, coverage("M-ours"), "member:M-ours", registry.state.services.clock())
    assert len(own.packages(resource("coverage", coverage("M-ours")), by)) == 1


@pytest.mark.parametrize("kind", OTHER_ORDERS)
def test_a_every_type_of_order_is_taken_and_one_that_names_no_service_remarked_on(
    dtr: Dtr, kind: str
) -> None:
    member, order = coverage(), {"resourceType": kind, "id": "o-1", "status": "draft"}
    asked = [resource("coverage", member), resource("order", order)]
    (issue,) = dtr.outcome(*asked)
    assert issue["severity"] == "warning"
    assert issue["diagnostics"].startswith(f"{kind}/o-1: which form it needs is not known")


def test_a_where_the_order_does_not_tell_the_context_does(dtr: Dtr) -> None:
    member, order = coverage(), shoulder()
    vague = {**order, "code": {"text": "MRI of the shoulder"}}
    assert [i["severity"] for i in dtr.outcome(resource("coverage", member), resource("order", vague))] == [
        "warning"
    ]
    asked = [resource("coverage", member), resource("order", vague), context(dtr.asserted(order, member))]
    assert [package.form.canonical for package in dtr.packages(*asked)] == [f"{SHOULDER}|1.0.0"]


def test_a_what_a_context_was_given_for_is_called_as_the_client_calls_it(dtr: Dtr) -> None:
    """An EHR was told of a ServiceRequest, by the id of its DeviceRequest or Appointment."""
    brace = {
        "resourceType": "DeviceRequest",
        "id": "brace",
        "status": "draft",
        "intent": "order",
        "codeCodeableConcept": concept("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "L3908"),
        "subject": ref(PATIENT),
        "authoredOn": "2026-11-20",
    }
    card = coverage()
    asked = [resource("coverage", card), context(dtr.asserted(brace, card))]
    (issue,) = dtr.outcome(*asked)
    assert issue["diagnostics"].startswith("DeviceRequest/brace needs no form")
    (package,) = dtr.packages(*asked, named(SHOULDER))
    assert ref(brace) in values(package.draft, f"{DTR}/qr-context")


def test_a_an_appointment_needs_the_forms_of_what_is_booked(dtr: Dtr) -> None:
    order = shoulder()
    itself, for_order = appointment("72148"), appointment("", order)
    for booked, form in ((itself, LUMBAR), (for_order, SHOULDER)):
        package = dtr.package(booked, resource("referenced", order))
        assert package.form.canonical == f"{form}|1.0.0"
        assert ref(booked) in values(package.draft, f"{DTR}/qr-context")


def test_a_what_does_not_go_together_is_remarked_on(dtr: Dtr) -> None:
    """The form of one of a family under the Coverage of another, and a booking without its order."""
    for order, words in (
        (shoulder(subject={"reference": "Patient/ben"}), "another patient"),
        (appointment("", shoulder()), "made for as `referenced`"),
    ):
        (issue,) = dtr.outcome(resource("coverage", coverage()), resource("order", order))
        assert issue["severity"] == "warning"
        assert words in issue["diagnostics"]


@pytest.mark.parametrize(
    "word", [{"status": "revoked"}, {"doNotPerform": True}], ids=["revoked", "not to do"]
)
def test_a_what_is_not_to_be_done_needs_no_form(dtr: Dtr, word: dict[str, Any]) -> None:
    """Nor does an appointment that was made for it, or the context that CRD gave for it before."""
    order, member = {**shoulder(), **word}, coverage()
    for asked in (
        [resource("order", order), context(dtr.asserted(shoulder(), member))],
        [resource("order", appointment("", order)), resource("referenced", order)],
    ):
        (issue,) = dtr.outcome(resource("coverage", member), *asked)
        assert issue["severity"] == "information"
        assert "not to be carried out" in issue["diagnostics"]


def test_a_no_more_is_judged_in_one_call_than_can_be_answered_soon(dtr: Dtr) -> None:
    """Whether orders and Coverages are many themselves, or one appointment is for many orders."""
    mine, orders = coverage(), [shoulder(id=f"mri-{number}") for number in range(201)]
    booked = appointment("", *orders)
    along = [resource("referenced", order) for order in orders]
    asked = (
        [resource("coverage", mine), *(resource("order", order) for order in orders)],
        [resource("coverage", mine), resource("order", booked), *along],
    )
    for parameters in asked:
        status, (issue,) = dtr.refused(dtr.ask(*parameters))
        assert (status, issue["code"]) == (400, "too-costly")


def test_a_an_order_that_may_be_billed_by_several_codes_needs_the_forms_that_crd_asked_for(dtr: Dtr) -> None:
    """One that 2.0 answers for the first of them, and 2.2 for each."""
    order = {**shoulder(), "code": concept(CPT, "73221", "72148")}
    asked = [resource("coverage", coverage()), resource("order", order)]
    forms = [package.form.canonical for package in dtr.packages(*asked)]
    assert forms == [f"{SHOULDER}|1.0.0", f"{LUMBAR}|1.0.0"][: {"2.0": 1, "2.2": 2}[dtr.version]]


def test_a_what_may_be_left_out_is_no_error_of_the_client(dtr: Dtr) -> None:
    """Only what the profiles make mandatory is sent: the form comes, or a remark that says what is wanted."""
    card = {
        "resourceType": "Coverage",
        "status": "active",
        "beneficiary": ref(PATIENT),
        "payor": [ref(PAYOR)],
    }
    order = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "order",
        "subject": ref(PATIENT),
        "code": concept(CPT, "72148"),
    }
    package = dtr.package(order, coverage=card)
    assert package.form.canonical == f"{LUMBAR}|1.0.0"
    tie = {"2.0": "qr-context", "2.2": "qr-coverage"}[dtr.version]
    assert values(package.draft, f"{DTR}/{tie}")[0] == {"type": "Coverage"}
    limb = {**order, "code": concept(CPT, "73221")}
    (issue,) = dtr.outcome(resource("coverage", card), resource("order", limb))
    assert issue["severity"] == "warning"
    assert "Which joint or part is to be imaged is not stated" in issue["diagnostics"]


def test_a_what_was_sent_is_kept_for_the_record_of_the_call_alone(dtr: Dtr) -> None:
    store = dtr.app.state.services.store
    before = rows(store)
    dtr.package(shoulder(), resource("referenced", PATIENT))
    after = rows(store)
    assert {name for name in after if after[name] != before[name]} == {"exchange"}


def rows(store: Store) -> dict[str, int]:
    """How many there are in each table."""
    with store.reading() as tx:
        return {
            name: tx.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Table.metadata.tables.items()
        }


@pytest.mark.parametrize(
    ("parameters", "expression"),
    [
        ([], "Parameters.parameter"),
        ([resource("order", shoulder())], "Parameters.parameter"),
        ([resource("coverage", coverage())], "Parameters.parameter"),
        ([{"name": "coverage"}, resource("order", shoulder())], "Parameters.parameter[0].resource"),
        (
            [resource("coverage", shoulder()), resource("order", shoulder())],
            "Parameters.parameter[0].resource",
        ),
        (
            [resource("coverage", coverage()), resource("order", coverage())],
            "Parameters.parameter[1].resource",
        ),
        ([resource("coverage", coverage()), {"name": "questionnaire"}], "Parameters.parameter[1].value"),
        (
            [
                resource("coverage", coverage()),
                named(LUMBAR),
                {"name": "changedsince", "valueInstant": "yesterday"},
            ],
            "Parameters.parameter[2].value",
        ),
    ],
)
def test_a_a_broken_request_is_told_where(
    dtr: Dtr, parameters: list[dict[str, Any]], expression: str
) -> None:
    status, issues = dtr.refused(dtr.ask(*parameters))
    assert status == 400
    assert expression in [place for issue in issues for place in issue["expression"]]


def test_a_a_body_that_is_no_parameters_is_refused(dtr: Dtr) -> None:
    status, (issue,) = dtr.refused(dtr.post("Questionnaire/$questionnaire-package", coverage()))
    assert (status, issue["expression"]) == (400, ["Parameters"])
    assert dtr.refused(dtr.post("Questionnaire/$questionnaire-package", b"{"))[0] == 400


@pytest.mark.parametrize(
    "path",
    [
        "Questionnaire/$questionnaire-package",
        "Questionnaire/%24questionnaire-package",
        "Questionnaire/mri-shoulder/$questionnaire-package",
        "$questionnaire-package",
    ],
)
def test_a_every_spelling_of_the_address_answers(dtr: Dtr, path: str) -> None:
    asked = [resource("coverage", coverage()), resource("order", shoulder())]
    response = dtr.post(path, {"resourceType": "Parameters", "parameter": asked})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith(FHIR_JSON["Content-Type"])


def test_a_an_instance_is_asked_for_its_own_form(dtr: Dtr) -> None:
    """Asked of the lumbar form about a shoulder, it gave the shoulder's; of one that is not there, too."""

    def asked(form: str, *parameters: dict[str, Any]) -> httpx.Response:
        body = {"resourceType": "Parameters", "parameter": [resource("coverage", coverage()), *parameters]}
        return dtr.post(f"Questionnaire/{form}/$questionnaire-package", body)

    for beside in ([resource("order", shoulder())], []):
        response = asked("mri-lumbar-spine", *beside)
        by_name = dtr.ask(resource("coverage", coverage()), named(LUMBAR), *beside)
        assert response.status_code == 200, response.text
        assert forms_in(response) == forms_in(by_name) == [LUMBAR]
    assert dtr.refused(asked("not-ours", resource("order", shoulder())))[0] == 404


def forms_in(response: httpx.Response) -> list[str]:
    """The canonicals of the Questionnaires in an answer, of either version."""
    body = json.decode_object(response.content)
    listed = [p["resource"] for p in body["parameter"]] if "parameter" in body else [body]
    entries = [entry["resource"] for each in listed for entry in each.get("entry", [])]
    return [each["url"] for each in entries if each["resourceType"] == "Questionnaire"]


def test_a_small_edits_of_the_order_do_not_matter(dtr: Dtr) -> None:
    order = shoulder(status="active", note=[{"text": "please soon"}])
    assert dtr.package(order).form.canonical == f"{SHOULDER}|1.0.0"


def test_a_form_is_given_until_its_last_day_and_then_no_more(
    dtr: Dtr, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [resource("coverage", coverage()), named(SHOULDER)]
    last = dt.datetime(2027, 12, 31, 12, tzinfo=dt.UTC)
    monkeypatch.setattr(dtr.app.state.services.clock, "_now", last)
    assert len(dtr.packages(*asked)) == 1
    monkeypatch.setattr(dtr.app.state.services.clock, "_now", last + dt.timedelta(days=1))
    assert [issue["code"] for issue in dtr.outcome(*asked)] == ["expired"]
