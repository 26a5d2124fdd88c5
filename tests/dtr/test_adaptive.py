"""An adaptive form, asked question by question until the outcome is certain."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.app import the_catalog
from server.dtr.form import QUESTIONNAIRE_ADAPTIVE, Form
from server.dtr.next_question import CONTEXT
from server.fhir.extensions import extension, values
from server.store import exchanges, records
from tests.crd.builders import (
    DAY,
    PATIENT,
    concept,
    coverage,
    day,
    film,
    finding,
    lumbar,
    mri,
    procedure,
    ref,
    shoulder,
    visit,
)
from tests.dtr.conftest import GUIDES, Dtr, context, resource
from tests.dtr.interviews import (
    ADAPTIVE,
    FACTS,
    NEXT,
    UNCOMPLICATED,
    answered,
    asked,
    began,
    begun,
    interview,
    package,
    said,
    step,
)
from tests.dtr.test_package import GOLD, purpose
from tests.dtr.test_package_requests import CHILD, rows
from tests.emitted import record
from tests.spent import spent

ANSWER = "https://payer.example/CodeSystem/mri-answer"


@pytest.fixture(scope="module")
def drafts() -> dict[str, dict[str, Any]]:
    """Kept, since the package around it is long: a draft by version."""
    return {}


@pytest.fixture
def draft(dtr: Dtr, drafts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Of an order for a shoulder."""
    if dtr.version not in drafts:
        drafts[dtr.version] = package(dtr).draft
    return drafts[dtr.version]


def test_a_b2_the_package_has_the_form_and_the_cql_of_every_region(dtr: Dtr) -> None:
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


def test_d_the_orders_facts_come_first_then_one_burden_after_another(dtr: Dtr, draft: dict[str, Any]) -> None:
    calls, done = interview(dtr, draft, FACTS | UNCOMPLICATED)
    assert calls[0] == ["ORDER.cpt", "ORDER.side", "ORDER.dx", "ORDER.pos", "PATIENT.age", "PLAN.id"]
    assert calls[1][0] == "SH-IMM"
    assert calls[2][0] == "CC-DUR.start"
    assert calls[3][0] == "IMG-XR"
    assert said(done)["covered"] == "covered"
    assert said(done)["pa-needed"] == "auth-needed"
    assert said(done)["coverage-assertion-id"]


def test_d_an_immediate_indication_ends_it(dtr: Dtr, draft: dict[str, Any]) -> None:
    calls, done = interview(dtr, draft, FACTS | {"SH-IMM": "SH-IMM.2"})
    assert [call[0] for call in calls] == ["ORDER.cpt", "SH-IMM"]
    assert done["status"] == "completed"


def test_d_it_says_why_it_asks(dtr: Dtr, draft: dict[str, Any]) -> None:
    response = step(dtr, answered(step(dtr, draft), FACTS))
    texts = {item["linkId"]: item["text"] for item in response["contained"][0]["item"]}
    assert "not known yet" in texts["SH-IMM.why"]


def test_d_a_denial_that_is_certain_ends_it(dtr: Dtr, draft: dict[str, Any]) -> None:
    given = FACTS | {"SH-IMM": "none", "CC-DUR.none": True}
    calls, done = interview(dtr, draft, given)
    assert [call[0] for call in calls] == ["ORDER.cpt", "SH-IMM", "CC-DUR.start"]
    assert "What would change this" in said(done)["reason"]["text"]


def test_d_a_missing_side_is_asked_first_and_mended_by_its_answer(dtr: Dtr, draft: dict[str, Any]) -> None:
    facts = {name: value for name, value in FACTS.items() if name != "ORDER.side"}
    calls, _ = interview(dtr, draft, facts | {"COD-LAT": "RT", "SH-IMM": "SH-IMM.2"})
    assert [call[0] for call in calls] == ["ORDER.cpt", "COD-LAT", "SH-IMM"]


def test_d_a_known_assertion_supplies_the_order_and_the_user_is_asked_about_the_number(dtr: Dtr) -> None:
    assertion, draft = began(dtr, "adaptive")
    given = {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": True}
    calls, done = interview(dtr, draft, given)
    assert [call[0] for call in calls] == ["PATIENT.age", "SH-IMM", "PA.issue"]
    assert said(done)["pa-needed"] == "satisfied"
    assert said(done)["coverage-assertion-id"] == assertion
    # As long as CRD says of the order from then on.
    (period,) = [part["valuePeriod"] for part in said(done)["detail"] if "valuePeriod" in part]
    assert period == {"start": DAY.isoformat(), "end": day(-60)}
    assert said(done).get("expiry-date") == (period["end"] if dtr.version == "2.2" else None)
    assert [purpose(each) for each in (draft, done)] == ["withpa", "retain-doc"]
    # The order's own door knows the number as well.
    again = dtr.http.get(f"/why/{said(done)['satisfied-pa-id']}")
    assert again.status_code == 200


def test_d_a_context_of_nobodys_supplies_nothing(dtr: Dtr, draft: dict[str, Any]) -> None:
    lost = {**draft, "identifier": {"system": CONTEXT, "value": "not-ours"}}
    assert asked(step(dtr, lost)) == asked(step(dtr, draft))


def test_d_whom_crd_knew_is_known_by_the_context_alone(dtr: Dtr, registry: FastAPI) -> None:
    """A child without a number of its own is told by the day it was born on; an app need not send that again,
    and an adaptive form knows an age at most."""
    own = Dtr(TestClient(registry), dtr.version, registry)
    child = coverage("M-parent", relationship=CHILD)
    with registry.state.services.store.transaction() as tx:
        records.put(tx, PATIENT, f"member:M-parent-{PATIENT['birthDate']}", registry.state.services.clock())
    told = context(own.asserted(shoulder(), child))
    assert len(own.packages(resource("coverage", child), told)) == 1
    draft = begun(own, shoulder(), child)
    _, done = interview(own, draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": False})
    assert said(done)["covered"] == "covered"


@pytest.mark.parametrize("card", ["child", "without a number"])
def test_d_the_number_is_the_patients_whom_crd_was_asked_about(dtr: Dtr, card: str) -> None:
    """An age tells nobody apart, nor does an id that every server gives out: the number was lost, and was
    told of the next patient of that id."""
    insured = coverage(f"M-lost-{dtr.version}", relationship=CHILD)
    if card == "without a number":
        insured = {name: part for name, part in insured.items() if name != "subscriberId"}
    order = mri("73221", "M25.511", side="RT", occurrenceDateTime=f"2026-12-1{dtr.version[-1]}")
    draft = begun(dtr, order, insured)
    _, done = interview(dtr, draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": True})
    assert said(done)["satisfied-pa-id"] == dtr.informed(order, insured)["satisfied-pa-id"]
    assert len(dtr.packages(resource("coverage", insured), resource("order", order))) == 1


def test_d_no_number_is_given_unasked(dtr: Dtr) -> None:
    _, draft = began(dtr, "unasked")
    _, done = interview(dtr, draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": False})
    assert said(done)["pa-needed"] == "auth-needed"
    assert "satisfied-pa-id" not in said(done)
    assert purpose(done) == "withpa"


@pytest.mark.parametrize(
    "found", ["an MRI of before", "an MRI that a visit contains", "a therapist who orders"]
)
def test_d_what_crd_found_in_the_chart_holds_for_the_interview(dtr: Dtr, found: str) -> None:
    """No number is given that the request itself would not have got."""
    therapist = concept("http://nucc.org/provider-taxonomy", "225100000X")
    role = {"resourceType": "PractitionerRole", "id": "role", "code": [therapist]}
    mri_before = film("73221", 60)
    visit = {"resourceType": "Encounter", "id": "visit", "status": "finished", "contained": [mri_before]}
    before, order, told = {
        "an MRI of before": (mri_before, shoulder(), "nothing has changed since"),
        "an MRI that a visit contains": (visit, shoulder(), "nothing has changed since"),
        "a therapist who orders": (role, shoulder(requester=ref(role)), "signed by a therapist"),
    }[found]
    card = coverage(f"M-{before['id']}-{dtr.version}")
    given = {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "RPT-INT": "no-change", "PA.issue": True}
    _, done = interview(dtr, begun(dtr, order, card, before), given)
    assert said(done)["pa-needed"] == "auth-needed"
    assert told in said(done)["reason"]["text"]


def test_d_what_crd_found_in_favour_and_no_form_asks_for_holds_too(dtr: Dtr) -> None:
    """An operation calls for contrast. Where only the site was left open, it was told that nothing does."""
    order, card = mri("72158", "M96.1", place="22"), coverage(f"M-favour-{dtr.version}")
    chart = procedure("22612", 300), finding("foot-drop", 3)
    given = {"PATIENT.age": 52, "LS-IMM": "LS-IMM.5", "SOS-SITE": "continuity", "PA.issue": True}
    _, done = interview(dtr, begun(dtr, order, card, *chart), given)
    assert said(done)["pa-needed"] == "satisfied"


def test_d_a_child_whose_age_crd_looked_at_is_a_child_to_the_interview(dtr: Dtr) -> None:
    """Age may stand for treatment under this plan, so CRD had read it. With the age answered there were two
    patients, whose age is nobody's: the hospital was refused to a child.
    """
    order, card = shoulder(place="22"), coverage(f"M-child-{dtr.version}", plan="nia")
    given = UNCOMPLICATED | {"PATIENT.age": 13, "CC-OUT": "resolved", "SOS-SITE": "no-reason"}
    calls, done = interview(dtr, begun(dtr, order, card, birthDate="2013-03-02"), given)
    assert ["SOS-SITE"] not in calls
    assert "hospital" not in said(done)["reason"]["text"]


def test_d_a_form_that_lost_its_order_is_not_concluded(dtr: Dtr) -> None:
    """An EHR kept it under an identifier of its own, and was told that no authorization is needed."""
    _, draft = began(dtr, "lost")
    under_way = answered(step(dtr, draft), {"PATIENT.age": 52})
    own = {**under_way, "identifier": {"system": "https://ehr.example/forms", "value": "17"}}
    status, (issue,) = dtr.refused(dtr.post(NEXT, own))
    assert (status, issue["expression"]) == (404, ["QuestionnaireResponse.identifier"])


def test_d_what_contradicts_the_chart_goes_to_a_person_by_this_door_too(dtr: Dtr) -> None:
    """It had been answered that nothing immediate applies, and the foot drops: by the finding alone a number
    was given.
    """
    order, card = lumbar("M54.16"), coverage(f"M-contradicted-{dtr.version}")
    form = {
        "resourceType": "QuestionnaireResponse",
        "id": "form",
        "status": "completed",
        "questionnaire": "https://payer.example/Questionnaire/mri-lumbar-spine",
        "subject": ref(PATIENT),
        "authored": "2026-11-20",
        "item": [{"linkId": "LS-IMM", "answer": [{"valueCoding": {"system": ANSWER, "code": "none"}}]}],
    }
    draft = begun(dtr, order, card, finding("foot-drop", 3), form)
    _, done = interview(dtr, draft, {"PATIENT.age": 52, "PA.issue": True})
    assert "A person will review" in said(done)["reason"]["text"]


@pytest.mark.parametrize("spares", ["a gold card", "an emergency"])
def test_d_what_crd_spared_authorization_no_form_asks_for(dtr: Dtr, spares: str) -> None:
    """By the answers alone, which tell neither who orders nor where, the interview ended in a denial."""
    gold = {"resourceType": "Practitioner", "id": "dr-gold", "identifier": [GOLD]}
    role = {"resourceType": "PractitionerRole", "id": "role", "practitioner": ref(gold)}
    emergency = {**visit(0), "class": {"code": "EMER"}}
    there = shoulder(encounter=ref(emergency))
    del there["locationCode"]
    order, chart = {
        "a gold card": (shoulder(requester=ref(role)), [role, gold]),
        "an emergency": (there, [emergency]),
    }[spares]
    card = coverage(f"M-{spares}-{dtr.version}")
    (issue,) = dtr.outcome(resource("coverage", card), context(dtr.asserted(order, card, chart)))
    assert "needs no form" in issue["diagnostics"]
    draft = begun(dtr, order, card, *chart)
    _, done = interview(dtr, draft, {"PATIENT.age": 52, "SH-IMM": "none", "CC-DUR.none": True})
    assert said(done)["pa-needed"] == "no-auth"


def test_d_an_interview_about_the_site_alone_counts_at_every_door(dtr: Dtr) -> None:
    """Of cauda equina nothing clinical is asked."""
    order, card = lumbar("G83.4", place="22"), coverage(f"M-site-{dtr.version}", plan="carelon")
    given = {"PATIENT.age": 52, "SOS-SITE": "continuity", "PA.issue": False}
    calls, done = interview(dtr, begun(dtr, order, card), given)
    assert [call[0] for call in calls] == ["PATIENT.age", "SOS-SITE", "PA.issue"]
    assert dtr.informed(order, card, [{**done, "id": "form"}])["pa-needed"] == "satisfied"


def test_d_a_completed_form_is_echoed(dtr: Dtr, draft: dict[str, Any]) -> None:
    _, done = interview(dtr, draft, FACTS | {"SH-IMM": "SH-IMM.2"})
    assert step(dtr, done) == done


def test_d_a_form_that_is_ended_again_says_one_thing_of_a_coverage(dtr: Dtr, draft: dict[str, Any]) -> None:
    """Nothing in sight tells the order: each end had an assertion of its own, and two answers stood there."""
    _, done = interview(dtr, draft, FACTS | UNCOMPLICATED)
    first = said(done)
    _, other = interview(dtr, draft, FACTS | UNCOMPLICATED)
    again = step(dtr, {**done, "status": "in-progress"})
    assert said(again)["coverage-assertion-id"] == first["coverage-assertion-id"]
    assert said(other)["coverage-assertion-id"] != first["coverage-assertion-id"]


@pytest.mark.parametrize("status", ["stopped", "entered-in-error"])
def test_d_a_form_that_was_given_up_is_not_decided(dtr: Dtr, draft: dict[str, Any], status: str) -> None:
    refused, (issue,) = dtr.refused(dtr.post(NEXT, {**draft, "status": status}))
    assert (refused, issue["expression"]) == (400, ["QuestionnaireResponse.status"])


def test_the_lumbar_spine_is_asked_its_own_questions(dtr: Dtr) -> None:
    facts = {"ORDER.cpt": "72148", "ORDER.dx": "M54.16", "ORDER.pos": "11", "PATIENT.age": 52}
    response = step(dtr, answered(step(dtr, package(dtr, order=lumbar()).draft), facts))
    assert "LS-IMM" in asked(response)


@pytest.mark.parametrize(
    "naming",
    [
        {"id": "q1", "derivedFrom": [ADAPTIVE]},
        {"id": "q1", "derivedFrom": [f"{ADAPTIVE}|1.0.0"]},
        {"id": "q1", "url": ADAPTIVE},
        {"id": "mri-adaptive"},
    ],
)
def test_d_the_form_is_found_by_what_it_derives_from_by_its_url_or_by_its_id(
    dtr: Dtr, draft: dict[str, Any], naming: dict[str, Any]
) -> None:
    bare = {k: v for k, v in draft["contained"][0].items() if k not in ("id", "url", "derivedFrom")}
    sent = {**draft, "contained": [{**bare, **naming}], "questionnaire": f"#{naming['id']}"}
    found = step(dtr, sent)
    assert found["questionnaire"] == f"#{naming['id']}" == f"#{found['contained'][0]['id']}"
    assert asked(found)[0] == "ORDER.cpt"


def test_d_what_was_asked_and_answered_stays_as_it_was(dtr: Dtr, draft: dict[str, Any]) -> None:
    sent = answered(step(dtr, draft), FACTS)
    got = step(dtr, {**sent, "status": "half-way"})
    questions, before = got["contained"][0]["item"], sent["contained"][0]["item"]
    assert questions[: len(before)] == before
    assert len(questions) > len(before)
    assert got["item"] == sent["item"]
    assert (got["status"], extension(got, COVERAGE_INFORMATION)) == ("in-progress", None)


def test_v14_b2_a_form_under_way_says_where_it_comes_from_as_the_version_has_it(
    dtr: Dtr, draft: dict[str, Any]
) -> None:
    got = step(dtr, draft)
    (form,) = got["contained"]
    assert form["derivedFrom"] == [f"{ADAPTIVE}|1.0.0"]
    assert form.get("url") == {"2.0": None, "2.2": ADAPTIVE}[dtr.version]
    assert ("text" in form) == (dtr.version == "2.0")
    assert form["title"]
    assert form["subjectType"] == ["Patient"]
    (address,) = values(form, QUESTIONNAIRE_ADAPTIVE)
    assert address == f"http://127.0.0.1:8080{dtr.base}"


def test_v14_2_0_forbids_conditions_in_a_form_under_way(dtr_2_0: Dtr) -> None:
    _, done = interview(dtr_2_0, package(dtr_2_0).draft, FACTS | UNCOMPLICATED)
    contained = done["contained"][0]
    assert "url" not in contained
    assert not any("enableWhen" in item for item in contained["item"])


def test_v14_what_2_0_does_not_say_to_be_left_out_may_be_answered(dtr_2_0: Dtr) -> None:
    """The app shows a score beside the limits, and a box for no treatment that was not ticked. That there was
    a trial and that there was none do not go together.
    """
    given = FACTS | UNCOMPLICATED | {"CC-DUR.none": False, "FUN": "adl-limited"}
    _, done = interview(dtr_2_0, package(dtr_2_0).draft, given)
    assert "and the plan are met" in said(done)["reason"]["text"]
    with pytest.raises(AssertionError, match="none does not apply"):
        interview(dtr_2_0, package(dtr_2_0).draft, given | {"CC-DUR.none": True})


def test_v14_2_2_brings_what_depends_on_an_answer_at_once(dtr_2_2: Dtr) -> None:
    calls, _ = interview(dtr_2_2, package(dtr_2_2).draft, FACTS | UNCOMPLICATED)
    assert ["IMG-XR", "IMG-XR.date"] in calls


def test_d_that_the_clinical_part_is_over_is_said_before_the_question_about_the_number(dtr: Dtr) -> None:
    _, draft = began(dtr, "intro")
    _, done = interview(dtr, draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": False})
    *_, word, question = done["contained"][0]["item"]
    assert (word["linkId"], word["type"]) == ("PA.issue.intro", "display")
    assert question["linkId"] == "PA.issue"


def test_d_an_answer_replaces_the_one_about_the_same_coverage_and_assertion_only(dtr: Dtr) -> None:
    assertion, draft = began(dtr, "again")

    def earlier(card: str, told: str) -> dict[str, Any]:
        parts = [
            {"url": "coverage", "valueReference": {"reference": card}},
            {"url": "covered", "valueCode": "covered"},
            {"url": "pa-needed", "valueCode": "no-auth"},
            {"url": "date", "valueDate": "2026-01-15"},
            {"url": "coverage-assertion-id", "valueString": told},
        ]
        return {"url": COVERAGE_INFORMATION, "extension": parts}

    others = [earlier("Coverage/cov-1", "another"), earlier("Coverage/cov-2", assertion)]
    sent = {**draft, "extension": [*draft["extension"], earlier("Coverage/cov-1", assertion), *others]}
    _, done = interview(dtr, sent, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": False})
    told = [found for found in done["extension"] if found["url"] == COVERAGE_INFORMATION]
    assert told[:2] == others
    (new,) = told[2:]
    assert {"pa-needed", "covered"} <= {part["url"] for part in new["extension"]}


def test_d_what_cannot_be_read_as_an_answer_is_about_nothing_that_was_asked(dtr: Dtr) -> None:
    """It is the EHR's, and stays."""
    _, draft = began(dtr, "unread")
    _, done = interview(dtr, draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": False})
    unread = [
        {"url": COVERAGE_INFORMATION},
        {"url": COVERAGE_INFORMATION, "extension": [{"valueCode": "covered"}]},
        {"url": COVERAGE_INFORMATION, "extension": [{"url": "coverage", "valueString": "Coverage/cov-1"}]},
    ]
    again = {**done, "status": "in-progress", "extension": [*unread, *done["extension"]]}
    got = dtr.post(NEXT, again)
    assert got.status_code == 200, got.text
    told = [e for e in got.json()["extension"] if e["url"] == COVERAGE_INFORMATION]
    assert (told[:3], len(told)) == (unread, 4)


def test_d_a_new_run_replaces_what_the_one_before_decided(dtr: Dtr) -> None:
    assertion, draft = began(dtr, "twice")
    for answer, decision in (
        ({"SH-IMM": "none", "CC-DUR.none": True}, "deny"),
        ({"SH-IMM": "SH-IMM.2"}, "approve"),
    ):
        interview(dtr, draft, {"PATIENT.age": 52, "PA.issue": False, **answer})
        assert dtr.http.get(f"/why/{assertion}").json()["decision"] == decision


def test_d_of_an_interview_nothing_is_kept_but_its_end(dtr: Dtr) -> None:
    services = dtr.app.state.services
    assertion, draft = began(dtr, "kept")
    before = rows(services.store)
    calls, _ = interview(dtr, draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": False})
    after = rows(services.store)
    assert {name for name in after if after[name] != before[name]} == {"exchange"}
    now = services.clock()
    with services.store.reading() as tx:
        every = exchanges.between(tx, "dtr", now, now.replace(year=now.year + 1))
        kept = [
            each.request for each in every if (each.instance, each.operation) == (assertion, "$next-question")
        ]
    assert len(kept) == len(calls) + 1
    (end,) = [request for request in kept if request]
    assert b"SH-IMM.2" in end


@pytest.mark.parametrize("shape", ["bare", "questionnaire-response", "questionnaire-response-in"])
def test_d_the_response_is_taken_bare_and_as_a_parameter(dtr: Dtr, draft: dict[str, Any], shape: str) -> None:
    body = (
        draft
        if shape == "bare"
        else {"resourceType": "Parameters", "parameter": [{"name": shape, "resource": draft}]}
    )
    assert step(dtr, body)["resourceType"] == "QuestionnaireResponse"
    # The narrative of 2.0.1: [url]/$next-question.
    assert dtr.post("$next-question", body).status_code == 200


def test_v20_d_what_does_not_fit_is_refused_with_its_place(dtr: Dtr, draft: dict[str, Any]) -> None:
    first = step(dtr, draft)
    status, issues = dtr.refused(dtr.post(NEXT, first))
    assert status == 400
    assert {i["code"] for i in issues} == {"required"}
    wrong = answered(first, FACTS)
    wrong["item"][0]["item"][0]["answer"] = [{"valueString": "shoulder"}]
    status, issues = dtr.refused(dtr.post(NEXT, wrong))
    assert (status, issues[0]["expression"]) == (400, ["QuestionnaireResponse.item[0].item[0].answer[0]"])
    within = [{"name": "questionnaire-response", "resource": wrong}]
    (issue,) = dtr.refused(dtr.post(NEXT, {"resourceType": "Parameters", "parameter": within}))[1]
    assert issue["expression"] == ["Parameters.parameter[0].resource.item[0].item[0].answer[0]"]
    for age in (-1, 131):
        aged = answered(first, {**FACTS, "PATIENT.age": age})
        assert "from 0 to 130" in dtr.refused(dtr.post(NEXT, aged))[1][0]["diagnostics"]


def test_v20_d_items_that_cannot_be_read_are_not_taken_for_none(dtr: Dtr, draft: dict[str, Any]) -> None:
    form = {**draft["contained"][0], "item": "ORDER"}
    for wrong, place in (({"contained": [form]}, ".contained[0]"), ({"item": [{"linkId": None}]}, "")):
        status, issues = dtr.refused(dtr.post(NEXT, {**draft, **wrong}))
        named = f"QuestionnaireResponse{place}.item" + ("" if place else "[0].linkId")
        assert (status, [issue["expression"] for issue in issues]) == (400, [[named]])


def test_d_a_form_that_is_not_inside_or_not_ours_is_refused(dtr: Dtr, draft: dict[str, Any]) -> None:
    assert dtr.refused(dtr.post(NEXT, {**draft, "questionnaire": "#another"}))[0] == 400
    assert dtr.refused(dtr.post(NEXT, {**draft, "contained": []}))[0] == 400
    nameless = {name: content for name, content in draft["contained"][0].items() if name != "id"}
    assert dtr.refused(dtr.post(NEXT, {**draft, "contained": [nameless], "questionnaire": "#None"}))[0] == 400
    strange = {**draft["contained"][0], "derivedFrom": ["https://elsewhere.example/Questionnaire/x"]}
    strange.pop("url", None)
    assert dtr.refused(dtr.post(NEXT, {**draft, "contained": [strange]}))[0] == 404


def test_the_examinations_are_those_of_the_policies() -> None:
    catalog = the_catalog()
    form = catalog.questionnaire(ADAPTIVE)
    assert form is not None
    offered = {option["code"] for option in Form(form).items["ORDER.cpt"].options}
    assert {code for policy in catalog.policies for code in policy.codes} <= offered


def test_v20_d_a_next_question_is_had_in_time(dtr: Dtr, draft: dict[str, Any]) -> None:
    """The guide allows five seconds for the first, one for the others."""
    response = draft
    started = time.perf_counter()
    response = step(dtr, response)
    assert time.perf_counter() - started < 1
    response = answered(response, FACTS)
    started = time.perf_counter()
    step(dtr, response)
    assert time.perf_counter() - started < 1


def test_d_where_the_rules_cannot_be_evaluated_it_ends_without_a_decision(
    dtr: Dtr, draft: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spent(monkeypatch, "MRIShoulder")
    _, done = interview(dtr, draft, FACTS)
    assert (said(done)["covered"], said(done)["pa-needed"]) == ("conditional", "conditional")
    assert "a person will" in said(done)["reason"]["text"]
