"""Prefill really works: another engine, as a DTR client runs it, fills the forms as ours does.

`cql-execution` gets nothing but what packages bring (their ELM and value sets; no parameter, not even the
order) and charts of an example EHR; the filled forms must be the same. Every region is asked about cases of
its own, one of each outcome. Where Node is not installed, its answers of an earlier run stand in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.app import the_catalog
from server.dtr.form import Element, Form, define_of
from server.dtr.populate import Prefill, elm_of, populate
from server.dtr.response import answers_of
from server.elm import Engine
from server.policy.cases import Case, case_of, read
from server.policy.determination import Decision
from tests.cases import OWN, drafts
from tests.crd.builders import DAY, PATIENT, coverage, lumbar, mri, shoulder
from tests.dtr.conftest import Dtr, Package, named, resource
from tests.dtr.forms import FOLDER, form
from tests.dtr.interviews import package
from tests.oracle import Oracle, recorded

Json = dict[str, Any]

STORED = Path(__file__).with_name("prefill.json")
REGIONS = sorted({path.stem.removeprefix("mri-") for path in FOLDER.glob("mri-*.json")} - {"adaptive"})
ADAPTIVE_FORM = "mri-adaptive"
PLANS = "MRIPlan"
CANONICAL = "https://payer.example/Questionnaire"
INSTANT = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
NOW = INSTANT.strftime("%Y-%m-%dT%H:%M:%S.000+00:00")

NIA = {"resourceType": "Organization", "id": "nia", "identifier": [{"value": "nia"}]}


class Foreign(Prefill):
    """The form's expressions with the values that another engine found."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def value(self, expression: Element) -> Any:
        return plain(self._values[define_of(expression)[1]])


def plain(value: Any) -> Any:
    """A value in the oracle's normal form as an answer is made of it."""
    match value:
        case list():
            return [plain(each) for each in value]
        case {"codes": codes}:
            return codes[0]["code"] if codes else None
        case {"code": code}:
            return code
        case {"value": number}:
            return Decimal(str(number))
        case float():
            return Decimal(str(value))
    return value


def cases(region: str) -> list[Case]:
    """The fullest case of each outcome that is about one order; of approvals, one under NIA."""
    chosen: dict[Any, tuple[tuple[bool, int], Case]] = {}
    for each in read(OWN / f"{region}.json"):
        case = case_of(each, DAY, the_catalog().payer)
        kind = (each.expected.decision, each.expected.pa_needed)
        of_nia = each.rbm == "nia" and each.expected.decision is Decision.APPROVE
        weight = (of_nia, len(case.resources))
        if drafts(case) == 1 and (kind not in chosen or weight > chosen[kind][0]):
            chosen[kind] = (weight, case)
    return [case for _, case in chosen.values()]


def charts(region: str) -> dict[str, list[Json]]:
    """What an EHR holds, the order among it."""
    told = cases(region)
    order = dict(told[0].order)
    coding = [{"display": "MRI"}, *order["code"]["coding"]]
    return {
        "the order alone": [dict(told[0].patient), order],
        "a coding without a code": [dict(told[0].patient), {**order, "code": {"coding": coding}}],
        "a side in words": [
            dict(told[0].patient),
            {**order, "bodySite": [], "code": {**order["code"], "text": "MRI, LEFT"}},
        ],
        **{
            case.id: [
                dict(each) for each in case.resources if each["resourceType"] != "QuestionnaireResponse"
            ]
            for case in told
        },
    }


def covered_charts() -> dict[str, list[Json]]:
    """One order of each kind, covered in every way that names a plan, or none."""
    by_nia = {name: told for name, told in coverage().items() if name != "class"}
    coverages: dict[str, list[Json]] = {
        **{plan: [coverage(plan=plan)] for plan in ("evicore", "carelon", "nia", "reviewed", "unheard of")},
        "NIA as the payor": [{**by_nia, "payor": [{"reference": "Organization/nia"}]}, NIA],
        "cancelled": [coverage(plan="nia", status="cancelled")],
        "none": [],
        "two": [coverage(plan="unheard of"), coverage(plan="carelon")],
    }
    orders = {
        "shoulder": shoulder(),
        "neck": mri("72141-26", "M54.12"),
        "back": lumbar(),
        "brain": mri("70551", "R51.9"),
    }
    return {
        f"{place}, {how}": [PATIENT, *covers, order]
        for place, order in orders.items()
        for how, covers in coverages.items()
    }


def defines(form: Form) -> list[str]:
    """What the form's items name."""
    expressions = (
        expression
        for item in form.items.values()
        for expression in (item.initial_expression, item.gate)
        if expression
    )
    return sorted({define_of(expression)[1] for expression in expressions})


def asked_of_the_other_engine(everything: Package) -> Json:
    """By region, chart and define."""
    libraries = [elm_of(library) for library in everything.libraries]
    found: Json = {}
    with Oracle(libraries, everything.value_sets) as oracle:
        for region in REGIONS:
            for wanted in (form(f"mri-{region}"), form(ADAPTIVE_FORM)):
                (canonical,) = wanted.libraries
                library = canonical.partition("|")[0].rpartition("/")[2]
                answers = oracle.evaluate(
                    library, charts(region), now=NOW, defines=defines(wanted), helped=False
                ).results
                for chart, values in answers.items():
                    found.setdefault(region, {}).setdefault(chart, {}).update(values)
        found[PLANS] = oracle.evaluate(PLANS, covered_charts(), now=NOW, helped=False).results
    return found


@pytest.fixture(scope="module")
def everything(app: FastAPI) -> Package:
    """The adaptive form's package: the CQL of every region, and in 2.0.1 every value set."""
    return package(Dtr(TestClient(app), "2.0", app))


@pytest.fixture(scope="module")
def engine(everything: Package) -> Engine:
    return everything.engine()


@pytest.fixture(scope="module")
def told(everything: Package) -> Json:
    return recorded(STORED, lambda: asked_of_the_other_engine(everything))


@pytest.mark.parametrize("region", REGIONS)
def test_another_engine_fills_the_form_as_ours_does(
    dtr: Dtr, region: str, told: Json, engine: Engine, everything: Package
) -> None:
    (found,) = dtr.packages(resource("coverage", coverage()), named(f"{CANONICAL}/mri-{region}"))
    assert {each["name"]: elm_of(each) for each in found.libraries}.items() <= {
        each["name"]: elm_of(each) for each in everything.libraries
    }.items()
    filled = 0
    for name, chart in charts(region).items():
        assert not [define for define, value in told[region][name].items() if _raised(value)], name
        ours = populate(found.form, found.draft, engine, chart, INSTANT, "auto")
        theirs = replace(
            ours, prefill=Foreign(told[region][name]), answers=answers_of(found.draft)
        )._settled()
        assert theirs.answers == ours.answers, name
        assert theirs.asked == ours.asked, name
        filled += len(ours.answers)
    assert filled, "charts that fill nothing prove nothing"


@pytest.mark.parametrize("region", REGIONS)
def test_another_engine_reads_the_orders_facts_as_ours_does(region: str, told: Json, engine: Engine) -> None:
    for name, chart in charts(region).items():
        ours = populate(form(ADAPTIVE_FORM), {}, engine, chart, INSTANT, "auto")
        theirs = replace(ours, prefill=Foreign(told[region][name]), answers={})._settled()
        assert theirs.answers == ours.answers, name
        assert {"ORDER.cpt", "ORDER.dx", "ORDER.pos", "PATIENT.age"} <= set(ours.answers), name


def test_another_engine_knows_the_plan_and_what_it_asks_for_as_ours_does(told: Json, engine: Engine) -> None:
    """By the Coverage in the chart and the study ordered; the server is not asked."""
    for name, chart in covered_charts().items():
        run = engine.evaluate(PLANS, data=chart, now=INSTANT)
        for define in set(engine.defines(PLANS)) - {"Patient"}:
            assert told[PLANS][name].get(define) == run[define].value, (name, define)
    asked = told[PLANS]
    for how in ("nia", "NIA as the payor"):
        weeks = [asked[f"{place}, {how}"].get("ccWeeks") for place in ("shoulder", "neck", "back", "brain")]
        assert weeks == [4, 6, 6, None]
    for how in ("evicore", "reviewed", "unheard of", "cancelled", "none"):
        assert asked[f"neck, {how}"] == {**asked["neck, evicore"], "Plan": asked[f"neck, {how}"]["Plan"]}
    assert [asked[f"neck, {how}"]["xrFirst"] for how in ("evicore", "carelon", "two")] == [False, True, True]


def _raised(value: Any) -> bool:
    return isinstance(value, dict) and "error" in value
