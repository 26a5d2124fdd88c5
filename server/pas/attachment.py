"""`$submit-attachment`: what was asked for comes by itself, under our tracking number (PAS, additional
information; the operation is CDex's).

    {"resourceType": "Parameters", "parameter": [
      {"name": "TrackingId", "valueIdentifier": {"value": "<tracking number of the pend>"}},
      {"name": "AttachTo", "valueCode": "preauthorization"},
      {"name": "MemberId", "valueIdentifier": {"value": "M-1"}},
      {"name": "Final", "valueBoolean": true},
      {"name": "Attachment", "part": [{"name": "LineItem", …}, {"name": "Content", "resource": {…}}]}]}

The lines that wait for information are judged again, with what came as evidence. What rules cannot read (a
scanned document), and what a reviewer asked for, goes to a person once all of it is there: with the line of
the tracking number and those that an Attachment names; one that names none is about the request as a whole
(CDex 2.1, `$submit-attachment`). Left aside are the parameters that name payer and provider, since the
tracking number says both, and Code. CDex wants MemberId; it is compared where it is there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from server.adjudication.adjudicator import Adjudicator
from server.fhir import json
from server.fhir.elements import elements
from server.fhir.errors import InvalidRequest, Issue, Unprocessable, operation_outcome
from server.pas import casebook, evidence, intake, verdict
from server.pas.decision import UNREAD, proposed, read_by_a_person
from server.pas.evidence import Attached
from server.pas.judging import Docket, Judge, Line
from server.pas.settling import Settle
from server.pas.standing import Standing
from server.pas.verdict import Asked, Denied, InReview, Verdict
from server.policy.denial import Denial
from server.store import Store, Transaction, cases, ledger, work_items
from server.store import tables as stored

Resource = dict[str, Any]

PLACE = "Parameters.parameter.where(name='{}')".format
"""FHIRPath of what goes by that name."""

WITH_A_REVIEWER = "A reviewer has the case and reads it with the rest."
DECIDED = "Nothing waits for it: the case is decided."


@dataclass(frozen=True, slots=True)
class Attachments:
    """The operation's input. `contents` are the resources, those of a Bundle one by one, each for the items
    that its Attachment names, by sequence; `final` says that nothing more will come; `own` is the item that
    the tracking number was given for, if it was for one."""

    tracking: str
    member: str
    final: bool
    contents: tuple[Attached, ...]
    own: frozenset[int] = frozenset()

    def answers(self, sequence: int) -> bool:
        return sequence in self.own.union(*(lines for _, lines in self.contents))

    @property
    def named(self) -> frozenset[int]:
        """The items that its Attachments name."""
        return frozenset[int]().union(*(lines for _, lines in self.contents))

    def check(self, every: Set[int]) -> None:
        """Raises Unprocessable where one names an item that is not among all of the request's, by sequence:
        nothing would ever be decided by it."""
        if unknown := sorted(self.named - every):
            words = f"The request has no item {', '.join(map(str, unknown))}. Send the item's sequence."
            raise Unprocessable(
                Issue("not-found", f"{PLACE('Attachment')}.part.where(name='LineItem')", words)
            )

    def about(self, own: frozenset[int], every: frozenset[int]) -> Attachments:
        """The same, with the lines of what names none: a paper is about all of them, a form of the line it
        was asked for."""
        contents = (
            Attached(content, lines or (every if evidence.unread([content]) else own or every))
            for content, lines in self.contents
        )
        return replace(self, contents=tuple(contents), own=own)


@dataclass(frozen=True, slots=True)
class SubmitAttachment:
    """The use case, whichever base it came to: the tracking number says which case it is, and the case in
    which words it is answered."""

    store: Store
    adjudicator: Adjudicator
    settle: Settle

    def answer(self, raw: bytes, client: str, now: dt.datetime) -> Resource:
        """An OperationOutcome that says what has become of the lines. Raises InvalidJson, InvalidRequest, and
        Unprocessable where the tracking number is not ours, the case is another member's, or the request has
        no item of a number that is named."""
        sent = read(raw)
        with self.store.transaction() as tx:
            row, own = self._case(tx, sent)
            every = frozenset(item.sequence for item in cases.items(tx, row.id))
            unjudged = sent.named - every
            if unjudged:
                sent.check(every | _listed(tx, row))
            sent = sent.about(own, every)
            evidence.keep(tx, row.id, client, sent.contents, now)
            for with_a_reviewer in work_items.of_case(tx, row.id):
                work_items.outdate(tx, with_a_reviewer)
            standing = casebook.standing_of(tx, row.id)
            waiting = [line for line in standing if _waits(line)]
            reviewed = any(isinstance(line.item.verdict, InReview) for line in standing)
            settled = self._judged_again(tx, row, waiting, sent, now)
            ledger.along(tx, 200)
        told = [_told(line) for line in settled] or [
            Issue(
                "informational", diagnostics=f"Received and kept. {WITH_A_REVIEWER if reviewed else DECIDED}"
            )
        ]
        told += [_kept_for(sequence) for sequence in sorted(unjudged)]
        return operation_outcome([Issue(each.code, (), each.diagnostics, "information") for each in told])

    def _case(self, tx: Transaction, sent: Attachments) -> tuple[stored.PaCase, frozenset[int]]:
        """The case that holds now in the chain of the one that is named, for this transaction alone, and the
        item that the number was given for, if it is ours."""
        own = frozenset([_line_of(sent.tracking)])
        row = _tracked(tx, sent.tracking)
        if row is None:
            row, own = _named(tx, sent), frozenset()
        if row is None:
            raise Unprocessable(
                Issue("not-found", PLACE("TrackingId"), "Nothing was asked for under this tracking number.")
            )
        if sent.member and not _is_of(row, sent.member):
            raise Unprocessable(
                Issue("business-rule", PLACE("MemberId"), "What was asked for is about another member.")
            )
        return cases.hold_current(tx, row), own

    def _judged_again(
        self,
        tx: Transaction,
        row: stored.PaCase,
        waiting: Sequence[Standing],
        sent: Attachments,
        now: dt.datetime,
    ) -> list[Standing]:
        if not waiting:
            return []
        judge = Judge(self.adjudicator, row.version)
        known = {line.item.sequence: line for line in waiting}
        settled = []
        for judged in list(_judged(tx, judge, row, known.keys(), now)):
            before = known[judged.requested["sequence"]]
            reached = self._reached(tx, judge, judged, before, row, sent, now)
            if (denial := None if sent.final else _denial(reached)) is not None:
                settled.append(before.now(msgspec.structs.replace(before.item.verdict, withheld=denial), now))
            else:
                settled.append(Standing.judged(judged, reached, now, since=before))
        self.settle(tx, row, settled, casebook.RULES, now)
        return settled

    def _reached(
        self,
        tx: Transaction,
        judge: Judge,
        judged: Line,
        before: Standing,
        row: stored.PaCase,
        sent: Attachments,
        now: dt.datetime,
    ) -> Verdict:
        asked = before.item.verdict
        assert isinstance(asked, Asked), "only lines that wait for information are judged again"
        answered = sent.final and sent.answers(before.item.sequence)
        if asked.review is not None:
            recommended = proposed(judged.judged.determination, asked.recommended)
            came = InReview("What the reviewer asked for has come.", asked.tracking, before.due, recommended)
            return came if answered else asked
        reached = judge.verdict(tx, judged, row.id, row.client, now)
        if isinstance(reached, Asked) and answered and _papers(tx, row, before.item.sequence):
            reached = read_by_a_person(reached, UNREAD)
        return verdict.tracked(reached, asked.tracking)


def _denial(reached: Verdict) -> Denial | None:
    """The denial, or the one that a person is to look at: it waits until all that was to come has come."""
    if isinstance(reached, InReview):
        return reached.recommended
    return reached.denial if isinstance(reached, Denied) else None


def _listed(tx: Transaction, row: stored.PaCase) -> set[int]:
    """The items that any version of the request lists, judged or not."""
    reads = (intake.stored(version.request) for version in cases.chain(tx, row.chain_id))
    return {item["sequence"] for read in reads for item in read.items}


def _tracked(tx: Transaction, number: str) -> stored.PaCase | None:
    """By the number under which we asked."""
    case = casebook.by_resource_id(tx, number)
    row = cases.by_id(tx, case.id) if case is not None else None
    names = cases.identifiers(tx, row.id) if row is not None else ()
    return row if any(name.kind == "tracking" and name.value == number for name in names) else None


def _named(tx: Transaction, sent: Attachments) -> stored.PaCase | None:
    """By an identifier of the request or of its answer, which a Task has that the provider made (PAS 2.2.1),
    and of the member that comes with it, for every client gives such names. One that waits goes first."""
    own = [sent.tracking] if len(sent.tracking) == casebook.CASE_ID_LENGTH else []
    keys = [*own, *cases.called(tx, None, sent.tracking)] if sent.member else []
    found = [case.id for key in keys if (case := casebook.by_resource_id(tx, key)) is not None]
    rows = [row for case_id in found if (row := cases.by_id(tx, case_id)) is not None]
    theirs = [row for row in rows if row.member_key.startswith("member:") and _is_of(row, sent.member)]
    return max(theirs, key=lambda row: any(map(_waits, casebook.standing_of(tx, row.id))), default=None)


def _papers(tx: Transaction, row: stored.PaCase, sequence: int) -> list[Resource]:
    """What a person must read of all that came for a line by now, with this call or before it."""
    came = evidence.of_chain(tx, row.chain_id)
    return evidence.unread(piece.resource for piece in came if sequence in piece.lines)


def _judged(
    tx: Transaction, judge: Judge, row: stored.PaCase, wanted: Set[int], now: dt.datetime
) -> Iterator[Line]:
    """These lines judged with what was attached, each as the newest version that lists it asks for it."""
    versions = cases.chain(tx, row.chain_id)
    for place, version in reversed(list(enumerate(versions))):
        if not wanted:
            return
        read = intake.stored(version.request)
        attached = evidence.holding_for(tx, read, row.chain_id, versions[:place])
        docket = Docket.of(read, attached=attached)
        items = [item for item in docket.read.items if item["sequence"] in wanted]
        wanted = wanted - {item["sequence"] for item in items}
        yield from judge.lines(tx, docket, items, now)


def read(raw: bytes) -> Attachments:
    """The Parameters of the operation. Raises InvalidJson, InvalidRequest."""
    body = json.decode_object(raw)
    if body.get("resourceType") != "Parameters":
        raise InvalidRequest(Issue("structure", "Parameters", "The body is not Parameters."))
    listed = elements(body, "parameter")
    named = {str(each.get("name")): each for each in listed}
    attachments = [each for each in listed if each.get("name") == "Attachment"]
    issues = list(_faults(named, attachments))
    if issues:
        raise InvalidRequest(*issues)
    lines = [frozenset(_lines(each)) for each in attachments]
    return Attachments(
        tracking=_text(named["TrackingId"]),
        member=_text(named.get("MemberId", {})),
        final=named["Final"]["valueBoolean"] if "Final" in named else True,
        contents=tuple(
            Attached(content, its_own)
            for each, its_own in zip(attachments, lines, strict=True)
            for content in _contents(each)
        ),
    )


def _faults(named: dict[str, Resource], attachments: Sequence[Resource]) -> Iterator[Issue]:
    if not _text(named.get("TrackingId", {})):
        yield Issue(
            "required", PLACE("TrackingId"), "TrackingId is missing: the number under which we asked."
        )
    if _text(named.get("AttachTo", {})) != "preauthorization":
        yield Issue("not-supported", PLACE("AttachTo"), "Attachments are taken for preauthorization only.")
    if not isinstance(named.get("Final", {"valueBoolean": True}).get("valueBoolean"), bool):
        yield Issue("value", PLACE("Final"), "Final is no boolean. Send true or false as valueBoolean.")
    if not attachments:
        yield Issue("required", PLACE("Attachment"), "There is no Attachment. Add what was asked for.")
    for index, attachment in enumerate(attachments):
        if not list(_contents(attachment)):
            yield Issue(
                "required",
                f"{PLACE('Attachment')}[{index}].part.where(name='Content')",
                "The Attachment has no resource in Content. Add it.",
            )
        if not all(_lines(attachment)):
            words = "LineItem is the sequence of an item, as valueString. Send that, or leave it out for all."
            yield Issue("value", f"{PLACE('Attachment')}[{index}].part.where(name='LineItem')", words)


def _contents(attachment: Resource) -> Iterator[Resource]:
    for part in elements(attachment, "part"):
        content = part.get("resource") if part.get("name") == "Content" else None
        if not isinstance(content, dict):
            continue
        if content.get("resourceType") == "Bundle":
            entries = [entry.get("resource") for entry in elements(content, "entry")]
            yield from (one for one in entries if isinstance(one, dict) and one.get("resourceType"))
        elif content.get("resourceType"):
            yield content


def _lines(attachment: Resource) -> Iterator[int]:
    return (_sequence(_text(part)) for part in elements(attachment, "part") if part.get("name") == "LineItem")


def _text(parameter: Resource) -> str:
    """The value of a parameter that is an identifier, a code or a string."""
    identifier, concept = parameter.get("valueIdentifier"), parameter.get("valueCodeableConcept")
    if isinstance(identifier, dict):
        return str(identifier.get("value") or "")
    if isinstance(concept, dict):
        return str(next((coding.get("code") for coding in concept.get("coding") or []), "") or "")
    return str(next((parameter[name] for name in ("valueCode", "valueString") if parameter.get(name)), ""))


def _is_of(row: stored.PaCase, member: str) -> bool:
    """By the member's own number, or by the subscriber's of the family; who is known by none cannot be told
    apart by one."""
    scheme, _, number = row.member_key.partition(":")
    return scheme != "member" or number == member or number.startswith(f"{member}-")


def _line_of(tracking: str) -> int:
    return _sequence(tracking[casebook.CASE_ID_LENGTH + 1 :])


def _sequence(text: str) -> int:
    """The number of a line; 0, which is none's, where it is no such number."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _waits(line: Standing) -> bool:
    return isinstance(line.item.verdict, Asked)


def _kept_for(sequence: int) -> Issue:
    """Of an item that was answered with an error: what came for it is evidence once an update mends it."""
    words = f"Received. Item {sequence} was not judged; this is kept for the update that corrects it."
    return Issue("informational", diagnostics=words)


def _told(line: Standing) -> Issue:
    action = verdict.action(line.item.verdict)
    still = isinstance(line.item.verdict, Asked)
    words = "more is needed; the ClaimResponse says what" if still else f"now {action}"
    return Issue("informational", diagnostics=f"Received. Item {line.item.sequence}: {words}.")
