"""The payer, its plans, who manages their imaging benefit, and the services that no policy governs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.fhir.systems import NPI, concept
from server.policy.libraries import BASE
from server.policy.manifest import (
    CatalogError,
    Cell,
    Continuity,
    GoldCardRule,
    ManagerFile,
    PayerFile,
    PlanFile,
    ServicesFile,
    listed_codes,
    read,
)
from server.policy.policies import CriterionText, Policy

if TYPE_CHECKING:
    from server.policy.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Service:
    """What the plans say of a code that no policy governs.

    `imaging`: needs prior authorization where the plan asks for it in imaging.
    """

    code: str
    title: str
    covered: bool = True
    pa_needed: bool = False
    ours: bool = True
    imaging: bool = False


@dataclass(frozen=True, slots=True)
class BenefitManager:
    """A profile of section 4 of the policy source; `cells` keep the mark and source of each value."""

    name: str
    title: str
    texts: str
    weeks: Mapping[str, int]
    film_first: frozenset[str]
    shared: Mapping[str, Any]
    joints_only: Mapping[str, Any]
    cells: Mapping[str, Cell]

    def parameters(self, region: str, *, joint: bool) -> dict[str, Any]:
        """The CQL parameters (MRIParameters) of this profile for one region."""
        weeks = {"ccWeeks": self.weeks[region]} if region in self.weeks else {}
        return {
            **self.shared,
            **(self.joints_only if joint else {}),
            **weeks,
            "xrFirst": region in self.film_first,
        }

    @property
    def treatment(self) -> str:
        """The mix of treatments that counts (`cql/MRICare`, "Mix suffices"), in words."""
        groups, visits = self.shared.get("minGroups", 1), self.shared.get("minActiveVisits", 0)
        whole = "Any" if groups < 2 else f"{groups} kinds of"
        parts = {
            "an active one (therapy, chiropractic, home exercise)": self.shared.get("needsActive"),
            "one that is not active (medicine, injection, splint, change of activity)": self.shared.get(
                "needsInactive"
            ),
            "an active one, a prescribed medicine or an injection among them": self.shared.get(
                "needsActiveOrPrescribed"
            ),
            f"{visits} visits for active treatment": visits,
        }
        asked = ", ".join(part for part, wanted in parts.items() if wanted)
        return f"{whole} provider-directed treatment" + (f", with {asked}" if asked else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """A product of the payer: who manages its imaging benefit, who may deny, who is exempt."""

    name: str
    title: str
    benefit_manager: BenefitManager
    reviewer_denies: bool
    imaging_needs_authorization: bool
    gold_cards: tuple[str, ...]
    questionnaire_kind: str
    contact: str
    appeal: str
    gold_card_rules: tuple[GoldCardRule, ...]
    continuity: Continuity | None
    criteria: Mapping[str, Mapping[str, CriterionText]] = field(repr=False, compare=False)
    """By policy, then by id: what is said of the criteria under this plan."""
    catalog: Catalog = field(repr=False, compare=False)

    def parameters(self, policy: Policy) -> dict[str, Any]:
        """What the policy's CQL is told of this plan; whom it exempts depends on the day, too."""
        return {
            **self.benefit_manager.parameters(policy.region, joint=policy.joint),
            "paNeeded": self.imaging_needs_authorization,
        }


def services_of(path: Path) -> dict[str, Service]:
    found: dict[str, Service] = {}
    for group in read(path, ServicesFile).services:
        for code in listed_codes(group.codes):
            if code in found:
                raise CatalogError(f"{path.name}: {code} is in two groups, {found[code].title!r} the first")
            found[code] = Service(
                code=code,
                title=group.title,
                covered=group.covered,
                pa_needed=group.pa_needed,
                ours=group.ours,
                imaging=group.imaging,
            )
    return found


def benefit_manager(path: Path) -> BenefitManager:
    written = read(path, ManagerFile)
    if not isinstance(written.film_first.value, tuple):
        raise CatalogError(f"{path.name}: film-first has {written.film_first.value!r}, expected regions")
    regions = [region for row in written.weeks for region in row.regions]
    if twice := sorted({region for region in regions if regions.count(region) > 1}):
        raise CatalogError(f"{path.name}: weeks names {', '.join(twice)} twice")
    return BenefitManager(
        name=written.name,
        title=written.title,
        texts=written.texts,
        weeks={region: row.value for row in written.weeks for region in row.regions},
        film_first=frozenset(written.film_first.value),
        shared={name: cell.value for name, cell in written.parameters.items()},
        joints_only={name: cell.value for name, cell in written.joints_only.items()},
        cells={
            **{
                f"ccWeeks {region}": Cell(value=row.value, mark=row.mark, source=row.source)
                for row in written.weeks
                for region in row.regions
            },
            "xrFirst": written.film_first,
            **written.parameters,
            **{f"{name} (joints)": cell for name, cell in written.joints_only.items()},
        },
    )


def plan_of(path: Path, managers: Mapping[str, BenefitManager], catalog: Catalog) -> Plan:
    written = read(path, PlanFile)
    if written.benefit_manager not in managers:
        raise CatalogError(f"{path.name}: there is no benefit manager {written.benefit_manager}")
    rules, periods = catalog.exemptions.gold_card_rules, catalog.exemptions.continuity_of_care
    unknown = [name for name in written.gold_card_rules if name not in rules]
    if written.continuity_of_care and written.continuity_of_care not in periods:
        unknown.append(written.continuity_of_care)
    if unknown:
        raise CatalogError(f"{path.name}: exemptions.yaml has no {', '.join(unknown)}")
    manager = managers[written.benefit_manager]
    return Plan(
        name=written.name,
        title=written.title,
        benefit_manager=manager,
        reviewer_denies=written.reviewer_denies,
        imaging_needs_authorization=written.imaging_needs_authorization,
        gold_cards=written.gold_cards,
        questionnaire_kind=written.questionnaire,
        contact=written.contact,
        appeal=written.appeal,
        gold_card_rules=tuple(rules[name] for name in written.gold_card_rules),
        continuity=periods.get(written.continuity_of_care),
        criteria={policy.id: dict(_spoken(policy, manager, catalog)) for policy in catalog.policies},
        catalog=catalog,
    )


def _spoken(policy: Policy, manager: BenefitManager, catalog: Catalog) -> Iterator[tuple[str, CriterionText]]:
    """The criteria that the policy applies, in the words of one manager's values."""
    asked = {
        **manager.parameters(policy.region, joint=policy.joint),
        "treatment": manager.treatment,
        "profileTexts": manager.texts,
    }
    applied = set(catalog.engine.defines(policy.library))
    for name, text in policy.criteria.items():
        try:
            yield name, text.spoken(asked) if name in applied else text
        except (KeyError, ValueError) as fault:
            place = f"{policy.id}: the words of {name}"
            raise CatalogError(f"{place} name {fault}, which {manager.name}.yaml does not set") from None


def payer_organization(written: PayerFile) -> dict[str, Any]:
    """The payer as a FHIR Organization."""
    return {
        "resourceType": "Organization",
        "id": written.id,
        "identifier": [
            {"system": NPI, "value": written.npi},
            {"system": f"{BASE}/payer-id", "value": written.payer_id},
        ],
        "active": True,
        "type": [concept("http://terminology.hl7.org/CodeSystem/organization-type", "pay")],
        "name": written.name,
        "telecom": [{"system": "phone", "value": written.phone}],
        "address": [dict(written.address)],
    }
