"""What must be true in the end, each with what speaks against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import httpx
from sqlalchemy import func, select

from server.store import Store
from server.store.tables import Authorization, Notice
from tests.crash.clients import Told, inquiry
from tests.pas import builders as a
from tests.pas.conftest import FHIR, Answer
from tests.subscriptions.endpoint import Endpoint
from tests.subscriptions.endpoint import Told as Notification


@dataclass(frozen=True)
class Line:
    """One promise: how many times it was put to the test, and where it was not kept."""

    promise: str
    tested: int
    broken: tuple[str, ...]


def balanced(base: str, store: Store, told: Sequence[Told], inboxes: Sequence[Endpoint]) -> Iterator[Line]:
    """Every promise, put to the test."""
    yield _found(base, told)
    yield _numbers(told)
    yield _one_number_an_order(store)
    yield _decided(base, told)
    pended = {each.answer.response["id"] for each in told if each.answer.action == "A4"}
    for name, inbox in zip(("2.0.1", "2.2.1"), inboxes, strict=True):
        yield _arrived(name, pended, inbox)
        yield _in_order(name, inbox)
    yield _nothing_owed(store)


def undelivered(store: Store) -> int:
    """Notices that have not arrived."""
    with store.reading() as tx:
        return tx.scalar(select(func.count()).where(Notice.delivered.is_(None))) or 0


def _found(base: str, told: Sequence[Told]) -> Line:
    """Whoever was told of an authorization or a pend finds that very case again."""
    broken = []
    with httpx.Client(base_url=base, timeout=60) as http:
        for each in told:
            found = {one.response["id"]: one for one in _inquired(http, each)}
            again = found.get(each.answer.response["id"])
            number = each.answer.response.get("preAuthRef")
            if again is None or len(found) != 1 or (number and again.response.get("preAuthRef") != number):
                broken.append(f"{each.member}: told {number or 'a pend'}, found {len(found)} cases")
    return Line("What a client was told is found by $inquire", len(told), tuple(broken))


def _inquired(http: httpx.Client, told: Told) -> list[Answer]:
    body = a.raw(inquiry(told.member))
    answered = http.post("/r2.2/fhir/Claim/$inquire", content=body, headers=FHIR).raise_for_status()
    return [Answer(part["resource"]) for part in answered.json().get("parameter", [])]


def _numbers(told: Sequence[Told]) -> Line:
    numbers = Counter(
        str(number) for each in told if (number := each.answer.response.get("preAuthRef")) is not None
    )
    broken = tuple(f"{number} was told {times} times" for number, times in numbers.items() if times > 1)
    return Line("No authorization number exists twice", len(numbers), broken)


def _one_number_an_order(store: Store) -> Line:
    with store.reading() as tx:
        orders = tx.execute(
            select(Authorization.order_key, func.count())
            .where(Authorization.status == "active")
            .group_by(Authorization.order_key)
        ).all()
    broken = tuple(f"an order has {number} authorizations" for _, number in orders if number > 1)
    return Line("No order has two authorizations", len(orders), broken)


def _decided(base: str, told: Sequence[Told]) -> Line:
    """The reviewer's turn is durable too."""
    waiting = httpx.get(f"{base}/review", timeout=60).raise_for_status().json()["items"]
    pended = sum(1 for each in told if each.answer.action == "A4")
    return Line("What was pended is decided", pended, tuple(f"{item['id']} waits" for item in waiting))


def _arrived(name: str, pended: set[str], inbox: Endpoint) -> Line:
    heard = {case_of(told) for told in inbox.events}
    broken = tuple(f"nothing was heard of {case_id}" for case_id in pended - heard)
    return Line(f"Every notification owed arrives ({name})", len(pended), broken)


def case_of(told: Notification) -> str:
    """The id of the ClaimResponse: 2.0.1 names it, 2.2.1 sends the Bundle around it."""
    bundle = told.body["entry"][1].get("resource")
    return str(Answer(bundle).response["id"] if bundle else told.event["focus"].rpartition("/")[2])


def _in_order(name: str, inbox: Endpoint) -> Line:
    """At least once, and nothing before what came before it."""
    first = list(dict.fromkeys(told.number for told in inbox.events))
    broken = () if first == list(range(1, len(first) + 1)) else (f"the order was {_shown(first)}",)
    return Line(f"Events arrive in the order of their numbers ({name})", len(first), broken)


def _nothing_owed(store: Store) -> Line:
    left = undelivered(store)
    return Line("Nothing is owed any more", 1, (f"{left} notices have not arrived",) if left else ())


def _shown(numbers: Iterable[int]) -> str:
    listed = list(numbers)
    astray = [number for place, number in enumerate(listed, start=1) if place != number]
    return ", ".join(map(str, astray[:20]))
