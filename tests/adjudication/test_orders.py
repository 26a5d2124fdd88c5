"""The order's own facts, by the conventions of one shape."""

import datetime as dt
import time
from typing import Any

import pytest

from server.adjudication.orders import order_key, plainly_coded, service_code, with_diagnoses
from server.adjudication.places import with_place
from server.fhir.systems import PLACE_OF_SERVICE
from server.policy.line import day_zero, line_of, planned_day, side

CPT = "http://www.ama-assn.org/go/cpt"
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def order(*codes: str, sites: tuple[str, ...] = (), **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "code": {"coding": [{"system": CPT, "code": code} for code in codes]},
        "bodySite": [{"coding": [{"system": "http://snomed.info/sct", "code": site}]} for site in sites],
        **elements,
    }


@pytest.mark.parametrize(
    ("asked", "code", "stated"),
    [
        (order("73221"), "73221", None),
        (order("73221-RT"), "73221", "RT"),
        (order("73221", "73221-26"), "73221", None),
        (order("73221", sites=("16982005", "7771000")), "73221", "LT"),
        (order("73221-RT", sites=("7771000",)), "73221", "RT"),
        (order("73221-RT", "73221-LT"), "73221", "50"),
        (order("73221", sites=("24028007", "7771000")), "73221", "50"),
        (order("73221", sites=("51440002",)), "73221", "50"),
        (order("73221", sites=("91774008",)), "73221", "RT"),
        (order("73721", sites=("6757004", "82169009")), "73721", "50"),
        (order("73221", sites=("16982005:272741003=24028007",)), "73221", "RT"),
        (
            order("73221", sites=("16982005 |Shoulder| : 272741003 |Laterality| = 7771000 |Left|",)),
            "73221",
            "LT",
        ),
        (plainly_coded(order("73221:26,RT")), "73221", "RT"),
        (plainly_coded(order("73221", "lt")), "73221", "LT"),
        (order("MRI-SHOULDER"), "", None),
        ({"code": {"text": "MRI of the shoulder"}}, "", None),
        ({"code": {"coding": [{"system": "http://loinc.org", "code": "24899-7"}]}}, "", None),
        ({"code": {"coding": "?"}, "bodySite": "?"}, "", None),
    ],
)
def test_code_and_side(asked: dict[str, Any], code: str, stated: str | None) -> None:
    assert (service_code(asked), side(asked)) == (code, stated)


def test_a_site_is_read_at_once_however_long_its_code_is() -> None:
    endless = order("73221", sites=("272741003 " * 20_000,))
    began = time.process_time()

    assert side(endless) is None
    assert time.process_time() - began < 2


def test_reasons_are_found_at_once_however_many_there_are() -> None:
    inside = [{"resourceType": "Condition", "id": f"c{number}"} for number in range(8_000)]
    reasons = [{"reference": f"#c{number}"} for number in range(8_000)]
    beside = [{"reference": f"Condition/c{number}"} for number in range(8_000)]
    ordered = {**order("73221"), "contained": inside, "reasonReference": [*reasons, *beside]}
    last = {"resourceType": "Condition", "id": "c7999", "code": {"text": "Tear"}}
    began = time.process_time()

    assert with_diagnoses(ordered, [*inside[:-1], last])["reasonCode"] == [{"text": "Tear"}]
    assert time.process_time() - began < 4


@pytest.mark.parametrize(
    ("elements", "day"),
    [
        ({"occurrenceDateTime": "2026-12-01T09:00:00-05:00"}, dt.date(2026, 12, 1)),
        ({"occurrencePeriod": {"start": "2026-12-02"}}, dt.date(2026, 12, 2)),
        ({"occurrenceTiming": {"event": ["2026-12-03"]}}, dt.date(2026, 12, 3)),
        ({"occurrenceTiming": {"repeat": {"boundsPeriod": {"start": "2026-12-04"}}}}, dt.date(2026, 12, 4)),
        ({"occurrencePeriod": {"end": "2026-12-02"}}, None),
        ({}, None),
    ],
)
def test_the_planned_day(elements: dict[str, Any], day: dt.date | None) -> None:
    assert planned_day(order("73221", **elements)) == day


def test_day_zero_is_the_day_of_the_order_else_today() -> None:
    assert day_zero(order("73221", authoredOn="2026-11-18T23:30:00Z"), NOW.date()) == dt.date(2026, 11, 18)
    assert day_zero(order("73221"), NOW.date()) == NOW.date()


def test_an_order_is_the_same_by_member_service_side_and_planned_day() -> None:
    right = order("73221-RT", occurrenceDateTime="2026-12-01")
    assert order_key("m", right) == order_key(
        "m", order("73221", sites=("24028007",), occurrenceDateTime="2026-12-01T10:00:00Z")
    )
    others = [
        order("73221-LT", occurrenceDateTime="2026-12-01"),
        order("73222-RT", occurrenceDateTime="2026-12-01"),
        order("73221-RT"),
    ]
    assert (
        len({order_key("m", right), order_key("n", right), *(order_key("m", other) for other in others)}) == 5
    )


ROLE, NUCC = "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "http://nucc.org/provider-taxonomy"
BILL_TYPE = "https://www.nubc.org/CodeSystem/TypeOfBill"
CRD = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"


def site(*codings: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"coding": [{"system": system, "code": code} for system, code in codings]}]


@pytest.mark.parametrize(
    ("said", "place"),
    [
        (site((ROLE, "HOSP")), "22"),
        (site((ROLE, "RADDX")), None),
        (site((ROLE, "RADDX"), (ROLE, "PROFF")), "11"),
        (site((CRD, "19")), "19"),
        (site((CRD, "5")), "05"),
        (site((CRD, "gold-card")), None),
        (site((NUCC, "261QM1200X")), "49"),
        (site((NUCC, "225XH1200X")), None),
        (site((BILL_TYPE, "0131")), "22"),
        (site((BILL_TYPE, "13X")), "22"),
        (site((BILL_TYPE, "083X")), "24"),
        (site((BILL_TYPE, "0721")), None),
        (site((ROLE, "HOSP"), (PLACE_OF_SERVICE, "49")), "49"),
        ([{"text": "MRI suite"}], None),
    ],
)
def test_the_place_of_service_that_other_codes_stand_for(said: list[Any], place: str | None) -> None:
    """On the order itself, as the type of a Location in the chart, and of one that the order contains."""
    there = {"resourceType": "Location", "id": "mri", "type": said}
    by_name = order("73221", locationReference=[{"reference": "Location/mri"}])
    inside = order("73221", locationReference=[{"reference": "#mri"}], contained=[there])
    told = [with_place(order("73221", locationCode=said), []), with_place(inside, [])]
    told.append(with_place(by_name, [there]))
    assert [line_of(each).place_of_service for each in told] == [place] * 3
    assert with_place(by_name, []) == by_name


def test_an_order_for_a_stay_in_the_hospital_is_not_for_its_outpatients() -> None:
    """CRD 2.2 has the kind of encounter among an order's categories; what CMS calls the place goes first."""
    stay = site(("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IMP"))
    hospital = order("73221", category=stay, locationCode=site((ROLE, "HOSP")))
    assert line_of(with_place(hospital, [])).place_of_service == "21"
    assert with_place(order("73221", category=stay, locationCode=site((PLACE_OF_SERVICE, "22"))), [])[
        "locationCode"
    ] == site((PLACE_OF_SERVICE, "22"))


def test_an_order_for_either_of_two_sites_has_no_place_yet() -> None:
    sites = [
        {"resourceType": "Location", "id": id, "type": site((ROLE, code))}
        for id, code in (("hospital", "HOSP"), ("office", "PROFF"))
    ]
    either = order("73221", locationReference=[{"reference": f"Location/{each['id']}"} for each in sites])
    assert line_of(with_place(either, sites)).place_of_service is None
    assert line_of(with_place({**either, "locationCode": site((PLACE_OF_SERVICE, "49"))}, sites)) == line_of(
        order("73221", locationCode=site((PLACE_OF_SERVICE, "49")))
    )
