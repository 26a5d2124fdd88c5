"""By what a member is known, however a client writes it."""

from typing import Any

from server.adjudication.members import member_key, payors

MB = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MB"}]}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "identifier": [{"system": "urn:mrn", "value": "77"}],
}


def coverage(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Coverage", "beneficiary": {"reference": "Patient/1"}, **elements}


def test_subscriber_id_and_member_identifier_are_one_key() -> None:
    by_subscriber = member_key(coverage(subscriberId=" M1 "), PATIENT)
    by_identifier = member_key(coverage(identifier=[{"type": MB, "value": "M1"}]), PATIENT)
    by_patient = member_key(coverage(), {**PATIENT, "identifier": [{"type": MB, "value": "M1"}]})
    assert by_subscriber == by_identifier == by_patient


def test_dependents_of_one_subscriber_are_different_members() -> None:
    """Of whom the subscriber is the one without a number, or number 0."""
    subscriber, zero, one, two = (
        member_key(coverage(subscriberId="M1", **told))
        for told in ({}, {"dependent": "0"}, {"dependent": "1"}, {"dependent": "2"})
    )
    assert subscriber == zero
    assert len({subscriber, one, two}) == 3


def test_a_family_that_shares_a_number_is_not_one_member() -> None:
    """Without numbers of dependents they have numbers of their own, or birthdays."""
    kinship = "http://terminology.hl7.org/CodeSystem/subscriber-relationship"

    def key(relation: str, **patient: Any) -> str:
        related = {"coding": [{"system": kinship, "code": relation}]}
        return member_key(coverage(subscriberId="M1", relationship=related), {**PATIENT, **patient})

    subscriber, spouse = key("self", birthDate="1974-03-02"), key("spouse", birthDate="1975-01-31")
    child = key("child", birthDate="2001-05-05", identifier=[{"type": MB, "value": "M1-2"}])
    assert subscriber == member_key(coverage(subscriberId="M1"), PATIENT)
    assert len({subscriber, spouse, child, key("child", id="2"), key("child", id="3")}) == 5
    assert child == member_key(coverage(subscriberId="M1-2"), PATIENT)
    assert spouse == key("spouse", birthDate="1975-01-31", id="elsewhere")


def test_without_a_member_id_payor_and_patient_identifier_count() -> None:
    one = coverage(payor=[{"identifier": {"system": "urn:p", "value": "A"}}])
    other = coverage(payor=[{"identifier": {"system": "urn:p", "value": "B"}}])
    assert member_key(one, PATIENT) == member_key(one, {**PATIENT, "id": "renamed"}, "https://elsewhere")
    assert member_key(one, PATIENT) != member_key(other, PATIENT)


def test_two_servers_patient_1_are_two_people() -> None:
    here, there = (
        member_key(coverage(), {"resourceType": "Patient", "id": "1"}, url)
        for url in ("https://a", "https://b")
    )
    assert here != there
    assert here == member_key(coverage(), None, "https://a/")


def test_a_number_of_no_system_is_told_apart_by_the_server_as_well() -> None:
    """Each clinic has an Organization/1 for the payer and a patient 4711."""
    insured = coverage(payor=[{"reference": "Organization/1"}])
    known_as = {**PATIENT, "identifier": [{"value": "4711"}]}
    assert member_key(insured, known_as, "https://a") != member_key(insured, known_as, "https://b")


def test_the_payor_is_found_inside_the_coverage_or_beside_it() -> None:
    inside = {"resourceType": "Organization", "id": "o", "name": "In"}
    beside = {"resourceType": "Organization", "id": "p", "name": "Beside"}
    both = coverage(
        contained=[inside], payor=[{"reference": "#o"}, {"reference": "Organization/p"}, {"display": "?"}]
    )
    assert list(payors(both, [beside])) == [inside, beside]
