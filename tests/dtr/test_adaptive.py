"""An adaptive form, asked question by question until the outcome is certain."""

from __future__ import annotations

import time
from typing import Any

import pytest

from server.app import the_catalog
from server.dtr.form import Form, plain_answer
from server.dtr.response import information_origin
from server.fhir import json
from tests.crd.builders import coverage, lumbar, shoulder
from tests.dtr.conftest import GUIDES, Dtr, Package, resource
from tests.emitted import record

ADAPTIVE = "https://payer.example/Questionnaire/mri-adaptive"
NEXT = "Questionnaire/$next-question"
FACTS: dict[str, Any] = {
    "ORDER.cpt": "73221",
    "ORDER.side": "RT",
    "ORDER.dx": "M75.111",
    "ORDER.pos": "11",
    "PATIENT.age": 52,
}
UNCOMPLICATED: dict[str, Any] = {
    "SH-IMM": "none",
    "CC-DUR.start": "2026-09-01",
    "IMG-XR": "normal",
    "IMG-XR.date": "2026-11-01",
    "CC-DUR.modalities": "pt",
    "CC-OUT": "no-change",
    "CC-REEVAL": True,
    "CC-REEVAL.date": "2026-11-20",
    "EXM": "yes",
    "FUN.quickdash": 41,
}


def named(canonical: str) -> dict[str, Any]:
    return {"name": "questionnaire", "valueCanonical": canonical}


def package(dtr: Dtr, *more: dict[str, Any], order: dict[str, Any] | None = None) -> Package:
    orders = [resource("order", order or shoulder())]
    (found,) = dtr.packages(resource("coverage", coverage()), *orders, named(ADAPTIVE), *more)
    return found


def asked(response: dict[str, Any]) -> list[str]:
    """The questions of the form so far."""
    items = response["contained"][0].get("item", [])
    return [item.link_id for item in Form({"item": items}).questions()]


def answered(response: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """As a client answers what it is asked and knows."""
    form = Form({"item": response["contained"][0].get("item", [])})
    told = {item["linkId"] for item in response.get("item", [])}
    items = []
    for node in form.questionnaire["item"]:
        if node["linkId"] in told:
            continue
        below = [_item(form, each["linkId"], given) for each in node.get("item", [])]
        own = _item(form, node["linkId"], given)
        nested = [each for each in below if each]
        if own:
            items.append(own)
        elif nested:
            items.append({"linkId": node["linkId"], "text": node["text"], "item": nested})
    return {**response, "item": [*response.get("item", []), *items]}


def _item(form: Form, link_id: str, given: dict[str, Any]) -> dict[str, Any] | None:
    item = form.items[link_id]
    if link_id not in given or not item.is_question:
        return None
    answer = plain_answer(item, given[link_id])
    assert answer is not None, link_id
    origin = information_origin("manual", "Practitioner/dr-lee")
    return {"linkId": link_id, "text": item.node["text"], "answer": [{**answer, "extension": [origin]}]}


def step(dtr: Dtr, response: dict[str, Any]) -> dict[str, Any]:
    got = dtr.post(NEXT, response)
    assert got.status_code == 200, got.text
    body = json.decode_object(got.content)
    record(GUIDES[dtr.version], body)
    return body


def interview(
    dtr: Dtr, response: dict[str, Any], given: dict[str, Any]
) -> tuple[list[list[str]], dict[str, Any]]:
    """The questions call by call, and the completed response."""
    calls: list[list[str]] = []
    for _ in range(20):
        before = set(asked(response))
        response = step(dtr, response)
        if response["status"] == "completed":
            return calls, response
        calls.append([link_id for link_id in asked(response) if link_id not in before])
        assert calls[-1], "nothing new is asked, yet the form is not complete"
        response = answered(response, given)
    raise AssertionError("the form never ends")


def said(response: dict[str, Any]) -> dict[str, Any]:
    (told,) = [e for e in response["extension"] if e["url"].endswith("ext-coverage-information")]
    return {
        part["url"]: next(content for name, content in part.items() if name.startswith("value"))
        for part in told["extension"]
    }


def test_the_package_has_the_form_and_the_cql_of_every_region(dtr: Dtr) -> None:
    found = package(dtr)
    assert found.form.canonical == f"{ADAPTIVE}|1.0.0"
    (address,) = [
        e["valueUrl"] for e in found.form.questionnaire["extension"] if e["url"].endswith("Adaptive")
    ]
    assert address == f"http://127.0.0.1:8080{dtr.base}"
    names = {library["name"] for library in found.libraries}
    assert {policy.prefill for policy in the_catalog().policies} <= names
    assert ("item" in found.form.questionnaire) == (dtr.version == "2.0")
    assert found.draft["questionnaire"] == f"#{found.draft['contained'][0]['id']}"
    record(GUIDES[dtr.version], found.bundle)


def test_the_orders_facts_come_first_then_one_burden_after_another(dtr: Dtr) -> None:
    calls, done = interview(dtr, package(dtr).draft, FACTS | UNCOMPLICATED)
    assert calls[0] == ["ORDER.cpt", "ORDER.side", "ORDER.dx", "ORDER.pos", "PATIENT.age", "PLAN.id"]
    assert calls[1][0] == "SH-IMM"
    assert calls[2][0] == "CC-DUR.start"
    assert calls[3][0] == "IMG-XR"
    assert said(done)["covered"] == "covered"
    assert said(done)["pa-needed"] == "auth-needed"
    assert said(done)["coverage-assertion-id"]


def test_an_immediate_indication_ends_it(dtr: Dtr) -> None:
    calls, done = interview(dtr, package(dtr).draft, FACTS | {"SH-IMM": "SH-IMM.2"})
    assert [call[0] for call in calls] == ["ORDER.cpt", "SH-IMM"]
    assert done["status"] == "completed"


def test_it_says_why_it_asks(dtr: Dtr) -> None:
    response = step(dtr, answered(step(dtr, package(dtr).draft), FACTS))
    texts = {item["linkId"]: item["text"] for item in response["contained"][0]["item"]}
    assert "not asked yet" in texts["SH-IMM.why"]


def test_a_denial_that_is_certain_ends_it(dtr: Dtr) -> None:
    given = FACTS | {"SH-IMM": "none", "CC-DUR.none": True}
    calls, done = interview(dtr, package(dtr).draft, given)
    assert [call[0] for call in calls] == ["ORDER.cpt", "SH-IMM", "CC-DUR.start"]
    assert "What would change this" in said(done)["reason"]["text"]


def test_a_missing_side_is_asked_first_and_mended_by_its_answer(dtr: Dtr) -> None:
    facts = {name: value for name, value in FACTS.items() if name != "ORDER.side"}
    calls, _ = interview(dtr, package(dtr).draft, facts | {"COD-LAT": "RT", "SH-IMM": "SH-IMM.2"})
    assert [call[0] for call in calls] == ["ORDER.cpt", "COD-LAT", "SH-IMM"]


def test_a_known_assertion_supplies_the_order_and_the_user_is_asked_about_the_number(dtr: Dtr) -> None:
    member = coverage(subscriberId=f"adaptive-{dtr.version}")
    order = shoulder(insurance=[{"reference": "Coverage/cov-1"}])
    assertion = dtr.asserted(order, member)
    (found,) = dtr.packages(
        resource("coverage", member), named(ADAPTIVE), {"name": "context", "valueString": assertion}
    )
    given = {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": True}
    calls, done = interview(dtr, found.draft, given)
    assert [call[0] for call in calls] == ["PATIENT.age", "SH-IMM", "PA.issue"]
    assert said(done)["pa-needed"] == "satisfied"
    assert said(done)["coverage-assertion-id"] == assertion
    # The order's own door knows the number as well.
    again = dtr.http.get(f"/why/{said(done)['satisfied-pa-id']}")
    assert again.status_code == 200


def test_no_number_is_given_unasked(dtr: Dtr) -> None:
    member = coverage(subscriberId=f"unasked-{dtr.version}")
    order = shoulder(insurance=[{"reference": "Coverage/cov-1"}])
    assertion = dtr.asserted(order, member)
    (found,) = dtr.packages(
        resource("coverage", member), named(ADAPTIVE), {"name": "context", "valueString": assertion}
    )
    _, done = interview(dtr, found.draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": False})
    assert said(done)["pa-needed"] == "auth-needed"
    assert "satisfied-pa-id" not in said(done)


def test_a_completed_form_is_echoed(dtr: Dtr) -> None:
    _, done = interview(dtr, package(dtr).draft, FACTS | {"SH-IMM": "SH-IMM.2"})
    assert step(dtr, done) == done


def test_the_lumbar_spine_is_asked_its_own_questions(dtr: Dtr) -> None:
    facts = {"ORDER.cpt": "72148", "ORDER.dx": "M54.16", "ORDER.pos": "11", "PATIENT.age": 52}
    response = step(dtr, answered(step(dtr, package(dtr, order=lumbar()).draft), facts))
    assert "LS-IMM" in asked(response)


def test_2_0_forbids_conditions_in_a_form_under_way(dtr_2_0: Dtr) -> None:
    _, done = interview(dtr_2_0, package(dtr_2_0).draft, FACTS | UNCOMPLICATED)
    contained = done["contained"][0]
    assert "url" not in contained
    assert not any("enableWhen" in item for item in contained["item"])


def test_2_2_brings_what_depends_on_an_answer_at_once(dtr_2_2: Dtr) -> None:
    calls, _ = interview(dtr_2_2, package(dtr_2_2).draft, FACTS | UNCOMPLICATED)
    assert ["IMG-XR", "IMG-XR.date"] in calls


@pytest.mark.parametrize("shape", ["bare", "questionnaire-response", "questionnaire-response-in"])
def test_the_response_is_taken_bare_and_as_a_parameter(dtr: Dtr, shape: str) -> None:
    draft = package(dtr).draft
    body = (
        draft
        if shape == "bare"
        else {"resourceType": "Parameters", "parameter": [{"name": shape, "resource": draft}]}
    )
    assert step(dtr, body)["resourceType"] == "QuestionnaireResponse"


def test_what_does_not_fit_is_refused_with_its_place(dtr: Dtr) -> None:
    first = step(dtr, package(dtr).draft)
    status, issues = dtr.refused(dtr.post(NEXT, first))
    assert status == 400
    assert {i["code"] for i in issues} == {"required"}
    wrong = answered(first, FACTS)
    wrong["item"][0]["item"][0]["answer"] = [{"valueString": "shoulder"}]
    status, issues = dtr.refused(dtr.post(NEXT, wrong))
    assert (status, issues[0]["expression"]) == (400, ["QuestionnaireResponse.item[0].item[0].answer[0]"])


def test_a_form_that_is_not_inside_or_not_ours_is_refused(dtr: Dtr) -> None:
    draft = package(dtr).draft
    assert dtr.refused(dtr.post(NEXT, {**draft, "contained": []}))[0] == 400
    strange = {**draft["contained"][0], "derivedFrom": ["https://elsewhere.example/Questionnaire/x"]}
    strange.pop("url", None)
    assert dtr.refused(dtr.post(NEXT, {**draft, "contained": [strange]}))[0] == 404


def test_the_examinations_are_those_of_the_policies() -> None:
    catalog = the_catalog()
    form = catalog.questionnaire(ADAPTIVE)
    assert form is not None
    offered = {option["code"] for option in Form(form).items["ORDER.cpt"].options}
    assert {code for policy in catalog.policies for code in policy.codes} <= offered


def test_a_next_question_is_had_in_time(dtr: Dtr) -> None:
    """The guide allows five seconds for the first, one for the others."""
    response = package(dtr).draft
    started = time.perf_counter()
    response = step(dtr, response)
    assert time.perf_counter() - started < 1
    response = answered(response, FACTS)
    started = time.perf_counter()
    step(dtr, response)
    assert time.perf_counter() - started < 1
