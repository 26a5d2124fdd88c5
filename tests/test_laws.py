"""What holds whatever the chart: the doors agree, evidence in favour never hurts, silence is never a no, and
the same question gets the same answer."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from server import inside
from server.app import the_catalog
from server.demo.ehr import CoverageInformation, Ehr
from server.pas.cases import Told
from server.policy.case_draft import Fact
from server.policy.cases import Case, Expected, Vignette, case_of
from server.policy.determination import Decision, Determination, Met
from server.policy.determine import determine
from server.policy.request import Chart
from tests.conftest import at_noon
from tests.validation.mutants import holder_of, walked

DAY = dt.date(2026, 11, 20)
PLANS = ("evicore", "carelon", "nia", "reviewed", "no-imaging-pa")
DATED = ("effectiveDateTime", "performedDateTime", "authoredOn", "recordedDate", "statusDate")
_numbers = count(1)


@dataclass(frozen=True)
class Region:
    """An order of a region, and what speaks for it."""

    name: str
    cpt: str
    modifiers: tuple[str, ...]
    diagnosis: str
    film: str
    finding: str
    score: str
    red_flag: str


REGIONS = (
    Region("SH", "73221", ("RT",), "M75.111", "73030", "empty-can", "quickdash", "drop-arm"),
    Region("LS", "72148", (), "M54.16", "72100", "slr-positive", "odi", "saddle-anesthesia"),
    Region("CS", "72141", (), "M54.12", "72040", "spurling", "ndi", "hyperreflexia"),
)


def fact(kind: str, system: str, code: str, before: int, value: Any = None) -> Fact:
    return Fact(type=kind, code=code, system=system, date=before, value=value)


def therapy(*days: int, **value: str) -> list[Fact]:
    return [fact("Procedure", "cpt", "97110", day, value or None) for day in days]


def supporting(region: Region) -> Mapping[str, Sequence[Fact]]:
    """Each of these speaks for the MRI, alone or with others."""
    return {
        "eight weeks of therapy": therapy(*range(56, -1, -7)),
        "eight weeks of occupational therapy": therapy(*range(56, -1, -7), modifier="GO"),
        "three weeks of therapy": therapy(21, 14, 7, 0),
        "an anti-inflammatory drug": [fact("MedicationRequest", "rxnorm", "5640", 56, {"supplyDays": 56})],
        "a plain film": [fact("DiagnosticReport", "cpt", region.film, 30, {"result": "normal"})],
        "an older plain film": [fact("DiagnosticReport", "cpt", region.film, 50, {"result": "normal"})],
        "a positive test": [fact("Observation", "exam", region.finding, 3, "positive")],
        "a low function": [fact("Observation", "score", region.score, 3, 50)],
        "pain": [fact("Observation", "loinc", "72514-3", 2, 7)],
        "seen again": [fact("Encounter", "cpt", "99213", 1)],
        "a sign of urgency": [fact("Observation", "exam", region.red_flag, 1, "positive")],
        "an OT plan of care": [
            fact("CarePlan", "sct", "84478008", 40, {"goals": True, "referencesOrder": True})
        ],
    }


def against(region: Region) -> Mapping[str, Sequence[Fact]]:
    """What speaks against it, or makes it another case."""
    form = "QuestionnaireResponse"
    return {
        "a good function": [fact("Observation", "score", region.score, 1, 2)],
        "four weeks, attested": [
            fact(form, "linkId", "CC-DUR.start", 0, "D-28"),
            fact(form, "linkId", "CC-DUR.end", 0, "D-0"),
        ],
        "nothing urgent, attested": [fact(form, "linkId", f"{region.name}-IMM", 0, "none")],
        "no treatment, attested": [fact(form, "linkId", "CC-DUR.none", 0, True)],
        "cured": [fact(form, "linkId", "CC-OUT", 0, "resolved")],
        "the same MRI lately": [fact("Procedure", "cpt", region.cpt, 60)],
        "a lapsed coverage": [fact("Coverage", "status", "coverage", 0, "inactive")],
    }


def laid_out(region: Region, facts: Sequence[Fact], plan: str = "evicore") -> Case:
    vignette = Vignette(
        id=f"law-{next(_numbers)}",
        region=region.name,
        cpt=region.cpt,
        modifiers=region.modifiers,
        icd10=(region.diagnosis,),
        age=52,
        sex="F",
        rbm=plan,
        facts=tuple(facts),
        expected=Expected(decision=Decision.APPROVE),
    )
    return case_of(vignette, DAY, the_catalog().payer)


def said(case: Case, chart: Chart | None = None) -> Determination:
    plan = the_catalog().plan(case.plan)
    return determine(case.order, case.member, chart or case.chart, plan, case.now)


regions = st.sampled_from(REGIONS)


@st.composite
def charts(draw: st.DrawFn, *, only_supporting: bool = False) -> tuple[Region, list[Fact]]:
    region = draw(regions)
    offered = {**supporting(region), **({} if only_supporting else against(region))}
    names = draw(st.lists(st.sampled_from(sorted(offered)), unique=True))
    return region, [each for name in names for each in offered[name]]


@settings(max_examples=40, deadline=None)
@given(charts(only_supporting=True), st.data())
def test_more_evidence_in_favour_never_turns_an_approval(
    drawn: tuple[Region, list[Fact]], data: st.DataObject
) -> None:
    region, facts = drawn
    more = supporting(region)
    added = data.draw(st.sampled_from(sorted(more)))
    before, after = said(laid_out(region, facts)), said(laid_out(region, [*facts, *more[added]]))
    if before.decision is Decision.APPROVE:
        assert after.decision in (Decision.APPROVE, Decision.MORE_INFO), (added, after.reason)
        if after.decision is Decision.MORE_INFO:
            assert set(after.unmet) | set(after.unknown) <= {"RAT-OT"}, (added, after.reason)


@settings(max_examples=40, deadline=None)
@given(charts(only_supporting=True), st.sampled_from(PLANS))
def test_silence_is_unknown_and_never_a_no(drawn: tuple[Region, list[Fact]], plan: str) -> None:
    region, facts = drawn
    determination = said(laid_out(region, facts, plan))
    assert determination.decision in (Decision.APPROVE, Decision.MORE_INFO), determination.reason
    blocked = [c.id for c in determination.criteria if c.in_the_way and c.value is Met.NO]
    assert not blocked, determination.reason


@settings(max_examples=30, deadline=None)
@given(charts() | charts(only_supporting=True), st.sampled_from(PLANS), st.integers())
def test_the_same_chart_in_whatever_order_gets_the_same_answer(
    drawn: tuple[Region, list[Fact]], plan: str, seed: int
) -> None:
    region, facts = drawn
    case = laid_out(region, facts, plan)
    shuffled = list(case.chart.resources)
    Random(seed).shuffle(shuffled)
    one, other = said(case), said(case, Chart(shuffled))
    assert said(case).to_json() == one.to_json()
    for name in ("decision", "unmet", "unknown", "theme", "gate"):
        assert getattr(one, name) == getattr(other, name), name


SPOILT: Mapping[str, Mapping[str, Any]] = {
    "another's": {"subject": {"reference": "https://ehr.example/fhir/Patient/another"}},
    "a group's": {"subject": {"reference": "Group/household"}},
    "of the mother": {"focus": [{"reference": "RelatedPerson/mother"}]},
    "in error": {"status": "entered-in-error"},
    "unknown": {"status": "unknown"},
    "reversed": {"modifierExtension": [{"url": "https://ehr.example/not", "valueBoolean": True}]},
    "to come": dict.fromkeys(DATED, "2027-01-01"),
    "of another kind": {"code": {"text": "negative"}},
}
TOLD_OTHERWISE: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "by the minute": lambda told: {k: f"{v}T23:59:00-10:00" if k in DATED else v for k, v in told.items()},
    "as a span": lambda told: _renamed(told, lambda day: {"start": day, "end": day}),
    "as a span of which the end is known": lambda told: _renamed(told, lambda day: {"end": day}),
    "with codes of a clinic": lambda told: (
        {**told, "code": _beside(told["code"])} if "code" in told else told
    ),
    "amended": lambda told: {**told, "status": "amended"} if told.get("status") == "final" else told,
}


def _renamed(told: Mapping[str, Any], span: Callable[[str], Any]) -> Mapping[str, Any]:
    return {
        k.replace("DateTime", "Period"): span(v) if k in ("effectiveDateTime", "performedDateTime") else v
        for k, v in told.items()
    }


def _beside(code: Mapping[str, Any]) -> Mapping[str, Any]:
    own = {"system": "urn:oid:1.2.840.114350.1.13", "code": "X9", "display": "Own", "userSelected": True}
    return {"coding": [own, *code["coding"]], "text": "In our words"}


def outcome(determination: Determination) -> Any:
    return determination.decision, [(each.id, each.value) for each in determination.criteria]


def one_of_each(region: Region) -> Case:
    """All that speaks for the MRI, of therapy one visit at each end."""
    facts = [each for name, facts in supporting(region).items() for each in (facts[0], facts[-1])]
    return laid_out(region, facts)


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_spoilt_counts_as_if_it_were_not_there(spoilt: str) -> None:
    """All records of a kind at once: then they matter."""
    case = one_of_each(REGIONS[sorted(SPOILT).index(spoilt) % len(REGIONS)])
    for kind in {each["resourceType"] for each in case.clinical}:
        rest = [each for each in case.chart.resources if each["resourceType"] != kind]
        records = [each for each in case.clinical if each["resourceType"] == kind]
        changed = [
            {
                **each,
                **{k: v for k, v in SPOILT[spoilt].items() if k in {*each, "focus", "modifierExtension"}},
            }
            for each in records
        ]
        if all(one != other for one, other in zip(changed, records, strict=True)):
            without, beside = said(case, Chart(rest)), said(case, Chart([*rest, *changed]))
            assert outcome(beside) == outcome(without), (kind, beside.reason)


@pytest.mark.parametrize("how", TOLD_OTHERWISE)
@pytest.mark.parametrize("region", REGIONS, ids=lambda each: each.name)
def test_what_means_the_same_comes_to_the_same(region: Region, how: str) -> None:
    case = one_of_each(region)
    told = [TOLD_OTHERWISE[how](each) for each in case.clinical]
    assert outcome(said(case, Chart([*case.parties, *told]))) == outcome(said(case))


@pytest.mark.parametrize("region", REGIONS, ids=lambda each: each.name)
def test_no_day_and_no_number_of_a_record_stops_a_determination(region: Region) -> None:
    """Some systems write the year 9999 for "without end", and slips of a key are of any size."""
    case = laid_out(region, [each for facts in supporting(region).values() for each in facts])
    endless = {key: told for key, told in case.coverage.items() if key != "period"}
    case = replace(case, coverage=endless)
    records = [{**case.order, "occurrenceDateTime": "2026-11-27"}, *case.chart.resources]
    for number, record in enumerate(records):
        for path, value in walked(record):
            far: Sequence[Any] = ()
            if isinstance(value, str) and value.startswith("2026-"):
                far = ("0001-01-01", "9999-12-31")
            elif isinstance(value, int) and not isinstance(value, bool):
                far = (-(10**9), 10**25)
            for strange in far:
                told = copy.deepcopy(records)
                holder_of(told[number], path)[path[-1]] = strange
                said(replace(case, order=told[0]), Chart(told[1:]))


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    with at_noon(tmp_path_factory.mktemp("laws")) as app:
        yield app


@pytest.mark.parametrize("version", ["2.0", "2.2"])
def test_the_doors_agree(application: FastAPI, version: str) -> None:
    """CRD and PAS, each asked first by a member of its own, and the rules beside them."""

    @settings(max_examples=25, deadline=None)
    @given(charts() | charts(only_supporting=True), st.sampled_from(PLANS))
    def agree(drawn: tuple[Region, list[Fact]], plan: str) -> None:
        region, facts = drawn
        ordered, submitted = laid_out(region, facts, plan), laid_out(region, facts, plan)
        information, told = asyncio.run(asked(application, version, ordered, submitted))
        wanted = said(ordered)
        assert as_crd(information) == as_pas(told), (information.reasons, told.words)
        assert as_crd(information) == of_rules(wanted), wanted.reason

    agree()


async def asked(
    application: FastAPI, version: str, ordered: Case, submitted: Case
) -> tuple[CoverageInformation, Told]:
    async with inside.client(application) as http:
        ehr = Ehr(http, version)
        information = CoverageInformation.of(await ehr.sign(ordered), ordered)
        return information, Told(await ehr.submit(submitted))


def as_crd(information: CoverageInformation) -> str:
    if information["covered"] == "not-covered":
        return "no"
    if information["pa-needed"] in ("satisfied", "no-auth"):
        return "yes"
    return "more" if information["doc-needed"] else "no"


def as_pas(told: Told) -> str:
    if told.action == "A4":
        return "more" if told.asks else "no"
    return {"A1": "yes", "A3": "no"}[told.action]


def of_rules(determination: Determination) -> str:
    """A pend and a denial look alike while ordering: neither asks for anything."""
    return {Decision.APPROVE: "yes", Decision.MORE_INFO: "more"}.get(determination.decision, "no")
