"""What can be seen of the patient: prefetched data, read by what it is and not by what its key is called.

Each prefetch key is judged alone (CDS Hooks, "Prefetch"; field experience behind it):

    absent                  nobody asked: to be queried, or unknown
    null, empty Bundle      asked, and there is nothing
    OperationOutcome        asked, and it failed: unknown; so it is where a search brings nothing but errors
    resource, Bundle        there

A key that brings nothing says by its name, or by its Bundle's self link, what it was to bring.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.fhir.client import link, tells_of_failure
from server.fhir.dates import begun, over
from server.fhir.elements import elements
from server.fhir.references import Resolver, local_reference, type_and_id

Resource = dict[str, Any]

CHART: Mapping[str, str] = {
    "AllergyIntolerance": "allergies",
    "CarePlan": "care plans",
    "Condition": "problems and diagnoses",
    "Device": "implants",
    "DeviceRequest": "splints and other devices",
    "DiagnosticReport": "imaging and other reports",
    "Encounter": "visits",
    "Goal": "treatment goals",
    "ImagingStudy": "imaging studies",
    "MedicationDispense": "medicines handed out",
    "MedicationRequest": "prescriptions",
    "Observation": "examination findings and scores",
    "Procedure": "procedures and therapy visits",
    "QuestionnaireResponse": "answered forms",
    "ServiceRequest": "earlier orders",
}
"""The record that the policies read, and what clinicians call its parts."""

_NAMED_TYPES = (*CHART, "Coverage", "Patient", "Practitioner", "PractitionerRole", "Organization", "Location")


@dataclass(frozen=True, slots=True)
class Prefetch:
    """`held` are the types that came or are known to be empty, `failed` those whose fetch failed; `queried`
    are the resources that had to be asked for; `refused` are the types that the EHR does not let us search,
    `rejected` says that it took the token for none."""

    resources: tuple[Resource, ...] = ()
    held: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    queried: tuple[Resource, ...] = ()
    refused: frozenset[str] = frozenset()
    rejected: bool = False


def read_prefetch(
    prefetch: Mapping[str, Any], by_id: Collection[str] = (), named: Collection[str] = ()
) -> Prefetch:
    """Every key by its content; what is malformed is left out, as if its fetch had failed.

    A part of the record counts as held once it was searched for, whole. The keys in `by_id` fetch single
    resources and the resources in `named` ("Type/id") were asked for by name: they are there, but say nothing
    about what else the record holds.
    """
    resources: list[Resource] = []
    held: set[str] = set()
    failed: set[str] = set()
    for key, content in prefetch.items():
        if _failed(content):
            failed |= _types_of(key, content) - (set(CHART) if key in by_id else set())
            continue
        brought = list(_resources(content))
        resources += brought
        searched = [resource for resource in brought if local_reference(resource) not in named]
        types = (
            {str(resource["resourceType"]) for resource in searched} if brought else _types_of(key, content)
        )
        held |= types - set(CHART) if key in by_id or _is_partial(content) else types
    return Prefetch(tuple(resources), frozenset(held), frozenset(failed - held))


_WHOLE = frozenset({"patient", "subject", "_count", "_format", "_include", "_revinclude", "_sort", "_total"})
"""Parameters of a search that leave nothing of the patient's out."""


def _is_partial(content: Any) -> bool:
    """One resource, a search for some of the patient's, or a page that others follow (CDS Hooks, "Prefetch
    Template": clients may paginate)."""
    if not isinstance(content, dict) or content.get("resourceType") != "Bundle":
        return isinstance(content, dict)
    asked = _asked(content).partition("?")[2]
    names = {name.partition("=")[0].partition(":")[0] for name in asked.split("&") if name}
    return bool(link(content, "next")) or not names <= _WHOLE


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a call shows. `unreadable` names in a clinician's words what was asked for in vain."""

    patient: Resource | None
    coverages: tuple[Resource, ...]
    record: tuple[Resource, ...]
    resolver: Resolver
    held: frozenset[str]
    failed: frozenset[str]
    refused: frozenset[str]

    @property
    def unreadable(self) -> tuple[str, ...]:
        return tuple(CHART[kind] for kind in CHART if kind in self.failed)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the chart lacks, and why."""
        silent = [CHART[kind] for kind in CHART if kind not in self.held and kind not in self.failed]
        return (
            *([f"Could not be read: {', '.join(self.unreadable)}"] if self.unreadable else ()),
            *([f"Not sent in full: {', '.join(silent)}"] if silent else ()),
        )


def look(patient_id: str, context: Iterable[Resource], prefetch: Prefetch, day: dt.date) -> Sight:
    """Joins the context's resources with the prefetched ones; of one that came twice, the context's copy
    counts. `day` is today's."""
    every = list(once([*context, *prefetch.resources]))
    return Sight(
        patient=_patient(every, patient_id),
        coverages=tuple(_coverages(every, patient_id, day)),
        record=tuple(every),
        resolver=Resolver.of(every),
        held=prefetch.held,
        failed=prefetch.failed,
        refused=prefetch.refused,
    )


def _patient(resources: list[Resource], patient_id: str) -> Resource | None:
    patients = [resource for resource in resources if resource["resourceType"] == "Patient"]
    return next((patient for patient in patients if patient.get("id") == patient_id), None)


def _coverages(resources: list[Resource], patient_id: str, day: dt.date) -> list[Resource]:
    """The patient's Coverages in force, else those to come, else those that have ended. Many a record leaves
    one that has ended `active`, and has next year's before the year begins. One that names another
    beneficiary (a parent's, say) counts only where no other is there."""
    sent = [resource for resource in resources if resource["resourceType"] == "Coverage"]
    own = [coverage for coverage in sent if _beneficiary(coverage) in ("", patient_id)] or sent
    active = [coverage for coverage in own if coverage.get("status", "active") == "active"]
    running = [coverage for coverage in active if not over(coverage.get("period"), day)]
    current = [coverage for coverage in running if begun(coverage.get("period"), day)]
    return current or running or active or own


def _beneficiary(coverage: Resource) -> str:
    named = coverage.get("beneficiary")
    found = type_and_id(named) if isinstance(named, dict) else None
    return found[1] if found else ""


def _failed(content: Any) -> bool:
    if isinstance(content, dict):
        return tells_of_failure(content) or "resourceType" not in content
    return content is not None and not isinstance(content, list)


def _resources(content: Any) -> Iterator[Resource]:
    """A resource, those of a Bundle, or those of an array; outcomes among search results are remarks."""
    if isinstance(content, list):
        for part in content:
            yield from _resources(part)
        return
    kind = content.get("resourceType") if isinstance(content, dict) else None
    if kind == "Bundle":
        yield from _resources([entry.get("resource") for entry in elements(content, "entry")])
    elif isinstance(kind, str) and kind != "OperationOutcome":
        yield content


def _types_of(key: str, content: Any) -> set[str]:
    """What a key that brought nothing was to bring."""
    asked = _self_type(content)
    if asked:
        return {asked}
    plain = "".join(letter for letter in key.lower() if letter.isalpha())
    return {kind for kind in _NAMED_TYPES if plain in _spellings(kind)}


def _spellings(kind: str) -> set[str]:
    name = kind.lower()
    return {name, f"{name}s", f"{name[:-1]}ies"} if name.endswith("y") else {name, f"{name}s"}


def _self_type(content: Any) -> str:
    last = _asked(content).partition("?")[0].rstrip("/").rpartition("/")[2]
    return last if last in _NAMED_TYPES else ""


def _asked(content: Any) -> str:
    """The search that a Bundle says it answers."""
    return (link(content, "self") or "") if isinstance(content, dict) else ""


def once(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The first of each name: a Practitioner included by three searches is one Practitioner."""
    seen: set[str] = set()
    for resource in resources:
        name = local_reference(resource)
        if name not in seen:
            yield resource
        if name:
            seen.add(name)
