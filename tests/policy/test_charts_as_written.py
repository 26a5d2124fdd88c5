"""Charts as EHRs write them: who treated, and when it began, wherever FHIR has a place for it."""

from __future__ import annotations

from typing import Any

import pytest

from server.fhir.systems import NPI, TERMINOLOGY
from server.policy.catalog import Catalog
from server.policy.denial import denial_of
from server.policy.determination import Decision, Determination, Met
from server.policy.determine import determine
from server.policy.request import Chart, Member
from tests.crd.builders import (
    CPT,
    NO_IMMEDIATE_INDICATION,
    PATIENT,
    PHYSICIAN,
    SNOMED,
    answered,
    concept,
    coverage,
    day,
    film,
    finding,
    lumbar,
    mri,
    nsaid,
    problem,
    procedure,
    ref,
    shoulder,
    six_weeks_of_care,
    visit,
)
from tests.policy.test_determine import NOW

NUCC = "http://nucc.org/provider-taxonomy"
YEARS = {"unit": "years", "system": "http://unitsofmeasure.org", "code": "a"}


def said(catalog: Catalog, order: dict[str, Any], *chart: dict[str, Any]) -> Determination:
    member = Member("m", coverage())
    return determine(
        order, member, Chart([PATIENT, PHYSICIAN, *chart]), catalog.plan("evicore"), NOW, hints=False
    )


def of(kind: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": f"a-{kind.lower()}", "subject": ref(PATIENT), **elements}


THERAPIST = of("Practitioner", qualification=[{"code": concept(NUCC, "225XH1200X")}])
ROLE = of(
    "PractitionerRole",
    practitioner={"reference": "https://ehr.example/fhir/Practitioner/ot"},
    specialty=[concept(NUCC, "225X00000X")],
)
TREATED: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "a therapist by training": ([THERAPIST], {"performer": [{"actor": ref(THERAPIST)}]}),
    "a therapist's role": ([ROLE], {"performer": [{"actor": ref(ROLE)}]}),
    "who has the role": ([ROLE], {"performer": [{"actor": {"reference": "Practitioner/ot"}}]}),
    "how it is filed": ([], {"category": concept(SNOMED, "84478008")}),
}


@pytest.mark.parametrize("by", TREATED)
def test_an_occupational_therapist_is_known_by_more_than_a_function(catalog: Catalog, by: str) -> None:
    """US Core has who did it as a reference. How the MRI changes the plan is then asked."""
    people, how = TREATED[by]
    visits = [procedure("97530", before, **how) for before in range(60, 11, -7)]
    assert said(catalog, shoulder(), *people, *visits).criterion("RAT-OT").value is Met.UNKNOWN


@pytest.mark.parametrize(
    "how",
    [
        {"serviceType": {"text": "Occupational Therapy"}},
        {"participant": [{"individual": ref(THERAPIST)}]},
    ],
)
def test_a_visit_with_a_timed_code_is_of_who_gave_it(catalog: Catalog, how: dict[str, Any]) -> None:
    visits = [{**visit(before), "type": [concept(CPT, "97530")], **how} for before in range(60, 11, -7)]
    assert said(catalog, shoulder(), THERAPIST, *visits).criterion("RAT-OT").value is Met.UNKNOWN


def test_what_a_physical_therapist_does_is_no_occupational_therapy(catalog: Catalog) -> None:
    physio = {**THERAPIST, "qualification": [{"code": concept(NUCC, "225100000X")}]}
    visits = [procedure("97530", before, performer=[{"actor": ref(physio)}]) for before in range(60, 11, -7)]
    assert said(catalog, shoulder(), physio, *visits).criterion("RAT-OT").value is Met.YES


def at_age(code: str, years: int, **elements: Any) -> dict[str, Any]:
    whole = {**problem(code), **elements}
    return {
        **{name: each for name, each in whole.items() if name != "onsetDateTime"},
        "onsetAge": {"value": years, **YEARS},
    }


def test_what_began_at_an_age_long_past_is_nothing_new(catalog: Catalog) -> None:
    """She is 52. Of what began this year or last an age does not tell the day."""
    young, lately = (at_age("R33.9", years, recordedDate=day(20)) for years in (20, 52))
    assert said(catalog, lumbar(), young).criterion("LS-IMM").value is Met.UNKNOWN
    assert said(catalog, lumbar(), lately).criterion("LS-IMM").value is Met.YES


def asserted(code: str, before: int) -> dict[str, Any]:
    """Dated by nothing but the day of its assertion, as US Core 6.1 and 7.0 allow."""
    whole = {name: each for name, each in problem(code).items() if not name.startswith(("onset", "recorded"))}
    url = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"
    return {**whole, "extension": [{"url": url, "valueDateTime": day(before)}]}


def test_the_day_of_its_assertion_dates_a_problem(catalog: Catalog) -> None:
    old, new = asserted("R33.9", 700), asserted("R33.9", 20)
    assert said(catalog, lumbar(), old).criterion("LS-IMM").value is Met.UNKNOWN
    assert said(catalog, lumbar(), new).criterion("LS-IMM").value is Met.YES
    assert said(catalog, shoulder(), asserted("C40.01", 30)).decision is Decision.APPROVE
    assert said(catalog, shoulder(), asserted("C40.01", -5)).decision is Decision.MORE_INFO


def test_what_ended_at_an_age_is_over(catalog: Catalog) -> None:
    tumour = {name: each for name, each in problem("C40.01").items() if name != "clinicalStatus"}
    over = {**tumour, "abatementAge": {"value": 20, **YEARS}}
    assert said(catalog, shoulder(), tumour).decision is Decision.APPROVE
    assert said(catalog, shoulder(), over).decision is Decision.MORE_INFO


@pytest.mark.parametrize(
    ("aim", "is_of_the_treatment"),
    [
        ("Sleep through the night without shoulder pain", True),
        ("Return to weight training", True),
        ("Lose 20 pounds", False),
        ("Quit smoking by the summer", False),
        ("HbA1c below 7", False),
    ],
)
def test_a_goal_of_another_matter_says_nothing_of_the_treatment(
    catalog: Catalog, aim: str, is_of_the_treatment: bool
) -> None:
    missed = of(
        "Goal",
        lifecycleStatus="active",
        description={"text": aim},
        achievementStatus=concept("http://terminology.hl7.org/CodeSystem/goal-achievement", "not-achieved"),
        statusDate=day(5),
    )
    order = shoulder()
    care = [
        each
        for each in six_weeks_of_care(order)
        if each.get("code") != concept("http://loinc.org", "72514-3")
    ]
    assert (said(catalog, order, *care, missed).criterion("CC-OUT").value is Met.YES) is is_of_the_treatment


@pytest.mark.parametrize(
    ("words", "leaves_doubt"),
    [
        ("CT HEAD WO CONTRAST", True),
        ("CT BRAIN W/O", True),
        ("CT ANGIO HEAD W CONTRAST", False),
        ("CT FEMORAL HEAD RIGHT", False),
        ("XR HEAD", False),
    ],
)
def test_a_ct_of_the_head_in_words_was_done(catalog: Catalog, words: str, leaves_doubt: bool) -> None:
    """Normal, after the injury: the MRI is to show what it could not."""
    own = {"system": "urn:oid:1.2.840.114350.1.13.999", "code": "IMG154", "display": words}
    ct = {**film("70450", 2), "code": {"coding": [own]}}
    told = said(catalog, mri("70551", "S06.0X0A"), ct)
    assert (told.decision is Decision.APPROVE) is leaves_doubt


def test_a_palsy_of_the_face_shows_an_indication_only_where_it_is_more(catalog: Catalog) -> None:
    """Bell's palsy is imaged where it is atypical, which its code does not say."""
    order = mri("70551", "G51.0")
    assert said(catalog, order).unknown == ("BR-IMM",)
    assert said(catalog, order, finding("focal-deficit", 3)).decision is Decision.APPROVE


def test_a_denial_does_not_tell_of_the_other_illnesses(catalog: Catalog) -> None:
    """All problems were looked at: none of them is an indication."""
    frozen = mri("73221", "M75.01", side="RT")
    denied = said(catalog, frozen, answered(**NO_IMMEDIATE_INDICATION), problem("F32.1"), problem("B18.2"))
    assert denied.unmet == ("EXC",)
    told = denial_of(denied).text
    assert "the problems and diagnoses on record" in told
    assert not {code for code in ("F32.1", "B18.2") if code in told}


@pytest.mark.parametrize(
    "unknown",
    [
        {"modifierExtension": [{"url": "https://ehr.example/was-refuted", "valueBoolean": True}]},
        {"implicitRules": "https://ehr.example/our-own-rules"},
    ],
)
def test_what_something_unknown_may_reverse_is_no_evidence(catalog: Catalog, unknown: dict[str, Any]) -> None:
    order = shoulder()
    care = six_weeks_of_care(order)
    told = said(catalog, order, *({**each, **unknown} for each in care))
    assert said(catalog, order, *care).decision is Decision.APPROVE
    assert told.decision is Decision.MORE_INFO
    assert f"Left out: Procedure/{care[0]['id']}, with a modifier extension" in told.reason


def test_a_problem_that_is_dated_after_the_order_is_none_yet(catalog: Catalog) -> None:
    tumour = problem("C40.01")
    later = {**tumour, "onsetDateTime": day(-5), "recordedDate": day(-5)}
    assert said(catalog, shoulder(), tumour).decision is Decision.APPROVE
    assert said(catalog, shoulder(), later).decision is Decision.MORE_INFO


WORDS = {
    "value": lambda word: {"valueCodeableConcept": {"text": word}},
    "string": lambda word: {"valueString": word},
    "own code": lambda word: {
        "valueCodeableConcept": {"coding": [{"system": "urn:oid:1.2.3", "code": "7"}], "text": word}
    },
}


@pytest.mark.parametrize("how", WORDS)
def test_a_finding_is_told_in_words(catalog: Catalog, how: str) -> None:
    """A test that was positive once, and negative the last time, is negative."""

    def seen(before: int, word: str) -> dict[str, Any]:
        plain = {k: v for k, v in finding("saddle-anesthesia", before).items() if not k.startswith("value")}
        return {**plain, **WORDS[how](word)}

    assert said(catalog, lumbar(), seen(9, "Present")).criterion("LS-IMM").value is Met.YES
    gone = said(catalog, lumbar(), finding("saddle-anesthesia", 9), seen(2, "Negative"))
    assert gone.criterion("LS-IMM").value is Met.UNKNOWN


def test_a_number_beside_a_reason_for_there_being_none_is_no_score(catalog: Catalog) -> None:
    order = shoulder()
    absent = {"dataAbsentReason": concept(f"{TERMINOLOGY}/data-absent-reason", "not-performed")}
    care = [{**each, **absent} if "valueQuantity" in each else each for each in six_weeks_of_care(order)]
    assert {"FUN", "CC-OUT"} <= set(said(catalog, order, *care).unknown)


def test_treatment_of_the_other_side_is_known_by_words(catalog: Catalog) -> None:
    def treated(side: str) -> Determination:
        visits = (procedure("97110", n, bodySite=[{"text": f"{side} shoulder"}]) for n in range(70, 7, -7))
        return said(catalog, shoulder(), *visits)

    assert treated("Right").criterion("CC-DUR").value is Met.YES
    assert treated("Left").criterion("CC-DUR").value is Met.UNKNOWN


@pytest.mark.parametrize(("intent", "is_meant"), [("order", True), ("proposal", False), ("option", False)])
def test_what_was_only_proposed_is_neither_planned_nor_done(
    catalog: Catalog, intent: str, is_meant: bool
) -> None:
    order = shoulder()
    operation = of(
        "ServiceRequest", status="active", intent=intent, code=concept(CPT, "29827"), authoredOn=day(2)
    )
    therapy = of(
        "ServiceRequest",
        status="completed",
        intent=intent,
        code=concept(CPT, "97110"),
        occurrencePeriod={"start": day(60), "end": day(2)},
    )
    care = [
        {**each, "intent": intent} if each["resourceType"] == "CarePlan" else each
        for each in six_weeks_of_care(order)
    ]
    assert (said(catalog, order, operation).criterion("SH-IMM").value is Met.YES) is is_meant
    assert (said(catalog, order, therapy).criterion("CC-DUR").value is Met.YES) is is_meant
    assert (said(catalog, order, *care).criterion("RAT-OT").value is Met.YES) is is_meant


@pytest.mark.parametrize(("side", "tells"), [("RT", True), ("LT", False)])
def test_a_nerve_study_of_the_other_arm_tells_nothing_of_this_one(
    catalog: Catalog, side: str, tells: bool
) -> None:
    study = {
        **film("95886", 20, "radiculopathy"),
        "code": concept(CPT, f"95886-{side}"),
    }
    told = said(catalog, shoulder(), finding("motor-weakness", 5), study)
    assert (told.criterion("SH-IMM").value is Met.YES) is tells


@pytest.mark.parametrize("therapist", [True, False])
def test_who_orders_may_be_known_by_a_number_alone(catalog: Catalog, therapist: bool) -> None:
    taxonomy = "225100000X" if therapist else "207X00000X"
    number = {"system": NPI, "value": "1679576722"}
    person = of("Practitioner", identifier=[number], qualification=[{"code": concept(NUCC, taxonomy)}])
    told = said(catalog, shoulder(requester={"identifier": number}), person)
    assert told.criterion("PRV-ORD").value is (Met.NO if therapist else Met.YES)


@pytest.mark.parametrize(("taken", "asks"), [(day(0), False), (day(7), True), ("2026-11", True)])
def test_a_study_that_may_be_of_before_the_order_is_asked_about(
    catalog: Catalog, taken: str, asks: bool
) -> None:
    """One of day zero is the one that is ordered; of one of this month nobody knows."""
    earlier = {**film("73221", 7), "effectiveDateTime": taken}
    assert (said(catalog, shoulder(), earlier).criterion("RPT-INT").value is Met.UNKNOWN) is asks


KNEE = {"text": "Right knee"}
OWN_CODE = {"coding": [{"system": "https://clinic.example/sites", "code": "RKN"}], **KNEE}


@pytest.mark.parametrize(
    "elsewhere", [{"bodySite": [KNEE]}, {"bodySite": [OWN_CODE]}, {"reasonCode": [{"text": "Knee pain"}]}]
)
def test_treatment_of_another_part_is_known_by_its_words(catalog: Catalog, elsewhere: dict[str, Any]) -> None:
    """Six weeks of care for the knee are none for the shoulder; words of both, or of no part, are."""
    weeks = range(60, 11, -7)
    knee = [procedure("97110", before, **elsewhere) for before in weeks]
    assert said(catalog, shoulder(), *knee).criterion("CC-DUR").value is Met.UNKNOWN
    assert said(catalog, mri("73721", "M25.561", side="RT"), *knee).criterion("CC-DUR").value is Met.YES
    for words in ("Shoulder and elbow", "Upper extremity", "Right SHOULDER", "Right side"):
        told = [procedure("97110", before, bodySite=[{"text": words}]) for before in weeks]
        assert said(catalog, shoulder(), *told).criterion("CC-DUR").value is Met.YES


def test_medicine_and_visits_are_for_what_their_reason_says_in_words(catalog: Catalog) -> None:
    back, arm = ([{"text": words}] for words in ("Low back pain", "Shoulder pain"))
    for reason, value in ((back, Met.UNKNOWN), (arm, Met.YES)):
        drug = {**nsaid(60, 50), "reasonCode": reason}
        assert said(catalog, shoulder(), drug).criterion("CC-DUR").value is value
        visits = [
            {**visit(before), "type": [concept(CPT, "97110")], "reasonCode": reason}
            for before in range(60, 11, -7)
        ]
        assert said(catalog, shoulder(), *visits).criterion("CC-DUR").value is value


def test_a_finding_without_any_result_is_no_examination(catalog: Catalog) -> None:
    """That a test is named says nothing of whether it was made. Any result will do, in words too."""
    whole = finding("hawkins", 9)
    bare = {name: content for name, content in whole.items() if not name.startswith("value")}
    assert said(catalog, shoulder(), bare).criterion("EXM").value is Met.UNKNOWN
    for told in ({"valueString": "equivocal"}, {"interpretation": [{"text": "see note"}]}):
        assert said(catalog, shoulder(), {**bare, **told}).criterion("EXM").value is Met.YES
