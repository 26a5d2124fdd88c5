"""The policies, plans and forms this payer works by, loaded once and immutable.

Everything here is data under `cql/` and `questionnaires/`: libraries (CQL and the ELM made of it),
value sets, policy manifests, benefit-manager profiles, plans, services. What does not fit together is
refused at load, naming the file; at run time nothing can be "not found". The files' own shapes are in
`manifest`, the FHIR Library in `libraries`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from server.elm import Engine
from server.fhir import json
from server.fhir.systems import CPT, ICD, NPI
from server.policy.determination import Theme
from server.policy.libraries import BASE, Libraries
from server.policy.manifest import (
    AdviceFile,
    CatalogError,
    Cell,
    Continuity,
    CriteriaFile,
    CriterionEntry,
    ExemptionsFile,
    FormsFile,
    GoldCardRule,
    GuidelineEntry,
    GuidelinesFile,
    ManagerFile,
    PayerFile,
    PlanFile,
    PolicyFile,
    ServicesFile,
    listed_codes,
    read,
)
from server.policy.request import Resource

__all__ = [
    "CPT",
    "ICD",
    "Catalog",
    "CatalogError",
    "CriterionText",
    "Indication",
    "Plan",
    "Policy",
    "Service",
]

DEFAULT_PLAN = "evicore"
PLAN_CLASS = "plan"
SIDED = {"RT": "dx-right", "LT": "dx-left", "50": "dx-both"}
"""The value sets of diagnoses that name a side, by the side's modifier."""
SHARED = frozenset({"criteria.yaml", "guidelines.yaml", "advice.yaml"})
"""What the policies have in common, beside the policies themselves."""
DEFINES = ("Decision", "Unmet", "Unknown", "Gate")
"""What every policy library says beside its criteria."""


@dataclass(frozen=True, slots=True)
class CriterionText:
    """What a manifest says of one criterion: words for each of its values, theme, guideline, questions."""

    id: str
    title: str
    guideline: str
    theme: Theme | None
    met: str
    not_met: str
    unknown: str
    satisfy: str
    questions: tuple[str, ...]
    rank: int


@dataclass(frozen=True, slots=True)
class Indication:
    """One immediate indication of a region: the answer code, its words, the guideline it rests on."""

    id: str
    title: str
    guideline: str


@dataclass(frozen=True, slots=True)
class Policy:
    """One coverage policy. `services` are the billed codes it governs, in threes by contrast, `codes` the
    same as a set; `start` and `end` the days in force; `film` the radiograph that comes first.

    A policy of a joint region shares its codes with others: body site or diagnosis says which governs.
    """

    id: str
    region: str
    title: str
    library: str
    version: str
    prefill: str
    questionnaire: str
    services: tuple[str, ...]
    codes: frozenset[str]
    sites: frozenset[tuple[str, str]]
    diagnoses: frozenset[tuple[str, str]]
    start: dt.date
    end: dt.date | None
    owner: str
    guideline: str
    guideline_url: str
    film: str
    joint: bool
    fallback: bool
    precedence: int
    criteria: Mapping[str, CriterionText]
    indications: Mapping[str, Indication]
    themes: tuple[str, ...]

    @property
    def canonical(self) -> str:
        return f"{self.library}|{self.version}"

    @property
    def immediate(self) -> str:
        """The id of the criterion that holds where an immediate indication is shown."""
        return f"{self.region}-IMM"

    def in_force(self, on: dt.date) -> bool:
        return self.start <= on and (self.end is None or on <= self.end)


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
    weeks: Mapping[str, int]
    film_first: frozenset[str]
    shared: Mapping[str, Any]
    joints_only: Mapping[str, Any]
    cells: Mapping[str, Cell]

    def parameters(self, policy: Policy) -> dict[str, Any]:
        """The CQL parameters (MRIParameters) of this profile for one region."""
        weeks = {"ccWeeks": self.weeks[policy.region]} if policy.region in self.weeks else {}
        return {
            **self.shared,
            **(self.joints_only if policy.joint else {}),
            **weeks,
            "xrFirst": policy.region in self.film_first,
        }


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
    catalog: Catalog = field(repr=False, compare=False)

    def parameters(self, policy: Policy) -> dict[str, Any]:
        """What the policy's CQL is told of this plan; whom it exempts depends on the day, too."""
        return {
            **self.benefit_manager.parameters(policy),
            "paNeeded": self.imaging_needs_authorization,
        }


@dataclass(frozen=True, slots=True)
class PlanForm:
    """A form that the payer asks for beside an order's documentation, where one of `diagnoses` is the
    reason; `title` is the form's own."""

    canonical: str
    title: str
    topic: str
    summary: str
    detail: str
    diagnoses: frozenset[tuple[str, str]]


class Catalog:
    """All of it. `Catalog.load()` reads the data that comes with the server."""

    def __init__(self, root: Path) -> None:
        data = root / "cql"
        self.root = root
        self.value_sets_named: set[str] = set()
        """Canonicals of the value sets that the data themselves name, not a library."""
        self.payer = _payer(read(data / "payer.yaml", PayerFile))
        self._libraries = Libraries(data, self.payer["name"])
        self._value_sets = _by_url(data.glob("valuesets/*.json"))
        self.code_systems: Mapping[str, dict[str, Any]] = _by_url(data.glob("codesystems/*.json"))
        self.questionnaires: tuple[dict[str, Any], ...] = tuple(
            json.decode_object(path.read_bytes()) for path in sorted((root / "questionnaires").glob("*.json"))
        )
        self.engine = Engine(
            libraries=list(self._libraries.elm.values()), value_sets=self._declared_value_sets()
        )
        self.services: Mapping[str, Service] = _services(data / "services.yaml")
        criteria = read(data / "policies" / "criteria.yaml", CriteriaFile)
        guidelines = read(data / "policies" / "guidelines.yaml", GuidelinesFile).guidelines
        self.guidelines: Mapping[str, GuidelineEntry] = guidelines
        self.advice = read(data / "policies" / "advice.yaml", AdviceFile)
        self.sides: Mapping[str, frozenset[tuple[str, str]]] = {
            side: self._members(data, value_set) for side, value_set in SIDED.items()
        }
        self.denial_codes: Mapping[str, str] = criteria.denial_codes
        self.forms: tuple[PlanForm, ...] = tuple(self._forms(data / "forms.yaml"))
        self.policies: tuple[Policy, ...] = tuple(
            self._policy(path, written, criteria, guidelines)
            for path in sorted(data.glob("policies/*.yaml"))
            if path.name not in SHARED
            for written in [read(path, PolicyFile)]
            if written.status == "active"
        )
        self.exemptions = read(data / "exemptions.yaml", ExemptionsFile)
        managers = {m.name: m for m in map(_manager, sorted(data.glob("benefit-managers/*.yaml")))}
        self.plans: Mapping[str, Plan] = {
            plan.name: plan
            for path in sorted(data.glob("plans/*.yaml"))
            for plan in [_plan(path, managers, self)]
        }
        self._check_parameters()
        self._check_advice()

    @classmethod
    def load(cls, root: Path | None = None) -> Catalog:
        """The data below `root`: by default the checkout's, or what the installed package carries.

        Raises CatalogError naming the file and what to mend.
        """
        package = Path(__file__).resolve().parent.parent
        return cls(root or (package / "data" if (package / "data").is_dir() else package.parent))

    def plan(self, name: str) -> Plan:
        """The plan of that name, else the default one: an unknown plan is never an error (contract)."""
        return self.plans.get(name) or self.plans[DEFAULT_PLAN]

    def is_another_payer(self, identifier: str) -> bool:
        """Whether an identifier names somebody else than this payer; nothing names nobody."""
        own = {each["value"] for each in self.payer["identifier"]}
        return bool(identifier) and identifier not in own

    def plan_of(self, coverage: Resource, payors: Sequence[Resource] = ()) -> Plan:
        """The value of `Coverage.class` of type plan, else a plan named by a payor's identifier."""
        for each in coverage.get("class") or []:
            kinds = {coding.get("code") for coding in (each.get("type") or {}).get("coding") or []}
            if PLAN_CLASS in kinds and each.get("value") in self.plans:
                return self.plans[each["value"]]
        for payor in payors:
            for identifier in payor.get("identifier") or []:
                if identifier.get("value") in self.plans:
                    return self.plans[identifier["value"]]
        return self.plans[DEFAULT_PLAN]

    def policy_for(self, order: Resource, on: dt.date) -> Policy | None:
        """The policy in force on that day which governs the order.

        By code; where policies share it, by body site, then by the first diagnosis that belongs to one of
        them alone, then to several (the one that takes precedence), then by a policy that takes what is
        left. None where nothing tells, or no policy has the code.
        """
        code = _code(order)
        governing = [p for p in self.policies if code in p.codes and p.in_force(on)]
        candidates = sorted(governing, key=lambda policy: policy.precedence)
        own = (p for p in candidates if not p.joint)
        sites = set(_codings(order.get("bodySite") or []))
        by_site = (p for p in candidates if sites & p.sites)
        diagnoses = _codings(order.get("reasonCode") or [])
        fitting = [[p for p in candidates if one in p.diagnoses] for one in diagnoses]
        alone = (those[0] for those in fitting if len(those) == 1)
        among = (p for those in fitting for p in those)
        left = (p for p in candidates if p.fallback)
        return next((p for ways in (own, by_site, alone, among, left) for p in ways), None)

    def service(self, plan: Plan, code: str) -> Service:
        """The coverage table's line for a code; a code without a line is covered without authorization."""
        listed = self.services.get(code) or Service(code=code, title="")
        asked = listed.pa_needed or (listed.imaging and plan.imaging_needs_authorization)
        return replace(listed, pa_needed=asked)

    def questionnaire(self, canonical: str) -> dict[str, Any] | None:
        """The form of a canonical, with or without version."""
        url, _, version = canonical.partition("|")
        for form in self.questionnaires:
            if form["url"] == url and version in ("", form.get("version")):
                return form
        return None

    @property
    def libraries(self) -> Mapping[str, Mapping[str, Any]]:
        """The compiled libraries (ELM) by name."""
        return self._libraries.elm

    @property
    def value_sets(self) -> Mapping[str, dict[str, Any]]:
        """The expanded value sets by canonical."""
        return self._value_sets

    def value_set(self, url: str) -> dict[str, Any]:
        """The expanded ValueSet of a canonical. KeyError where there is none."""
        return self._value_sets[url.partition("|")[0]]

    def library(self, name: str) -> dict[str, Any]:
        """A FHIR Library with its CQL and ELM, by name or canonical. KeyError where there is none."""
        return self._libraries.fhir(name.removeprefix(f"{BASE}/Library/").partition("|")[0])

    def library_closure(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """The libraries of these names and all they include, each once, the included last."""
        return [self._libraries.fhir(name) for name in self._libraries.closure(names)]

    def value_sets_of(self, library: str) -> list[str]:
        """Canonicals of the value sets that a library declares."""
        return self._libraries.value_sets_of(library)

    def _declared_value_sets(self) -> list[dict[str, Any]]:
        missing = sorted(self._libraries.value_sets - self._value_sets.keys())
        if missing:
            raise CatalogError(f"cql/valuesets lacks what the libraries declare: {', '.join(missing)}")
        return [self._value_sets[url] for url in sorted(self._libraries.value_sets)]

    def _policy(
        self,
        path: Path,
        written: PolicyFile,
        criteria: CriteriaFile,
        guidelines: Mapping[str, GuidelineEntry],
    ) -> Policy:
        region = written.region
        for library in (written.library, written.prefill):
            if library not in self._libraries.elm:
                raise CatalogError(f"{path.name}: there is no library {library} in cql/elm")
        lacking = {*DEFINES, f"{region}-IMM"} - set(self.engine.defines(written.library))
        if lacking:
            raise CatalogError(f"{path.name}: {written.library} lacks {', '.join(sorted(lacking))}")
        if self.questionnaire(written.questionnaire) is None:
            raise CatalogError(f"{path.name}: there is no form {written.questionnaire} in questionnaires")
        themes = tuple(f"{region}-IMM" if i == "IMM" else i for i in criteria.theme_order)
        names = dict.fromkeys([*criteria.criteria, *written.criteria])
        unknown = [name for name in themes if name not in names]
        if unknown:
            raise CatalogError(f"criteria.yaml: theme-order has {', '.join(unknown)}, which no file defines")
        return Policy(
            id=written.id,
            region=region,
            title=written.title,
            library=written.library,
            version=written.version,
            prefill=written.prefill,
            questionnaire=written.questionnaire,
            services=written.services,
            codes=frozenset(written.services),
            sites=self._members(path, written.sites),
            diagnoses=self._members(path, written.diagnoses),
            start=written.effective.start,
            end=written.effective.end,
            owner=written.owner,
            guideline=_guideline(path, written.guideline, guidelines),
            guideline_url=written.guideline_url,
            film=written.film,
            joint=written.joint,
            fallback=written.fallback,
            precedence=written.precedence,
            criteria={
                name: _criterion(
                    path, name, (criteria.criteria, written.criteria), written.guideline, guidelines
                )
                for name in names
            },
            indications={
                code: Indication(code, self._answer(path, code), _guideline(path, source, guidelines))
                for code, source in written.indications.items()
            },
            themes=themes,
        )

    def _forms(self, path: Path) -> Iterator[PlanForm]:
        for entry in read(path, FormsFile).forms:
            form = self.questionnaire(entry.questionnaire)
            if form is None:
                raise CatalogError(f"{path.name}: there is no form {entry.questionnaire} in questionnaires")
            yield PlanForm(
                canonical=entry.questionnaire,
                title=form["title"],
                topic=entry.topic,
                summary=entry.summary,
                detail=entry.detail,
                diagnoses=self._members(path, entry.diagnoses),
            )

    def _members(self, path: Path, name: str) -> frozenset[tuple[str, str]]:
        url = f"{BASE}/ValueSet/{name}"
        self.value_sets_named.add(url)
        value_set = self._value_sets.get(url)
        if value_set is None:
            raise CatalogError(f"{path.name}: cql/valuesets has no {name}.json")
        return frozenset((c["system"], c["code"]) for c in value_set["expansion"]["contains"])

    def _answer(self, path: Path, code: str) -> str:
        """The words of an answer code."""
        concepts = self.code_systems[f"{BASE}/CodeSystem/mri-answer"]["concept"]
        for each in concepts:
            if each["code"] == code:
                return str(each["display"])
        raise CatalogError(f"{path.name}: indication {code} is no code of codesystems/mri-answer.json")

    def _check_advice(self) -> None:
        if self.advice.library not in self._libraries.elm:
            raise CatalogError(f"advice.yaml: there is no library {self.advice.library} in cql/elm")
        lacking = self.advice.notes.keys() - set(self.engine.defines(self.advice.library))
        if lacking:
            raise CatalogError(f"advice.yaml: {self.advice.library} lacks {', '.join(sorted(lacking))}")
        for name, note in self.advice.notes.items():
            if note.guideline not in self.guidelines:
                raise CatalogError(f"advice.yaml: {name} rests on {note.guideline}, no guideline of ours")

    def _check_parameters(self) -> None:
        for plan in self.plans.values():
            for policy in self.policies:
                known = set(self.engine.parameters(policy.library))
                for name in plan.parameters(policy):
                    if name not in known:
                        manager = plan.benefit_manager.name
                        raise CatalogError(f"{manager}.yaml: {policy.library} has no parameter {name}")


def _by_url(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    found = (msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) for path in sorted(paths))
    return {resource["url"]: resource for resource in found}


def _criterion(
    path: Path,
    name: str,
    written: Sequence[Mapping[str, CriterionEntry]],
    default: str,
    guidelines: Mapping[str, GuidelineEntry],
) -> CriterionText:
    """The shared words of a criterion with the region's own over them."""
    entries = [entries[name] for entries in written if name in entries]

    def said(element: str, otherwise: Any = None) -> Any:
        given = [value for entry in entries if (value := getattr(entry, element)) is not None]
        if not given and otherwise is None:
            raise CatalogError(f"{path.name}: {name} has no {element.replace('_', '-')}")
        return given[-1] if given else otherwise

    themes = [entry.theme for entry in entries if entry.theme is not None]
    return CriterionText(
        id=name,
        title=said("title"),
        guideline=_guideline(path, said("guideline", default), guidelines),
        theme=themes[-1] if themes else None,
        met=said("met"),
        not_met=said("not_met"),
        unknown=said("unknown"),
        satisfy=said("satisfy"),
        questions=said("questions", ()),
        rank=said("rank", 99),
    )


def _guideline(path: Path, key: str, guidelines: Mapping[str, GuidelineEntry]) -> str:
    if key not in guidelines:
        raise CatalogError(f"{path.name}: guidelines.yaml has no {key}")
    return guidelines[key].title


def _services(path: Path) -> dict[str, Service]:
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


def _manager(path: Path) -> BenefitManager:
    written = read(path, ManagerFile)
    if not isinstance(written.film_first.value, tuple):
        raise CatalogError(f"{path.name}: film-first has {written.film_first.value!r}, expected regions")
    return BenefitManager(
        name=written.name,
        title=written.title,
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


def _plan(path: Path, managers: Mapping[str, BenefitManager], catalog: Catalog) -> Plan:
    written = read(path, PlanFile)
    if written.benefit_manager not in managers:
        raise CatalogError(f"{path.name}: there is no benefit manager {written.benefit_manager}")
    rules, periods = catalog.exemptions.gold_card_rules, catalog.exemptions.continuity_of_care
    unknown = [name for name in written.gold_card_rules if name not in rules]
    if written.continuity_of_care and written.continuity_of_care not in periods:
        unknown.append(written.continuity_of_care)
    if unknown:
        raise CatalogError(f"{path.name}: exemptions.yaml has no {', '.join(unknown)}")
    return Plan(
        name=written.name,
        title=written.title,
        benefit_manager=managers[written.benefit_manager],
        reviewer_denies=written.reviewer_denies,
        imaging_needs_authorization=written.imaging_needs_authorization,
        gold_cards=written.gold_cards,
        questionnaire_kind=written.questionnaire,
        contact=written.contact,
        appeal=written.appeal,
        gold_card_rules=tuple(rules[name] for name in written.gold_card_rules),
        continuity=periods.get(written.continuity_of_care),
        catalog=catalog,
    )


def _payer(written: PayerFile) -> dict[str, Any]:
    """The payer as a FHIR Organization."""
    return {
        "resourceType": "Organization",
        "id": written.id,
        "identifier": [
            {"system": NPI, "value": written.npi},
            {"system": f"{BASE}/payer-id", "value": written.payer_id},
        ],
        "active": True,
        "type": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/organization-type", "code": "pay"}]}
        ],
        "name": written.name,
        "telecom": [{"system": "phone", "value": written.phone}],
        "address": [dict(written.address)],
    }


def _code(order: Resource) -> str:
    for coding in (order.get("code") or {}).get("coding") or []:
        if coding.get("system") == CPT:
            return str(coding.get("code", "")).partition("-")[0]
    return ""


def _codings(concepts: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [
        (coding.get("system", ""), coding.get("code", ""))
        for concept in concepts
        for coding in concept.get("coding") or []
    ]
