"""Only what is missing is asked: after the form's CQL has run over the chart, the questions left open are
those of the unknown criteria that matter, and they fall to none as the chart grows to suffice.

Charts are drawn from facts that each settle one criterion of conservative care, or an indication.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.app import the_catalog
from server.dtr.form import Form, criterion_of
from server.dtr.populate import populate
from server.dtr.routes import TABLES
from server.policy.cases import case_of
from server.policy.catalog import Catalog
from server.policy.determination import Decision, Determination
from server.policy.determine import determine
from server.policy.policies import Policy
from server.policy.request import Chart, Member
from tests.cases import DAY_ZERO, at_the_doors, drafts
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
    "a film": [film("73030", 30), film("72100", 30)],
    "an old film": [film("73030", 300)],
    "an examination": [finding("empty-can", 5, positive=False), finding("slr-positive", 5)],
    "a score": [score("quickdash", 41, 5), score("odi", 40, 5)],
    "a low score": [score("quickdash", 5, 5), score("odi", 4, 5)],
    "pain": [pain(6, 5)],
    "a visit": [visit(3)],
    "a new foot drop": [finding("foot-drop", 4)],
    "an earlier MRI": [procedure("73221", 60), procedure("72148", 60)],
    "occupational therapy": occupational_therapy(50, 1),
}
RESPONSE = "QuestionnaireResponse"
SUFFICIENT = ["six weeks of therapy", "a film", "an examination", "a score", "pain", "a visit"]
ORDERS = {
    "shoulder": shoulder(),
    "shoulder without a side": shoulder(side=""),
    "shoulder in hospital": shoulder(place="22"),
    "frozen shoulder": mri("73221", "M75.01", side="RT"),
    "lumbar spine": lumbar(),
    "lumbar spine in hospital": lumbar(place="19"),
    "lumbar spine, unspecific": lumbar("M54.50"),
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return the_catalog()


def said(catalog: Catalog, order: dict[str, Any], chart: Iterable[dict[str, Any]]) -> Determination:
    """What the policy says under the plan whose parameters the forms carry."""
    member = Member(key="m", coverage=coverage())
    return determine(order, member, Chart([PATIENT, PHYSICIAN, *chart]), catalog.plan("evicore"), NOW)


def asked(catalog: Catalog, order: dict[str, Any], chart: Iterable[dict[str, Any]]) -> set[str]:
    """The criteria whose questions the form leaves open."""
    policy = catalog.policy_for(order, DAY)
    assert policy is not None
    form = catalog.questionnaire(policy.questionnaire)
    assert form is not None
    filling = populate(Form(form), {}, catalog.engine, [PATIENT, PHYSICIAN, order, *chart], NOW, "auto")
    return {criterion_of(link_id) for link_id in filling.asked}


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(ORDERS)), st.sets(st.sampled_from(sorted(FACTS))))
def test_what_stays_open_is_what_is_unknown_and_matters(catalog: Catalog, name: str, facts: set[str]) -> None:
    chart = [resource for fact in sorted(facts) for resource in FACTS[fact]]
    told = said(catalog, ORDERS[name], chart)
    if told.decision is Decision.MORE_INFO:
        assert asked(catalog, ORDERS[name], chart) == set(told.matters)
    elif told.decision is Decision.APPROVE:
        assert asked(catalog, ORDERS[name], chart) == set()


@pytest.mark.parametrize("name", ["shoulder", "lumbar spine"])
def test_the_questions_fall_to_none_as_the_chart_grows_to_suffice(catalog: Catalog, name: str) -> None:
    chart: list[dict[str, Any]] = []
    counts = [len(asked(catalog, ORDERS[name], chart))]
    for fact in SUFFICIENT:
        chart += FACTS[fact]
        counts.append(len(asked(catalog, ORDERS[name], chart)))
    assert counts[-1] == 0
    assert said(catalog, ORDERS[name], chart).decision is Decision.APPROVE


PLANS_OF_THE_FORMS = ("evicore", "reviewed")
"""Forms carry the parameters of these; under others a standard form may ask for more or less than matters."""


def test_over_the_cases_what_is_left_to_ask_is_what_is_unknown_and_matters(catalog: Catalog) -> None:
    """Of every case, with its chart, and none of its answers nor of the payer's records, which no form sees.
    An order that is at fault itself is asked to be mended, and what will matter then is asked along."""
    seen = dict.fromkeys(Decision, 0)
    for vignette in at_the_doors():
        case = case_of(vignette, DAY_ZERO, catalog.payer)
        policy = catalog.policy_for(case.order, case.day_zero)
        if policy is None or case.plan not in PLANS_OF_THE_FORMS or drafts(case) > 1:
            continue
        chart = [dict(each) for each in case.chart.resources if each["resourceType"] != RESPONSE]
        member = replace(case.member, records=())
        told = determine(case.order, member, Chart(chart), catalog.plan(case.plan), case.now)
        if told.decision is Decision.DENY or not told.pa_needed:
            continue
        seen[told.decision] += 1
        matters = set(told.matters) if told.decision is Decision.MORE_INFO else set()
        at_fault = any(criterion.startswith("COD-") for criterion in told.unmet)
        # Of the spine, a film is asked for the sake of the indication that it may show.
        film = {"IMG-XR"} if policy.immediate in matters and not policy.joint else set()
        for asked in left_open(catalog, policy, [dict(case.order), *chart], case.now):
            assert matters <= asked, case.id
            assert at_fault or asked - film <= matters, case.id
    assert seen[Decision.MORE_INFO] > 20
    assert seen[Decision.APPROVE] > 5


def left_open(
    catalog: Catalog, policy: Policy, chart: list[dict[str, Any]], now: dt.datetime
) -> Iterator[set[str]]:
    """The criteria whose questions each version's form leaves open."""
    neutral = catalog.questionnaire(policy.questionnaire)
    assert neutral is not None
    filling = populate(Form(neutral), {}, catalog.engine, chart, now, "auto")
    for table in TABLES.values():
        shown = Form(table.questionnaire(dict(neutral), lambda library: library))
        yield {criterion_of(link_id) for link_id in replace(filling, form=shown, answers={})._settled().asked}
