"""Who needs no authorization by the payer's own lists, and which version of a policy decides."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
import yaml

from server.app import the_catalog
from server.fhir.systems import CPT, ICD, NPI
from server.policy.catalog import Catalog
from server.policy.determination import Determination
from server.policy.determine import determine
from server.policy.exemptions import earned, gold_cards, orderers
from server.policy.manifest import Effective, GoldCardRule
from server.policy.request import Chart, Member, Ruling
from tests.policy.copies import copied

DAY = dt.date(2026, 6, 15)


def listed(*members: dict[str, Any], active: bool = True) -> dict[str, Any]:
    return {
        "resourceType": "Group",
        "type": "practitioner",
        "actual": True,
        "active": active,
        "member": list(members),
    }


def card(npi: str, **more: Any) -> dict[str, Any]:
    return {"entity": {"identifier": {"system": NPI, "value": npi}}, **more}


def test_a_list_without_members_exempts_nobody() -> None:
    assert list(gold_cards([listed()], DAY)) == []
    assert list(gold_cards([{"resourceType": "Group", "type": "practitioner"}], DAY)) == []


def test_a_card_holds_within_its_period_both_days_included() -> None:
    one = card("1111111112", period={"start": "2026-06-15", "end": "2026-06-15"})
    days = [DAY + dt.timedelta(days=shift) for shift in (-1, 0, 1)]
    assert [list(gold_cards([listed(one)], day)) for day in days] == [[], ["1111111112"], []]


def test_a_withdrawn_card_or_list_exempts_nobody() -> None:
    assert list(gold_cards([listed(card("1111111112", inactive=True))], DAY)) == []
    assert list(gold_cards([listed(card("1111111112"), active=False)], DAY)) == []


RULE = GoldCardRule(
    title="Ninety of a hundred",
    states=("TX",),
    approval_rate=90,
    minimum_requests=10,
    window_days=30,
    effective=Effective(start=DAY),
    mark="D",
)


def ruled(approved: int, denied: int, *, npi: str = "1111111112", code: str = "72148") -> list[Ruling]:
    """So many rulings, all of yesterday."""
    verdicts = [True] * approved + [False] * denied
    return [Ruling(npi, code, DAY - dt.timedelta(days=1), verdict) for verdict in verdicts]


@pytest.mark.parametrize(
    ("rulings", "exempt"),
    [
        (ruled(9, 1), True),
        (ruled(8, 1), False),
        (ruled(89, 11), False),
        (ruled(9, 0) + ruled(1, 0, code="70551"), False),
        (ruled(9, 0) + ruled(1, 0, npi="1222222223"), False),
        ([], False),
    ],
    ids=["just enough", "too few", "too many denied", "another service", "another clinician", "nothing"],
)
def test_a_card_is_earned_by_enough_of_enough_requests(rulings: list[Ruling], exempt: bool) -> None:
    assert list(earned([RULE], rulings, {"72148"}, DAY)) == (["1111111112"] if exempt else [])


@pytest.mark.parametrize(("before", "counts"), [(0, False), (1, True), (30, True), (31, False)])
def test_what_is_ruled_in_the_window_counts_and_the_day_itself_does_not(before: int, counts: bool) -> None:
    at_the_edge = Ruling("1111111112", "72148", DAY - dt.timedelta(days=before), approved=True)
    assert bool(list(earned([RULE], [*ruled(9, 0), at_the_edge], {"72148"}, DAY))) == counts


def told(catalog: Catalog, rulings: list[Ruling], state: str, plan: str = "evicore") -> str:
    """The gate by which an order of a physician for a member of that state is exempt, or nothing."""
    order = {
        "resourceType": "ServiceRequest",
        "id": "order",
        "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": CPT, "code": "72148"}]},
        "reasonCode": [{"coding": [{"system": ICD, "code": "M54.16"}]}],
        "authoredOn": DAY.isoformat(),
        "requester": {"reference": "PractitionerRole/r"},
    }
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/d"}}
    doctor = {
        "resourceType": "Practitioner",
        "id": "d",
        "identifier": [{"system": NPI, "value": "1111111112"}],
    }
    parent = {"resourceType": "Patient", "id": "parent", "address": [{"state": "TX"}]}
    patient = {"resourceType": "Patient", "id": "p", "address": [{"city": "Springfield"}, {"state": state}]}
    member = Member("M", {"resourceType": "Coverage", "status": "active"}, rulings=rulings)
    now = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
    chart = Chart([parent, patient, role, doctor])
    assert orderers(order, chart.resources) == ["1111111112"]
    return determine(order, member, chart, catalog.plan(plan), now, hints=False).gate


def test_the_members_state_and_the_plan_say_which_rule_holds() -> None:
    catalog = the_catalog()
    assert told(catalog, ruled(5, 0), "TX") == "G-GOLD"
    assert told(catalog, ruled(5, 0), "WV") == "", "West Virginia asks for thirty requests"
    assert told(catalog, ruled(5, 0), "IL") == ""
    assert told(catalog, ruled(5, 0, code="73721"), "TX") == ""


def test_what_another_payer_ruled_earns_nothing_here() -> None:
    elsewhere = [replace(each, payer="OTHER") for each in ruled(5, 0)]
    here = [replace(each, payer="EXAMPLE") for each in ruled(5, 0)]
    assert told(the_catalog(), elsewhere, "TX") == ""
    assert told(the_catalog(), here, "TX") == "G-GOLD"


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The lumbar policy ends with May 2026; its next version begins with June."""
    root = copied(tmp_path_factory.mktemp("payer"))
    old = root / "cql/policies/mri-lumbar-spine.yaml"
    content = yaml.safe_load(old.read_text(encoding="utf-8"))
    content["effective"]["end"] = dt.date(2026, 5, 31)
    old.write_text(yaml.safe_dump(content), encoding="utf-8")
    content.update(id="mri-lumbar-spine-2", title="MRI of the lumbar spine, second version")
    content["effective"] = {"start": dt.date(2026, 6, 1)}
    (root / "cql/policies/mri-lumbar-spine-2.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return Catalog.load(root)


def decided(catalog: Catalog, planned: str, now: dt.datetime) -> Determination:
    order = {
        "resourceType": "ServiceRequest",
        "id": "order",
        "code": {"coding": [{"system": CPT, "code": "72148"}]},
        "reasonCode": [{"coding": [{"system": ICD, "code": "G83.4"}]}],
        "authoredOn": "2026-05-20",
        "occurrenceDateTime": planned,
    }
    coverage = {"resourceType": "Coverage", "status": "active"}
    return determine(order, Member("M", coverage), Chart(), catalog.plan("evicore"), now, hints=False)


def test_the_policy_in_force_on_the_day_of_service_decides(two_versions: Catalog) -> None:
    now = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
    assert decided(two_versions, "2026-05-31", now).title == "MRI of the lumbar spine"
    assert decided(two_versions, "2026-06-01", now).title == "MRI of the lumbar spine, second version"


def test_an_appeal_months_later_is_judged_by_the_version_that_has_ended(two_versions: Catalog) -> None:
    later = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
    assert decided(two_versions, "2026-05-31", later).title == "MRI of the lumbar spine"
