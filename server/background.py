"""The background work of a running server: which jobs there are, and what is looked after again and again.

    with background.running(services): …serve…

Only a process that serves does work; an application made for a test or a command does not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from socket import gethostname
from typing import TypeVar

from server.pas import notices
from server.pas.behaviours import LATE_NOTICE, tell_late
from server.pas.clock import Clock
from server.pas.handover import DEMO
from server.pas.settling import settle
from server.pas.submit import REPEAT
from server.review import demo
from server.security.outbound import Outbound
from server.services import Services
from server.store import Store, Transaction, exchanges, repeats
from server.subscriptions.delivery import Delivery
from server.subscriptions.topic import FLUSH

T = TypeVar("T")

FORGOTTEN = ("crd", "dtr")
"""The doors whose calls are kept as they came; what PAS was asked is a part of its cases."""

FORGOTTEN_AT_A_TIME, FORGETTING = 200, 5
"""How many go in one transaction, and in how many of one round: a heap of them keeps nobody waiting."""


def delivery(services: Services) -> Delivery:
    return Delivery(
        store=services.store,
        work=services.work,
        outbound=Outbound.of(services.settings),
        clock=services.clock,
        base=services.fhir_base,
        focus=notices.focus_of(services),
        reaches=services.admission.registry.reaches,
    )


def clock(services: Services) -> Clock:
    return Clock(
        services.store,
        services.catalog,
        partial(settle, services),
        services.clock,
    )


def forget(services: Services) -> None:
    """Deletes calls that were kept for long enough, some in each round."""
    before = services.clock() - dt.timedelta(days=services.settings.keep_exchanges_days)
    for door in FORGOTTEN:
        # Of one door: of two the database would sort all there are, to find the oldest.
        begun = partial(exchanges.begun, door=door, before=before, most=FORGOTTEN_AT_A_TIME)
        _delete(services.store, begun, exchanges.forget)


def forget_repeats(services: Services) -> None:
    """Deletes what tells that bytes were answered, once they would be asked anew, some in each round."""
    before = services.clock() - REPEAT
    answered = partial(repeats.answered_before, before=before, limit=FORGOTTEN_AT_A_TIME)
    _delete(services.store, answered, partial(repeats.forget, before=before))


def _delete(
    store: Store,
    found: Callable[[Transaction], Sequence[T]],
    forgotten: Callable[[Transaction, Sequence[T]], None],
) -> None:
    """What is found, a part at a time, so that nobody waits for long who writes."""
    for _ in range(FORGETTING):
        with store.reading() as tx:
            old = found(tx)
        if not old:
            break
        with store.transaction() as tx:
            forgotten(tx, old)


def sweeps(services: Services) -> list[Callable[[], None]]:
    """What is looked after again and again: first what falls due, then who is to be told of it."""
    forgetting = [forget] if services.settings.keep_exchanges_days else []
    forgetful = (partial(each, services) for each in (forget_repeats, *forgetting))
    return [clock(services).sweep, delivery(services).sweep, *forgetful]


@contextmanager
def running(services: Services) -> Iterator[None]:
    """Works until the block ends. Machine and address name this process: the same after a restart, and no
    other's, containers that all listen on the same address included. What one that never comes back had
    begun, the sweeps of the others find (the demo reviewer's turn excepted)."""
    settings = services.settings
    services.work.launch(
        jobs={
            FLUSH: delivery(services).flush,
            DEMO: partial(demo.decide, services),
            LATE_NOTICE: partial(tell_late, services),
        },
        sweeps=sweeps(services),
        executor=f"{gethostname()}:{settings.host}:{settings.port}",
    )
    try:
        yield
    finally:
        services.work.close()
