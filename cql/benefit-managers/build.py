"""Make cql/MRIPlan.cql, where the rules read what a plan asks for, from the manifests that say so.

    python cql/benefit-managers/build.py        # `make elm` begins with this

A rules engine that knows the plan hands in its values as parameters. An EHR that runs a form's CQL hands in
nothing, so what the benefit managers (`*.yaml` here) ask for under each plan (`../plans`) is part of the CQL.
Where it differs by region, the order's CPT code tells (`../policies`). Regions that share a code must ask
alike: before the form is filled nothing else is sure to tell them apart.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

from server.policy.catalog import DEFAULT_PLAN, SHARED
from server.policy.manifest import CatalogError, PlanFile, PolicyFile, read
from server.policy.plans import BenefitManager, benefit_manager

CQL = Path(__file__).resolve().parents[1]
MADE = "MRIPlan.cql"
ELSEWHERE = ""
"""The region of a study whose code no policy has."""

HEAD = """\
// What the member's plan asks for: the parameter, where a rules engine gives them; else what the benefit
// manager of the plan that the coverage names asks for before the study that is ordered.
// Made by benefit-managers/build.py of the manifests of benefit managers, plans and policies: change those.
library MRIPlan version '1.0.0'

using FHIR version '4.0.1'

include FHIRHelpers version '4.0.1'
include MRIParameters version '1.0.0' called Given
include MRIOrder version '1.0.0' called Ord
include MRICoverage version '1.0.0' called Cov

context Patient
"""

Asked = Mapping[str, Mapping[str, Any]]
"""What one region is asked for: by benefit manager and parameter."""


class SourceError(ValueError):
    """Manifests that this CQL cannot follow; the message says what to mend."""


def library(cql: Path) -> str:
    """The text of MRIPlan.cql. Raises SourceError, and CatalogError for a manifest that cannot be read."""
    managers = [benefit_manager(path) for path in sorted(cql.glob("benefit-managers/*.yaml"))]
    plans = {p.name: p.benefit_manager for p in (read(path, PlanFile) for path in cql.glob("plans/*.yaml"))}
    paths = (path for path in sorted(cql.glob("policies/*.yaml")) if path.name not in SHARED)
    policies = [policy for policy in (read(path, PolicyFile) for path in paths) if policy.status == "active"]
    asked = by_studies(managers, policies)
    names = dict.fromkeys(name for each in asked.values() for values in each.values() for name in values)
    parts = [
        HEAD,
        define("Plan", f"Coalesce(First(Cov.\"Plans\" P where P in {among(plans)}), '{DEFAULT_PLAN}')"),
        define("Benefit manager", f"if Given.xrFirst is not null then null\nelse {manager_of(plans)}"),
        define("Study", study_of(asked, policies)),
        *(define(name, value_of(name, asked, plans[DEFAULT_PLAN])) for name in names),
    ]
    return "\n".join(parts)


def by_studies(managers: Sequence[BenefitManager], policies: Sequence[PolicyFile]) -> dict[str, Asked]:
    """What is asked for before each kind of study. A kind is named by its regions, which ask alike."""
    joint = {ELSEWHERE: False, **{policy.region: policy.joint for policy in policies}}
    asked = {
        region: {manager.name: manager.parameters(region, joint=joint[region]) for manager in managers}
        for region in joint
    }
    alike = {region: [other for other in asked if asked[other] == asked[region]] for region in asked}
    return {
        ELSEWHERE if ELSEWHERE in regions else " ".join(regions): asked[regions[0]]
        for regions in alike.values()
    }


def study_of(asked: Mapping[str, Asked], policies: Sequence[PolicyFile]) -> str:
    """The kind of study by the billed code."""
    kinds: dict[str, str] = {}
    for policy in policies:
        kind = next((each for each in asked if policy.region in each.split()), ELSEWHERE)
        for code in policy.services:
            if kinds.setdefault(code, kind) != kind:
                both = f"{kinds[code] or 'other regions'} and {policy.region}"
                raise SourceError(f"{code} is of {both}, which ask for different things")
    whens = [
        f'  when Ord."Billed code" in {among(c for c in kinds if kinds[c] == kind)} then {quoted(kind)}'
        for kind in asked
        if kind != ELSEWHERE
    ]
    return "\n".join(["case", *whens, "  else null", "end"])


def manager_of(plans: Mapping[str, str]) -> str:
    return choice('"Plan"', {plan: quoted(name) for plan, name in plans.items()}, quoted(plans[DEFAULT_PLAN]))


def value_of(name: str, asked: Mapping[str, Asked], default: str) -> str:
    """The parameter, else the benefit manager's value for the study."""
    managers = {
        manager: choice(
            '"Study"',
            {kind: quoted(each[manager].get(name)) for kind, each in asked.items() if kind != ELSEWHERE},
            quoted(asked[ELSEWHERE][manager].get(name)),
        )
        for manager in asked[ELSEWHERE]
    }
    value = choice('"Benefit manager"', managers, managers[default])
    if "\n" not in value:
        return f"Coalesce(Given.{name}, {value})"
    return f"Coalesce(\n  Given.{name},\n{indent(value, '  ')}\n)"


# CQL


def define(name: str, expression: str) -> str:
    return f'define "{name}":\n{indent(expression, "  ")}\n'


def choice(subject: str, values: Mapping[str, str], otherwise: str) -> str:
    """The value by what the subject is; what is as otherwise is left out."""
    whens = [
        f"  when {quoted(key)} then{_below(value)}"
        for key, value in sorted(values.items())
        if value != otherwise
    ]
    if not whens:
        return otherwise
    return "\n".join([f"case {subject}", *whens, f"  else{_below(otherwise)}", "end"])


def _below(value: str) -> str:
    return f" {value}" if "\n" not in value else f"\n{indent(value, '    ')}"


def among(texts: Iterable[str]) -> str:
    return "{ " + ", ".join(quoted(each) for each in sorted(texts)) + " }"


def quoted(value: bool | int | str | None) -> str:
    """A literal. Raises SourceError for a value of another kind."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    raise SourceError(f"a parameter is a word, a number, true or false, not {value!r}")


if __name__ == "__main__":
    try:
        (CQL / MADE).write_text(library(CQL), encoding="utf-8")
    except (SourceError, CatalogError) as error:
        sys.exit(str(error))
