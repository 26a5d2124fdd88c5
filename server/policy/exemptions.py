"""Who is spared prior authorization by the payer's own records: gold cards, listed and earned, and what a
previous payer had authorized.

A gold card list is a `Group` of practitioners (`type` practitioner, `actual` true) that the payer loads. A
member of it is named by NPI and exempt within its `period`. A list without members exempts nobody.

A card is earned by a rule of the plan (`GoldCardRule`): enough of enough requests approved, in a window of
days that ends on the eve of the order. What is ruled on a day never changes what another order of that day
is told.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from server.fhir.dates import begun, first_day, moved, over
from server.fhir.elements import elements
from server.fhir.references import among
from server.fhir.systems import npis
from server.policy.manifest import GoldCardRule
from server.policy.request import Authorization, Resource, Ruling
from server.policy.residence import state_of

if TYPE_CHECKING:
    from server.policy.catalog import Plan


def gold_cards(records: Iterable[Resource], on: dt.date) -> Iterator[str]:
    """The NPIs that are exempt on that day by a list."""
    lists = (record for record in records if record.get("resourceType") == "Group")
    return (npi_of(each) for record in lists for each in listed(record) if _holds(each, on))


def listed(group: Resource) -> list[Resource]:
    """Who has a gold card by a list that counts: its members that are named by NPI."""
    if group.get("type") != "practitioner" or not group.get("active", True):
        return []
    return [each for each in elements(group, "member") if npi_of(each)]


def earned(
    rules: Iterable[GoldCardRule], rulings: Iterable[Ruling], codes: Collection[str], on: dt.date
) -> Iterator[str]:
    """The NPIs that are exempt on that day by their record with these services, under any of the rules."""
    by_orderer: dict[str, list[Ruling]] = defaultdict(list)
    for ruling in rulings:
        if ruling.code in codes:
            by_orderer[ruling.orderer].append(ruling)
    for rule in rules:
        first = moved(on, -rule.window_days)
        for orderer, listed in by_orderer.items():
            approved = [ruling.approved for ruling in listed if first <= ruling.day < on]
            if len(approved) >= rule.minimum_requests and (
                sum(approved) * 100 >= rule.approval_rate * len(approved)
            ):
                yield orderer


def rules_for(plan: Plan, order: Resource, resources: Iterable[Resource], on: dt.date) -> list[GoldCardRule]:
    """The rules of the plan by which a card may be earned on that day in the member's state."""
    state = state_of(among(resources, order.get("subject") or {}))
    return [
        rule
        for rule in plan.gold_card_rules
        if rule.effective.holds(on) and (not rule.states or state in rule.states)
    ]


def orderers(order: Resource, resources: Iterable[Resource]) -> list[str]:
    """The NPIs of the clinician who orders: the requester, or the practitioner in its role."""
    listed = list(resources)
    requester = order.get("requester") or {}
    found = among(listed, requester)
    person = among(listed, found.get("practitioner") or {}) if "practitioner" in found else found
    own = elements(person, "identifier") if person.get("resourceType") == "Practitioner" else []
    return list(npis([requester.get("identifier"), *own]))


def honoured(held: Authorization, coverage: Resource, plan: Plan) -> Authorization | None:
    """The authorization as this payer honours it: its own as it is; a previous payer's for the first days of
    the coverage that the plan states, if it was good on the day the coverage began. None where it is not."""
    if not plan.catalog.is_another_payer(held.issuer):
        return replace(held, issuer="") if held.issuer else held
    started = first_day((coverage.get("period") or {}).get("start"))
    if plan.continuity is None or started is None or not held.start <= started <= held.end:
        return None
    return replace(held, start=started, end=moved(started, plan.continuity.days - 1))


def npi_of(member: Resource) -> str:
    """Whose gold card a member of a list is; empty where it does not say."""
    return next(npis([(member.get("entity") or {}).get("identifier")]), "")


def _holds(member: Resource, on: dt.date) -> bool:
    period = member.get("period")
    return not member.get("inactive") and begun(period, on) and not over(period, on)
