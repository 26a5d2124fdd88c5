"""Cases put to a door: applications over stores of their own, as `policy test --door` needs them.

    stage = Stage()
    answered = stage.post(case, "/r2.0/fhir/Claim/$submit", body, headers)

Cases of one day share an application, which knows nothing of how a server beside it is set. Before each
request its store is emptied, and the payer's own records of the case are put into it. What the application
logs is not wanted here. `call_of` is an order signed, `information_of` what came back on it.
"""

from __future__ import annotations

import datetime as dt
import io
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import delete

from server import inside, logs
from server.adjudication.loading import OF_ALL, keep
from server.adjudication.members import member_key
from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.app import create_app
from server.crd.sight import CHART
from server.fhir.extensions import extension
from server.fhir.references import Resolver
from server.fhir.responses import FHIR_JSON
from server.policy.case_draft import bundle
from server.policy.cases import Case
from server.services import GUIDES, Version
from server.settings import Given
from server.store import Store
from server.store.tables import Table

Resource = dict[str, Any]

JSON = {"Content-Type": "application/json"}
FHIR = {"Content-Type": FHIR_JSON}


class Stage:
    """Its stores end with it."""

    def __init__(self) -> None:
        logs.configure(io.StringIO())
        self._folder = tempfile.TemporaryDirectory()
        self._apps: dict[dt.datetime, FastAPI] = {}

    def post(self, case: Case, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """The answer to a request that nothing but the payer's records went before."""
        return inside.post(self.set_for(case), path, body, headers)

    def set_for(self, case: Case) -> FastAPI:
        """The application of the case's day, its store holding the payer's own records of the case alone."""
        _set(self.store(case), case)
        return self._app(case.now)

    def store(self, case: Case) -> Store:
        """What the case's request left behind."""
        store: Store = self._app(case.now).state.services.store
        return store

    def _app(self, now: dt.datetime) -> FastAPI:
        if now not in self._apps:
            database = Path(self._folder.name) / f"cases-{len(self._apps)}.db"
            self._apps[now] = create_app(Given(database_url=f"sqlite:///{database}", test_clock=now))
        return self._apps[now]


def on_every_base(differences_on: Callable[[Version], Iterable[str]]) -> list[str]:
    """What each guide version's base answers otherwise than expected, led by the base's name."""
    return [f"r{version}: {difference}" for version in GUIDES for difference in differences_on(version)]


def _set(store: Store, case: Case) -> None:
    key = member_key(case.coverage, case.patient)
    resolver = Resolver.of(case.records)
    with store.transaction() as tx:
        for table in reversed(Table.metadata.sorted_tables):
            tx.execute(delete(table))
        for record in case.records:
            of_all = record["resourceType"] in OF_ALL
            keep(tx, dict(record), None if of_all else key, resolver, case.now)


def information_of(body: Resource, order: Any) -> Resource | None:
    """The coverage information that a response puts on an order."""
    for action in body["systemActions"]:
        resource = action["resource"]
        if (resource["resourceType"], resource["id"]) == (order["resourceType"], order["id"]):
            return extension(resource, COVERAGE_INFORMATION)
    return None


def call_of(case: Case) -> Resource:
    """The order-sign call an EHR would make, with all it has on the patient: nothing is an answer too."""
    by_type: dict[str, list[Resource]] = {kind: [] for kind in CHART}
    for resource in (*case.parties, *case.clinical):
        if resource["resourceType"] != "Patient":
            by_type.setdefault(resource["resourceType"], []).append(dict(resource))
    return {
        "hook": "order-sign",
        "hookInstance": str(uuid4()),
        "context": {
            "userId": case.order["requester"]["reference"],
            "patientId": case.patient["id"],
            "draftOrders": bundle("collection", [case.order, *case.siblings]),
        },
        "prefetch": {
            "patient": case.patient,
            "coverage": bundle("searchset", [case.coverage]),
            **{kind: bundle("searchset", found) for kind, found in by_type.items()},
        },
    }
