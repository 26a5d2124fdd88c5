"""Who needs no authorization by the payer's own lists, and which version of a policy decides."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.fhir.systems import CPT, ICD
from server.policy.catalog import Catalog
from server.policy.determination import Determination
from server.policy.determine import determine
from server.policy.exemptions import gold_cards
from server.policy.request import Chart, Member

ROOT = Path(__file__).parents[2]
DAY = dt.date(2026, 6, 15)
NPI = "http://hl7.org/fhir/sid/us-npi"


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


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The lumbar policy ends with May 2026; its next version begins with June."""
    root = tmp_path_factory.mktemp("payer")
    for name in ("policies", "plans", "benefit-managers", "codesystems"):
        shutil.copytree(ROOT / "cql" / name, root / "cql" / name)
    for path in (ROOT / "cql").glob("*.*"):
        shutil.copy(path, root / "cql")
    for name in ("valuesets", "elm"):
        (root / "cql" / name).symlink_to(ROOT / "cql" / name)
    (root / "questionnaires").symlink_to(ROOT / "questionnaires")
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
