"""The background work of a running server: which jobs there are, and what is looked after again and again.

    with background.running(services): …serve…

Only a process that serves does work; an application made for a test or a command does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from server.pas import notices
from server.pas.clock import Clock
from server.pas.handover import DEMO, assign_of
from server.review import demo
from server.security.outbound import Outbound
from server.services import Services
from server.subscriptions.delivery import Delivery
from server.subscriptions.topic import FLUSH


def delivery(services: Services) -> Delivery:
    return Delivery(
        store=services.store,
        work=services.work,
        outbound=Outbound.of(services.settings),
        clock=services.clock,
        base=services.fhir_base,
        focus=notices.focus_of(services.store, services.fhir_base, services.clock),
    )


def clock(services: Services) -> Clock:
    return Clock(
        services.store,
        services.catalog,
        services.work,
        services.clock,
        services.fhir_base,
        assign_of(services),
    )


@contextmanager
def running(services: Services) -> Iterator[None]:
    """Works until the block ends. The address that is listened on names this process: it is the same after a
    restart and no other's."""
    sender, decisions = delivery(services), clock(services)
    services.work.launch(
        jobs={FLUSH: sender.flush, DEMO: partial(demo.decide, services)},
        sweeps=[sender.sweep, decisions.sweep],
        executor=f"{services.settings.host}:{services.settings.port}",
    )
    try:
        yield
    finally:
        services.work.close()
