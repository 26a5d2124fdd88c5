"""The policies, plans and forms this payer works by, loaded once and immutable.

Everything here is data under `cql/` and `questionnaires/`: libraries (CQL and the ELM made of it),
value sets, policy manifests, benefit-manager profiles, plans, services. What does not fit together is
refused at load, naming the file; at run time nothing can be "not found". The files' own shapes are in
`manifest`, what is made of them in `policies` and `plans`, the FHIR Library in `libraries`.
"""

from __future__ import annotations

import datetime as dt
import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from server.elm import Engine, LoadError
from server.fhir.elements import elements, once
from server.fhir.systems import CPT, ICD, coding_key, is_billed, spellings
from server.policy.libraries import BASE, Libraries
from server.policy.line import codings
from server.policy.manifest import (
    AdviceFile,
    CatalogError,
    CriteriaFile,
    ExemptionsFile,
    FormsFile,
    GuidelinesFile,
    PayerFile,
    PolicyFile,
    read,
    resource,
)
from server.policy.names import names_of
from server.policy.plans import (
    BenefitManager,
    Plan,
    Service,
    benefit_manager,
    payer_organization,
    plan_of,
    services_of,
)
from server.policy.policies import CriterionText, Indication, Policy, criterion_text, guideline_title
from server.policy.request import Resource

__all__ = [
    "BenefitManager",
    "Catalog",
    "CatalogError",
    "CriterionText",
    "Indication",
    "Plan",
    "Policy",
    "Service",
]

DEFAULT_PLAN = "evicore"
N = TypeVar("N", BenefitManager, Plan)
PLAN_CLASS = "plan"
SIDED = {"RT": "dx-right", "LT": "dx-left", "50": "dx-both"}
"""The value sets of diagnoses that name a side, by the side's modifier."""
SHARED = frozenset({"criteria.yaml", "guidelines.yaml", "advice.yaml"})
"""What the policies have in common, beside the policies themselves."""
DEFINES = ("Decision", "Unmet", "Unknown", "Gate")
"""What every policy library says beside its criteria."""


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
        self.payer = payer_organization(read(data / "payer.yaml", PayerFile))
        self._libraries = Libraries(data, self.payer["name"])
        self.value_sets: Mapping[str, dict[str, Any]] = _by_url(data.glob("valuesets/*.json"))
        """Expanded, by canonical."""
        self.code_systems: Mapping[str, dict[str, Any]] = _by_url(data.glob("codesystems/*.json"))
        self.questionnaires: tuple[dict[str, Any], ...] = tuple(
            resource(path) for path in sorted((root / "questionnaires").glob("*.json"))
        )
        self.engine = self._engine()
        self.services: Mapping[str, Service] = services_of(data / "services.yaml")
        titles = map(resource, data.glob("valuesets/titles/*.json"))
        named = [*titles, *self.code_systems.values()]
        self.names = names_of(self.services, self.value_sets.values(), named)
        criteria = read(data / "policies" / "criteria.yaml", CriteriaFile)
        self.guidelines = read(data / "policies" / "guidelines.yaml", GuidelinesFile).guidelines
        self.advice = read(data / "policies" / "advice.yaml", AdviceFile)
        self.sides: Mapping[str, frozenset[tuple[str, str]]] = {
            side: self._members(data, value_set) for side, value_set in SIDED.items()
        }
        self.denial_codes: Mapping[str, str] = criteria.denial_codes
        self.forms: tuple[PlanForm, ...] = tuple(self._forms(data / "forms.yaml"))
        paths = (path for path in sorted(data.glob("policies/*.yaml")) if path.name not in SHARED)
        manifests = {
            path: written for path in paths if (written := read(path, PolicyFile)).status == "active"
        }
        described = {"IMM", *criteria.criteria}.union(*(each.criteria for each in manifests.values()))
        if unknown := [name for name in criteria.theme_order if name not in described]:
            raise CatalogError(
                f"criteria.yaml: theme-order has {', '.join(unknown)}, which no file describes"
            )
        self.policies: tuple[Policy, ...] = tuple(
            self._policy(path, written, criteria) for path, written in manifests.items()
        )
        self.exemptions = read(data / "exemptions.yaml", ExemptionsFile)
        managers = _by_name(map(benefit_manager, sorted(data.glob("benefit-managers/*.yaml"))))
        plans = (plan_of(path, managers, self) for path in sorted(data.glob("plans/*.yaml")))
        self.plans: Mapping[str, Plan] = _by_name(plans)
        if DEFAULT_PLAN not in self.plans:
            raise CatalogError(f"plans: there is no {DEFAULT_PLAN}, the plan of a Coverage that names none")
        self._check_parameters()
        self._check_advice()

    @classmethod
    def load(cls, root: Path | None = None) -> Catalog:
        """The data below `root`: by default the checkout's, or what the installed package carries.

        Raises CatalogError naming the file and what to mend.
        """
        package = Path(__file__).resolve().parent.parent
        with _uncollected():
            return cls(root or (package / "data" if (package / "data").is_dir() else package.parent))

    def plan(self, name: str) -> Plan:
        """The plan of that name, else the default one: an unknown plan is never an error (contract)."""
        return self.plans.get(name) or self.plans[DEFAULT_PLAN]

    def is_another_payer(self, identifier: str) -> bool:
        """Whether an identifier names somebody else than this payer; nothing names nobody."""
        own = {each["value"] for each in self.payer["identifier"]}
        return bool(identifier) and identifier not in own

    def plan_of(self, coverage: Resource, payors: Iterable[Resource] = ()) -> Plan:
        """The value of `Coverage.class` of type plan, else a plan named by a payor's identifier."""
        for each in elements(coverage, "class"):
            named = any(coding.get("code") == PLAN_CLASS for coding in codings([each.get("type")]))
            if named and (plan := self._named(each)):
                return plan
        for payor in payors:
            for identifier in elements(payor, "identifier"):
                if plan := self._named(identifier):
                    return plan
        return self.plans[DEFAULT_PLAN]

    def _named(self, element: Resource) -> Plan | None:
        value = element.get("value")
        return self.plans.get(value) if isinstance(value, str) else None

    def policy_for(self, order: Resource, on: dt.date) -> Policy | None:
        """The policy in force on that day which governs the order.

        By code; where policies share it, by body site, then (where that names no part or several) by the
        first diagnosis that belongs to one of them alone, then to several (the one that takes precedence),
        then by a policy that takes what is left. None where nothing tells, or no policy has the code.
        """
        code = _code(order)
        candidates = [p for p in self._in_force(on) if code in p.codes]
        own = (p for p in candidates if not p.joint)
        sites = set(_codings(order.get("bodySite") or []))
        sited = [p for p in candidates if sites & p.sites]
        diagnoses = _codings(order.get("reasonCode") or [])
        fitting = [[p for p in sited or candidates if one in p.telling] for one in diagnoses]
        alone = (those[0] for those in fitting if len(those) == 1)
        among = (p for those in fitting for p in those)
        left = sited or (p for p in candidates if p.fallback)
        return next((p for ways in (own, alone, among, left) for p in ways), None)

    def policy_of(self, diagnosis: str, on: dt.date) -> Policy | None:
        """The policy in force on that day of the part that the ICD-10-CM code tells of, if of one."""
        return next((p for p in self._in_force(on) if (ICD, diagnosis) in p.telling), None)

    def _in_force(self, on: dt.date) -> list[Policy]:
        in_force = (policy for policy in self.policies if policy.effective.holds(on))
        return sorted(in_force, key=lambda policy: policy.precedence)

    def any_policy(self, code: str, on: dt.date) -> Policy | None:
        """A policy in force on that day, one that has the code where there is one, whatever its part."""
        in_force = self._in_force(on)
        return next((policy for policy in in_force if code in policy.codes), next(iter(in_force), None))

    def service(self, plan: Plan, code: str) -> Service:
        """The coverage table's line for a code; a code without a line is covered without authorization."""
        listed = self.services.get(code) or Service(code=code, title="")
        asked = listed.pa_needed or (listed.imaging and plan.imaging_needs_authorization)
        return replace(listed, pa_needed=asked)

    def needing_authorization(self) -> Iterator[tuple[Service, list[str]]]:
        """Every service for which some plan asks for prior authorization, with the names of those plans: what
        CMS-0057-F has a payer publish. By code, whether a policy decides it or people do."""
        for code in sorted(self.services):
            asking = [plan.name for plan in self.plans.values() if self.service(plan, code).pa_needed]
            if asking:
                yield self.services[code], asking

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
    def benefit_managers(self) -> list[BenefitManager]:
        """Those of the plans, each once."""
        return once([plan.benefit_manager for plan in self.plans.values()])

    def value_set(self, url: str) -> dict[str, Any]:
        """The expanded ValueSet of a canonical. KeyError where there is none."""
        return self.value_sets[url.partition("|")[0]]

    def library(self, name: str) -> dict[str, Any]:
        """A FHIR Library with its CQL and ELM, by name or canonical. KeyError where there is none."""
        return self._libraries.fhir(name.removeprefix(f"{BASE}/Library/").partition("|")[0])

    def library_closure(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """The libraries of these names and all they include, each once, the included last."""
        return [self._libraries.fhir(name) for name in self._libraries.closure(names)]

    def value_sets_of(self, library: str) -> list[str]:
        """Canonicals of the value sets that a library declares."""
        return self._libraries.value_sets_of(library)

    def _engine(self) -> Engine:
        try:
            return Engine(
                libraries=list(self._libraries.elm.values()),
                value_sets=self._declared_value_sets(),
                spellings=spellings,
            )
        except LoadError as error:
            raise CatalogError(f"cql/elm: {error}") from error

    def _declared_value_sets(self) -> list[dict[str, Any]]:
        missing = sorted(self._libraries.value_sets - self.value_sets.keys())
        if missing:
            raise CatalogError(f"cql/valuesets lacks what the libraries declare: {', '.join(missing)}")
        return [self.value_sets[url] for url in sorted(self._libraries.value_sets)]

    def _policy(self, path: Path, written: PolicyFile, criteria: CriteriaFile) -> Policy:
        region, guidelines = written.region, self.guidelines
        for library in (written.library, written.prefill):
            if library not in self._libraries.elm:
                raise CatalogError(f"{path.name}: there is no library {library} in cql/elm")
        lacking = {*DEFINES, f"{region}-IMM"} - set(self.engine.defines(written.library))
        if lacking:
            raise CatalogError(f"{path.name}: {written.library} lacks {', '.join(sorted(lacking))}")
        if self.questionnaire(written.questionnaire) is None:
            raise CatalogError(f"{path.name}: there is no form {written.questionnaire} in questionnaires")
        names = dict.fromkeys([*criteria.criteria, *written.criteria])
        order = (f"{region}-IMM" if name == "IMM" else name for name in criteria.theme_order)
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
            telling=self._members(path, written.telling or written.diagnoses),
            effective=written.effective,
            owner=written.owner,
            guideline=guideline_title(path, written.guideline, guidelines),
            guideline_url=written.guideline_url,
            film=written.film,
            joint=written.joint,
            fallback=written.fallback,
            precedence=written.precedence,
            criteria={
                name: criterion_text(
                    path, name, (criteria.criteria, written.criteria), written.guideline, guidelines
                )
                for name in names
            },
            indications={
                code: Indication(code, self._answer(path, code), guideline_title(path, source, guidelines))
                for code, source in written.indications.items()
            },
            themes=tuple(name for name in order if name in names),
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
        value_set = self.value_sets.get(url)
        if value_set is None:
            raise CatalogError(f"{path.name}: cql/valuesets has no {name}.json")
        return frozenset((c["system"], c["code"]) for c in value_set["expansion"]["contains"])

    def _answer(self, path: Path, code: str) -> str:
        """The words of an answer code."""
        answers = self.code_systems.get(f"{BASE}/CodeSystem/mri-answer", {})
        for each in answers.get("concept", ()):
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
            if note.guideline not in self.guidelines and (note.guideline or not note.open):
                raise CatalogError(f"advice.yaml: {name} rests on {note.guideline}, no guideline of ours")

    def _check_parameters(self) -> None:
        for plan in self.plans.values():
            for policy in self.policies:
                known = set(self.engine.parameters(policy.library))
                for name in plan.parameters(policy):
                    if name not in known:
                        manager = plan.benefit_manager.name
                        raise CatalogError(f"{manager}.yaml: {policy.library} has no parameter {name}")


@contextmanager
def _uncollected() -> Iterator[None]:
    """What is loaded stays: collections on the way would walk it again and again, for a third of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _by_name(named: Iterable[N]) -> dict[str, N]:
    found: dict[str, N] = {}
    for each in named:
        if each.name in found:
            raise CatalogError(f"{each.name}: two files have this name")
        found[each.name] = each
    return found


def _by_url(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    return {each["url"]: each for each in map(resource, sorted(paths))}


def _code(order: Resource) -> str:
    for coding in (order.get("code") or {}).get("coding") or []:
        system, code = coding_key(coding)
        if system == CPT and is_billed(coding):
            return code.partition("-")[0]
    return ""


def _codings(concepts: Iterable[Any]) -> list[tuple[str, str]]:
    return [coding_key(coding) for coding in codings(concepts)]
