"""`Questionnaire/$next-question`: an adaptive form, asked until the outcome is certain.

    interviewer = Interviewer(version, artefacts, adjudicator)
    outcome = interviewer.answer(tx, response, now)      # the response with more questions, or completed
    interviewer.concluded(tx, outcome, client, now)      # with the decision on it

Nothing is kept between calls: the response carries the form as far as it was asked, the answers, and (in its
identifier, put there by the package) the context it was begun in. A coverage assertion or tracking number of
ours supplies the order and the plan; without one, the answers do. SDC, "Adaptive Forms"; DTR, "Adaptive Form
Expectations and Responsibilities".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.adjudication.adjudicator import Adjudicator
from server.adjudication.judged import Judged
from server.adjudication.orders import service_code
from server.dtr.artefacts import Artefacts
from server.dtr.coverage_information import asserted, coverage_information, replaced, retained
from server.dtr.facts import coverage_of, order_of, patient_of, plan_of
from server.dtr.form import Answers, Form
from server.dtr.interview import ISSUE, Interview, Node
from server.dtr.measures import coverage_measure, form_measure, ordered
from server.dtr.response import DTR, answers_of
from server.dtr.validation import COMPLETE, faults, misshapen
from server.dtr.version import Version
from server.fhir.canonical import canonical
from server.fhir.dates import instant
from server.fhir.elements import placed_elements
from server.fhir.errors import InvalidRequest, Issue, NotFound
from server.fhir.extensions import value, values
from server.policy.catalog import Policy
from server.policy.determination import Decision
from server.policy.line import day_zero, planned_day
from server.policy.request import Chart, Member
from server.security.caller import visible
from server.store import Transaction, assertions, cases
from server.store import tables as stored

Resource = dict[str, Any]

CONTEXT = "https://payer.example/dtr-context"
"""System of the identifier by which a response remembers its context."""

HOOK = "next-question"
"""As what asked for an assertion of our own."""

STOPPED = frozenset({"stopped", "entered-in-error"})
RESPONSE = "QuestionnaireResponse"
INPUTS = frozenset({"questionnaire-response", "questionnaire-response-in"})
CODING = frozenset({"COD-CPT", "COD-LAT", "COD-ICD", "COD-SPEC"})


@dataclass(frozen=True, slots=True)
class Known:
    """What the context says: the order and its coverage, by an assertion for which member as well, and what
    of the patient's record decided about it. `pended`: a request for it waits for answers, so the
    authorization comes by that way; `awaited` are the criteria that it leaves open."""

    order: Resource
    coverage: Resource
    assertion: str | None
    pended: bool
    member: str = ""
    chart: Sequence[Resource] = ()
    awaited: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The response to send; `judged` once the outcome is certain."""

    response: Resource
    known: Known | None = None
    judged: Judged | None = None


def read_next_question(body: Mapping[str, Any]) -> tuple[Resource, str]:
    """The QuestionnaireResponse, sent bare or as a parameter, and its place. Raises InvalidRequest."""
    if body.get("resourceType") == RESPONSE:
        return dict(body), RESPONSE
    wrapped = body.get("resourceType") == "Parameters" and body.get("parameter")
    for place, each in placed_elements(body, "parameter", "Parameters") if wrapped else ():
        found = each.get("resource") if each.get("name") in INPUTS else None
        if isinstance(found, dict) and found.get("resourceType") == RESPONSE:
            return found, f"{place}.resource"
    text = "Send the QuestionnaireResponse, bare or as parameter questionnaire-response."
    raise InvalidRequest(Issue("structure", "Parameters" if wrapped else RESPONSE, text))


class Interviewer:
    """Answers the operation in one guide version; shared by threads, holds nothing that changes."""

    def __init__(self, version: Version, artefacts: Artefacts, adjudicator: Adjudicator) -> None:
        self._version, self._artefacts, self._adjudicator = version, artefacts, adjudicator
        self._catalog = adjudicator.catalog
        forms = [Form(neutral) for neutral in self._catalog.questionnaires]
        self._adaptive = [form for form in forms if form.adaptive]
        regional = {policy.questionnaire for policy in self._catalog.policies}
        self._regional = {form.canonical: form for form in forms if form.canonical in regional}

    @property
    def canonicals(self) -> tuple[str, ...]:
        """The adaptive forms there are."""
        return tuple(form.canonical for form in self._adaptive)

    def measures(self, outcome: Outcome, answer: Resource) -> Resource:
        """What the guide's metrics want to know of a call that was answered so."""
        coverage = coverage_measure(answer) if outcome.judged is not None else None
        return {
            "orders": ordered([outcome.judged.order]) if outcome.judged is not None else [],
            "forms": [form_measure(name, adaptive=True, populated=False) for name in self.canonicals],
            **({"coverage": coverage} if coverage else {}),
        }

    def answer(self, tx: Transaction, response: Resource, now: dt.datetime) -> Outcome:
        """The response with what is asked next, or completed. Raises InvalidRequest, NotFound."""
        sent, place = _contained(response)
        broken = [*misshapen(sent, place), *misshapen(response, "QuestionnaireResponse")]
        if broken:
            raise InvalidRequest(*broken)
        own = self._definition(sent)
        if response.get("status") in COMPLETE:
            return Outcome(response)
        if response.get("status") in STOPPED:
            text = "A form that was given up is asked nothing more. Begin anew with its package."
            raise InvalidRequest(Issue("business-rule", "QuestionnaireResponse.status", text))
        known = self._known(tx, response)
        answers = answers_of(response)
        order = known.order if known else order_of(answers)
        day = planned_day(order) or day_zero(order, now.date())
        policy = self._catalog.policy_for(order, day)
        interview = self._interview(own, policy or self._catalog.any_policy(service_code(order), day))
        issued = frozenset(Form({"item": sent.get("item", [])}).items)
        _held(interview, response, issued)
        if "PATIENT.age" not in issued:
            return Outcome(self._asking(response, sent, own, policy, interview.facts(bool(known)), now))
        if known is None and "ORDER.cpt" not in issued:
            text = (
                "The order that this form was begun for cannot be told. Keep the identifier that its package "
                "gave it, or begin anew with the package."
            )
            raise NotFound(Issue("not-found", "QuestionnaireResponse.identifier", text))
        judged = self._judge(tx, answers, order, known, policy, now, hints=False)
        said = judged.determination
        # Of an order that is known, no answer says which part or side it means: the order has to.
        mute = CODING if known else frozenset()
        ranks = {name: text.rank for name, text in policy.criteria.items()} if policy else {}
        new = interview.next(said, ranks, CODING - mute, mute, issued, answers)
        if not new and known is not None and said.decision is not Decision.DENY:
            new = interview.awaited(said, known.awaited, issued, answers)
        if not new and ISSUE not in issued and _may_be_issued(judged, known):
            new = interview.issue(issued)
        if new:
            return Outcome(self._asking(response, sent, own, policy, new, now))
        done = {**self._asking(response, sent, own, policy, [], now), "status": "completed"}
        # What is kept of the end is the whole determination; on the way the outcome is enough.
        return Outcome(done, known, self._judge(tx, answers, order, known, policy, now, hints=True))

    def concluded(self, tx: Transaction, outcome: Outcome, client: str, now: dt.datetime) -> Resource:
        """The completed response with the decision, as coverage information about the Coverage that it
        names; with an authorization, newly given if the user said so. Stores what is said."""
        judged, known = outcome.judged, outcome.known
        coverage = _coverage(outcome.response)
        if judged is None or coverage is None:
            return outcome.response
        quoted = known.assertion if known else None
        assertion_id = quoted or _said_before(tx, outcome.response, coverage) or stored.new_id()
        number = judged.determination.authorization
        if number is None and _may_be_issued(judged, known) and _said_yes(answers_of(outcome.response)):
            number = self._adjudicator.authorize(
                tx,
                judged,
                "dtr",
                now,
                version=self._version.name,
                client=client,
                assertion_id=quoted,
            )
        if known is not None and known.pended:
            number = None
        self._keep(tx, judged, assertion_id, client, now)
        said, today = judged.determination, now.date()
        answer = coverage_information(self._version, said, coverage, assertion_id, number, today)
        told = replaced(outcome.response, answer)
        return {**outcome.response, "extension": retained(told) if number else told}

    def _keep(
        self, tx: Transaction, judged: Judged, assertion_id: str, client: str, now: dt.datetime
    ) -> None:
        """The determination under its assertion, so that it can be asked for. One that no order stands
        behind is told as a what-if."""
        told = assertions.by_id(tx, assertion_id)
        if told is not None:
            told.determination = judged.kept
            if told.hook == HOOK:
                told.order, told.order_key = dict(judged.order), judged.order_key
            return
        assertions.keep(
            tx,
            stored.Assertion(
                id=assertion_id,
                version=self._version.name,
                hook=HOOK,
                client=client,
                member_key=judged.member.key,
                order_key=judged.order_key,
                order=dict(judged.order),
                coverage=dict(judged.member.coverage),
                determination=judged.kept,
                questionnaires=[],
                what_if=True,
                created=now,
            ),
        )

    def _definition(self, sent: Resource) -> Form:
        """The form that the contained one comes from: by derivedFrom, else by url, else by id."""
        derived = sent.get("derivedFrom")
        named = [*(derived if isinstance(derived, list) else []), sent.get("url")]
        for name in [name for name in named if isinstance(name, str)]:
            for form in self._adaptive:
                if canonical(name).names(canonical(form.canonical)):
                    return form
        by_id = [form for form in self._adaptive if form.questionnaire["id"] == sent.get("id")]
        if by_id and not any(named):
            return by_id[0]
        place = "QuestionnaireResponse.contained[0].derivedFrom"
        raise NotFound(Issue("not-found", place, "This payer has no adaptive form of that canonical."))

    def _known(self, tx: Transaction, response: Resource) -> Known | None:
        """What stands behind the response's context; None where it has none, or none of ours."""
        context = context_of(response)
        if not context:
            return None
        told = visible(assertions.by_id(tx, context))
        if told is not None:
            return Known(told.order, told.coverage, told.id, False, told.member_key, told.chart)
        pended = cases.line_called(tx, context)
        if pended is None or visible(pended[0]) is None:
            return None
        line = pended[1]
        said = line.determination
        coverage, open_ones = coverage_of(said.get("plan", "")), said.get("unknown", ())
        return Known(line.order, coverage, None, pended=True, awaited=open_ones)

    def _interview(self, own: Form, policy: Policy | None) -> Interview:
        """By the form of the order's region, or while that is not known of one that the code may be of: those
        ask alike for the part."""
        others = list(self._regional.values())
        regional = self._regional[policy.questionnaire] if policy else others[0]
        return Interview(own, regional, others, self._version.conditions)

    def _judge(
        self,
        tx: Transaction,
        answers: Answers,
        order: Resource,
        known: Known | None,
        policy: Policy | None,
        now: dt.datetime,
        *,
        hints: bool,
    ) -> Judged:
        """The policy over the answers; beside them, of a known order, what of the record decided about it and
        the payer's own records."""
        answered = _as_answered(answers, policy.questionnaire if policy else "", now)
        if known is not None and known.assertion is not None:
            beneficiary = (known.coverage.get("beneficiary") or {}).get("reference", "")
            patient = patient_of(answers, now.date(), beneficiary)
            # One person: the answers are the newer word for whom the record tells of as well.
            people = [each for each in known.chart if each.get("resourceType") == "Patient"]
            patient = {**(people[0] if people else {}), **patient}
            record = [each for each in known.chart if each not in people]
            # Of an age answered no day of birth is known, by which the payer would tell the patient.
            return self._adjudicator.judge(
                tx,
                known.order,
                known.coverage,
                None,
                Chart([patient, *record, answered]),
                now,
                assertion_id=known.assertion,
                member=known.member,
                hints=hints,
            )
        default = self._catalog.plan("").name
        coverage = known.coverage if known else coverage_of(plan_of(answers, default))
        plan = self._catalog.plan_of(coverage)
        member = Member(key="", coverage=coverage)
        chart = Chart([patient_of(answers, now.date()), answered])
        said = self._adjudicator.determined(order, member, chart, plan, now, hints=hints)
        return Judged(said, member, plan, order, "")

    def _asking(
        self,
        response: Resource,
        sent: Resource,
        own: Form,
        policy: Policy | None,
        new: list[Node],
        now: dt.datetime,
    ) -> Resource:
        """The response with these questions after those it has; its answers stay as they are."""
        libraries = [self._catalog.library(policy.prefill)] if policy else []
        names = [f"{library['url']}|{library['version']}" for library in libraries]
        contained = self._artefacts.contained(own, names, new)
        asked = [*sent.get("item", []), *contained.get("item", [])]
        form = {**contained, "id": sent["id"], **({"item": asked} if asked else {})}
        return {**response, "status": "in-progress", "contained": [form], "authored": instant(now)}


def context_of(response: Resource) -> str:
    """The context by which a response was begun; empty where it was begun without one."""
    identifier = response.get("identifier")
    named = identifier if isinstance(identifier, dict) and identifier.get("system") == CONTEXT else {}
    return str(named.get("value") or "")


def _contained(response: Resource) -> tuple[Resource, str]:
    """The form inside the response, which its `questionnaire` refers to, and its place."""
    named = str(response.get("questionnaire", ""))
    for place, each in placed_elements(response, "contained", RESPONSE):
        if each.get("resourceType") == "Questionnaire" and "id" in each and named == f"#{each['id']}":
            return each, place
    text = "Put the form into `contained` and refer to it by #id: the response of the package has it so."
    raise InvalidRequest(Issue("required", "QuestionnaireResponse.contained", text))


def _held(interview: Interview, response: Resource, issued: frozenset[str]) -> None:
    """Refuses answers that do not fit what was asked, and questions that were never ours."""
    strange = sorted(link_id for link_id in issued if not interview.known(link_id))
    place = "QuestionnaireResponse.contained[0].item"
    issues = [Issue("not-found", place, f"This payer does not ask {link_id}.") for link_id in strange]
    # Whoever asks for the next question is done with those before it.
    whole = {**response, "status": "completed"}
    issues = issues or faults(interview.issued(issued), whole, conditions=interview.conditions)
    if issues:
        raise InvalidRequest(*issues)


def _as_answered(answers: Answers, form: str, now: dt.datetime) -> Resource:
    """The answers as a completed response to the region's form, which is what the policy reads."""
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "answered",
        "questionnaire": form,
        "status": "completed",
        "authored": instant(now),
        "item": [{"linkId": link_id, "answer": list(given)} for link_id, given in answers.items()],
    }


def _may_be_issued(judged: Judged, known: Known | None) -> bool:
    """A number is for an order we know, that is approved and has none, and is not asked for otherwise."""
    said = judged.determination
    return known is not None and not known.pended and said.satisfied and said.authorization is None


def _said_yes(answers: Answers) -> bool:
    return any(value(answer) is True for answer in answers.get(ISSUE, []))


def _said_before(tx: Transaction, response: Resource, coverage: Resource) -> str | None:
    """Our assertion under which this form was ended before: its new end replaces that one."""
    kept = (visible(assertions.by_id(tx, each)) for each in asserted(response, coverage))
    return next((told.id for told in kept if told is not None and told.hook == HOOK), None)


def _coverage(response: Resource) -> Resource | None:
    """The client's reference to the Coverage, wherever its guide version has it."""
    listed = [*values(response, f"{DTR}/qr-coverage"), *values(response, f"{DTR}/qr-context")]
    for reference in listed:
        if isinstance(reference, dict) and "Coverage/" in str(reference.get("reference", "")):
            return reference
    return None
