"""An answer that meets its criterion leads where the same fact in the chart leads, in any mixture of the two;
a negative answer decides what the chart's silence cannot. So for the form of every region."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from server.fhir.systems import CPT, concept
from server.policy.case_draft import SIDES, SNOMED, Fact
from server.policy.cases import Case, Expected, Vignette, case_of
from server.policy.catalog import Catalog
from server.policy.commands import judged
from server.policy.determination import Decision, Met
from server.policy.determine import evaluated
from tests.policy.test_vignettes import DAY_ZERO

Outcome = tuple[Decision, tuple[str, ...], tuple[str, ...]]

CHART, ANSWER, DENIED = range(3)


def answer(question: str, value: Any) -> Fact:
    return Fact("QuestionnaireResponse", question, "linkId", 0, value)


def finding(name: str) -> Fact:
    return Fact("Observation", name, "exam", 6, "negative")


def earlier(code: str) -> Fact:
    return Fact("DiagnosticReport", code, "cpt", 100)


def treatment() -> list[Fact]:
    visits = [Fact("Procedure", "97110", "cpt", day) for day in (62, 48, 34, 20, 6)]
    return [*visits, Fact("MedicationRequest", "7258", "rxnorm", 62, {"supplyDays": 30})]


REGIONS: dict[str, dict[str, Any]] = {
    "SH": {"cpt": "73221", "icd10": "M75.111", "film": "73030", "exam": "empty-can", "score": "quickdash"},
    "EL": {"cpt": "73221", "icd10": "M77.11", "film": "73080", "exam": "valgus-stress", "score": "quickdash"},
    "WH": {"cpt": "73221", "icd10": "M25.531", "film": "73110", "exam": "watson", "score": "quickdash"},
    "HI": {"cpt": "73721", "icd10": "M25.551", "film": "73502", "exam": "fadir", "score": "lefs"},
    "KN": {"cpt": "73721", "icd10": "M25.561", "film": "73562", "exam": "mcmurray", "score": "lefs"},
    "AF": {"cpt": "73721", "icd10": "M25.571", "film": "73610", "exam": "talar-tilt", "score": "lefs"},
    "CS": {"cpt": "72141", "icd10": "M54.12", "film": "72040", "exam": "spurling", "score": "ndi"},
    "TS": {"cpt": "72146", "icd10": "M54.14", "film": "72070", "exam": "reflex-loss", "score": "odi"},
    "LS": {"cpt": "72148", "icd10": "M54.16", "film": "", "exam": "slr-positive", "score": "odi"},
}
"""A study of each region as it is asked for under the profile that wants most, Carelon's: two kinds of
treatment, and a film but for the lower back."""

BRAIN = {"cpt": "70551", "icd10": "R41.3"}

INDICATIONS = {
    **dict.fromkeys(("SH", "EL", "WH"), (1, "C49.11")),
    **dict.fromkeys(("HI", "KN", "AF"), (1, "C49.21")),
    **dict.fromkeys(("CS", "TS", "LS"), (1, "C79.51")),
    "BR": (3, "G40.909"),
}
"""By region: an immediate indication's number, and a problem of the chart that shows it."""

RATIONALE = "The splint comes off where the tendon is torn."


def ways(region: str) -> dict[str, tuple[list[Fact], list[Fact], list[Fact]]]:
    """By criterion: facts of the chart that meet it, answers that do, and answers that say it is not met."""
    given = REGIONS[region]
    score = 34
    found = {
        "CC-DUR": (
            treatment(),
            [
                answer("CC-DUR.start", "D-62"),
                answer("CC-DUR.end", "D-6"),
                answer("CC-DUR.modalities", ["pt", "nsaid"]),
            ],
            [answer("CC-DUR.none", True)],
        ),
        "CC-OUT": (
            [Fact("Goal", "not-achieved", "achievement", 5)],
            [answer("CC-OUT", "no-change")],
            [answer("CC-OUT", "improved")],
        ),
        "CC-REEVAL": (
            [Fact("Encounter", "99213", "cpt", 6)],
            [answer("CC-REEVAL", True), answer("CC-REEVAL.date", "D-6")],
            [answer("CC-REEVAL", False)],
        ),
        "EXM": ([finding(given["exam"])], [answer("EXM", "yes")], [answer("EXM", "no")]),
        "FUN": (
            [Fact("Observation", given["score"], "score", 6, score)],
            [answer(f"FUN.{given['score']}", score)],
            [answer("FUN", ["none"])],
        ),
        "RPT-INT": (
            [Fact("ServiceRequest", "newSymptoms", "element", 0, "D-5")],
            [answer("RPT-INT", "worse")],
            [answer("RPT-INT", "no-change")],
        ),
        "RAT-OT": (
            [Fact("CarePlan", "84478008", "sct", None, {"goals": True, "referencesOrder": True})],
            [answer("RAT-OT.change", "modify-protocol"), answer("RAT-OT.text", RATIONALE)],
            [answer("RAT-OT.change", "no-change")],
        ),
        "SOS-SITE": (
            [Fact("Location", "distance", "network", None, {"nearestFreestandingMiles": 31})],
            [answer("SOS-SITE", "sedation")],
            [answer("SOS-SITE", "no-reason")],
        ),
    }
    if given["film"]:
        found["IMG-XR"] = (
            [Fact("DiagnosticReport", given["film"], "cpt", 40)],
            [answer("IMG-XR", "normal"), answer("IMG-XR.date", "D-40")],
            [answer("IMG-XR", "none")],
        )
    return found


def case(catalog: Catalog, region: str, facts: Iterable[Fact], immediate: Any = "none") -> Case:
    """At a hospital, linked to occupational therapy, with an earlier study: all is asked that can be."""
    given = REGIONS.get(region, BRAIN)
    vignette = Vignette(
        id="either",
        region=region,
        cpt=given["cpt"],
        modifiers=("RT",) if given["cpt"].startswith("73") else (),
        icd10=(given["icd10"],),
        age=50,
        sex="F",
        rbm="carelon",
        place_of_service="22",
        expected=Expected(decision=Decision.APPROVE),
        facts=(
            earlier(given["cpt"]),
            Fact("ServiceRequest", "otLinked", "element", 0, True),
            *([answer(f"{region}-IMM", immediate)] if immediate else []),
            *facts,
        ),
    )
    return case_of(vignette, DAY_ZERO, catalog.payer)


def outcome(catalog: Catalog, region: str, facts: Iterable[Fact], immediate: Any = "none") -> Outcome:
    said = judged(case(catalog, region, facts, immediate), catalog, hints=False)
    return said.decision, said.unmet, said.unknown


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("first", [CHART, ANSWER], ids=["chart", "answer"])
@pytest.mark.parametrize("then", [CHART, ANSWER], ids=["chart", "answer"])
def test_chart_and_answer_lead_to_the_same(catalog: Catalog, region: str, first: int, then: int) -> None:
    """Wholly by one or the other, and by turns."""
    facts = [
        fact
        for place, each in enumerate(ways(region).values())
        for fact in each[first if place % 2 == 0 else then]
    ]
    assert outcome(catalog, region, facts) == (Decision.APPROVE, (), ())


@pytest.mark.parametrize("region", REGIONS)
def test_silence_asks_and_a_negative_answer_decides(catalog: Catalog, region: str) -> None:
    found = ways(region)
    for place, criterion in enumerate(found):
        by = (CHART, ANSWER)[place % 2]
        others = [fact for name, each in found.items() if name != criterion for fact in each[by]]
        assert outcome(catalog, region, others) == (Decision.MORE_INFO, (), (criterion,)), criterion
        denied = [*others, *found[criterion][DENIED]]
        assert outcome(catalog, region, denied) == (Decision.DENY, (criterion,), ()), criterion


@pytest.mark.parametrize("region", REGIONS)
def test_what_was_lacking_for_an_earlier_order_is_asked_anew(catalog: Catalog, region: str) -> None:
    """It may be there by now. What an earlier form tells of the order's evidence denies nothing unasked."""
    found = ways(region)
    for place, criterion in enumerate(found):
        by = (CHART, ANSWER)[place % 2]
        others = [fact for name, each in found.items() if name != criterion for fact in each[by]]
        earlier = [replace(fact, date=45) for fact in found[criterion][DENIED]]
        assert outcome(catalog, region, [*others, *earlier]) == (Decision.MORE_INFO, (), (criterion,)), (
            criterion
        )


def test_a_score_of_which_only_the_orders_month_is_known_is_none_of_the_future(catalog: Catalog) -> None:
    others = [fact for name, each in ways("SH").items() if name != "FUN" for fact in each[CHART]]
    low = Fact("Observation", "quickdash", "score", 20, 5)
    high = Fact("Observation", "quickdash", "score", 0, 45, {"effectiveDateTime": f"{DAY_ZERO:%Y-%m}"})
    assert outcome(catalog, "SH", [*others, low])[:2] == (Decision.DENY, ("FUN",))
    assert outcome(catalog, "SH", [*others, low, high]) == (Decision.APPROVE, (), ())


def test_of_treatment_under_way_it_is_not_said_that_it_ended(catalog: Catalog) -> None:
    """It is too short; the one that was long enough is too old."""
    visits = [Fact("Procedure", "97110", "cpt", day) for day in (262, 248, 234, 220, 206, 14, 7, 0)]
    said = judged(case(catalog, "SH", visits), catalog)
    assert "CC-REC" in said.unmet
    assert "The treatment that was long enough ended more than 180 days before the order" in said.reason


def test_a_visit_that_the_payer_was_billed_for_took_place(catalog: Catalog) -> None:
    """Its own file tells it, whether or not the EHR sends its encounters."""
    others = [fact for name, each in ways("SH").items() if name != "CC-REEVAL" for fact in each[CHART]]
    given = case(catalog, "SH", others)
    line = {"productOrService": concept(CPT, "99213"), "servicedDate": f"{DAY_ZERO - dt.timedelta(days=6)}"}
    bill = {"resourceType": "ExplanationOfBenefit", "status": "active", "use": "claim", "item": [line]}
    known = dataclasses.replace(given, records=(*given.records, bill))
    assert judged(given, catalog, hints=False).unknown == ("CC-REEVAL",)
    assert judged(known, catalog, hints=False).decision is Decision.APPROVE


@pytest.mark.parametrize("region", INDICATIONS)
def test_an_attested_indication_leads_where_one_of_the_chart_does(catalog: Catalog, region: str) -> None:
    """It waives care and therapy's rationale; what an earlier study and the hospital ask for stays asked."""
    option, problem = INDICATIONS[region]
    rest = [answer("RPT-INT", "worse"), answer("SOS-SITE", "sedation")]
    charted = outcome(catalog, region, [Fact("Condition", problem, "icd10", 30), *rest], None)
    attested = outcome(catalog, region, rest, [f"{region}-IMM.{option}"])
    assert charted == attested == (Decision.APPROVE, (), ())
    assert f"{region}-IMM" in outcome(catalog, region, rest, None)[2]
    assert outcome(catalog, region, [*rest, answer("CC-DUR.none", True)], "none")[0] is Decision.DENY


@pytest.mark.parametrize("region", REGIONS)
def test_a_form_names_the_limitations_that_the_chart_names(catalog: Catalog, region: str) -> None:
    """Not what a score beside them lets one guess."""
    score = Fact("Observation", REGIONS[region]["score"], "score", 6, 34)
    given = case(catalog, region, [score, Fact("Observation", "work-limited", "score", 6, True)], None)
    policy, plan = catalog.policy_for(given.order, DAY_ZERO), catalog.plan(given.plan)
    assert policy is not None
    run = evaluated(policy, given.order, given.member, given.chart, plan, given.now)
    assert [each.code for each in run.beside(policy.prefill)["FUN"].value] == ["work-limited"]


def test_a_form_of_the_other_side_fills_none_in_the_record_either(catalog: Catalog) -> None:
    """There it is CQL alone that reads what was answered before."""
    url = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/qr-context"
    context = [{"url": url, "valueReference": {"reference": "ServiceRequest/left"}}]
    answered = Fact("QuestionnaireResponse", "CC-DUR.start", "linkId", 40, "D-200", {"extension": context})
    given = case(catalog, "KN", [answered], None)
    policy = catalog.policy_for(given.order, DAY_ZERO)
    assert policy is not None
    left = {**given.order, "id": "left", "status": "completed", "bodySite": [concept(SNOMED, SIDES["LT"])]}

    def filled(*orders: Any) -> Any:
        data = [*given.resources, *orders]
        return catalog.engine.evaluate(policy.prefill, data=data, now=given.now)["CC-DUR.start"].value

    assert filled() is not None
    assert filled(left) is None


def test_a_form_that_names_another_order_is_for_that_one(catalog: Catalog) -> None:
    """Of yesterday though it be: the examination that it says is missing may have been this morning."""
    url = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/qr-context"
    context = [{"url": url, "valueReference": {"reference": "ServiceRequest/yesterdays"}}]
    told = Fact("QuestionnaireResponse", "EXM", "linkId", 1, "no", {"extension": context})
    given = case(catalog, "KN", [told])
    examined = judged(given, catalog, hints=False).criterion("EXM").value
    yesterdays = {**given.order, "id": "yesterdays", "status": "revoked"}
    replaced = dataclasses.replace(given, clinical=(*given.clinical, yesterdays))
    assert (examined, judged(replaced, catalog, hints=False).criterion("EXM").value) == (Met.NO, Met.UNKNOWN)


def test_treatment_of_another_region_is_no_news_of_this_ones(catalog: Catalog) -> None:
    """A shoulder's form of today tells nothing of the knee, whose form of before told of a short trial."""
    others = [fact for name, each in ways("KN").items() if name != "CC-DUR" for fact in each[CHART]]
    before = [
        replace(answer("CC-DUR.start", "D-60"), date=45),
        replace(answer("CC-DUR.end", "D-45"), date=45),
        replace(answer("CC-DUR.modalities", ["pt"]), date=45),
    ]
    given = case(catalog, "KN", [*others, *before])
    shoulders = case(catalog, "SH", [answer("CC-DUR.start", "D-50"), answer("CC-DUR.modalities", ["pt"])])
    forms = [each for each in shoulders.clinical if each["resourceType"] == "QuestionnaireResponse"]
    said = judged(dataclasses.replace(given, clinical=(*given.clinical, *forms)), catalog, hints=False)
    assert (said.decision, said.unknown) == (Decision.MORE_INFO, ("CC-DUR",))


def test_a_clinics_own_code_is_no_state_of_icd(catalog: Catalog) -> None:
    """Whichever letter it begins with, the complaint beside it is one."""
    given = case(catalog, "LS", [Fact("Condition", "M51.26", "icd10", 4)])
    local = {"system": "https://clinic.example/problems", "code": "Z-117"}
    listed = [
        {**each, "code": {"coding": [local, *each["code"]["coding"]]}}
        if each["resourceType"] == "Condition"
        else each
        for each in given.clinical
    ]
    same = dataclasses.replace(given, clinical=tuple(listed))
    found = [judged(each, catalog, hints=False).criterion("RPT-INT").value for each in (given, same)]
    assert found == [Met.YES, Met.YES]


def test_a_hundred_forms_of_before_cost_ten_times_ten(catalog: Catalog) -> None:
    """Their answers are held against what newer forms spoke of, not against every answer of theirs."""

    def read(forms: int, steps: int) -> int:
        told = (
            replace(answer(f"EXM.{number}", "positive"), date=day)
            for number in range(10)
            for day in range(forms)
        )
        given = case(catalog, "KN", told)
        policy = catalog.policy_for(given.order, DAY_ZERO)
        assert policy is not None
        run = catalog.engine.evaluate(policy.prefill, data=given.resources, now=given.now, steps=steps)
        return len(run["Given"].value)

    assert read(10, 5_000) == read(100, 50_000)
