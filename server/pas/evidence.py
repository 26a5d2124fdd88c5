"""Evidence that came after the request: kept with the case, and part of every later judgement in its chain.

A request is kept as it came; what is attached to it later stands beside it, as something that happened to
the line it was asked for.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import uuid4

from server.fhir.elements import once
from server.fhir.references import Resolver, local_reference
from server.pas import intake
from server.pas.intake import Submission
from server.pas.marks import cancelled
from server.store import Transaction, events
from server.store import tables as stored

Resource = dict[str, Any]

ATTACHED = "attached"

PAPERS = frozenset({"DocumentReference", "Binary", "Composition", "Media"})
"""Resources whose content no rule reads."""


class Attached(NamedTuple):
    """A resource that came later, and the items that it answers for, by sequence."""

    resource: Resource
    lines: frozenset[int]


def keep(
    tx: Transaction,
    case_id: str,
    client: str,
    pieces: Iterable[Attached],
    now: dt.datetime,
) -> None:
    """One event a resource."""
    for piece in pieces:
        told = {"resource": piece.resource, "lines": sorted(piece.lines)}
        first = min(piece.lines, default=0)
        events.record(tx, case_id, first, ATTACHED, client or "client", now, **told)


def of_chain(tx: Transaction, chain_id: str) -> list[Attached]:
    """What was attached to any version of a request, oldest first."""
    return [_attached(event) for event in events.of_chain(tx, chain_id, ATTACHED)]


def _attached(event: stored.PaEvent) -> Attached:
    return Attached(event.detail["resource"], frozenset(event.detail.get("lines") or [event.sequence]))


def holding_for(
    tx: Transaction, read: Submission, chain_id: str, before: Sequence[stored.PaCase]
) -> list[Attached]:
    """What was attached to a request and is newer than what this version of it has: all but what was attached
    to versions `before` and the version brings otherwise than those had it."""
    attached = events.of_chain(tx, chain_id, ATTACHED)
    own = _by_name(read)
    known = {row.id: _by_name(intake.stored(row.request)) for row in before if attached}

    def holds(event: stored.PaEvent) -> bool:
        name = local_reference(event.detail["resource"])
        had = known.get(event.case_id)
        return had is None or name not in own or own[name] == had.get(name)

    return [_attached(event) for event in attached if holds(event)]


def _by_name(read: Submission) -> dict[str, Resource]:
    named = ((local_reference(entry["resource"]), entry["resource"]) for entry in read.bundle["entry"])
    return {name: resource for name, resource in named if name}


def handed_in(versions: Sequence[Submission], attached: Sequence[Resource]) -> list[Resource]:
    """What the provider wants read: what the supporting information of any version of a request, oldest
    first, points to or says in words, if it was not withdrawn; then what was attached later. The same once,
    however often it came. Resources; words as `{"text": …}`."""
    newest = {
        piece["sequence"]: (read, piece)
        for read in versions
        for piece in read.claim.get("supportingInfo") or []
    }
    sent = (
        read.resolve(piece.get("valueReference")) or {"text": piece.get("valueString")}
        for read, piece in newest.values()
        if not cancelled(piece)
    )
    return once([*(each for each in sent if each.get("resourceType") or each.get("text")), *attached])


def unread(handed: Iterable[Resource]) -> list[Resource]:
    """What of it only a person can read: papers, reports that have one attached, and words."""
    return [
        piece
        for piece in handed
        if piece.get("resourceType") in (*PAPERS, None) or piece.get("presentedForm")
    ]


def forms(read: Submission, attached: Sequence[Attached]) -> list[Attached]:
    """The forms that were attached, each with every line that it was sent for. Of one that the request has
    itself, the Claim says for which it is."""
    own, lines = _by_name(read), defaultdict[str, set[int]](set)
    named = [
        (local_reference(piece.resource) or f"{id(piece.resource)}", piece)
        for piece in attached
        if piece.resource.get("resourceType") == "QuestionnaireResponse"
    ]
    for name, piece in named:
        lines[name] |= piece.lines
    return [Attached(piece.resource, frozenset(lines[name])) for name, piece in named if name not in own]


def joined(read: Submission, attached: Sequence[Attached]) -> Submission:
    """The request as if it had come with these. What has the type and id of something in the request takes
    its place, the later of two the earlier's; the Claim and its parties stay as they were."""
    if not attached:
        return read
    parties = (read.claim, read.patient, read.insurer, read.provider, read.coverage)
    fixed = {local_reference(party) for party in parties}
    newest = {local_reference(one) or f"urn:uuid:{uuid4()}": one for one, _ in attached}
    added = {name: one for name, one in newest.items() if name not in fixed}
    kept = [entry for entry in read.bundle["entry"] if local_reference(entry["resource"]) not in added]
    base = read.resolver.base_of(read.claim)
    entries = [
        *kept,
        *(
            {"fullUrl": name if name.startswith("urn:") else f"{base}{name}", "resource": one}
            for name, one in added.items()
        ),
    ]
    bundle = {**read.bundle, "entry": entries}
    return replace(read, bundle=bundle, resolver=Resolver.of_bundle(bundle))
