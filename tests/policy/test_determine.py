"""What a determination rests on: the order's patient and nobody else."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from server.policy.case_draft import Fact
from server.policy.cases import Expected, Vignette, case_of
from server.policy.catalog import Catalog
from server.policy.determination import Decision, Determination
from server.policy.determine import determine
from server.policy.request import Chart, Member
from tests.crd.builders import DAY, PATIENT, PHYSICIAN, coverage, film, finding, mri, problem, ref, shoulder
from tests.spent import spent

NOW = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
CHILD = {**PATIENT, "birthDate": f"{DAY.year - 11}-01-01"}
PARENT = {**PATIENT, "id": "parent", "birthDate": f"{DAY.year - 41}-01-01"}


def said(catalog: Catalog, *chart: dict[str, Any]) -> Determination:
    member = Member(key="m", coverage=coverage())
    return determine(shoulder(place="22"), member, Chart([*chart, PHYSICIAN]), catalog.plan("evicore"), NOW)


def test_a_coverage_in_the_chart_is_no_evidence_of_what_the_plan_asks_for(catalog: Catalog) -> None:
    """The server is told the plan; the chart may hold another's card, or an old one."""
    order, member = shoulder(), Member(key="m", coverage=coverage())
    without, beside = (
        determine(order, member, Chart([PATIENT, PHYSICIAN, *more]), catalog.plan("evicore"), NOW)
        for more in ([], [coverage(plan="nia", id="another")])
    )
    assert beside == without


def test_a_question_that_was_answered_is_not_called_unasked(catalog: Catalog) -> None:
    """None of the indications, says the form; an infection of the joint, says the chart."""
    answered = {
        "resourceType": "QuestionnaireResponse",
        "id": "answered",
        "questionnaire": "https://payer.example/Questionnaire/mri-shoulder",
        "status": "completed",
        "subject": ref(PATIENT),
        "authored": DAY.isoformat(),
        "item": [
            {"linkId": "SH-IMM", "answer": [{"valueCoding": {"code": "none"}}]},
            {"linkId": "CC-DUR.none", "answer": [{"valueBoolean": True}]},
        ],
    }
    found = said(catalog, PATIENT, answered, problem("M00.011"), problem("I10"))
    assert found.unmet == ("CNF",)
    assert "asked" not in found.criterion("SH-IMM").sentence
    assert "By the chart, though not by the answer: Infection of joint or bone" in found.reason
    assert "I10" not in found.reason


def test_a_contradiction_about_treatment_is_told(catalog: Catalog) -> None:
    told = {
        "DC-GOAL": Fact("Goal", "achieved", "achievement", 3),
        "DC-START": Fact("ServiceRequest", "injuryDate", "element", None, "D-20"),
    }
    words = {}
    for name, fact in told.items():
        answers = {"SH-IMM": "none", "CC-OUT": "no-change", "CC-DUR.start": "D-50"}
        given = [Fact("QuestionnaireResponse", each, "linkId", 0, value) for each, value in answers.items()]
        wanted = Expected(decision=Decision.PEND)
        vignette = Vignette(
            name, "73221", ("M75.111",), 45, "F", "evicore", wanted, "SH", ("RT",), "11", (*given, fact)
        )
        case = case_of(vignette, DAY, catalog.payer)
        words[name] = determine(case.order, case.member, case.chart, catalog.plan("evicore"), case.now).reason
    assert "by the chart its goal was reached" in words["DC-GOAL"]
    assert "treatment began on 2026-10-01; by the chart the problem began on 2026-10-31" in words["DC-START"]


@pytest.mark.parametrize("people", [(CHILD, PARENT), (PARENT, CHILD)])
def test_a_child_insured_by_a_parent_is_as_old_as_the_child(
    catalog: Catalog, people: tuple[dict[str, Any], ...]
) -> None:
    """A minor needs no reason for the hospital, the parent would."""
    assert "SOS-SITE" not in said(catalog, *people).unknown
    assert "SOS-SITE" in said(catalog, PARENT).unknown


def test_where_a_study_is_done_rests_on_the_order_and_not_on_what_was_found(catalog: Catalog) -> None:
    """An immediate indication excuses both site and rationale; where neither needs one, none is told of."""
    member, normal = Member(key="m", coverage=coverage()), film("73030", 20)
    order = shoulder(place="11")
    found = determine(order, member, Chart([PATIENT, PHYSICIAN, normal]), catalog.plan("evicore"), NOW)
    rests_on = {each.id: {one.reference for one in each.evidence} for each in found.criteria}
    assert rests_on["SOS-SITE"] == {f"ServiceRequest/{order['id']}"}
    assert f"DiagnosticReport/{normal['id']}" in rests_on["IMG-XR"]
    assert f"DiagnosticReport/{normal['id']}" not in rests_on["RAT-OT"]


@pytest.mark.parametrize(
    ("subject", "counts"),
    [
        ("Patient/{id}", True),
        ("https://ehr.example/fhir/Patient/{id}", True),
        ("urn:uuid:8d1b7c0a-0000-4000-8000-000000000001", True),
        ("Patient/somebody", False),
        ("https://ehr.example/fhir/Patient/somebody", False),
    ],
)
def test_a_tumour_counts_for_the_patient_who_has_it(catalog: Catalog, subject: str, counts: bool) -> None:
    """A reference that cannot be compared with the order's is believed."""
    cancer = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": subject.format(id=PATIENT["id"])},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C40.01"}]},
    }
    member = Member(key="m", coverage=coverage())
    told = determine(shoulder(), member, Chart([PATIENT, PHYSICIAN, cancer]), catalog.plan("evicore"), NOW)
    assert (told.decision is Decision.APPROVE) == counts


@pytest.mark.parametrize(
    ("number", "counts"),
    [
        ({"system": "https://ehr.example/mrn", "value": "4711"}, True),
        ({"system": "https://ehr.example/mrn", "value": "4712"}, False),
        ({"system": "https://elsewhere.example/mrn", "value": "4712"}, True),
        ({"value": "4712"}, True),
        ({"system": "https://ehr.example/mrn"}, True),
    ],
)
def test_whose_a_tumour_is_may_be_told_by_a_number_of_the_record(
    catalog: Catalog, number: dict[str, str], counts: bool
) -> None:
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C40.01"}]}
    cancer = {"resourceType": "Condition", "id": "c", "subject": {"identifier": number}, "code": code}
    member = Member(key="m", coverage=coverage())
    told = determine(shoulder(), member, Chart([PATIENT, PHYSICIAN, cancer]), catalog.plan("evicore"), NOW)
    assert (told.decision is Decision.APPROVE) == counts


def test_each_criterion_says_what_it_looked_for_itself(catalog: Catalog) -> None:
    """At the ankle each finding of an examination is a provocative test too: same codes, two questions."""
    order = mri("73721", "M25.571", side="RT")
    told = determine(order, Member("m", coverage()), Chart([PATIENT]), catalog.plan("nia"), NOW)
    looked_for = {each: told.criterion(each).missing[0] for each in ("EXM", "PE-POS")}
    assert looked_for == {
        "EXM": "no Observation with code in Examination of the ankle and foot",
        "PE-POS": "no Observation with code in Provocative tests of the ankle and foot",
    }


def test_what_was_found_and_does_not_count_is_told_by_what_was_looked_for(catalog: Catalog) -> None:
    old = finding("talar-tilt", before=400)
    order = mri("73721", "M25.571", side="RT")
    told = determine(order, Member("m", coverage()), Chart([PATIENT, old]), catalog.plan("nia"), NOW)
    assert told.criterion("PE-POS").missing[0] == (
        "no Observation with code in Provocative tests of the ankle and foot that qualifies "
        f"(Observation/{old['id']} considered)"
    )


def test_the_least_that_leads_to_approval_is_worked_out(catalog: Catalog) -> None:
    """Nobody says which shoulder, nor anything else: the side, and one indication that needs no more, or the
    side and all that is asked of a shoulder without one."""
    order = mri("73221", "M75.111")
    told = determine(
        order, Member("m", coverage()), Chart([PATIENT, PHYSICIAN]), catalog.plan("evicore"), NOW
    )
    assert told.ways == (
        ("COD-LAT", "SH-IMM"),
        ("COD-LAT", "CC-DUR", "IMG-XR", "EXM", "FUN", "CC-MOD", "CC-REC", "CC-OUT", "CC-REEVAL"),
    )


def test_rules_that_tell_of_another_policys_imaging_name_no_policy_where_they_fail(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a limb without its part any policy of the code tells the gate; none is the order's own."""
    order, plan = mri("73221", "R52"), catalog.plan("evicore")
    telling = catalog.any_policy("73221", NOW.date())
    assert telling is not None
    spent(monkeypatch, telling.library)
    told = determine(order, Member("m", coverage()), Chart([PATIENT, PHYSICIAN]), plan, NOW)

    assert told.failure is not None
    assert (told.policy, told.region, told.title) == ("", "", "MRI of a limb")
