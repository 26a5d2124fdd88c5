"""The policies, plans and forms this payer works by, loaded once and immutable.

Everything here is data under `cql/` and `questionnaires/`: libraries (CQL and the ELM made of it),
value sets, policy manifests, benefit-manager profiles, plans, services. What does not fit together is
refused at load, naming the file; at run time nothing can be "not found".
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from server.elm import Engine
from server.fhir import json
from server.policy.determination import Theme
from server.policy.request import Resource

BASE = "https://payer.example"
DEFAULT_PLAN = "evicore"
RELEASED = "2026-11-01"
CPT = "http://www.ama-assn.org/go/cpt"
PLAN_CLASS = "plan"


class CatalogError(ValueError):
    """Policy data that does not fit together; the message names the file and what to mend."""


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
class Policy:
    """One coverage policy. `codes` are the billed codes it governs; `effective` the days it is in force."""

    id: str
    region: str
    title: str
    library: str
    version: str
    questionnaire: str
    codes: frozenset[str]
    sites: frozenset[tuple[str, str]]
    diagnoses: frozenset[tuple[str, str]]
    start: dt.date
    end: dt.date | None
    owner: str
    guideline: str
    guideline_url: str
    joint: bool
    criteria: Mapping[str, CriterionText]
    themes: tuple[str, ...]

    @property
    def canonical(self) -> str:
        return f"{self.library}|{self.version}"

    def in_force(self, on: dt.date) -> bool:
        return self.start <= on and (self.end is None or on <= self.end)


@dataclass(frozen=True, slots=True)
class Service:
    """What the plans say of a code that no policy governs."""

    code: str
    title: str
    covered: bool = True
    pa_needed: bool = False
    ours: bool = True


@dataclass(frozen=True, slots=True)
class BenefitManager:
    """A profile of section 4 of the policy source."""

    name: str
    title: str
    weeks: Mapping[str, int]
    film_first: frozenset[str]
    joints_only: Mapping[str, Any]
    shared: Mapping[str, Any]

    def parameters(self, policy: Policy) -> dict[str, Any]:
        """The CQL parameters (MRIParameters) of this profile for one region."""
        given = dict(self.shared)
        given["ccWeeks"] = self.weeks.get(policy.region, 6)
        given["xrFirst"] = policy.region in self.film_first or (policy.joint and "joints" in self.film_first)
        return {**given, **(self.joints_only if policy.joint else {})}


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
    catalog: Catalog = field(repr=False, compare=False)

    def parameters(self, policy: Policy) -> dict[str, Any]:
        """What the policy's CQL is told of this plan."""
        return {
            **self.benefit_manager.parameters(policy),
            "paNeeded": self.imaging_needs_authorization,
            "goldCards": list(self.gold_cards),
        }


class Catalog:
    """All of it. `Catalog.load()` reads the data that comes with the server."""

    def __init__(self, root: Path) -> None:
        self._root = root / "cql"
        self._elm = {
            path.stem: json.decode_object(path.read_bytes()) for path in sorted(self._root.glob("elm/*.json"))
        }
        self._value_sets = {
            found["url"]: found
            for path in sorted(self._root.glob("valuesets/*.json"))
            for found in [json.decode_object(path.read_bytes())]
        }
        self._services = _yaml(self._root / "services.yaml")
        self._texts = _yaml(self._root / "policies" / "criteria.yaml")
        self.questionnaires: tuple[dict[str, Any], ...] = tuple(
            json.decode_object(path.read_bytes()) for path in sorted((root / "questionnaires").glob("*.json"))
        )
        self.payer = _payer(_yaml(self._root / "payer.yaml"))
        self.denial_codes: Mapping[str, str] = dict(self._texts["denial-codes"])
        self.engine = Engine(libraries=list(self._elm.values()), value_sets=self._declared_value_sets())
        self.policies = tuple(self._policy(path) for path in sorted(self._root.glob("policies/mri-*.yaml")))
        managers = {m.name: m for m in map(_manager, sorted(self._root.glob("benefit-managers/*.yaml")))}
        self.plans: Mapping[str, Plan] = {
            plan.name: plan
            for path in sorted(self._root.glob("plans/*.yaml"))
            for plan in [_plan(path, managers, self)]
        }

    @classmethod
    def load(cls, root: Path | None = None) -> Catalog:
        """The data below `root`: the checkout, or what the package carries."""
        package = Path(__file__).resolve().parent.parent
        return cls(root or (package / "data" if (package / "data").is_dir() else package.parent))

    def plan(self, name: str) -> Plan:
        """The plan of that name, else the default one: an unknown plan is never an error (contract)."""
        return self.plans.get(name) or self.plans[DEFAULT_PLAN]

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
        """The policy in force on that day which governs the order: by code, then site, then diagnosis."""
        code = _code(order)
        candidates = [p for p in self.policies if code in p.codes and p.in_force(on)]
        alone = {c for p in candidates for c in p.codes if sum(c in q.codes for q in self.policies) == 1}
        if code in alone and code not in _EXTREMITY:
            return candidates[0]
        sites = set(_codings(order.get("bodySite") or []))
        diagnoses = list(_codings(order.get("reasonCode") or []))
        by_site = (p for p in candidates if sites & p.sites)
        by_diagnosis = (p for one in diagnoses for p in candidates if one in p.diagnoses)
        return next(by_site, None) or next(by_diagnosis, None)

    def service(self, plan: Plan, code: str) -> Service:
        """The coverage table's line for a code, else the default line."""
        told = {**self._services["default"], **(self._services["services"].get(code) or {})}
        return Service(
            code=code,
            title=told.get("title", ""),
            covered=told.get("covered", True),
            pa_needed=told.get("pa-needed", False),
            ours=told.get("ours", True),
        )

    def questionnaire(self, canonical: str) -> dict[str, Any] | None:
        """The form of a canonical, with or without version."""
        url, _, version = canonical.partition("|")
        for form in self.questionnaires:
            if form["url"] == url and version in ("", form.get("version")):
                return form
        return None

    def value_set(self, url: str) -> dict[str, Any]:
        """The expanded ValueSet of a canonical. KeyError where there is none."""
        return self._value_sets[url.partition("|")[0]]

    def library(self, name: str) -> dict[str, Any]:
        """A FHIR Library with its CQL and ELM, by library name. KeyError where there is none."""
        return self._library(name)

    def library_closure(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """The libraries of these names and all they include, each once, the included last."""
        order: list[str] = []
        open_names = list(names)
        while open_names:
            name = open_names.pop(0)
            if name not in order:
                order.append(name)
                open_names.extend(_includes(self._elm[name]))
        return [self._library(name) for name in order]

    def _library(self, name: str) -> dict[str, Any]:
        elm = self._elm[name]["library"]
        version = elm["identifier"].get("version", "1.0.0")
        included = elm.get("includes", {}).get("def", [])
        return {
            "resourceType": "Library",
            "id": name,
            "url": f"{BASE}/Library/{name}",
            "version": version,
            "name": name,
            "title": name,
            "status": "active",
            "type": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/library-type",
                        "code": "logic-library",
                        "display": "Logic Library",
                    }
                ]
            },
            "date": RELEASED,
            "publisher": self.payer["name"],
            "relatedArtifact": [
                {
                    "type": "depends-on",
                    "display": each["path"],
                    "url": f"{BASE}/Library/{each['path']}",
                    "resource": f"{BASE}/Library/{each['path']}|{each['version']}",
                }
                for each in included
            ],
            "dataRequirement": _data_requirements(elm),
            "content": [
                {
                    "contentType": "text/cql",
                    "data": base64.b64encode((self._root / f"{name}.cql").read_bytes()).decode(),
                },
                {
                    "contentType": "application/elm+json",
                    "data": base64.b64encode((self._root / "elm" / f"{name}.json").read_bytes()).decode(),
                },
            ],
        }

    def _declared_value_sets(self) -> list[dict[str, Any]]:
        declared = {
            each["id"]
            for elm in self._elm.values()
            for each in elm["library"].get("valueSets", {}).get("def", [])
        }
        missing = sorted(url for url in declared if url not in self._value_sets)
        if missing:
            raise CatalogError(f"cql/valuesets lacks what the libraries declare: {', '.join(missing)}")
        return [self._value_sets[url] for url in sorted(declared)]

    def _policy(self, path: Path) -> Policy:
        told = _yaml(path)
        shared = self._texts["criteria"]
        guidelines = self._texts["guidelines"]
        texts = {**shared, **told.get("criteria", {})}
        region = told["region"]
        if told["library"] not in self._elm:
            raise CatalogError(f"{path.name}: there is no library {told['library']} in cql/elm")
        return Policy(
            id=told["id"],
            region=region,
            title=told["title"],
            library=told["library"],
            version=told["version"],
            questionnaire=told["questionnaire"],
            codes=frozenset(str(code) for code in told["services"]),
            sites=self._members(told["sites"]),
            diagnoses=self._members(told["diagnoses"]),
            start=told["effective"]["start"],
            end=told["effective"].get("end"),
            owner=told["owner"],
            guideline=guidelines[told["guideline"]],
            guideline_url=told.get("guideline-url", ""),
            joint=told["joint"],
            criteria={
                key: _text(key, text, guidelines, guidelines[told["guideline"]])
                for key, text in texts.items()
            },
            themes=tuple(f"{region}-IMM" if i == "IMM" else i for i in self._texts["theme-order"]),
        )

    def _members(self, name: str) -> frozenset[tuple[str, str]]:
        value_set = self._value_sets.get(f"{BASE}/ValueSet/{name}")
        if value_set is None:
            raise CatalogError(f"cql/valuesets has no {name}.json")
        return frozenset((c["system"], c["code"]) for c in value_set["expansion"]["contains"])


_EXTREMITY = frozenset(
    str(code) for first in (73218, 73221, 73718, 73721) for code in range(first, first + 3)
)
"""Codes that name a limb and not a part of it: the part comes from the site or the diagnosis."""


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _text(key: str, told: Mapping[str, Any], guidelines: Mapping[str, str], default: str) -> CriterionText:
    return CriterionText(
        id=key,
        title=told["title"],
        guideline=guidelines[told["guideline"]] if "guideline" in told else default,
        theme=Theme(told["theme"]) if "theme" in told else None,
        met=told["met"],
        not_met=told["not-met"],
        unknown=told["unknown"],
        satisfy=told["satisfy"],
        questions=tuple(told.get("questions", ())),
        rank=told.get("rank", 99),
    )


def _manager(path: Path) -> BenefitManager:
    told = _yaml(path)
    return BenefitManager(
        name=told["name"],
        title=told["title"],
        weeks=told["weeks"],
        film_first=frozenset(told["film-first"]),
        joints_only=told.get("joints-only", {}),
        shared=told["parameters"],
    )


def _plan(path: Path, managers: Mapping[str, BenefitManager], catalog: Catalog) -> Plan:
    told = _yaml(path)
    if told["benefit-manager"] not in managers:
        raise CatalogError(f"{path.name}: there is no benefit manager {told['benefit-manager']}")
    return Plan(
        name=told["name"],
        title=told["title"],
        benefit_manager=managers[told["benefit-manager"]],
        reviewer_denies=told["reviewer-denies"],
        imaging_needs_authorization=told["imaging-needs-authorization"],
        gold_cards=tuple(told["gold-cards"]),
        questionnaire_kind=told["questionnaire"],
        contact=told["contact"],
        appeal=told["appeal"],
        catalog=catalog,
    )


def _payer(told: Mapping[str, Any]) -> dict[str, Any]:
    """The payer as a FHIR Organization."""
    return {
        "resourceType": "Organization",
        "id": told["id"],
        "identifier": [
            {"system": "http://hl7.org/fhir/sid/us-npi", "value": told["npi"]},
            {"system": f"{BASE}/payer-id", "value": told["payer-id"]},
        ],
        "active": True,
        "type": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/organization-type", "code": "pay"}]}
        ],
        "name": told["name"],
        "telecom": [{"system": "phone", "value": told["phone"]}],
        "address": [dict(told["address"])],
    }


def _includes(elm: Mapping[str, Any]) -> list[str]:
    return [each["path"] for each in elm["library"].get("includes", {}).get("def", [])]


def _data_requirements(elm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the library's retrieves ask of a chart: each type, with the value set that filters it."""
    urls = {each["name"]: each["id"] for each in elm.get("valueSets", {}).get("def", [])}
    found: dict[tuple[str, str, str], None] = {}
    stack: list[Any] = [elm.get("statements", {})]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            stack.extend(node.values())
            if node.get("type") == "Retrieve":
                codes = node.get("codes") or {}
                kind = str(node["dataType"]).rpartition("}")[2]
                found[(kind, str(node.get("codeProperty", "")), urls.get(codes.get("name", ""), ""))] = None
    return [
        {"type": kind, **({"codeFilter": [{"path": path, "valueSet": url}]} if url else {})}
        for kind, path, url in sorted(found)
    ]


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
