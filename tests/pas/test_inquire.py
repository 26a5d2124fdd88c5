"""Asking what was decided: every element that narrows, and whom a case concerns."""

from typing import Any

import pytest

from server.fhir.extensions import extension, value
from server.fhir.systems import PLACE_OF_SERVICE, concept
from server.pas.terms import CERTIFICATION, PAS_CODES, REVIEW_ACTION, extension_url
from server.store import records
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Payer
from tests.pas.test_changes import update
from tests.review.test_desk import ONE_BASE, decide, pended, waiting

Resource = dict[str, Any]


def asking(item: Resource | None = None, **claim_changes: Any) -> Resource:
    """An inquiry whose one item is changed so; without a service it asks after any."""
    about = {
        "sequence": 1,
        "productOrService": concept(a.DATA_ABSENT, "not-applicable"),
        **(item or {}),
    }
    return a.inquiry(item=[about], **claim_changes)


def with_extension(name: str, **content: Any) -> Resource:
    return {"extension": [{"url": extension_url(name), **content}]}


MATCHING: dict[str, Resource] = {
    "nothing in particular": {},
    "the service": {"productOrService": concept(a.CPT, "73221")},
    "the day": {"servicedDate": "2026-12-01"},
    "a period around the day": {"servicedPeriod": {"start": "2026-11-30", "end": "2026-12-02"}},
    "an open period": {"servicedPeriod": {"start": "2026-11-30"}},
    "the month": {"servicedDate": "2026-12"},
    "the modifier": {"modifier": [concept(a.CPT, "RT")]},
    "the category": {"category": concept(f"{a.X12}/1365", "62")},
    "the place": {"locationCodeableConcept": concept(PLACE_OF_SERVICE.replace("https:", "http:"), "11")},
    "the item as it was sent, without what it points to": {
        "diagnosisSequence": [1],
        "careTeamSequence": [1],
        "informationSequence": [1],
    },
    "the trace number": with_extension("itemTraceNumber", valueIdentifier={"value": "T-1"}),
    "the kind of request": with_extension(
        "serviceItemRequestType", valueCodeableConcept=concept(f"{a.X12}/1525", "HS")
    ),
    "a first request": with_extension("certificationType", valueCodeableConcept=concept(CERTIFICATION, "I")),
    "the outcome": with_extension("reviewActionCode", valueCodeableConcept=concept(REVIEW_ACTION, "A1")),
    "the day it was issued": with_extension("itemCertificationIssueDate", valueDate="2026-11-25"),
    "the day it begins": with_extension("itemCertificationEffectiveDate", valueDate="2026-12-01"),
    "when it ends": with_extension(
        "itemCertificationExpirationDate", valuePeriod={"start": "2027-01-01", "end": "2027-02-28"}
    ),
}
OTHERS: dict[str, Resource] = {
    "another service": {"productOrService": concept(a.CPT, "72148")},
    "another day": {"servicedDate": "2026-12-02"},
    "an earlier period": {"servicedPeriod": {"end": "2026-11-30"}},
    "another side": {"modifier": [concept(a.CPT, "LT")]},
    "another category": {"category": concept(f"{a.X12}/1365", "3")},
    "another place": {"locationCodeableConcept": concept(PLACE_OF_SERVICE, "22")},
    "another trace number": with_extension("itemTraceNumber", valueIdentifier={"value": "T-2"}),
    "another kind of request": with_extension(
        "serviceItemRequestType", valueCodeableConcept=concept(f"{a.X12}/1525", "AR")
    ),
    "a renewal": with_extension("certificationType", valueCodeableConcept=concept(CERTIFICATION, "R")),
    "another outcome": with_extension("reviewActionCode", valueCodeableConcept=concept(REVIEW_ACTION, "A3")),
    "another number": with_extension("authorizationNumber", valueString="PA-OTHER"),
    "another reference number": with_extension("administrationReferenceNumber", valueString="REF-OTHER"),
    "another issue date": with_extension("itemCertificationIssueDate", valueDate="2026-11-24"),
    "another begin": with_extension("itemCertificationEffectiveDate", valueDate="2026-12-02"),
    "another end": with_extension("itemCertificationExpirationDate", valueDate="2027-03-01"),
}


@pytest.mark.parametrize("element", MATCHING)
def test_what_the_inquiry_names_and_the_case_has_is_found(payer: Payer, granted: Any, element: str) -> None:
    (found,) = payer.inquire(asking(MATCHING[element]))

    assert found.number == granted.number


@pytest.mark.parametrize("element", OTHERS)
def test_what_the_inquiry_names_otherwise_is_not(payer: Payer, granted: Any, element: str) -> None:
    assert payer.inquire(asking(OTHERS[element])) == []


def test_an_authorization_is_found_by_its_number(payer: Payer, granted: Any) -> None:
    by_number = with_extension("authorizationNumber", valueString=granted.number)

    assert [found.number for found in payer.inquire(asking(by_number))] == [granted.number]


def test_the_number_may_stand_on_the_claim_itself(payer: Payer, granted: Any) -> None:
    own, other = (
        payer.inquire(asking(**with_extension("authorizationNumber", valueString=number)))
        for number in (granted.number, "PA-OTHER")
    )

    assert [found.number for found in own] == [granted.number]
    assert other == []


def test_a_number_that_was_replaced_leads_to_the_one_that_holds(payer: Payer, granted: Any) -> None:
    moved = payer.submit(update(a.item(1, servicedDate="2026-12-20")))
    by_number = with_extension("authorizationNumber", valueString=granted.number)

    assert moved.number != granted.number
    assert [found.number for found in payer.inquire(asking(by_number))] == [moved.number]


@pytest.mark.parametrize("element", ["the trace number", "a first request"])
def test_how_a_request_was_sent_at_first_leads_to_what_holds_since(
    payer: Payer, granted: Any, element: str
) -> None:
    """The guide's own inquiry asks for a first request; a revised one has another certification type, and
    its sender another trace number."""
    _, kind, _, service = a.item(1)["extension"]
    revised = with_extension("certificationType", valueCodeableConcept=concept(CERTIFICATION, "S"))
    number = {"system": "https://ehr.example/trace", "value": "T-9"}
    traced = with_extension("itemTraceNumber", valueIdentifier=number)
    sent = [*traced["extension"], kind, *revised["extension"], service]
    moved = payer.submit(update(a.item(1, servicedDate="2026-12-20", extension=sent)))

    assert [found.number for found in payer.inquire(asking(MATCHING[element]))] == [moved.number]
    assert payer.inquire(asking(OTHERS["another trace number"])) == []


def test_the_number_of_a_pend_leads_to_what_became_of_it(payer: Payer) -> None:
    pended = payer.submit(a.request())
    decided = payer.submit(update(a.item(1)))
    by_number = with_extension("administrationReferenceNumber", valueString=pended.tracking)

    assert [found.number for found in payer.inquire(asking(by_number))] == [decided.number]


def test_a_pend_is_found_by_its_reference_number(payer: Payer) -> None:
    pended = payer.submit(a.request())
    number = pended.tracking
    (found,) = payer.inquire(asking(with_extension("administrationReferenceNumber", valueString=number)))

    assert found.actions == ["A4"]
    assert len(found.of_type("Task")) == 1
    assert found.of_type("CommunicationRequest") == []


def test_the_billable_period_narrows_too(payer: Payer, granted: Any) -> None:
    assert payer.inquire(asking(billablePeriod={"start": "2026-12-01", "end": "2026-12-31"}))
    assert payer.inquire(asking(billablePeriod={"start": "2027-06-01"})) == []
    event = {"sequence": 1, "category": concept(PAS_CODES, "patientEvent"), "timingDate": "2026-12-02"}
    assert payer.inquire(asking(supportingInfo=[event])) == []


def test_the_certification_type_of_the_inquiry_as_a_whole_narrows_too(payer: Payer, granted: Any) -> None:
    first, renewal = (
        with_extension("certificationType", valueCodeableConcept=concept(CERTIFICATION, code))
        for code in ("I", "R")
    )

    assert payer.inquire(asking(**first))
    assert payer.inquire(asking(**renewal)) == []


def test_any_one_of_several_diagnoses_will_do(payer: Payer, granted: Any) -> None:
    other, own = a.diagnosis("M17.11", 1), a.diagnosis("M75.111", 2)

    assert payer.inquire(asking(diagnosis=[other, own]))
    assert payer.inquire(asking(diagnosis=[other])) == []
    assert payer.inquire(asking(diagnosis=[a.diagnosis("M75111")]))


@ONE_BASE
def test_a_diagnosis_that_the_case_only_refers_to_is_its_diagnosis(payer: Payer) -> None:
    tear = {"resourceType": "Condition", "id": "tear", "code": concept(a.ICD, "M75.111")}
    tear["subject"] = {"reference": "Patient/anna"}
    referring = a.claim(diagnosis=[{"sequence": 1, "diagnosisReference": {"reference": "Condition/tear"}}])
    payer.submit(a.request(tear, claim=referring))

    assert payer.inquire(asking(diagnosis=[a.diagnosis("M75.111")]))
    assert payer.inquire(asking(diagnosis=[a.diagnosis("M17.11")])) == []


def test_any_one_of_several_items_will_do(payer: Payer, granted: Any) -> None:
    items = [
        {"sequence": number, "productOrService": concept(a.CPT, code)}
        for number, code in enumerate(("72148", "73221"), start=1)
    ]

    assert payer.inquire(a.inquiry(item=items))


@ONE_BASE
def test_what_was_modified_is_found_by_what_was_asked_and_by_what_was_granted(payer: Payer) -> None:
    wished, granted, other = (
        {"locationCodeableConcept": concept(PLACE_OF_SERVICE, place)} for place in ("22", "11", "24")
    )
    pended(payer, claim=a.claim(a.item(**wished)))
    decide(payer, "modify", waiting(payer), place="11", why="An imaging centre is near.")

    assert [bool(payer.inquire(asking(place))) for place in (wished, granted, other)] == [True, True, False]


def test_the_claims_own_identifier_names_the_case_only_where_the_guide_says_so(payer: Payer) -> None:
    """2.0.1 may search by Claim.identifier; in 2.2.1 it names the inquiry."""
    payer.granted()
    payer.submit(a.request(claim=a.claim(identifier=[{"system": "https://ehr.example/pa", "value": "PA-2"}])))
    named = a.inquiry(identifier=[{"system": "https://ehr.example/pa", "value": "PA-2"}])

    assert len(payer.inquire(named)) == (1 if payer.version == "2.0" else 2)


def test_another_member_is_told_nothing_of_anna(payer: Payer, granted: Any) -> None:
    asked = a.inquiry()
    for entry in asked["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] == "Coverage":
            resource["subscriberId"] = "M-OTHER"

    assert payer.inquire(asked) == []


SURGEON = {
    "resourceType": "Practitioner",
    "id": "surgeon",
    "identifier": [{"system": a.NPI, "value": "1777777772"}],
    "name": [{"family": "Stein"}],
}
BY_NUMBER = {"identifier": SURGEON["identifier"][0]}
ROLE = {"resourceType": "PractitionerRole", "id": "role", "practitioner": BY_NUMBER}


@pytest.mark.parametrize(
    ("ordered", "beside"),
    [
        ({"requester": {"reference": "Practitioner/surgeon"}}, [SURGEON]),
        ({"requester": {"reference": "#surgeon"}, "contained": [SURGEON]}, []),
        ({"requester": BY_NUMBER}, []),
        ({"performer": [{"reference": "PractitionerRole/role"}]}, [ROLE]),
    ],
    ids=["an entry", "contained", "by number", "a role by number"],
)
def test_whoever_rendered_or_ordered_may_ask_from_any_system(
    payer: Payer, ordered: Resource, beside: list[Resource]
) -> None:
    """The surgeon's office asks under its own names; the NPI is what both know."""
    payer.submit(a.request(*charts.meets_every_criterion(), *beside, order=a.order(**ordered)))
    asked = a.inquiry()
    asked["entry"][3] = {
        "fullUrl": "https://surgeon.example/fhir/Practitioner/9",
        "resource": {**SURGEON, "id": "9"},
    }
    asked["entry"][0]["resource"]["provider"] = {"reference": "https://surgeon.example/fhir/Practitioner/9"}

    assert [found.actions for found in payer.inquire(asked)] == [["A1"]]


def test_nothing_found_is_said_in_each_guides_way(payer: Payer) -> None:
    body = payer.post("$inquire", a.inquiry()).json()

    if payer.version == "2.2":
        assert body == {"resourceType": "Parameters"}
    else:
        (entry,) = body["entry"]
        assert entry["resource"]["issue"][0]["code"] == "not-found"


@pytest.mark.parametrize(
    ("begun", "spans"), [("2026-11-01", [("2026-11-01", "2027-01-29")]), ("2026-08-01", [])]
)
def test_a_previous_payers_authorization_is_told_for_as_long_as_it_is_honoured(
    payer: Payer, begun: str, spans: list[tuple[str, str]]
) -> None:
    """Ninety days from the start of the coverage, if it was good on that day."""
    services = payer.app.state.services
    with services.store.transaction() as tx:
        records.put(tx, a.authorized_before("OLD-1"), "member:M-ANNA", services.clock())
    asked = a.inquiry()
    coverage = next(e["resource"] for e in asked["entry"] if e["resource"]["resourceType"] == "Coverage")
    coverage["period"] = {"start": begun}
    told = [found.items[0] for found in payer.inquire(asked)]
    dates = [value(extension(each, extension_url("itemPreAuthPeriod"))) for each in told]
    assert [(each["start"], each["end"]) for each in dates] == spans

    # Whoever comes with somebody else's number is told nothing of it.
    with services.store.transaction() as tx:
        owner = {"resourceType": "Patient", "id": "owner", "birthDate": "1951-11-01"}
        records.put(tx, owner, "member:M-ANNA", services.clock())
    assert payer.inquire(asked) == []


def test_a_previous_payers_authorization_answers_a_request_with_the_days_it_is_honoured(payer: Payer) -> None:
    """It had ended in December."""
    services = payer.app.state.services
    with services.store.transaction() as tx:
        records.put(tx, a.authorized_before("OLD-1"), "member:M-ANNA", services.clock())
    told = payer.submit(a.request(coverage=a.coverage(period={"start": "2026-11-01"})))

    assert (told.action, told.number) == ("A1", "OLD-1")
    assert told.response["preAuthPeriod"] == {"start": "2026-11-01", "end": "2027-01-29"}
