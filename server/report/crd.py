"""CRDMetricData: one record a hook call that was kept (CRD, "Metrics")."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from server.crd.exchange import DOOR
from server.crd.measures import metric_data
from server.crd.routes import TABLES
from server.services import Services
from server.store import exchanges


def records(services: Services, start: dt.datetime, end: dt.datetime) -> Iterator[dict[str, Any]]:
    """The records of the calls in [start, end), oldest first, refused ones among them."""
    with services.store.reading() as tx:
        kept = exchanges.between(tx, DOOR, start, end)
        yield from metric_data(tx, TABLES, kept, services.catalog.payer)
