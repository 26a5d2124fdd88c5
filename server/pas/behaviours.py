"""Rare behaviour on request, so that a tester sees how a client bears it: never in policy, never in
production.

With `TEST_BEHAVIOURS=true` a Claim may carry tags (`Claim.meta.tag`) of the system below:

    slow                     the answer takes 15 seconds
    failure                  503, and nothing is stored
    pend-then-approve        whatever the rules say, it pends, and is approved some seconds later
    duplicate-notification   the result is told twice
    late-notification        the result is told half a minute after the decision

Otherwise the tags are as any other: passed over.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
from collections.abc import Awaitable, Callable
from typing import Any

from server.fhir import json
from server.fhir.elements import elements
from server.fhir.errors import InvalidJson, Unavailable
from server.pas import casebook, notices
from server.pas.handover import DEMO, Assign
from server.pas.intake import Submission
from server.services import Services
from server.store import Transaction, cases
from server.store import tables as stored

SYSTEM = "https://payer.example/CodeSystem/test-behaviour"
LATE_NOTICE = "late-notice"
"""The job that tells of a result late, told by the id of the case."""

SLOW_SECONDS, PENDED_SECONDS, LATE_SECONDS = 15.0, 5.0, 30.0


class Behaviour(enum.StrEnum):
    SLOW = "slow"
    FAILURE = "failure"
    PEND = "pend-then-approve"
    TWICE = "duplicate-notification"
    LATE = "late-notification"


def wished(services: Services, claim: Any) -> frozenset[Behaviour]:
    """What the Claim's tags ask for; nothing unless the server is set to obey them."""
    if not services.settings.test_behaviours or not isinstance(claim, dict):
        return frozenset()
    meta = claim.get("meta")
    tags = elements(meta, "tag") if isinstance(meta, dict) else []
    codes = [tag.get("code") for tag in tags if tag.get("system") == SYSTEM]
    return frozenset(behaviour for behaviour in Behaviour if behaviour in codes)


def wished_by(services: Services, body: bytes) -> frozenset[Behaviour]:
    """The same, of a request as it came."""
    if not services.settings.test_behaviours:
        return frozenset()
    try:
        entries = json.decode_object(body).get("entry") or [{}]
    except InvalidJson:
        return frozenset()
    first = entries[0] if isinstance(entries, list) and isinstance(entries[0], dict) else {}
    return wished(services, first.get("resource"))


async def before_answering(
    asked: frozenset[Behaviour], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Takes its time, or raises Unavailable."""
    if Behaviour.SLOW in asked:
        await sleep(SLOW_SECONDS)
    if Behaviour.FAILURE in asked:
        words = "A tester asked for this failure. Nothing was stored; send it without the tag."
        raise Unavailable(words, headers={"Retry-After": "1"})


def approved_soon(services: Services) -> Assign:
    """Hands a line to the demo reviewer, whatever `DEMO_REVIEWER` says."""

    def assign(tx: Transaction, item: stored.WorkItem) -> None:
        services.work.enqueue(tx, DEMO, item.id, delay=PENDED_SECONDS)

    return assign


def tell(services: Services, tx: Transaction, row: stored.PaCase, read: Submission, now: dt.datetime) -> None:
    """As `notices.tell`, late or twice where the Claim asks for it."""
    asked = wished(services, read.claim)
    if Behaviour.LATE in asked:
        services.work.enqueue(tx, LATE_NOTICE, row.id, delay=LATE_SECONDS)
        return
    for _ in range(2 if Behaviour.TWICE in asked else 1):
        notices.tell(services, tx, row, read, now)


def tell_late(services: Services, case_id: str) -> None:
    with services.store.transaction() as tx:
        row = cases.by_id(tx, case_id)
        if row is not None:
            notices.tell(services, tx, row, casebook.read_again(tx, row).read, services.clock())
