"""Cases in the store: kept, and read again as they stand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from server.adjudication.authorizations import done_on
from server.adjudication.orders import order_key as key_of
from server.pas import change, decision, evidence, intake, verdict
from server.pas.case import Case, Item, tracking
from server.pas.information import TRACKING_SYSTEM, asked_for
from server.pas.inquiry import providers
from server.pas.intake import Submission
from server.pas.rejection import Rejection
from server.pas.response import pas_response_bundle
from server.pas.standing import Standing
from server.pas.verdict import Asked, InReview, Span, Verdict
from server.pas.versions import VERSIONS
from server.security.caller import calling
from server.store import Transaction, authorizations, cases, events, work_items
from server.store import tables as stored

Resource = dict[str, Any]

CASE_ID_LENGTH = len(stored.new_id())
RULES = "rules"


def open_case(
    tx: Transaction,
    case_id: str,
    version: str,
    client: str,
    member_key: str,
    raw: bytes,
    now: dt.datetime,
    chain_id: str | None = None,
) -> stored.PaCase:
    """The row that a decision's authorizations point to; `complete` fills it in the same transaction."""
    row = stored.PaCase(
        id=case_id,
        chain_id=chain_id or case_id,
        version=version,
        client=client,
        member_key=member_key,
        status="open",
        request=raw,
        rejections=[],
        response={},
        created=now,
        updated=now,
    )
    cases.add(tx, row)
    return row


def complete(
    tx: Transaction,
    row: stored.PaCase,
    case: Case,
    standing: Sequence[Standing],
    answer: Resource,
    *,
    fresh: Sequence[int],
) -> list[stored.WorkItem]:
    """Lines, names, what waits for a person, what happened, and the answer as it goes out. `standing` may
    hold more than the answer tells: what an earlier version asked and this one does not mention. `fresh` are
    the sequences decided just now. Gives the work items of what waits for a person alone; what waits for
    information can be decided by the reviewer who asked, and by whoever reads the papers that came."""
    row.status = status_of([line.item.verdict for line in standing])
    row.rejections = [list(rejection) for rejection in case.rejections]
    row.response = answer
    # A request that came to nothing must not be found when its Claim is named again.
    names = _names(case.id, case.read, [line.item for line in standing]) if standing else []
    cases.complete(tx, row, [_row(tx, case.id, line) for line in standing], names)
    for line in standing:
        if line.item.sequence in fresh:
            tell(tx, case.id, line, RULES, case.decided)
    asked = [(line, waits) for line in standing if isinstance(waits := line.item.verdict, Asked)]
    papers = bool(asked) and evidence.unread(handed_in(tx, row, case.read))
    for line, waits in asked:
        if waits.review or papers:
            read = decision.read_meanwhile(waits)
            open_work_item(tx, case.id, line, read, case.decided, status="asked")
    return [
        open_work_item(tx, case.id, line, waits, case.decided)
        for line in standing
        if isinstance(waits := line.item.verdict, InReview)
    ]


def status_of(verdicts: Sequence[Verdict]) -> str:
    return "pended" if any(verdict.pended(each) for each in verdicts) else "final"


def tell(tx: Transaction, case_id: str, line: Standing, actor: str, now: dt.datetime) -> None:
    """An event for the verdict just reached; with it, what was asked of the provider, and which person took
    part."""
    reached, review = line.item.verdict, verdict.review_of(line.item.verdict)
    kind = events.PENDED if verdict.pended(reached) else events.DECIDED
    events.record(
        tx,
        case_id,
        line.item.sequence,
        kind,
        actor,
        now,
        action=verdict.action(reached),
        number=verdict.number_of(reached),
        **({"asked": asked_for(reached)} if isinstance(reached, Asked) else {}),
        **({"name": review.name} if review else {}),
    )


def answered(tx: Transaction, row: stored.PaCase, item: stored.PaItem) -> Resource:
    """How a line stands, since when, and by whom: `rules`, the `clock` or a `reviewer`, whose name is told
    where the guide has it told; `words` are those that the provider was told with it."""
    told = events.of_chain(tx, row.chain_id, events.DECIDED, events.PENDED)
    last = next((event for event in reversed(told) if event.sequence == item.sequence), None)
    reached = verdict.from_json(item.verdict)
    return {
        "action": verdict.action(reached),
        "disposition": verdict.DISPOSITION[type(reached)],
        "words": verdict.note_texts(reached),
        **({"by": last.actor.partition(" ")[0], "at": last.at.isoformat()} if last is not None else {}),
    }


def read_again(tx: Transaction, row: stored.PaCase) -> Case:
    """The case as it stands now."""
    return _as_it_stands(row, cases.told(tx, row.id))


def as_it_holds(tx: Transaction, row: stored.PaCase) -> Case:
    """The same. Where a later version took its place, what that says, under the id of this one: whoever reads
    its answer again, or is told of it late, learns what holds."""
    return replace(read_again(tx, cases.current(tx, row) if row.replaced_by else row), id=row.id)


def handed_in(tx: Transaction, row: stored.PaCase, read: Submission | None = None) -> list[Resource]:
    """What the provider sent to be read, with any version of the request or for it, as it came; `read` is
    this version as it just came: before a first request there was none, and nothing for it."""
    if read is not None and row.id == row.chain_id:
        return evidence.handed_in([read], ())
    versions = cases.chain(tx, row.chain_id)
    sent = [read if read and each.id == row.id else intake.stored(each.request) for each in versions]
    return evidence.handed_in(sent, [piece.resource for piece in evidence.of_chain(tx, row.chain_id)])


def of_member(tx: Transaction, member_key: str) -> list[tuple[stored.PaCase, Case]]:
    """The cases of a member that hold, as they stand now, newest first."""
    lines: dict[str, list[stored.PaItem]] = {}
    for line in cases.told_of_member(tx, member_key):
        lines.setdefault(line.case_id, []).append(line)
    return [(row, _as_it_stands(row, lines.get(row.id, []))) for row in cases.of_member(tx, member_key)]


def _as_it_stands(row: stored.PaCase, lines: Sequence[stored.PaItem]) -> Case:
    read = intake.stored(row.request)
    return Case(
        id=row.id,
        read=read,
        items=tuple(Item(line.requested, verdict.from_json(line.verdict)) for line in lines),
        decided=row.updated,
        rejections=tuple(Rejection(*parts) for parts in row.rejections),
        request=read.claim_url,
    )


def with_earlier_numbers(tx: Transaction, case: Case, chain_id: str) -> Case:
    """The case with every number that its lines went by in any version of the request: of authorizations, and
    of pends."""
    numbers: dict[int, set[str]] = {}
    for event in events.of_chain(tx, chain_id, events.DECIDED, events.PENDED):
        number = event.detail["number"] or tracking(event.case_id, event.sequence)
        numbers.setdefault(event.sequence, set()).add(number)
    items = (replace(item, earlier=frozenset(numbers.get(item.sequence, ()))) for item in case.items)
    return replace(case, items=tuple(items))


def with_earlier_versions(tx: Transaction, case: Case, chain_id: str) -> Case:
    """The case with its lines as every earlier version of the request had them."""
    before: dict[int, list[Resource]] = {}
    for line in cases.before(tx, chain_id):
        before.setdefault(line.sequence, []).append(line.requested)
    items = (replace(item, before=tuple(before.get(item.sequence, ()))) for item in case.items)
    return replace(case, items=tuple(items))


def standing_of(tx: Transaction, case_id: str) -> list[Standing]:
    return [Standing.kept(row) for row in cases.items(tx, case_id)]


def settle(
    tx: Transaction,
    row: stored.PaCase,
    lines: Sequence[Standing],
    base: Callable[[Any], str],
    now: dt.datetime,
) -> None:
    """These lines of a case that is kept as they stand from now on, stored with what it is answered as: in
    the words of the version it came by, whose FHIR base `base` tells."""
    for line in lines:
        tx.merge(_row(tx, row.id, line))
    row.updated = now
    tx.flush()
    case, version = read_again(tx, row), VERSIONS[row.version]
    row.status = status_of([each.verdict for each in case.items])
    row.response = pas_response_bundle(version, case, base(version.name), now)
    tx.flush()


def grant(
    tx: Transaction,
    row: stored.PaCase,
    line: Standing,
    code: str,
    span: Span,
    units: int,
    now: dt.datetime,
    place: str = "",
) -> stored.Authorization:
    """What a person grants: the authorization that the same order has on the same terms, if nothing was done
    on it yet, else a new one. Of another service than was ordered it is another order's: what was ordered
    stays unauthorized."""
    order_key = line.order_key if code == line.cpt else key_of(row.member_key, line.order, code)
    held = authorizations.of_order(tx, row.member_key, order_key)
    terms = (code, place, units, span.start, span.end)
    if held is not None and terms == _terms(held) and not done_on(tx, row.member_key, held.number):
        return held
    granted = stored.Authorization(
        number=authorizations.new_number(),
        version=row.version,
        client=row.client,
        member_key=row.member_key,
        order_key=order_key,
        cpt=code,
        side=line.side,
        status="active",
        span_start=span.start,
        span_end=span.end,
        units=units,
        used=0,
        door="pas",
        case_id=row.id,
        order=line.order,
        determination=line.determination,
        created=now,
        place=place,
    )
    authorizations.issue(tx, granted)
    return granted


def _terms(held: stored.Authorization) -> tuple[str, str, int, dt.date, dt.date]:
    return held.cpt, held.place, held.units, held.span_start, held.span_end


def by_resource_id(tx: Transaction, resource_id: str) -> Case | None:
    """The case of a ClaimResponse, or of what was asked beside it, by the id that `response` and
    `information` gave: the case's own, which the others lengthen. None where it is not the caller's."""
    row = cases.by_id(tx, resource_id[:CASE_ID_LENGTH])
    if row is None:
        return None
    case = as_it_holds(tx, row)
    return case if calling().sees(row.client, providers(case.read)) else None


def _row(tx: Transaction, case_id: str, line: Standing) -> stored.PaItem:
    return stored.PaItem(
        case_id=case_id,
        sequence=line.item.sequence,
        order_key=line.order_key,
        cpt=line.cpt,
        side=line.side,
        outcome=verdict.action(line.item.verdict),
        requested=line.item.requested,
        verdict=verdict.to_json(line.item.verdict),
        authorization_number=_issued_here(tx, line.item.verdict),
        order=line.order,
        determination=line.determination,
        expedited=line.expedited,
        received=line.received,
        due=line.due,
        decided=line.decided,
        orderer=line.orderer,
    )


def _issued_here(tx: Transaction, reached: Verdict) -> str | None:
    """The verdict's authorization number, unless it is one of old that only the payer's file knows."""
    number = verdict.number_of(reached)
    return number if number and authorizations.by_number(tx, number) is not None else None


def _names(case_id: str, read: Submission, items: Sequence[Item]) -> list[stored.PaIdentifier]:
    """The Claim's URL and identifiers, item trace numbers, and the tracking numbers under which we ask for
    information; each once."""
    listed = [("claim", name.system, name.value) for name in change.names_of(read)]
    listed += [
        ("trace", str(trace.get("system", "")), str(trace["value"]))
        for item in items
        for trace in item.trace_numbers
        if isinstance(trace, dict) and trace.get("value")
    ]
    listed += [
        ("tracking", TRACKING_SYSTEM, tracking)
        for item in items
        if (tracking := verdict.tracking_of(item.verdict))
    ]
    named = {(system, value): kind for kind, system, value in reversed(listed)}
    return [
        stored.PaIdentifier(case_id=case_id, system=system, value=value, kind=kind)
        for (system, value), kind in named.items()
    ]


def why_it_waits(line: Standing, review: InReview) -> list[str]:
    """What is said of it beside the recommendation: nothing where that says it already."""
    return [] if review.recommended and review.why == line.determination["reason"] else [review.why]


def open_work_item(
    tx: Transaction,
    case_id: str,
    line: Standing,
    review: InReview,
    now: dt.datetime,
    status: work_items.Status = "open",
) -> stored.WorkItem:
    """The line waits for a person: once more under its old work item where it has one."""
    recommended = review.recommended
    told: dict[str, Any] = {
        "recommendation": "deny" if recommended else "review",
        "reason": " ".join([*why_it_waits(line, review), *([recommended.text] if recommended else [])]),
        "due": line.due,
        "status": status,
    }
    known = work_items.of_line(tx, case_id, line.item.sequence)
    if known is not None:
        return work_items.reopen(tx, known, **told)
    item = stored.WorkItem(
        id=stored.new_id(), case_id=case_id, sequence=line.item.sequence, created=now, **told
    )
    work_items.add(tx, item)
    return item
