"""A thousand active subscriptions, of which one matches: how long from a decision until its subscriber hears.

The server is a process of its own on its own SQLite file, as operators run it. The time runs from the moment
the reviewer's decision is sent until the notification has arrived, so it holds the decision itself too.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from server.store import Store, subscriptions
from server.store import tables as stored
from tests.bench import Line, Times, below
from tests.crash.clients import pended
from tests.pas import builders as a
from tests.pas.conftest import FHIR
from tests.serving import Serving
from tests.subscriptions.builders import NOBODY, filtered, subscription
from tests.subscriptions.endpoint import Endpoint

SUBSCRIPTIONS = 1_000
DECISIONS = 200
BAR = 1.0
NOW = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)
REVIEWER = {"name": "Dr Kim", "npi": "1444444444"}


def lines() -> Iterator[Line]:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        url = f"sqlite:///{Path(folder) / 'payer.db'}"
        _others(url)
        with Endpoint() as clinic, Serving(database_url=url) as server:
            server.ready()
            wish = subscription("2.2", clinic.url)
            server.http.post("/r2.2/fhir/Subscription", json=wish, headers=FHIR).raise_for_status()
            clinic.wait_for("handshake")
            waited = tuple(_until_heard(server, clinic, number) for number in range(1, DECISIONS + 1))
    yield Line(f"decision to notification, 1 of {SUBSCRIPTIONS:,} subscriptions", str(Times(waited)))
    yield below("the slowest in a hundred", Times(waited).p99, BAR)


def _others(url: str) -> None:
    """Everybody else's subscriptions, active and about other organizations."""
    store = Store.open(url)
    with store.transaction() as tx:
        for number in range(SUBSCRIPTIONS - 1):
            organization = f"{number:010}"
            wish = subscription("2.2", NOBODY, _criteria=filtered(f"org-identifier={organization}"))
            row = stored.Subscription(
                id=f"other-{number}", client="", version="2.2", status="active", resource=wish, created=NOW
            )
            subscriptions.keep(tx, row, [organization])
    store.close()


def _until_heard(server: Serving, clinic: Endpoint, number: int) -> float:
    """Seconds of one decision; `number` is that of its event."""
    body = a.raw(pended(f"M-{number}"))
    server.http.post("/r2.2/fhir/Claim/$submit", content=body, headers=FHIR).raise_for_status()
    (item,) = server.http.get("/review").raise_for_status().json()["items"]
    decision = {"revision": item["revision"], "reviewer": REVIEWER}
    began = monotonic()
    server.http.post(f"/review/{item['id']}/deny", json=decision).raise_for_status()
    clinic.wait_until(lambda: len(clinic.events) >= number)
    return clinic.events[number - 1].at - began
