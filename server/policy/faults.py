"""What is wrong with policy data that loads and evaluates all the same.

`Catalog.load` refuses what cannot work; here is what would work badly: a criterion without a question, a
question that no form asks, a denial theme without a code, codes of two policies that nothing tells apart.
Each fault is one sentence that names the policy and what to mend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from server.policy.catalog import Catalog, Policy

ASKED_OF_NOBODY = ("G-", "REV-", "CNF")
"""The payer and its reviewers settle these; no form asks them."""

CORRECTED_ON_THE_ORDER = frozenset({"COD-CON", "COD-UNIT", "PRV-ORD"})
OF_THE_REGION = frozenset({"EXC"})
"""Follows from the diagnosis and the region's immediate indication."""


def faults(catalog: Catalog) -> Iterator[str]:
    """Every fault of all policies, in order of the policies."""
    for policy in catalog.policies:
        yield from _criteria(policy, catalog)
        yield from _form(policy, catalog)
    yield from _overlaps(catalog)


def _criteria(policy: Policy, catalog: Catalog) -> Iterator[str]:
    defines = set(catalog.engine.defines(policy.library))
    decisive = {"Decision", "Unmet", "Unknown", "Gate"}
    for name in sorted(decisive - defines):
        yield f"{policy.id}: {policy.library} has no define {name}"
    for criterion in policy.criteria.values():
        internal = criterion.id.startswith(ASKED_OF_NOBODY)
        if criterion.id in policy.themes and not criterion.guideline:
            yield f"{policy.id}: {criterion.id} names no guideline"
        if criterion.id not in defines:
            continue
        if criterion.id not in policy.themes and not criterion.id.startswith("G-"):
            yield f"{policy.id}: {criterion.id} has no place in theme-order"
        if criterion.theme is None and not internal:
            yield f"{policy.id}: {criterion.id} has no denial theme"
        if criterion.theme and criterion.theme.value not in catalog.denial_codes:
            yield f"{policy.id}: theme {criterion.theme.value} of {criterion.id} has no reason code"
        settled_elsewhere = internal or criterion.id in CORRECTED_ON_THE_ORDER | OF_THE_REGION
        if not criterion.questions and not settled_elsewhere:
            yield f"{policy.id}: nothing asks for {criterion.id}"


def _form(policy: Policy, catalog: Catalog) -> Iterator[str]:
    form = catalog.questionnaire(policy.questionnaire)
    if form is None:
        yield f"{policy.id}: there is no form {policy.questionnaire}"
        return
    asked = set(_link_ids(form))
    defines = set(catalog.engine.defines(policy.library))
    for criterion in policy.criteria.values():
        for question in criterion.questions:
            if criterion.id in defines and question not in asked:
                yield f"{policy.id}: the form does not ask {question}, which settles {criterion.id}"


def _overlaps(catalog: Catalog) -> Iterator[str]:
    """Two policies in force at once may share a code only where site and diagnosis tell them apart."""
    for one, other in combinations(catalog.policies, 2):
        shared = one.codes & other.codes
        together = one.in_force(max(one.start, other.start)) and other.in_force(max(one.start, other.start))
        if shared and together and one.region == other.region:
            codes = ", ".join(sorted(shared))
            yield f"{one.id} and {other.id} both govern {codes} in {one.region} at the same time"
        if shared and together and one.sites & other.sites:
            codes = ", ".join(sorted(shared))
            yield f"{one.id} and {other.id} share {codes} and a body site: the site cannot tell them apart"


def _link_ids(node: Mapping[str, Any]) -> Iterator[str]:
    for item in node.get("item", ()):
        yield item["linkId"]
        yield from _link_ids(item)
