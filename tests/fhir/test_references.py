"""One case, written in three ways, is one case; two servers' `Patient/1` are two patients."""

from typing import Any

import pytest

from server.fhir.references import Resolver, type_and_id


def claim_bundle(claim_url: str, patient_url: str, written: str) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "entry": [
            {
                "fullUrl": claim_url,
                "resource": {"resourceType": "Claim", "id": "c1", "patient": {"reference": written}},
            },
            {"fullUrl": patient_url, "resource": {"resourceType": "Patient", "id": "p1"}},
        ],
    }


@pytest.mark.parametrize(
    ("claim_url", "patient_url", "written"),
    [
        ("urn:uuid:1b5fd1d2-0001", "urn:uuid:1b5fd1d2-0002", "urn:uuid:1b5fd1d2-0002"),
        ("urn:uuid:1b5fd1d2-0001", "urn:uuid:1b5fd1d2-0002", "Patient/p1"),
        ("https://ehr.example/fhir/Claim/c1", "https://ehr.example/fhir/Patient/p1", "Patient/p1"),
        (
            "https://ehr.example/fhir/Claim/c1",
            "https://ehr.example/fhir/Patient/p1",
            "https://ehr.example/fhir/Patient/p1",
        ),
        ("https://ehr.example/fhir/Claim/c1", "https://ehr.example/fhir/Patient/p1", "Patient/p1/_history/4"),
        (
            "https://a.example/Claim/c1",
            "https://b.example/r4/Patient/p1",
            "https://b.example/r4/Patient/p1",
        ),
        ("", "", "Patient/p1"),
        ("", "", "https://ehr.example/fhir/Patient/p1"),
    ],
)
def test_a_reference_finds_its_resource_however_it_is_written(
    claim_url: str, patient_url: str, written: str
) -> None:
    bundle = claim_bundle(claim_url, patient_url, written)
    claim, patient = (entry["resource"] for entry in bundle["entry"])
    resolver = Resolver.of_bundle(bundle)
    assert resolver.resolve(claim["patient"], claim) is patient


@pytest.mark.parametrize(
    ("claim_url", "patient_url", "written"),
    [
        ("https://a.example/Claim/c1", "https://b.example/Patient/p1", "Patient/p1"),
        ("https://a.example/Claim/c1", "https://a.example/Patient/p1", "https://b.example/Patient/p1"),
        ("https://a.example/Claim/c1", "https://a.example/Patient/p1", "Patient/p2"),
        ("urn:uuid:1", "urn:uuid:2", "urn:uuid:3"),
        ("https://a.example/Claim/c1", "https://a.example/Patient/p1", "#p1"),
    ],
)
def test_a_reference_to_something_else_leads_nowhere(claim_url: str, patient_url: str, written: str) -> None:
    bundle = claim_bundle(claim_url, patient_url, written)
    claim = bundle["entry"][0]["resource"]
    assert Resolver.of_bundle(bundle).resolve(claim["patient"], claim) is None


def test_each_servers_patient_is_its_own() -> None:
    def claim_at(base: str) -> dict[str, Any]:
        claim = {"resourceType": "Claim", "id": "c1", "patient": {"reference": "Patient/1"}}
        return {"fullUrl": f"{base}/Claim/c1", "resource": claim}

    def patient_at(base: str) -> dict[str, Any]:
        patient = {"resourceType": "Patient", "id": "1", "implicitRules": base}
        return {"fullUrl": f"{base}/Patient/1", "resource": patient}

    bases = ["https://a.example/fhir", "https://b.example/fhir"]
    entries = [claim_at(base) for base in bases] + [patient_at(base) for base in bases]
    resolver = Resolver.of_bundle({"resourceType": "Bundle", "entry": entries})
    for base, claim in zip(bases, resolver.of_type("Claim"), strict=True):
        patient = resolver.resolve(claim["patient"], claim)
        assert patient is not None
        assert patient["implicitRules"] == base


def test_two_different_resources_under_one_name_mean_neither() -> None:
    resolver = Resolver.of(
        [
            {"resourceType": "Patient", "id": "1", "active": True},
            {"resourceType": "Patient", "id": "1", "active": False},
        ]
    )
    assert resolver.resolve("Patient/1") is None


def test_a_resource_prefetched_twice_is_one() -> None:
    patient = {"resourceType": "Patient", "id": "1"}
    assert Resolver.of([patient, dict(patient)]).resolve("Patient/1") is patient


class Compared(dict[str, Any]):
    """A resource that knows how often any was held beside another."""

    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def test_copies_of_a_resource_are_not_compared_again_with_each_reference_to_it() -> None:
    drug = {"resourceType": "Medication", "id": "m"}
    copies = Resolver.of([Compared(drug) for _ in range(500)])
    versions = Resolver.of([Compared(drug, status=str(number)) for number in range(500)])
    for number in range(500):
        assert copies.resolve(f"http://{number}.example/Medication/m") == drug
        assert versions.resolve(f"Medication/m/_history/{number}") is None
    assert Compared.times < 20_000


def test_the_version_asked_for_is_the_version_given() -> None:
    def version(number: str) -> dict[str, Any]:
        return {"resourceType": "Patient", "id": "1", "meta": {"versionId": number}}

    resolver = Resolver.of([version("1"), version("2")])
    assert resolver.resolve("Patient/1/_history/2") == version("2")
    assert resolver.resolve("Patient/1") is None


def test_a_contained_resource_is_found_in_its_own_container_only() -> None:
    practitioner = {"resourceType": "Practitioner", "id": "doc"}
    order: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "id": "sr",
        "contained": [practitioner],
        "requester": {"reference": "#doc"},
    }
    resolver = Resolver.of([order])
    assert resolver.resolve(order["requester"], order) is practitioner
    assert resolver.resolve("#doc", {"resourceType": "ServiceRequest"}) is None


def test_bundles_in_prefetch_count_as_their_entries() -> None:
    patient = {"resourceType": "Patient", "id": "1"}
    searched = {"resourceType": "Bundle", "entry": [{"resource": patient}, {"response": {}}, None]}
    assert Resolver.of([searched, None, "text"]).of_type("Patient") == [patient]


def test_type_and_id_of_a_reference() -> None:
    assert type_and_id({"reference": "https://ehr.example/fhir/Patient/1/_history/2"}) == ("Patient", "1")
    assert type_and_id({"reference": "urn:uuid:1"}) is None
    assert type_and_id({"identifier": {"value": "1"}}) is None
    assert type_and_id(None) is None
