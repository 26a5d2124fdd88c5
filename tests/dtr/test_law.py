"""Only what is missing is asked: after the form's CQL has run over the chart, the questions left open are
those of the unknown criteria that matter, and they fall to none as the chart grows to suffice. Under every
plan: the server is told which it is, the form's CQL finds it in the chart's Coverage.

Charts are drawn from facts that each settle one criterion of conservative care, or an indication.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.dtr.form import Form, criterion_of
from server.dtr.populate import Filling, populate
from server.dtr.routes import TABLES
from server.policy.cases import case_of
from server.policy.catalog import Catalog, Plan
from server.policy.determination import Decision, Determination, Met
from server.policy.determine import determine
from server.policy.policies import Policy
from server.policy.request import Chart, Member
from tests.cases import DAY_ZERO, at_the_doors, drafts, named
from tests.crd.builders import (
    DAY,
    PATIENT,
    PHYSICIAN,
    coverage,
    film,
    finding,
    lumbar,
    mri,
    nsaid,
    occupational_therapy,
    pain,
    procedure,
    score,
    shoulder,
    therapy,
    visit,
)

NOW = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
FACTS: dict[str, list[dict[str, Any]]] = {
    "six weeks of therapy": [*therapy(56, 0), nsaid(56, 56)],
    "three weeks of therapy": therapy(21, 0),
    "therapy long ago": therapy(200, 150),
    "a film": [film("73030", 30), film("72040", 30), film("72070", 30), film("72100", 30)],
    "an old film": [film("73030", 300)],
    "an examination": [
        finding(each, 5, positive=False) for each in ("empty-can", "slr-positive", "reflex-loss")
    ],
    "a positive test": [finding("empty-can", 5)],
    "a score": [score("quickdash", 41, 5), score("odi", 40, 5), score("ndi", 20, 5)],
    "a low score": [score("quickdash", 5, 5), score("odi", 4, 5), score("ndi", 4, 5)],
    "pain": [pain(6, 5)],
    "a visit": [visit(3)],
    "a new foot drop": [finding("foot-drop", 4)],
    "an earlier MRI": [procedure("73221", 60), procedure("72148", 60)],
    "occupational therapy": occupational_therapy(50, 1),
}
RESPONSE = "QuestionnaireResponse"
PLANS = ("evicore", "carelon", "nia")
"""One of each benefit manager."""
CHARTED = {
    "SH-297": "a score made for another region",
    "SH-E69": "a limitation on the list of problems",
    "TS-108": "acupuncture alone, which no answer names",
}
"""Cases of which only the chart says what the form would ask."""
SUFFICIENT = ["six weeks of therapy", "a film", "an examination", "a score", "pain", "a visit"]
ORDERS = {
    "shoulder": shoulder(),
    "shoulder without a side": shoulder(side=""),
    "shoulder in hospital": shoulder(place="22"),
    "frozen shoulder": mri("73221", "M75.01", side="RT"),
    "cervical spine": mri("72141", "M54.12"),
    "thoracic spine": mri("72146", "M54.14"),
    "lumbar spine": lumbar(),
    "lumbar spine in hospital": lumbar(place="19"),
    "lumbar spine, unspecific": lumbar("M54.50"),
}


def said(
    catalog: Catalog, plan: str, order: dict[str, Any], chart: Iterable[dict[str, Any]]
) -> Determination:
    member = Member(key="m", coverage=coverage(plan=plan))
    return determine(order, member, Chart([PATIENT, PHYSICIAN, *chart]), catalog.plan(plan), NOW)


def filled(catalog: Catalog, plan: str, order: dict[str, Any], chart: Iterable[dict[str, Any]]) -> Filling:
    policy = catalog.policy_for(order, DAY)
    assert policy is not None
    form = catalog.questionnaire(policy.questionnaire)
    assert form is not None
    seen = [PATIENT, PHYSICIAN, coverage(plan=plan), order, *chart]
    return populate(Form(form), {}, catalog.engine, seen, NOW, "auto")


def asked(filling: Filling, matters: set[str]) -> set[str]:
    """The criteria whose questions the form leaves open. Findings are offered, none is required: where one
    matters, it is asked for by being offered."""
    offered = {"PE-POS"} if any(link_id.startswith("EXM.") for link_id in filling.open) else set()
    return {criterion_of(link_id) for link_id in filling.asked} | (offered & matters)


def along(told: Determination, plan: Plan, policy: Policy) -> set[str]:
    """What is asked together with the immediate indication, since it may matter once none applies: of the
    spine the film that may show one, of a joint the examination, where it alone may carry the case."""
    if policy.immediate not in told.matters:
        return set()
    alone = plan.parameters(policy)["examWaiver"]
    return ({"EXM"} if alone else set()) if policy.joint else {"IMG-XR"}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(PLANS), st.sampled_from(sorted(ORDERS)), st.sets(st.sampled_from(sorted(FACTS))))
def test_what_stays_open_is_what_is_unknown_and_matters(
    catalog: Catalog, plan: str, name: str, facts: set[str]
) -> None:
    order, chart = ORDERS[name], [resource for fact in sorted(facts) for resource in FACTS[fact]]
    policy, told = catalog.policy_for(order, DAY), said(catalog, plan, order, chart)
    assert policy is not None
    matters = set(told.matters) if told.decision is Decision.MORE_INFO else set()
    if told.decision in (Decision.MORE_INFO, Decision.APPROVE):
        found = asked(filled(catalog, plan, order, chart), matters)
        assert matters <= found <= matters | along(told, catalog.plan(plan), policy)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", ["shoulder", "cervical spine", "lumbar spine"])
def test_the_questions_fall_to_none_as_the_chart_grows_to_suffice(
    catalog: Catalog, plan: str, name: str
) -> None:
    chart: list[dict[str, Any]] = []
    counts = [len(filled(catalog, plan, ORDERS[name], chart).asked)]
    for fact in SUFFICIENT:
        chart += FACTS[fact]
        counts.append(len(filled(catalog, plan, ORDERS[name], chart).asked))
    assert counts[-1] == 0
    assert said(catalog, plan, ORDERS[name], chart).decision is Decision.APPROVE


def test_a_mix_of_which_the_answers_name_but_a_part_is_not_told_in_part(catalog: Catalog) -> None:
    """Under NIA, therapy with ultrasound suffices; therapy alone, as the form has it, would be denied."""
    chart = [*therapy(56, 0), *(procedure("97035", before) for before in range(56, -1, -14))]
    filling = filled(catalog, "nia", shoulder(), chart)

    assert said(catalog, "nia", shoulder(), chart).criterion("CC-MOD").value is Met.YES
    assert "CC-DUR.start" in filling.answers
    assert not {"CC-DUR.modalities"} & {*filling.answers, *filling.asked}


def goal(achieved: str) -> dict[str, Any]:
    return {
        "resourceType": "Goal",
        "id": achieved,
        "lifecycleStatus": "active",
        "achievementStatus": {"coding": [{"code": achieved}]},
        "statusDate": str(DAY - dt.timedelta(days=5)),
    }


def stated(outcome: str) -> dict[str, Any]:
    """An earlier form, of which the outcome is told."""
    return {
        "resourceType": "QuestionnaireResponse",
        "id": outcome,
        "status": "completed",
        "questionnaire": "https://payer.example/Questionnaire/mri-shoulder",
        "authored": f"{DAY}T09:00:00Z",
        "item": [{"linkId": "CC-OUT", "answer": [{"valueCoding": {"code": outcome}}]}],
    }


@pytest.mark.parametrize(
    ("chart", "told"),
    [
        ([pain(7, 56), pain(6, 5)], "no-change"),
        ([pain(8, 56), pain(6, 5)], None),
        ([pain(6, 5), goal("not-achieved")], "no-change"),
        ([pain(6, 5), goal("worsening")], "worse"),
        ([pain(6, 5), goal("achieved")], None),
        ([goal("not-achieved"), goal("achieved")], None),
        ([pain(1, 5), goal("not-achieved")], None),
        ([pain(1, 15), goal("not-achieved")], "no-change"),
        ([pain(6, 5), stated("worse")], None),
    ],
)
def test_an_outcome_is_told_where_the_chart_tells_one_alone(
    catalog: Catalog, chart: list[dict[str, Any]], told: str | None
) -> None:
    """Told as "no change", pain that eased, or success beside failure, would contradict the chart, and pain
    that is as it was would contradict who said that it is worse. Where it shows all the same that care
    failed, nothing is asked."""
    impaired = score("quickdash", 41, 5)
    filling = filled(catalog, "evicore", shoulder(), [*therapy(56, 0), impaired, *chart])

    assert [each["valueCoding"]["code"] for each in filling.answers.get("CC-OUT", [])] == (
        [told] if told else []
    )
    assert "CC-OUT" not in filling.asked


@pytest.mark.parametrize(("plan", "first"), [("evicore", False), ("carelon", True), ("nia", False)])
def test_before_an_mri_of_the_neck_or_back_a_film_is_asked_for_under_some_plans(
    catalog: Catalog, plan: str, first: bool
) -> None:
    for name in ("cervical spine", "thoracic spine"):
        assert ("IMG-XR" in filled(catalog, plan, ORDERS[name], []).asked) is first
    assert "IMG-XR" not in filled(catalog, plan, ORDERS["lumbar spine"], []).asked
    assert "IMG-XR" in filled(catalog, plan, ORDERS["shoulder"], []).asked


def test_over_the_cases_what_is_left_to_ask_is_what_is_unknown_and_matters(catalog: Catalog) -> None:
    """Of every case, with its chart, and none of its answers nor of the payer's records, which no form sees.
    An order that is at fault itself is asked to be mended, and what will matter then is asked along."""
    seen = dict.fromkeys(Decision, 0)
    for vignette in (*at_the_doors(), *named(*CHARTED)):
        case = case_of(vignette, DAY_ZERO, catalog.payer)
        policy = catalog.policy_for(case.order, case.day_zero)
        if policy is None or drafts(case) > 1:
            continue
        chart = [dict(each) for each in case.chart.resources if each["resourceType"] != RESPONSE]
        member = replace(case.member, records=())
        told = determine(case.order, member, Chart(chart), catalog.plan(case.plan), case.now)
        if told.decision is Decision.DENY or not told.pa_needed:
            continue
        seen[told.decision] += 1
        matters = set(told.matters) if told.decision is Decision.MORE_INFO else set()
        at_fault = any(criterion.startswith("COD-") for criterion in told.unmet)
        also = along(told, catalog.plan(case.plan), policy)
        seen_by_the_ehr = [dict(case.order), dict(case.coverage), *chart]
        for filling in fillings(catalog, policy, seen_by_the_ehr, case.now):
            found = asked(filling, matters)
            assert matters <= found, case.id
            assert at_fault or found <= matters | also, case.id
        # Confirmed as it was filled, the form leaves the decision as it was.
        response = filling.response("completed", case.now)
        confirmed = {**response, "resourceType": RESPONSE, "questionnaire": policy.questionnaire}
        then = determine(case.order, member, Chart([*chart, confirmed]), catalog.plan(case.plan), case.now)
        assert (then.decision, then.unmet, then.unknown) == (told.decision, told.unmet, told.unknown), case.id
    assert seen[Decision.MORE_INFO] > 20
    assert seen[Decision.APPROVE] > 5


def fillings(
    catalog: Catalog, policy: Policy, chart: list[dict[str, Any]], now: dt.datetime
) -> Iterator[Filling]:
    """Each version's form as the chart fills it."""
    neutral = catalog.questionnaire(policy.questionnaire)
    assert neutral is not None
    filling = populate(Form(neutral), {}, catalog.engine, chart, now, "auto")
    for table in TABLES.values():
        shown = Form(table.questionnaire(dict(neutral), lambda library: library))
        yield replace(filling, form=shown, answers={})._settled()
