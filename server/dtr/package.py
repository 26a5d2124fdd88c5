"""`Questionnaire/$questionnaire-package`: which forms an order needs, each with all that filling it takes.

Canonicals that the client names limit the answer to those forms. Otherwise the orders decide, the ones sent
and the ones the context stands for (a coverage assertion of ours, or the tracking number of a pended
authorization): the policy is asked about each, an appointment being the orders that it is made for, and the
union of its forms goes out, each once, tied to its orders. What could not be served is remarked on beside
what could (DTR, "Questionnaire package").
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any
from uuid import uuid4

from server.adjudication.adjudicator import Adjudicator
from server.adjudication.judged import Judged
from server.adjudication.order_lines import appointment_line, by_code, order_line, orders_of, reference_of
from server.adjudication.orders import service_code, withdrawn
from server.adjudication.patience import MOST, in_time
from server.dtr.artefacts import Artefacts, Package
from server.dtr.context import Context, chart_with, given_for, member_of
from server.dtr.form import Answers
from server.dtr.measures import form_measure, ordered, provider
from server.dtr.next_question import CONTEXT
from server.dtr.populate import populate
from server.dtr.request import PackageRequest, too_costly
from server.dtr.response import DTR, answered_items, answers_of, blank_items
from server.dtr.version import Draft, Version
from server.fhir.dates import instant, over
from server.fhir.elements import once
from server.fhir.errors import InvalidRequest, Issue, NotFound
from server.fhir.references import Resolver, reference_text, type_and_id
from server.policy.determination import Decision
from server.policy.request import Chart
from server.security.caller import calling
from server.store import Transaction, assertions, cases

Resource = dict[str, Any]

ADAPTIVE = "https://payer.example/Questionnaire/mri-adaptive"
NOT_CLINICAL = frozenset({"Coverage", "Location", "Patient", "ClaimResponse"})
PARTIES = frozenset({"Organization", "Patient", "Practitioner", "PractitionerRole"})


@dataclass(frozen=True, slots=True)
class Need:
    """What the payer says of an order, as the client knows it, under a coverage. What the context was given
    for knew more of the patient than the order tells: which forms a request waits for, or that none is
    needed."""

    coverage: Resource
    order: Resource
    judged: Judged
    told: Context | None

    @property
    def settled(self) -> str:
        return self.told.settled(self.judged, self.coverage) if self.told else ""

    @property
    def forms(self) -> tuple[str, ...]:
        if self.settled:
            return ()
        said = self.judged.determination
        awaited = self.told.forms if self.told is not None and self.order is self.told.order else ()
        return said.questionnaires or (() if said.gate else awaited)


@dataclass(slots=True)
class Choice:
    """A form to send: for which coverages and orders, and what the payer says of them."""

    package: Package
    coverages: list[Resource] = field(default_factory=list)
    orders: list[Resource] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """The body to send, what it contains by canonical, and what the guide's metrics want to know of it."""

    body: Any
    sent: tuple[str, ...]
    issues: tuple[Issue, ...]
    measures: Resource


class Packager:
    """Answers the operation in one guide version; shared by threads, holds nothing that changes."""

    def __init__(self, version: Version, artefacts: Artefacts, adjudicator: Adjudicator) -> None:
        self._version, self._artefacts, self._adjudicator = version, artefacts, adjudicator

    def answer(self, tx: Transaction, asked: PackageRequest, now: dt.datetime) -> Answer:
        """Raises NotFound for a member or context this payer does not know."""
        issues: list[Issue] = []
        told = given_for(tx, asked, issues, refuses=self._version.refuses_foreign) if asked.context else None
        if told is None or told.number:
            asked = replace(asked, context=told.number if told else "")
        self._refuse_strangers(tx, asked, told)
        orders = self._orders(asked, told)
        not_done = [order for order in orders if self._is_withdrawn(order, asked)]
        issues += map(_withdrawn, not_done)
        orders = [order for order in orders if order not in not_done]
        issues += [_foreign(order) for order in orders if _is_for_another(order, asked.coverages)]
        asked_about = [(order, line) for order in orders for line in self._lines(order, asked)]
        if len(asked_about) * len(asked.coverages) > MOST:
            raise InvalidRequest(too_costly())
        needs = [
            Need(coverage, order, self._judge(tx, asked, line, coverage, now, told), told)
            for coverage, (order, line) in in_time(product(asked.coverages, asked_about))
        ]
        if asked.questionnaires:
            choices = self._named(asked, needs, now, issues)
        else:
            choices = self._needed(needs, now, issues)
        current = [choice for choice in choices if self._changed(choice, asked, issues)]
        bundles = [self._bundle(choice, asked, now) for choice in current]
        if not bundles and not issues:
            issues.append(Issue("informational", (), "No form is needed.", "information"))
        body = self._version.package(bundles, issues)
        sent = tuple(choice.package.form.canonical for choice in current)
        return Answer(body, sent, tuple(issues), self._measures(tx, asked, current, bundles))

    def _measures(
        self, tx: Transaction, asked: PackageRequest, choices: Sequence[Choice], bundles: Sequence[Resource]
    ) -> Resource:
        orders = [order for choice in choices for order in choice.orders] or list(asked.orders)
        return {
            "launch": _launch(tx, asked),
            "orders": ordered(orders),
            "provider": provider(orders, asked.referenced),
            "purposes": sorted({_purpose(choice) for choice in choices}),
            "forms": [
                form_measure(
                    choice.package.form.canonical,
                    adaptive=choice.package.form.adaptive,
                    populated=bool(answers_of(bundle["entry"][1]["resource"])),
                )
                for choice, bundle in zip(choices, bundles, strict=True)
            ],
        }

    def _named(
        self, asked: PackageRequest, needs: Sequence[Need], now: dt.datetime, issues: list[Issue]
    ) -> list[Choice]:
        """The forms the client names, each once; one we do not have, or not any more, is remarked on."""
        found: dict[str, Choice] = {}
        for name, path in asked.questionnaires:
            package = self._artefacts.package(name, now.date())
            if package is None:
                issues.append(Issue("not-found", path, f"There is no questionnaire {name}.", "warning"))
            elif over(package.form.questionnaire.get("effectivePeriod"), now.date()):
                words = f"{name} is no longer in force. Ask without it."
                issues.append(Issue("expired", path, words, "warning"))
            else:
                canonical = package.form.canonical
                # A form is for the orders that need it; one that none of them needs was asked for them all.
                meant = [need for need in needs if canonical in need.forms] or needs
                found[canonical] = Choice(
                    package,
                    list(asked.coverages),
                    [need.order for need in meant] or list(asked.orders),
                    [need.judged for need in meant],
                )
        return list(found.values())

    def _needed(self, needs: Sequence[Need], now: dt.datetime, issues: list[Issue]) -> list[Choice]:
        """The forms that the orders need under their coverages, each once with all that need it."""
        found: dict[str, Choice] = {}
        for need in needs:
            if not need.forms:
                issues.append(_no_form(need))
            for standard in need.forms:
                name = ADAPTIVE if need.judged.plan.questionnaire_kind == "adaptive" else standard
                package = self._artefacts.package(name, now.date())
                if package is None:
                    text = f"The questionnaire {name} cannot be had at present."
                    issues.append(Issue("not-found", (), text, "warning"))
                    continue
                choice = found.setdefault(package.form.canonical, Choice(package))
                choice.coverages.append(need.coverage)
                choice.orders.append(need.order)
                choice.judged.append(need.judged)
        return list(found.values())

    def _orders(self, asked: PackageRequest, told: Context | None) -> Sequence[Resource]:
        """The orders sent; without any that names a service, the one the context was about: one that came
        along is the newer word for it."""
        lines = (line for order in asked.orders for line in self._lines(order, asked))
        return [told.order] if told and not any(map(service_code, lines)) else asked.orders

    def _lines(self, order: Resource, asked: PackageRequest) -> list[Resource]:
        """The order as it is judged: an appointment as the orders it is made for, where they came along."""
        standing = [each for each in self._made_for(order, asked) if not withdrawn(each)]
        along = asked.referenced
        booked = [appointment_line(order, each, along) for each in standing]
        lines = booked or [order_line(order, along)]
        return [each for line in lines for each in by_code(line)] if self._version.by_code else lines

    def _made_for(self, order: Resource, asked: PackageRequest) -> list[Resource]:
        """The orders of an appointment that came along."""
        resolver = Resolver.of(asked.referenced)
        named = orders_of(order) if order["resourceType"] == "Appointment" else []
        return [each for text in named if (each := resolver.resolve({"reference": text}, order))]

    def _is_withdrawn(self, order: Resource, asked: PackageRequest) -> bool:
        """Whether it is not to be carried out, or nothing that it was made for is."""
        made_for = self._made_for(order, asked)
        return withdrawn(order) or (bool(made_for) and all(map(withdrawn, made_for)))

    def _refuse_strangers(self, tx: Transaction, asked: PackageRequest, told: Context | None) -> None:
        for coverage in asked.coverages:
            patient = _patient(asked, coverage, *asked.orders)
            if not self._adjudicator.knows(tx, coverage, patient, member_of(told, coverage)):
                text = "This payer has no member with that Coverage. Check its member id."
                raise NotFound(Issue("not-found", "Parameters.parameter", text))

    def _judge(
        self,
        tx: Transaction,
        asked: PackageRequest,
        order: Resource,
        coverage: Resource,
        now: dt.datetime,
        told: Context | None,
    ) -> Judged:
        return self._adjudicator.judge(
            tx,
            order,
            coverage,
            _patient(asked, coverage, order),
            Chart(resources=chart_with(told, coverage, asked.referenced)),
            now,
            fhir_server=f"client:{calling().client}",
            assertion_id=asked.context or None,
            member=member_of(told, coverage),
            hints=False,
        )

    def _changed(self, choice: Choice, asked: PackageRequest, issues: list[Issue]) -> bool:
        """Whether a part of the package is newer than what the client holds; unknown counts as newer."""
        since, changed = asked.changed_since, choice.package.changed
        if since is None or changed is None or changed >= since.date():
            return True
        text = f"{choice.package.form.canonical} has not changed since then."
        issues.append(Issue("informational", (), text, "information"))
        return False

    def _bundle(self, choice: Choice, asked: PackageRequest, now: dt.datetime) -> Resource:
        """DTR-QPackageBundle: form, draft response, libraries, value sets."""
        return {
            "resourceType": "Bundle",
            "meta": {"profile": [f"{DTR}/DTR-QPackageBundle"]},
            "type": "collection",
            "timestamp": instant(now),
            "entry": [
                choice.package.head,
                {"fullUrl": f"urn:uuid:{uuid4()}", "resource": self._draft(choice, asked, now)},
                *choice.package.tail,
            ],
        }

    def _draft(self, choice: Choice, asked: PackageRequest, now: dt.datetime) -> Resource:
        """The draft response; of an adaptive form with the form inside, ready to be sent for questions."""
        form = choice.package.form
        draft = Draft(
            form=form,
            subject=_subject(choice),
            coverages=_references(choice.coverages),
            orders=_references(choice.orders),
            purpose=_purpose(choice),
            items=self._known(choice, asked, now) or blank_items(form),
            now=now,
        )
        if not form.adaptive:
            return self._version.draft(draft)
        made = self._version.adaptive_draft(draft, self._artefacts.contained(form))
        identifier = {"identifier": {"system": CONTEXT, "value": asked.context}} if asked.context else {}
        return {**made, **identifier}

    def _known(self, choice: Choice, asked: PackageRequest, now: dt.datetime) -> list[Resource]:
        """Answers from the payer's own records of the member, as the form's CQL reads them; of a form that is
        for several orders those that are the same for each."""
        form = choice.package.form
        told = [] if form.adaptive else [self._told(choice, each, asked, now) for each in choice.judged]
        alike = {
            link_id: given
            for link_id, given in (told[0] if told else {}).items()
            if all(other.get(link_id) == given for other in told)
        }
        enabled = form.enabled(alike)
        return answered_items(form, {name: alike[name] for name in alike if enabled[name] is not False})

    def _told(self, choice: Choice, judged: Judged, asked: PackageRequest, now: dt.datetime) -> Answers:
        """What the records say of one order. Of what the client sent only who is meant counts beside them."""
        records = [
            dict(each) for each in judged.member.records if each.get("resourceType") not in NOT_CLINICAL
        ]
        if not records or _is_for_another(judged.order, choice.coverages):
            return {}
        parties = [each for each in asked.referenced if each["resourceType"] in PARTIES]
        order = dict(judged.order)
        chart = [*choice.coverages, *records, *parties, order]
        engine, origin = self._adjudicator.catalog.engine, self._version.from_server
        failed = self._adjudicator.unevaluated
        return populate(choice.package.form, {}, engine, chart, now, origin, order, failed).answers


def _is_for_another(order: Mapping[str, Any], coverages: Sequence[Resource]) -> bool:
    """Whether the order is for somebody who is the beneficiary of none of the Coverages: what is on record of
    the one is not told of the other."""
    patient = type_and_id(order.get("subject"))
    insured = {type_and_id(coverage.get("beneficiary")) for coverage in coverages}
    return patient is not None and None not in insured and patient not in insured


def _purpose(choice: Choice) -> str:
    """What the answers are for (DocReason)."""
    needs_authorization = not choice.judged or any(each.determination.pa_needed for each in choice.judged)
    return "withpa" if needs_authorization else "retain-doc"


def _launch(tx: Transaction, asked: PackageRequest) -> str:
    """By which way the client came (metric-launchmode): again, after CRD, after a pend, or by itself."""
    if asked.changed_since is not None:
        return "relaunch"
    if asked.context and assertions.by_id(tx, asked.context) is not None:
        return "crdlaunch"
    if asked.context and cases.line_called(tx, asked.context):
        return "cdexlaunch"
    return "salaunch"


def _foreign(order: Resource) -> Issue:
    text = f"{_place(order)} is for another patient than the Coverage. Send the one of its patient."
    return Issue("business-rule", (), text, "warning")


def _withdrawn(order: Resource) -> Issue:
    text = f"{_place(order)} needs no form. It is not to be carried out."
    return Issue("informational", (), text, "information")


def _place(order: Resource) -> str:
    return reference_of(order) or "The order"


def _no_form(need: Need) -> Issue:
    """Why an order has none: it needs none, or too little is said of it to tell."""
    place, said = _place(need.order), need.judged.determination
    if need.settled:
        return Issue("informational", (), f"{place} needs no form. {need.settled}", "information")
    unclear = f"{place}: which form it needs is not known."
    if not said.line.code and need.order["resourceType"] == "Appointment" and orders_of(need.order):
        return Issue("required", (), f"{unclear} Send what it is made for as `referenced`.", "warning")
    if not said.line.code:
        text = f"{unclear} It names no service by a billing code (CPT, HCPCS)."
        return Issue("required", (), text, "warning")
    if said.decision is Decision.MORE_INFO or said.failure:
        return Issue("required", (), f"{unclear} {said.reason}", "warning")
    return Issue("informational", (), f"{place} needs no form. {said.reason}", "information")


def _patient(asked: PackageRequest, coverage: Resource, *orders: Resource) -> Resource | None:
    """The beneficiary, where it came along."""
    resolver = Resolver.of([*asked.referenced, coverage, *orders])
    named = (coverage.get("beneficiary"), *(order.get("subject") for order in orders))
    return next((found for each in named if (found := resolver.resolve(each))), None)


def _subject(choice: Choice) -> Resource | None:
    owners = (
        *(order.get("subject") for order in choice.orders),
        *(coverage.get("beneficiary") for coverage in choice.coverages),
    )
    texts = (reference_text(owner) for owner in owners if isinstance(owner, dict))
    return next(({"reference": text} for text in texts if text), None)


def _references(resources: Sequence[Resource]) -> list[Resource]:
    """Each resource once."""
    return once([*map(_reference, resources)])


def _reference(resource: Resource) -> Resource:
    """The client's own reference to what it sent; by identifier where it sent it without an id, and if it
    has none, by type alone."""
    text = reference_of(resource)
    if text:
        return {"reference": text}
    listed = resource.get("identifier")
    known = listed[0] if isinstance(listed, list) and listed else None
    identified = {"identifier": known} if isinstance(known, dict) else {}
    return {"type": resource["resourceType"], **identified}
