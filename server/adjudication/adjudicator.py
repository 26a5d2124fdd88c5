"""The one use case behind three doors: judge an order line, then grant it a number."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog

from server.adjudication import table
from server.adjudication.authorizations import on_file
from server.adjudication.judged import Judged
from server.adjudication.members import member_key, of_somebody_else, payors
from server.adjudication.orders import (
    order_key,
    plainly_coded,
    service_code,
    with_days,
    with_diagnoses,
    with_orderer,
)
from server.adjudication.places import with_place
from server.adjudication.rulings import ruled
from server.fhir.dates import moved
from server.metrics import Metrics
from server.policy.catalog import Catalog, Plan
from server.policy.determination import Determination, Failure
from server.policy.determine import determine
from server.policy.exemptions import honoured, orderers, rules_for
from server.policy.line import day_of_service, day_zero, side
from server.policy.request import Chart, Member, Ruling
from server.policy.rulings import lapses
from server.settings import Settings
from server.store import Transaction, assertions, authorizations, records
from server.store import tables as stored

Resource = Mapping[str, Any]


SITES = 10
"""How many sites of the network are looked at: the nearest tells whether all are far, a card names three."""


class Adjudicator:
    """Shared by all doors; holds nothing that changes."""

    def __init__(self, catalog: Catalog, settings: Settings, metrics: Metrics | None = None) -> None:
        self.catalog = catalog
        self.settings = settings
        self.metrics = metrics or Metrics()

    def judge(
        self,
        tx: Transaction,
        order: Resource,
        coverage: Resource,
        patient: Resource | None,
        chart: Chart,
        now: dt.datetime,
        *,
        fhir_server: str | None = None,
        assertion_id: str | None = None,
        member: str = "",
        hints: bool = True,
    ) -> Judged:
        """Decides one order line; reads the store and writes nothing.

        `order` follows the conventions of `server.policy.request`; `patient` is the beneficiary where it
        could be had; `chart` holds what was sent, prefetched or queried, sibling lines included.
        `fhir_server` names whose `Patient/1` this is where nothing better does; `assertion_id` is the
        coverage-assertion-id the client quotes for this order; `member` is the key of whom the order is for,
        where that is known already. Without `hints` there are no ways and no advice in it
        (`server.policy.determine`).
        """
        order = as_judged(order, chart.resources)
        plan = self.catalog.plan_of(coverage, payors(coverage, chart.resources))
        key = member or member_key(coverage, patient, fhir_server)
        seen = _with_patient(chart, patient)
        asking = orderers(order, seen.resources)
        ruled = self._ruled(tx, order, asking, seen, plan, now)
        told = assertions.by_id(tx, assertion_id) if assertion_id else None
        days = day_zero(order, now.date()), day_of_service(order, now.date())
        whose = self._member(tx, key, coverage, patient, days, _order_key(told, key, order), asking, ruled)
        said = self.determined(order, whose, seen, plan, now, hints=hints)
        orderer, quoted = next(iter(asking), ""), told.id if told else None
        return Judged(said, whose, plan, order, whose.order_key, orderer, quoted)

    def determined(
        self, order: Resource, member: Member, chart: Chart, plan: Plan, now: dt.datetime, *, hints: bool
    ) -> Determination:
        """What the plan says of an order: by the policies where they speak about it, else by its coverage
        table. Arguments as with `server.policy.determine`."""
        if self.governs(order):
            said = determine(order, member, chart, plan, now, hints=hints)
        else:
            said = table.determine(order, member, chart, plan, now)
        if said.failure is not None:
            self.unevaluated(said.failure)
        return said

    def unevaluated(self, failure: Failure) -> None:
        """Operators are told of rules that could not be evaluated."""
        structlog.get_logger().error(
            "rules not evaluated", library=failure.library, code=failure.code, place=failure.place
        )
        self.metrics.unevaluated(failure.library)

    def authorize(
        self,
        tx: Transaction,
        judged: Judged,
        door: str,
        now: dt.datetime,
        *,
        version: str,
        client: str,
        assertion_id: str | None,
        case_id: str | None = None,
    ) -> str:
        """The authorization number of an approved line: the one on file, else a new one stored in `tx`.

        The file is read again here, in the writing transaction, so that two requests for one order end in
        one number. `assertion_id` is of an assertion that is kept here.
        """
        authorizations.alone(tx, judged.member.key)
        found = judged.determination.authorization or next(self._numbers_on_file(tx, judged, now), None)
        if found is not None:
            return found
        said = judged.determination
        start = said.valid_from or said.planned or said.day_zero
        granted = stored.Authorization(
            number=authorizations.new_number(),
            version=version,
            client=client,
            member_key=judged.member.key,
            order_key=judged.order_key,
            cpt=service_code(judged.order),
            side=side(judged.order) or "",
            status="active",
            span_start=start,
            span_end=said.valid_until or lapses(start),
            units=said.units,
            used=0,
            door=door,
            assertion_id=assertion_id,
            case_id=case_id,
            order=dict(judged.order),
            determination=judged.kept,
            created=now,
        )
        authorizations.issue(tx, granted)
        return granted.number

    def knows(self, tx: Transaction, coverage: Resource, patient: Resource | None, member: str = "") -> bool:
        """Whether whose coverage it is, is a member of this payer; `member` as with `judge`."""
        return self._known(self._records(tx, member or member_key(coverage, patient), patient))

    def governs(self, order: Resource) -> bool:
        """Whether some policy speaks about the ordered code, in whatever region; the table has the rest."""
        code = service_code(order)
        return any(code in policy.codes for policy in self.catalog.policies)

    def holds(self, tx: Transaction, judged: Judged, now: dt.datetime) -> bool:
        """Whether the authorization by which a line was judged, if it was by one, is good for it still: it
        may have been cancelled or used since."""
        number = judged.determination.authorization
        return not number or number in self._numbers_on_file(tx, judged, now)

    def _numbers_on_file(self, tx: Transaction, judged: Judged, now: dt.datetime) -> Iterator[str]:
        """Of the authorizations that are good for the line, newest first."""
        on = day_of_service(judged.order, now.date())
        member = judged.member
        listed = on_file(tx, member.key, member.records)
        honours = (honoured(held, member.coverage, judged.plan) for held in listed)
        line = judged.determination.line
        return (held.number for held in honours if held and held.good_for(line, judged.order_key, on))

    def _ruled(
        self,
        tx: Transaction,
        order: Resource,
        asking: Sequence[str],
        chart: Chart,
        plan: Plan,
        now: dt.datetime,
    ) -> list[Ruling]:
        """What was ruled on the orderer's earlier requests, where a rule of the plan looks at that."""
        on = day_zero(order, now.date())
        rules = rules_for(plan, order, chart.resources, on)
        since = moved(on, -max((rule.window_days for rule in rules), default=0))
        return ruled(tx, asking, since, on) if rules else []

    def _member(
        self,
        tx: Transaction,
        key: str,
        coverage: Resource,
        patient: Resource | None,
        days: Sequence[dt.date],
        order: str,
        asking: Sequence[str],
        ruled: Sequence[Ruling],
    ) -> Member:
        own = self._records(tx, key, patient)
        return Member(
            key=key,
            coverage=self._coverage_of_record(own, coverage, days),
            known=self._known(own),
            records=[*own, *records.nearest_sites(tx, SITES), *records.gold_cards(tx, asking)],
            authorizations=on_file(tx, key, own),
            rulings=ruled,
            order_key=order,
        )

    def _records(self, tx: Transaction, key: str, patient: Resource | None) -> list[dict[str, Any]]:
        """The payer's own records of a member; none where another came with the number than they are of."""
        own = records.of_member(tx, key)
        return [] if of_somebody_else(own, patient or {}) else own

    def _known(self, own: Sequence[Resource]) -> bool:
        """Whether the payer's records are those of a member; where membership is open, everybody is one."""
        enrolled = any(record.get("resourceType") in ("Patient", "Coverage") for record in own)
        return enrolled or self.settings.membership == "open"

    def _coverage_of_record(
        self, own: Sequence[Resource], sent: Resource, days: Sequence[dt.date]
    ) -> Resource:
        """Where membership is by registry, the payer's own Coverage says whether it is active, not the
        client's copy of it; of several, such as each year's, the one in force on the days. Where one ends
        before the service and another goes on, they are one."""
        if self.settings.membership != "registry":
            return sent
        listed = [record for record in own if record.get("resourceType") == "Coverage"]
        found = max(listed, key=lambda each: sum(table.active(each, day) for day in days), default=sent)
        begun, following = (next((each for each in listed if table.active(each, day)), None) for day in days)
        if begun is None or following is None or all(table.active(found, day) for day in days):
            return found
        ends = (("start", begun), ("end", following))
        period = {end: day for end, each in ends if (day := (each.get("period") or {}).get(end))}
        return {**following, "period": period}


def as_judged(order: Resource, resources: Sequence[Resource]) -> Resource:
    """The order in the words of the rules, with what `resources` say of it."""
    order = with_days(plainly_coded(with_diagnoses(order, resources)))
    return with_orderer(with_place(order, resources), resources)


def _order_key(told: stored.Assertion | None, key: str, order: Resource) -> str:
    """The order the quoted assertion was about, provided it was this member's and the service and side are
    still the same; a changed order is another one and is judged anew."""
    if told is not None and told.member_key == key and _same_service(told.order, order):
        return told.order_key
    return order_key(key, order)


def _same_service(one: Resource, other: Resource) -> bool:
    return service_code(one) == service_code(other) and side(one) == side(other)


def _with_patient(chart: Chart, patient: Resource | None) -> Chart:
    """The policy reads age and sex from the chart."""
    if patient is None or any(resource is patient for resource in chart.resources):
        return chart
    return Chart(resources=[patient, *chart.resources], notes=chart.notes)
