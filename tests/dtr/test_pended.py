"""A request for authorization waits for answers, and the adaptive form collects them: the authorization comes
by that request, never by the form (DTR, "Adaptive forms": no number in a run that a pend began)."""

from __future__ import annotations

from typing import Any

from server.app import the_catalog
from server.dtr.populate import populate
from server.fhir import json
from server.fhir.elements import nodes
from server.pas.cases import request_of
from server.pas.information import TRACKING_SYSTEM
from server.pas.terms import REVIEW_ACTION
from server.policy.case_draft import Fact
from server.policy.cases import Case, Expected, Vignette, case_of
from server.policy.determination import Decision
from tests.crd.builders import DAY
from tests.dtr.conftest import FHIR_JSON, Dtr, context, named, resource
from tests.dtr.interviews import ADAPTIVE, interview, said


def pended(dtr: Dtr, name: str, **changes: Any) -> tuple[Case, str, str]:
    """A case that the payer pends, the tracking number it gives, which where it asks for nothing is its own
    for the line, and where its answer can be read."""
    vignette = Vignette(
        id=f"{name}-{dtr.version.replace('.', '')}",
        age=52,
        sex="F",
        rbm="evicore",
        expected=Expected(decision=Decision.MORE_INFO),
        **{"region": "SH", "cpt": "73221", "icd10": ("M75.111",), "modifiers": ("RT",), **changes},
    )
    case = case_of(vignette, DAY, the_catalog().payer)
    body = json.encode(request_of(case))
    answer = dtr.http.post(f"{dtr.base}/Claim/$submit", content=body, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    told = json.decode_object(answer.content)
    name = told["entry"][0]["resource"]["id"]
    asked = {each["value"] for each in nodes(told) if each.get("system") == TRACKING_SYSTEM}
    (number,) = asked or {f"{name}-1"}
    return case, number, f"ClaimResponse/{name}"


def interviewed(dtr: Dtr, case: Case, number: str) -> tuple[list[list[str]], dict[str, Any]]:
    """The adaptive form, asked for by the tracking number and filled to its end: an immediate indication."""
    asked = resource("coverage", dict(case.coverage)), named(ADAPTIVE), context(number)
    (found,) = dtr.packages(*asked)
    return interview(dtr, found.draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2"})


def test_d_a_run_that_a_pend_began_never_gives_a_number(dtr: Dtr) -> None:
    case, number, _ = pended(dtr, "interview")
    calls, done = interviewed(dtr, case, number)
    assert "PA.issue" not in [link_id for call in calls for link_id in call]
    assert done["status"] == "completed"
    assert "satisfied-pa-id" not in said(done)
    assert said(done)["pa-needed"] != "satisfied"


def test_a_e_from_the_tracking_number_to_the_form_to_the_decision(dtr: Dtr) -> None:
    """All the client has of the pend is its number: it brings the form, and the form the approval."""
    case, number, address = pended(dtr, "form")
    assert reviewed(dtr, address) == "A4"

    (package,) = dtr.packages(resource("coverage", dict(case.coverage)), context(number))
    assert package.form.questionnaire["id"] == "mri-shoulder"
    chart = [dict(case.patient), dict(case.coverage), dict(case.order)]
    filling = populate(package.form, package.draft, the_catalog().engine, chart, case.now, "auto")
    assert {"SH-IMM", "CC-DUR.start", "IMG-XR", "EXM", "FUN"} == set(filling.asked)
    told = filling.answered({"SH-IMM": ["SH-IMM.2"]}, "Practitioner/practitioner")
    assert told.asked == ()

    response = {"id": "filled", **bare(told.response("completed", case.now))}
    sent = dtr.post("$submit-attachment", attachment(case, number, response))
    assert sent.status_code == 200, sent.text
    assert reviewed(dtr, address) == "A1"


def test_a_the_form_that_a_request_waits_for_is_had_by_its_number(dtr: Dtr) -> None:
    """Of cauda equina the order tells enough; that there was an MRI lately only the request's chart did."""
    before = Fact(type="DiagnosticReport", code="72148", system="cpt", date=60)
    spine = {"region": "LS", "cpt": "72148", "icd10": ("G83.4",), "modifiers": (), "facts": (before,)}
    case, number, address = pended(dtr, "repeated", **spine)
    (package,) = dtr.packages(resource("coverage", dict(case.coverage)), context(number))
    assert package.form.questionnaire["id"] == "mri-lumbar-spine"
    (found,) = dtr.packages(resource("coverage", dict(case.coverage)), named(ADAPTIVE), context(number))
    calls, done = interview(dtr, found.draft, {"PATIENT.age": 52, "RPT-INT": "worse"})
    assert [call[0] for call in calls] == ["PATIENT.age", "RPT-INT"]
    sent = dtr.post("$submit-attachment", attachment(case, number, {**done, "id": "filled"}))
    assert (sent.status_code, reviewed(dtr, address)) == (200, "A1")


def test_a_no_form_is_had_by_the_number_of_what_a_person_reviews(dtr: Dtr) -> None:
    """The request's chart had the answer that a person has to read."""
    answers = {"SH-IMM": "other", "CC-DUR.none": True}
    facts = tuple(
        Fact(type="QuestionnaireResponse", code=c, system="linkId", value=v) for c, v in answers.items()
    )
    case, number, address = pended(dtr, "left", facts=facts)
    (issue,) = dtr.outcome(resource("coverage", dict(case.coverage)), context(number))
    assert reviewed(dtr, address) == "A4"
    assert "needs no form. A person will review" in issue["diagnostics"]


def test_a_a_form_that_nobody_waits_for_any_more_is_said_to_be_for_a_new_request(dtr: Dtr) -> None:
    case, number, address = pended(dtr, "late")
    (package,) = dtr.packages(resource("coverage", dict(case.coverage)), context(number))
    filling = populate(
        package.form, package.draft, the_catalog().engine, [dict(case.order)], case.now, "auto"
    )
    told = filling.answered({"SH-IMM": ["none"], "CC-DUR.none": True}, "Practitioner/practitioner")
    response = {"id": "filled", **told.response("completed", case.now)}
    dtr.post("$submit-attachment", attachment(case, number, response))
    asked = resource("coverage", dict(case.coverage)), context(number)
    (issue,) = dtr.outcome(*asked)
    assert reviewed(dtr, address) == "A3"
    assert "with a new request or an appeal" in issue["diagnostics"]
    assert len(dtr.packages(*asked)) == 1


def test_a_e_a_task_that_the_provider_made_leads_to_the_form_and_the_decision_as_well(dtr: Dtr) -> None:
    """PAS 2.2.1, "Additional information": the context is the item's trace number, and the Task is called as
    the ClaimResponse is first, which is what the Claim was called."""
    case, _, address = pended(dtr, "own-task")
    told = json.decode_object(dtr.get(address).content)
    traces = (extension.get("valueIdentifier") for extension in told["item"][0]["extension"])
    trace = next(trace["value"] for trace in traces if trace)
    (package,) = dtr.packages(resource("coverage", dict(case.coverage)), context(trace))
    assert package.form.questionnaire["id"] == "mri-shoulder"

    chart = [dict(case.patient), dict(case.coverage), dict(case.order)]
    filling = populate(package.form, package.draft, the_catalog().engine, chart, case.now, "auto")
    filled = filling.answered({"SH-IMM": ["SH-IMM.2"]}, "Practitioner/practitioner")
    sent = attachment(
        case, told["identifier"][0]["value"], {**filled.response("completed", case.now), "id": "f"}
    )
    nobody = {**sent, "parameter": [each for each in sent["parameter"] if each["name"] != "MemberId"]}
    assert dtr.post("$submit-attachment", nobody).status_code == 422
    assert dtr.post("$submit-attachment", sent).status_code == 200
    assert reviewed(dtr, address) == "A1"


def test_the_completed_adaptive_form_decides_the_request_it_was_filled_for(dtr: Dtr) -> None:
    """It names no form but the one inside it, and is read as the answers of its region all the same."""
    case, number, address = pended(dtr, "adaptive")
    _, done = interviewed(dtr, case, number)
    sent = dtr.post("$submit-attachment", attachment(case, number, {**done, "id": "filled"}))
    assert sent.status_code == 200, sent.text
    assert reviewed(dtr, address) == "A1"


def bare(node: Any) -> Any:
    """As an app sends it that writes no more than it must: without the words of the questions."""
    if isinstance(node, dict):
        return {name: bare(content) for name, content in node.items() if name != "text"}
    return [bare(each) for each in node] if isinstance(node, list) else node


def reviewed(dtr: Dtr, address: str) -> str:
    """The review action of a stored answer, as it stands now (X12 306)."""
    stored = json.decode_object(dtr.get(address).content)
    (code,) = {each["code"] for each in nodes(stored) if each.get("system") == REVIEW_ACTION}
    return code


def attachment(case: Case, number: str, response: dict[str, Any]) -> dict[str, Any]:
    """What the client sends back under the number (CDex, submit-attachment)."""
    loinc = {"coding": [{"system": "http://loinc.org", "code": "11506-3"}]}
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "TrackingId", "valueIdentifier": {"system": TRACKING_SYSTEM, "value": number}},
            {"name": "AttachTo", "valueCode": "preauthorization"},
            {"name": "PayerId", "valueIdentifier": {"value": "1234567893"}},
            {"name": "MemberId", "valueIdentifier": {"value": case.coverage["subscriberId"]}},
            {"name": "Final", "valueBoolean": True},
            {
                "name": "Attachment",
                "part": [
                    {"name": "LineItem", "valueString": "1"},
                    {"name": "Code", "valueCodeableConcept": loinc},
                    {"name": "Content", "resource": response},
                ],
            },
        ],
    }
