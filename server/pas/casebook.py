"""Cases in the store: kept, and read again as they were."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from server.adjudication.judged import Judged
from server.adjudication.orders import service_code, side
from server.pas import intake, verdict
from server.pas.case import Case, Item
from server.pas.information import TRACKING_SYSTEM
from server.pas.rejection import Rejection
from server.pas.verdict import InReview
from server.store import Transaction, authorizations, cases, work_items
from server.store import tables as stored

Resource = dict[str, Any]

CASE_ID_LENGTH = len(cases.new_id())


def open_case(
    tx: Transaction, case_id: str, version: str, client: str, member_key: str, raw: bytes, now: dt.datetime
) -> stored.PaCase:
    """The row that a decision's authorizations point to; `close_case` completes it in the same
    transaction."""
    row = stored.PaCase(
        id=case_id,
        chain_id=case_id,
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
    cases.keep(tx, row)
    return row


def complete(
    tx: Transaction, row: stored.PaCase, case: Case, judged: Sequence[Judged], answer: Resource
) -> None:
    """Items, names, what waits for a person, and the answer as it goes out."""
    row.status = "pended" if any(verdict.pended(item.verdict) for item in case.items) else "final"
    row.rejections = [list(rejection) for rejection in case.rejections]
    row.response = answer
    items = [_item(tx, case, item, line) for item, line in zip(case.items, judged, strict=True)]
    cases.keep(tx, row, items, _names(case))
    for item in case.items:
        if isinstance(item.verdict, InReview):
            work_items.add(tx, _work_item(case, item, item.verdict))


def read_again(tx: Transaction, row: stored.PaCase) -> Case:
    """The case as it stands now."""
    read = intake.stored(row.request)
    return Case(
        id=row.id,
        read=read,
        items=tuple(
            Item(item.requested, verdict.from_json(item.verdict)) for item in cases.items(tx, row.id)
        ),
        decided=row.updated,
        rejections=tuple(Rejection(*parts) for parts in row.rejections),
        request=read.claim_url,
    )


def by_resource_id(tx: Transaction, resource_id: str) -> Case | None:
    """The case of a ClaimResponse, or of what was asked beside it, by the id that `response` and
    `information` gave: the case's own, which the others lengthen."""
    row = cases.by_id(tx, resource_id[:CASE_ID_LENGTH])
    return read_again(tx, row) if row is not None else None


def _item(tx: Transaction, case: Case, item: Item, judged: Judged) -> stored.PaItem:
    number = verdict.number_of(item.verdict)
    issued_here = number is not None and authorizations.by_number(tx, number) is not None
    return stored.PaItem(
        case_id=case.id,
        sequence=item.sequence,
        order_key=judged.order_key,
        cpt=service_code(judged.order),
        side=side(judged.order) or "",
        outcome=verdict.action(item.verdict),
        requested=item.requested,
        verdict=verdict.to_json(item.verdict),
        authorization_number=number if issued_here else None,
        order=dict(judged.order),
        determination=judged.determination.to_json(),
        expedited=judged.determination.expedited,
        received=case.decided,
        due=case.decided + dt.timedelta(hours=judged.determination.due_hours),
        decided=None if verdict.pended(item.verdict) else case.decided,
    )


def _names(case: Case) -> list[stored.PaIdentifier]:
    """Claim.identifier, item trace numbers, and the tracking numbers under which we ask for information;
    each once."""
    listed = [("claim", identifier) for identifier in case.read.claim.get("identifier") or []]
    listed += [("trace", trace) for item in case.items for trace in item.trace_numbers]
    listed += [
        ("tracking", {"system": TRACKING_SYSTEM, "value": tracking})
        for item in case.items
        if (tracking := verdict.tracking_of(item.verdict))
    ]
    named = {
        (identifier.get("system", ""), identifier["value"]): kind
        for kind, identifier in reversed(listed)
        if isinstance(identifier, dict) and identifier.get("value")
    }
    return [
        stored.PaIdentifier(case_id=case.id, system=system, value=value, kind=kind)
        for (system, value), kind in named.items()
    ]


def _work_item(case: Case, item: Item, review: InReview) -> stored.WorkItem:
    return stored.WorkItem(
        id=work_items.new_id(),
        case_id=case.id,
        sequence=item.sequence,
        recommendation="deny" if review.recommended else "review",
        reason=review.recommended.text if review.recommended else review.why,
        due=review.due,
        status="open",
        created=case.decided,
    )
