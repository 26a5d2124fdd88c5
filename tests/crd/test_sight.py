"""What is seen of the patient: each prefetch key judged alone, by its content."""

from typing import Any

import pytest

from server.crd.sight import CHART, look, read_prefetch
from server.fhir.elements import nodes
from server.policy.catalog import Catalog
from tests.crd.builders import DAY

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
PATIENT = {"resourceType": "Patient", "id": "p1"}
CONDITION = {"resourceType": "Condition", "id": "c1"}


def searchset(*resources: dict[str, Any], link: str = "") -> dict[str, Any]:
    links = [{"relation": "self", "url": link}] if link else []
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


def coverage(identifier: str, patient: str = "p1") -> dict[str, Any]:
    beneficiary = {"reference": f"Patient/{patient}"}
    return {"resourceType": "Coverage", "id": identifier, "status": "active", "beneficiary": beneficiary}


def test_what_is_asked_of_an_ehr_is_what_the_rules_read(catalog: Catalog) -> None:
    """HIPAA's minimum necessary (CRD, "Privacy & Security"): of a record that no rule reads nothing is asked,
    nor does an answer hang on it."""
    found = (node for elm in catalog.libraries.values() for node in nodes(elm))
    read = {str(node["dataType"]).rpartition("}")[2] for node in found if node.get("type") == "Retrieve"}
    assert set(CHART) <= read


@pytest.mark.parametrize("key", ["conditions", "problemList", "x17"])
def test_a_key_is_read_by_what_it_holds(key: str) -> None:
    seen = read_prefetch({key: searchset(CONDITION)})
    assert seen.held == {"Condition"}
    assert seen.resources == (CONDITION,)


def test_absent_null_failed_and_there_are_four_things() -> None:
    seen = read_prefetch({"patient": PATIENT, "conditions": None, "observations": OUTCOME})
    assert "Patient" in seen.held
    assert "Condition" in seen.held
    assert "Observation" in seen.failed
    assert "Procedure" not in seen.held | seen.failed


def test_an_empty_search_says_by_its_link_what_was_searched() -> None:
    seen = read_prefetch({"k": searchset(link="https://ehr.example/fhir/Procedure?patient=p1")})
    assert seen.held == {"Procedure"}


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_a_search_that_brings_nothing_but_an_error_has_failed(severity: str) -> None:
    """One that only remarks on something has not."""
    outcome = {**OUTCOME, "issue": [{"severity": severity, "code": "security"}]}
    seen = read_prefetch({"procedures": searchset(outcome), "conditions": searchset(CONDITION, outcome)})
    assert ("Procedure" in seen.failed, "Procedure" in seen.held) == (
        severity == "error",
        severity != "error",
    )
    assert "Condition" in seen.held


def test_a_failed_key_does_not_hide_what_another_brought() -> None:
    seen = read_prefetch({"condition": OUTCOME, "problems": searchset(CONDITION)})
    assert seen.held == {"Condition"}
    assert not seen.failed


@pytest.mark.parametrize(
    "rubbish", ["text", 7, True, {}, {"resource": 1}, [], [None, 3], {"resourceType": "Bundle", "entry": "x"}]
)
def test_rubbish_in_a_key_breaks_nothing(rubbish: Any) -> None:
    assert read_prefetch({"observations": rubbish, "patient": PATIENT}).resources == (PATIENT,)


def test_of_an_order_that_came_twice_the_contexts_copy_counts() -> None:
    draft = {"resourceType": "ServiceRequest", "id": "sr-1", "status": "draft"}
    older = {**draft, "status": "active"}
    sight = look("p1", [draft], read_prefetch({"orders": searchset(older, PATIENT)}), DAY)
    assert [found for found in sight.record if found["resourceType"] == "ServiceRequest"] == [draft]
    assert sight.patient == PATIENT


@pytest.mark.parametrize(
    "other", [{"status": "cancelled"}, {"period": {"end": "2026-06-30"}}, {"period": {"start": "2027-01-01"}}]
)
def test_only_coverages_in_force_are_answered_while_there_are_any(other: dict[str, Any]) -> None:
    """In December many a record has next year's insurance beside this year's."""
    old, new = coverage("old") | other, coverage("new")
    assert look("p1", [], read_prefetch({"c": searchset(old, new)}), DAY).coverages == (new,)
    assert look("p1", [], read_prefetch({"c": searchset(old)}), DAY).coverages == (old,)


def test_somebody_elses_coverage_counts_only_alone() -> None:
    mine, theirs = coverage("mine"), coverage("theirs", patient="p2")
    assert look("p1", [], read_prefetch({"c": searchset(theirs, mine)}), DAY).coverages == (mine,)
    assert look("p1", [], read_prefetch({"c": searchset(theirs)}), DAY).coverages == (theirs,)


def test_what_could_not_be_read_is_named_in_a_clinicians_words() -> None:
    sight = look("p1", [], read_prefetch({"observations": OUTCOME}), DAY)
    assert sight.unreadable == (CHART["Observation"],)
    assert not any("prefetch" in note.lower() or "observation" in note.lower() for note in sight.notes)


def test_one_encounter_is_not_the_record_of_encounters() -> None:
    encounter = {"resourceType": "Encounter", "id": "e1"}
    by_link = searchset(encounter, link="https://ehr.example/fhir/Encounter?_id=e1")
    for content in (encounter, by_link):
        seen = read_prefetch({"visit": content})
        assert seen.resources == (encounter,)
        assert "Encounter" not in seen.held
    assert "Encounter" not in read_prefetch({"encounter": None}, by_id={"encounter"}).held


def test_the_first_page_is_not_the_record_nor_is_what_a_search_was_narrowed_to() -> None:
    """A client may paginate what it prefetches: the rest is then to be asked for."""
    link = "https://ehr.example/fhir/Condition?patient=p1&_count=1&_include=Condition:asserter"
    whole = searchset(CONDITION, link=link)
    following = {"relation": "next", "url": "https://ehr.example/fhir/Condition?page=2"}
    first = {**whole, "link": [*whole["link"], following]}
    narrowed = searchset(CONDITION, link=f"{link}&category=problem-list-item")
    assert "Condition" in read_prefetch({"k": whole}).held
    for part in (first, narrowed):
        seen = read_prefetch({"k": part})
        assert seen.resources == (CONDITION,)
        assert "Condition" not in seen.held


def test_the_orders_of_the_call_are_not_the_record_of_orders() -> None:
    draft = {"resourceType": "ServiceRequest", "id": "sr-1"}
    older = {"resourceType": "ServiceRequest", "id": "sr-0"}
    named = {"ServiceRequest/sr-1"}
    assert "ServiceRequest" not in read_prefetch({"k": searchset(draft)}, named=named).held
    assert "ServiceRequest" in read_prefetch({"k": searchset(draft, older)}, named=named).held


def test_a_self_link_that_is_no_address_still_says_what_was_searched() -> None:
    assert read_prefetch({"x": searchset(link="http://[x/Goal?patient=p1")}).held == {"Goal"}
