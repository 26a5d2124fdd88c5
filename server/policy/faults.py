"""What is wrong with policy data that loads and evaluates all the same.

`Catalog.load` refuses what cannot work; here is what would work badly: a library whose text was changed since
it was translated, a manifest of another version than its library, a criterion without a define, a guideline,
a denial theme or a question, or one that decides nothing, a question that no form asks, a form whose library
or define is not there, a denial theme without a code, an indication that no rule tests, codes that no list
has, services that no form would find or offer, diagnoses and sites that the shared rules would not know,
value sets that nothing reads, codes of two policies that nothing tells apart, days that no version of a
policy has, exemptions that exempt nobody or that no plan names, forms that would go by other values than the
plan, values that no rule takes. Each fault is one sentence that names the policy and what to mend.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from server.fhir.elements import nodes
from server.fhir.systems import CPT, NPI, concept, is_npi
from server.policy.answered import PLAN, SERVICE
from server.policy.catalog import PLAN_CLASS, Catalog, Plan, Policy
from server.policy.libraries import BASE
from server.policy.manifest import loaded
from server.policy.usage import texts, value_sets_read

PARAMETERS, PLAN_VALUES = "MRIParameters", "MRIPlan"
"""The CQL libraries of what a benefit manager may set, and of what a plan's sets."""
TYPES: Mapping[str, type] = {"Integer": int, "Boolean": bool, "String": str}
WORDS: Mapping[str, frozenset[str]] = {"neuroDeficit": frozenset({"any-new", "severe"})}
"""What a parameter may say that is told in a word (policy source, section 4)."""
ASKED_OF_NOBODY = ("G-", "REV-", "CNF")
"""The payer and its reviewers settle these; no form asks them."""

IMAGING_ORDER = f"{BASE}/ValueSet/imaging-order"
EVERY_DIAGNOSIS, EVERY_SITE = f"{BASE}/ValueSet/dx-supporting", f"{BASE}/ValueSet/site-any"
"""By these the shared rules know a complaint that may be imaged, and a part of the body."""

PARTS = frozenset({"code", "core", "imm", "imm-closed", "exp", "con", "film", "off"})
"""Of the outcome, as cql/MRIDecision.cql explains them."""

MADE_OF = "source-sha256"
"""The tag by which the ELM of cql/translate says of which text it was made."""

CQF_LIBRARY = "http://hl7.org/fhir/StructureDefinition/cqf-library"

CORRECTED_ON_THE_ORDER = frozenset({"COD-CON", "COD-UNIT", "PRV-ORD"})
OF_THE_REGION = frozenset({"EXC"})
"""Follows from the diagnosis and the region's immediate indication."""


def faults(catalog: Catalog) -> Iterator[str]:
    """Every fault of all policies, in order of the policies."""
    yield from _translations(catalog)
    for policy in catalog.policies:
        yield from _criteria(policy, catalog)
        yield from _leaves(policy, catalog)
        yield from _indications(policy, catalog)
        yield from _form(policy, catalog)
        yield from _codes(policy, catalog)
        yield from _found_by_forms(policy, catalog)
    for form in catalog.questionnaires:
        yield from _logic(form, catalog)
    yield from _found_by_members(catalog)
    yield from _known_to_all(catalog)
    yield from _undefined(catalog)
    yield from _own_codes(catalog)
    yield from _unread_value_sets(catalog)
    yield from _overlaps(catalog)
    yield from _days(catalog)
    yield from _exemptions(catalog)
    yield from _parameters(catalog)
    yield from _values(catalog)


def _translations(catalog: Catalog) -> Iterator[str]:
    """Libraries of which the text was changed and not translated: the server would decide by the old one, and
    an EHR that reads the text of a form's logic by the new."""
    for name, elm in catalog.libraries.items():
        text = catalog.root / "cql" / f"{name}.cql"
        if not text.exists():
            yield f"elm/{name}.json: there is no {text.name} of which it was made"
            continue
        now = hashlib.sha256(text.read_text(encoding="utf-8").encode()).hexdigest()
        # Other translators say nothing of the text.
        made_of = [
            each["value"] for each in nodes(elm["library"].get("annotation")) if each.get("name") == MADE_OF
        ]
        if made_of and made_of != [now]:
            yield f"{name}: {text.name} was changed since it was translated: run `make elm`"


def _criteria(policy: Policy, catalog: Catalog) -> Iterator[str]:
    defines = set(catalog.engine.defines(policy.library))
    counted = texts(catalog.libraries[policy.library])
    written = catalog.libraries[policy.library]["library"]["identifier"].get("version")
    if written != policy.version:
        yield f"{policy.id}: the manifest is of version {policy.version}, {policy.library} of {written}"
    for criterion in policy.criteria.values():
        internal = criterion.id.startswith(ASKED_OF_NOBODY)
        if criterion.id in policy.themes and not criterion.guideline:
            yield f"{policy.id}: {criterion.id} names no guideline"
        if criterion.id not in defines:
            if criterion.id.startswith(f"{policy.region}-"):
                yield f"{policy.id}: {policy.library} has no define {criterion.id}"
            continue
        if criterion.id not in policy.themes and not criterion.id.startswith("G-"):
            yield f"{policy.id}: {criterion.id} has no place in theme-order of criteria.yaml"
        if criterion.id not in counted and not criterion.id.startswith(("G-", "CNF")):
            yield f"{policy.id}: {policy.library} defines {criterion.id}, and counts it nowhere"
        if criterion.theme is None and not internal:
            yield f"{policy.id}: {criterion.id} has no denial theme"
        if criterion.theme and criterion.theme.value not in catalog.denial_codes:
            yield f"{policy.id}: theme {criterion.theme.value} of {criterion.id} has no reason code"
        settled_elsewhere = internal or criterion.id in CORRECTED_ON_THE_ORDER | OF_THE_REGION
        if not criterion.questions and not settled_elsewhere:
            yield f"{policy.id}: nothing asks for {criterion.id}"


def _leaves(policy: Policy, catalog: Catalog) -> Iterator[str]:
    """Leaves that name no criterion, or a part of the outcome that there is not: neither would count."""
    statements = catalog.libraries[policy.library]["library"]["statements"]["def"]
    for leaf in nodes([each["expression"] for each in statements if each["name"] == "Leaves"]):
        if leaf.get("type") == "Tuple":
            said = {each["name"]: each["value"] for each in leaf["element"]}
            name = said["id"].get("value")
            if name not in policy.criteria:
                yield f"{policy.id}: {policy.library} has {name} among its leaves, which is no criterion"
            parts = {each["value"] for each in nodes(said["part"]) if each.get("type") == "Literal"}
            for part in sorted(parts - PARTS):
                yield f"{policy.id}: the leaf {name} is of the part {part}, which decides nothing"


def _indications(policy: Policy, catalog: Catalog) -> Iterator[str]:
    """Indications of the manifest that the rules never name, so that no chart could show them."""
    named = texts(catalog.libraries[policy.prefill])
    for code in policy.indications:
        if code not in named:
            yield f"{policy.id}: {policy.prefill} never tests the indication {code}"


def _form(policy: Policy, catalog: Catalog) -> Iterator[str]:
    asked = {item["linkId"] for item in _items(catalog.questionnaire(policy.questionnaire) or {})}
    defines = set(catalog.engine.defines(policy.library))
    for criterion in policy.criteria.values():
        for question in criterion.questions:
            if criterion.id in defines and question not in asked:
                yield f"{policy.id}: the form does not ask {question}, which settles {criterion.id}"


def _logic(form: Mapping[str, Any], catalog: Catalog) -> Iterator[str]:
    """Libraries and defines of a form that are not there: an EHR would not fill it."""
    libraries = {}
    for canonical in (str(each["valueCanonical"]) for each in nodes(form) if each.get("url") == CQF_LIBRARY):
        name, _, version = canonical.removeprefix(f"{BASE}/Library/").partition("|")
        libraries[name] = catalog.libraries.get(name, {}).get("library", {})
        if not libraries[name] or version not in ("", libraries[name]["identifier"].get("version")):
            yield f"{form['id']}: there is no library {canonical}"
    for each in nodes(form):
        if each.get("language") == "text/cql":
            library, _, define = str(each["expression"]).replace('"', "").partition(".")
            if library not in libraries:
                yield f"{form['id']}: {each['expression']} is of a library that the form does not name"
            elif libraries[library] and define not in catalog.engine.defines(library):
                yield f"{form['id']}: {library} has no define {define}"


def _codes(policy: Policy, catalog: Catalog) -> Iterator[str]:
    """Billed codes that services.yaml, the list of what needs authorization, does not have."""
    for code in (*policy.services, *policy.film.split()):
        if code not in catalog.services:
            yield f"{policy.id}: {code} is not in the list of services"


def _found_by_forms(policy: Policy, catalog: Catalog) -> Iterator[str]:
    """Services of which a form in an EHR would not find the order, or that no adaptive form offers."""
    imaging = {code for _, code in _codings(catalog.value_set(IMAGING_ORDER))}
    if missing := [code for code in policy.services if code not in imaging]:
        yield f"{policy.id}: {' '.join(missing)} not in the value set imaging-order: forms find no such order"
    for form in catalog.questionnaires:
        offered = {code for item in _items(form) if item["linkId"] == SERVICE for _, code in _codings(item)}
        if missing := [code for code in policy.services if offered and code not in offered]:
            yield f"{policy.id}: {form['id']} does not offer {' '.join(missing)} in {SERVICE}"


def _found_by_members(catalog: Catalog) -> Iterator[str]:
    """Plans that no adaptive form offers: begun without an order, it would take them for the usual one."""
    for form in catalog.questionnaires:
        offered = {code for item in _items(form) if item["linkId"] == PLAN for _, code in _codings(item)}
        for name in catalog.plans:
            if offered and name not in offered:
                yield f"{name}: {form['id']} does not offer this plan in {PLAN}"


def _known_to_all(catalog: Catalog) -> Iterator[str]:
    """Diagnoses of which the shared rules would find no onset, and body sites that the other policies would
    not know for those of another part."""
    diagnoses, sites = (set(_codings(catalog.value_set(url))) for url in (EVERY_DIAGNOSIS, EVERY_SITE))
    for policy in catalog.policies:
        if not policy.diagnoses <= diagnoses:
            found = "diagnoses that are not in the value set dx-supporting: no onset of them is found"
            yield f"{policy.id}: {found}"
        if not policy.sites <= sites:
            found = "sites that are not in the value set site-any: other policies do not know them"
            yield f"{policy.id}: {found}"


def _undefined(catalog: Catalog) -> Iterator[str]:
    """Shared criteria that no policy defines, and what advice orders that is no service."""
    defined = {name for policy in catalog.policies for name in catalog.engine.defines(policy.library)}
    shared = set.intersection(*(set(policy.criteria) for policy in catalog.policies))
    for name in sorted(shared - defined):
        yield f"criteria: no policy defines {name}"
    for name, note in catalog.advice.notes.items():
        for code in note.orders:
            if code not in catalog.services:
                yield f"advice: {name} orders {code}, which is not in the list of services"


def _own_codes(catalog: Catalog) -> Iterator[str]:
    """Codes of our own systems, in value sets and forms, that the code system does not have."""
    known = {
        url: {each["code"] for each in system["concept"]} for url, system in catalog.code_systems.items()
    }
    for resource in (*catalog.value_sets.values(), *catalog.questionnaires):
        for system, code in _codings(resource):
            if system in known and code not in known[system]:
                yield f"{resource['id']}: {code} is no code of {system}"


def _unread_value_sets(catalog: Catalog) -> Iterator[str]:
    """Value sets that no library, policy or form reads, and that are no part of one that is."""
    sources = catalog.root / "cql" / "valuesets" / "source"
    if not sources.is_dir():
        return  # An installed server carries the sets, not the lists that say which are made of others.
    read = value_sets_read(catalog.libraries.values()) | catalog.value_sets_named
    read |= {url for form in catalog.questionnaires for url in _answer_sets(form)}
    parts = set(_parts(sources))
    for url, value_set in catalog.value_sets.items():
        if url not in read and value_set["id"] not in parts:
            yield f"valuesets/{value_set['id']}.json: nothing reads it"


def _parts(sources: Path) -> Iterator[str]:
    """Names of the value sets that others are made of."""
    for path in sorted(sources.glob("*.yaml")):
        for made in loaded(path.read_text(encoding="utf-8")).values():
            for part in (*made.get("include", ()), *made.get("except", ())):
                yield from str(part.get("set", "")).split()


def _overlaps(catalog: Catalog) -> Iterator[str]:
    """Two policies in force at once may share a code only where site and diagnosis tell them apart."""
    for one, other in combinations(catalog.policies, 2):
        shared = one.codes & other.codes
        both_from = max(one.effective.start, other.effective.start)
        together = one.effective.holds(both_from) and other.effective.holds(both_from)
        if shared and together and one.region == other.region:
            codes = ", ".join(sorted(shared))
            yield f"{one.id} and {other.id} both govern {codes} in {one.region} at the same time"
        if shared and together and one.sites & other.sites:
            codes = ", ".join(sorted(shared))
            yield f"{one.id} and {other.id} share {codes} and a body site: the site cannot tell them apart"


def _days(catalog: Catalog) -> Iterator[str]:
    """Policies and forms of one name, policies never in force, days between versions that have neither."""
    for name, times in Counter(policy.id for policy in catalog.policies).items():
        if times > 1:
            yield f"{name}: {times} policies have this id"
    canonicals = (f"{form['url']}|{form['version']}" for form in catalog.questionnaires)
    for name, times in Counter([*canonicals, *(form["id"] for form in catalog.questionnaires)]).items():
        if times > 1:
            yield f"{name}: {times} forms have this name"
    begun = ((form["url"], form.get("effectivePeriod", {}).get("start")) for form in catalog.questionnaires)
    for (url, start), times in Counter(begun).items():
        if times > 1:
            yield f"{url}: {times} versions begin on {start}: which of them is current?"
    for policy in catalog.policies:
        start, end = policy.effective.start, policy.effective.end
        if end is None:
            continue
        if end < start:
            yield f"{policy.id}: it ends on {end}, before it begins"
        later = [
            each for each in catalog.policies if each.effective.start > end and each.codes & policy.codes
        ]
        following = min(
            (each.effective.start for each in later if each.region == policy.region), default=None
        )
        if following and following > end + dt.timedelta(days=1):
            yield f"{policy.id}: it ends on {end}, and the next one of {policy.region} begins on {following}"


def _exemptions(catalog: Catalog) -> Iterator[str]:
    """Numbers of nobody, rules that nobody or everybody would meet, and rules that no plan names."""
    for each in catalog.payer["identifier"]:
        if each["system"] == NPI and not is_npi(each["value"]):
            yield f"payer.yaml: {each['value']} is no NPI: its check digit is wrong"
    for plan in catalog.plans.values():
        for npi in plan.gold_cards:
            if not is_npi(npi):
                yield f"{plan.name}: gold card {npi} is no NPI: its check digit is wrong"
    written = catalog.exemptions
    for name, rule in written.gold_card_rules.items():
        place = f"exemptions: gold card rule {name}"
        if not 0 < rule.approval_rate <= 100:
            yield f"{place}: an approval rate of {rule.approval_rate} per cent"
        if rule.minimum_requests < 1 or rule.window_days < 1:
            yield f"{place}: {rule.minimum_requests} requests in {rule.window_days} days are earned by nobody"
        for state in rule.states:
            if not re.fullmatch("[A-Z]{2}", state):
                yield f"{place}: {state} is no state's code of two letters"
        if all(rule not in plan.gold_card_rules for plan in catalog.plans.values()):
            yield f"{place}: no plan names it"
    for name, period in written.continuity_of_care.items():
        if period.days < 1:
            yield f"exemptions: continuity of care {name} lasts {period.days} days"
        if all(period is not plan.continuity for plan in catalog.plans.values()):
            yield f"exemptions: continuity of care {name}: no plan names it"


def _parameters(catalog: Catalog) -> Iterator[str]:
    """Values that a form's CQL, which knows of the plan by the member's coverage, takes otherwise than the
    server, which hands them in; and parameters that nobody sets."""
    names = catalog.engine.parameters(PARAMETERS)
    for name in names:
        if all(name not in plan.parameters(p) for plan in catalog.plans.values() for p in catalog.policies):
            yield f"{PARAMETERS}: no benefit manager sets {name}"
    for plan in catalog.plans.values():
        differing: dict[str, list[str]] = {}
        for policy in catalog.policies:
            for name in _taken_otherwise(plan, policy, names):
                differing.setdefault(name, []).append(policy.id)
        for name, policies in differing.items():
            yield f"{plan.name}: forms take another {name} ({', '.join(policies)}): run `make elm`"


def _values(catalog: Catalog) -> Iterator[str]:
    """What a benefit manager sets and no rule could take: a value of another type, a word that says nothing,
    a number below nothing; and regions that no policy has."""
    declared = catalog.libraries[PARAMETERS]["library"]["parameters"]["def"]
    types = {each["name"]: TYPES[each["resultTypeName"].partition("}")[2]] for each in declared}
    regions = {policy.region for policy in catalog.policies}
    for manager in catalog.benefit_managers:
        weeks = (("ccWeeks", value) for value in manager.weeks.values())
        for name, value in (*manager.shared.items(), *manager.joints_only.items(), *weeks):
            misspelt = isinstance(value, str) and value not in WORDS.get(name, (value,))
            if type(value) is not types.get(name) or misspelt or (isinstance(value, int) and value < 0):
                yield f"{manager.name}: no rule takes {value!r} for {name}"
        for region in sorted({*manager.weeks, *manager.film_first} - regions):
            yield f"{manager.name}: no policy is of the region {region}"


def _taken_otherwise(plan: Plan, policy: Policy, names: Iterable[str]) -> Iterator[str]:
    chart = [_coverage(plan.name), _order(policy.services[0])]
    form, server = plan.catalog.engine.evaluate(PLAN_VALUES, data=chart), plan.parameters(policy)
    for name in names:
        if server.get(name) != (form[name].value if name in form else None):
            yield name


def _coverage(plan: str) -> dict[str, Any]:
    kind = {"coding": [{"code": PLAN_CLASS}]}
    return {"resourceType": "Coverage", "status": "active", "class": [{"type": kind, "value": plan}]}


def _order(code: str) -> dict[str, Any]:
    return {"resourceType": "ServiceRequest", "status": "draft", "code": concept(CPT, code)}


def _items(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in node.get("item", ()):
        yield item
        yield from _items(item)


def _answer_sets(node: Mapping[str, Any]) -> Iterator[str]:
    for item in _items(node):
        if "answerValueSet" in item:
            yield str(item["answerValueSet"]).partition("|")[0]


def _codings(node: Any) -> Iterator[tuple[str, str]]:
    pairs = ((each.get("system"), each.get("code")) for each in nodes(node))
    yield from ((system, code) for system, code in pairs if isinstance(system, str) and isinstance(code, str))
