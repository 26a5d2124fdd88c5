"""Cases as data: one order, the chart around it, and the outcome the policy must give.

A file is `{"meta": …, "vignettes": [ … ]}`. `read` checks it and gives `Vignette`s; `case_of` makes of one
the FHIR resources that an EHR would send and the payer would hold, for a day zero. Rules and doors see only
these resources, never a case's id. What each fact becomes is in `case_facts`.

    for vignette in read(path):
        case = case_of(vignette, dt.date(2026, 6, 15), payer=catalog.payer)
        said = determine(case.order, case.member, case.chart, catalog.plan(case.plan), case.now)
        for difference in differences(vignette.expected, said): ...

Days count back from day zero: a fact's `date` is days before it, `"D-41"` in a value the date 41 days before.
Every case has a member of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from server.fhir import json
from server.fhir.errors import InvalidJson
from server.policy.case_draft import Draft, Fact
from server.policy.case_facts import apply
from server.policy.determination import Decision, Determination, Theme
from server.policy.request import Chart, Member, Resource
from server.policy.rulings import authorizations_of, rulings_of


class CaseError(ValueError):
    """A file or case that does not follow the format; the message says where and what to mend."""


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outcome: criteria in any order; `denial_theme` one of D1 to D5 or None."""

    decision: Decision
    pa_needed: bool = True
    unmet: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    denial_theme: Theme | None = None


class Vignette(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case as written. `plan` overrides the plan that `rbm` names."""

    id: str
    cpt: str
    icd10: tuple[str, ...]
    age: int
    sex: str
    rbm: str
    expected: Expected
    region: str = ""
    modifiers: tuple[str, ...] = ()
    place_of_service: str | None = "11"
    facts: tuple[Fact, ...] = ()
    why: str = ""
    plan: str | None = None

    def check_plan(self, plans: Collection[str]) -> None:
        """Raises CaseError for a plan that is none of these: rules would take it for the default one."""
        named = self.plan or self.rbm
        if named not in plans:
            raise CaseError(f"{self.id}: there is no plan {named}; there are {', '.join(plans)}")


@dataclass(frozen=True, slots=True)
class Case:
    """A vignette as FHIR.

    order          the draft ServiceRequest, by the conventions of `server.policy.request`
    siblings       further order lines of the same member and day
    modifiers      the billing modifiers, as a claim line carries them
    injured        the day of injury, where it is known (a claim's accident date)
    parties        Patient, Practitioner, PractitionerRole, Organizations the others refer to
    clinical       what the EHR has on the patient, answered forms among it
    records        what only the payer holds: rulings of old, network locations
    """

    id: str
    region: str
    day_zero: dt.date
    plan: str
    order: Resource
    siblings: tuple[Resource, ...]
    modifiers: tuple[str, ...]
    injured: dt.date | None
    patient: Resource
    coverage: Resource
    parties: tuple[Resource, ...]
    clinical: tuple[Resource, ...]
    records: tuple[Resource, ...]

    @property
    def now(self) -> dt.datetime:
        """Noon of day zero."""
        return dt.datetime.combine(self.day_zero, dt.time(12), dt.UTC)

    @property
    def clinician(self) -> str:
        """The person who ordered, by reference: an order names the role, a form's answers are a person's."""
        ordered = self.order["requester"]["reference"].removeprefix("PractitionerRole/")
        (person,) = (
            each["practitioner"]["reference"]
            for each in self.parties
            if (each["resourceType"], each["id"]) == ("PractitionerRole", ordered)
        )
        return str(person)

    @property
    def member(self) -> Member:
        return Member(
            key=str(self.coverage.get("subscriberId", self.id)),
            coverage=self.coverage,
            records=self.records,
            authorizations=authorizations_of(self.records),
            rulings=rulings_of(self.records),
        )

    @property
    def chart(self) -> Chart:
        return Chart(resources=(*self.parties, *self.siblings, *self.clinical))

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Everything the EHR has, the order and the coverage included."""
        return (self.order, self.coverage, *self.chart.resources)


def read(path: Path) -> tuple[Vignette, ...]:
    """The cases of a file. Raises CaseError naming the file, the case and the element."""
    try:
        content = json.decode(path.read_bytes())
    except InvalidJson as error:
        raise CaseError(f"{path.name}: {error}") from error
    listed = content.get("vignettes") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise CaseError(f'{path.name}: expected an object with a list "vignettes"')
    return tuple(_vignette(path.name, place, entry) for place, entry in enumerate(listed))


def case_of(vignette: Vignette, day_zero: dt.date, payer: Resource) -> Case:
    """The vignette as FHIR on that day; `payer` is the payer's Organization.

    Raises CaseError where a fact is not one of the format, or a day is none of the calendar.
    """
    try:
        draft = Draft.begin(
            case_id=vignette.id,
            region=vignette.region,
            day_zero=day_zero,
            plan=vignette.plan or vignette.rbm,
            payer=payer,
            age=vignette.age,
            sex=vignette.sex,
            cpt=vignette.cpt,
            modifiers=vignette.modifiers,
            diagnoses=vignette.icd10,
            place=vignette.place_of_service,
        )
    except (ValueError, OverflowError) as error:
        raise CaseError(f"{vignette.id}, age: {error}") from error
    for place, fact in enumerate(vignette.facts):
        try:
            apply(fact, draft)
        except (ValueError, OverflowError) as error:
            raise CaseError(f"{vignette.id}, facts[{place}]: {error}") from error
    return Case(
        id=vignette.id,
        region=vignette.region,
        day_zero=day_zero,
        plan=vignette.plan or vignette.rbm,
        order=draft.order,
        siblings=tuple(draft.siblings),
        modifiers=vignette.modifiers,
        injured=draft.injured,
        patient=draft.patient,
        coverage=draft.coverage,
        parties=tuple(draft.parties),
        clinical=tuple(draft.clinical),
        records=tuple(draft.records),
    )


def differences(expected: Expected, said: Determination) -> tuple[str, ...]:
    """What a determination says otherwise than expected, a short sentence each; empty where nothing.

    Where the plan reserves denials for a person, what the rules recommend counts as their decision.
    """
    if said.failure is not None:
        return (str(said.failure),)
    decision = said.recommended if said.recommended is expected.decision else said.decision
    return tuple(
        f"{name}: {in_words(found)}, expected {in_words(wanted)}"
        for name, found, wanted in (
            ("decision", decision, expected.decision),
            ("pa_needed", said.pa_needed, expected.pa_needed),
            ("unmet", sorted(said.unmet), sorted(expected.unmet)),
            ("unknown", sorted(said.unknown), sorted(expected.unknown)),
            ("theme", said.theme, expected.denial_theme),
        )
        if found != wanted
    )


def of_regions(vignettes: Sequence[Vignette], regions: Sequence[str]) -> Iterator[Vignette]:
    """Those of the named regions; all where none is named."""
    return (v for v in vignettes if not regions or v.region in regions)


def _vignette(file: str, place: int, entry: Any) -> Vignette:
    name = entry.get("id", f"vignettes[{place}]") if isinstance(entry, Mapping) else f"vignettes[{place}]"
    try:
        return msgspec.convert(entry, Vignette)
    except msgspec.ValidationError as error:
        raise CaseError(f"{file}, {name}: {error}") from error


def in_words(value: Any) -> str:
    """A value of an outcome, as a difference tells it."""
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
