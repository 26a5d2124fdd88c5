"""Which authorization on file is good for an order."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from server.fhir.systems import NPI, PLACE_OF_SERVICE
from server.policy.line import line_of
from server.policy.request import Authorization
from server.policy.rulings import authorizations_of, rulings_of
from tests.adjudication.test_orders import order

DAY = dt.date(2026, 11, 20)
HELD = Authorization("PA1", "73221", "RT", DAY, DAY + dt.timedelta(days=60), order_key="key")


def good_for(held: Authorization, asked: dict[str, Any], order_key: str, on: dt.date) -> bool:
    return held.good_for(line_of(asked), order_key, on)


def record(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "ClaimResponse",
        "id": "cr-1",
        "use": "preauthorization",
        "created": "2026-11-01",
        "preAuthRef": "OLD-1",
        "addItem": [
            {
                "productOrService": {
                    "coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "73221"}]
                },
                "modifier": [{"coding": [{"code": "RT"}]}],
            }
        ],
        **elements,
    }


@pytest.mark.parametrize("on", [DAY, DAY + dt.timedelta(days=60)])
def test_the_same_service_and_side_within_the_span(on: dt.date) -> None:
    assert good_for(HELD, order("73221-RT"), "another", on)


@pytest.mark.parametrize("asked", [order("73221-LT"), order("73222-RT"), order("73221")])
def test_another_service_or_side_is_another_thing(asked: dict[str, Any]) -> None:
    assert not good_for(HELD, asked, "another", DAY)
    assert good_for(HELD, asked, "key", DAY), "the very same order is the same, however it is written now"


def test_outside_its_span_or_spent_it_is_good_for_nothing() -> None:
    spent = Authorization("PA1", "73221", "RT", DAY, DAY, used=True, order_key="key")
    assert not good_for(HELD, order("73221-RT"), "key", DAY - dt.timedelta(days=1))
    assert not good_for(HELD, order("73221-RT"), "key", DAY + dt.timedelta(days=61))
    assert not good_for(spent, order("73221-RT"), "key", DAY)


def test_more_than_is_left_or_another_place_is_not_authorized() -> None:
    one_at_a_centre = replace(HELD, units=1, place="11")
    asked = order("73221-RT")
    place = {"locationCode": [{"coding": [{"system": PLACE_OF_SERVICE, "code": "22"}]}]}

    assert good_for(one_at_a_centre, asked, "key", DAY)
    assert not good_for(one_at_a_centre, {**asked, "quantityQuantity": {"value": 2}}, "key", DAY)
    assert not good_for(one_at_a_centre, {**asked, **place}, "key", DAY)
    assert good_for(HELD, {**asked, **place, "quantityQuantity": {"value": 2}}, "key", DAY)


def test_an_authorization_of_old_is_read_from_the_payers_record() -> None:
    (held,) = authorizations_of([record()])
    assert held == Authorization("OLD-1", "73221", "RT", dt.date(2026, 11, 1), dt.date(2026, 12, 31))


def test_its_period_counts_where_it_states_one() -> None:
    (held,) = authorizations_of([record(preAuthPeriod={"start": "2026-11-05", "end": "2026-11-30"})])
    assert (held.start, held.end) == (dt.date(2026, 11, 5), dt.date(2026, 11, 30))


def test_its_service_may_stand_in_the_claim_it_answers() -> None:
    claim = {"resourceType": "Claim", "id": "c", "use": "preauthorization", "item": record()["addItem"]}
    (held,) = authorizations_of([record(addItem=[], request={"reference": "Claim/c"}), claim])
    assert (held.code, held.side) == ("73221", "RT")


def test_a_bill_that_quotes_the_number_spends_it() -> None:
    bill = {"resourceType": "Claim", "id": "b", "use": "claim", "insurance": [{"preAuthRef": ["OLD-1"]}]}
    assert authorizations_of([record(), bill])[0].used


@pytest.mark.parametrize("lacking", ["preAuthRef", "addItem", "created"])
def test_half_a_record_is_none(lacking: str) -> None:
    assert authorizations_of([{name: content for name, content in record().items() if name != lacking}]) == []


def test_a_denial_on_file_grants_nothing() -> None:
    item = {**record()["addItem"][0], "adjudication": [reviewed("A3")]}
    assert authorizations_of([record(addItem=[item])]) == []


PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition"


def reviewed(action: str, number: str = "") -> dict[str, Any]:
    coding = {"system": "https://codesystem.x12.org/005010/306", "code": action}
    code = {"url": f"{PAS}/extension-reviewActionCode", "valueCodeableConcept": {"coding": [coding]}}
    told = [{"url": "number", "valueString": number}] if number else []
    return {"extension": [{"url": f"{PAS}/extension-reviewAction", "extension": [*told, code]}]}


def lines(*codes: str) -> list[dict[str, Any]]:
    system = "http://www.ama-assn.org/go/cpt"
    return [
        {"sequence": sequence, "productOrService": {"coding": [{"system": system, "code": code}]}}
        for sequence, code in enumerate(codes, 1)
    ]


def test_each_line_is_ruled_on_for_itself() -> None:
    """Denied, granted, granted as another and for other days, and not decided yet."""
    claim = {"resourceType": "Claim", "id": "c", "item": lines("72141", "72148", "70553", "72146")}
    span = {"start": "2026-11-03", "end": "2026-11-09"}
    added = {
        **lines("70551")[0],
        "itemSequence": [3],
        "adjudication": [reviewed("A1", "OLD-3")],
        "extension": [{"url": f"{PAS}/extension-itemPreAuthPeriod", "valuePeriod": span}],
    }
    verdicts = [reviewed("A3"), reviewed("A1", "OLD-2"), reviewed("A6", "OLD-3"), reviewed("A4")]
    told = record(
        request={"reference": "Claim/c"},
        requestor={"identifier": {"system": NPI, "value": "1111111112"}},
        item=[{"itemSequence": place, "adjudication": [each]} for place, each in enumerate(verdicts, 1)],
        addItem=[added],
    )
    spans = {each.number: (each.code, each.end.isoformat()) for each in authorizations_of([told, claim])}
    assert spans == {"OLD-3": ("70551", "2026-11-09"), "OLD-2": ("72148", "2026-12-31")}
    ruled = {each.code: each.approved for each in rulings_of([told, claim])}
    assert ruled == {"70551": True, "72141": False, "72148": True}
