"""The CRD door under load: calls that come when they come, at half of what the server can do, and calls that
have to ask the EHR. Beside them what a core does at most, the share of the ceiling (the same application
echoing the same body), and what the time of a call goes into."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from fastapi import FastAPI

from server.adjudication import adjudicator
from server.adjudication.adjudicator import Adjudicator
from server.crd import agenda, answer, routes
from server.crd.answer import Desk
from server.fhir import json
from server.fhir.responses import JsonResponse
from server.store import Store, ledger
from tests.bench import Line, below
from tests.bench.asking import application, arriving, asked, taken_apart
from tests.bench.stopwatch import Place
from tests.crd import builders as ehr
from tests.ehr import Ehr
from tests.elm.charts import Drawer, value_sets

CALLS = 200
PATH, KIND = "/r2.0/cds-services/order-sign", "application/json"
PARTS: dict[str, Sequence[Place]] = {
    "JSON": [(json, "decode_object"), (JsonResponse, "render")],
    "reading the call and what was prefetched": [
        (routes, "read_call"),
        (answer, "read_prefetch"),
        (answer, "look"),
    ],
    "FHIR structure of the orders": [(agenda, "asked_about")],
    "reading the store": [(Adjudicator, "_member")],
    "determine": [(adjudicator, "determine")],
    "saying it": [(answer, "say"), (Desk, "_cards"), (Desk, "_body")],
    "storing, with one durable commit": [(Store, "transaction")],
    "audit trail, in the same": [(ledger, "along")],
}
ASKED = ("Condition", "DiagnosticReport", "Encounter", "MedicationRequest", "Observation", "Procedure")
"""The six types that the EHR is asked for; all others are prefetched as empty."""


def lines() -> Iterator[Line]:
    chart = [each for each in Drawer(1, value_sets()).chart(100) if each["resourceType"] != "Patient"]
    with application() as app:
        yield from half_of_saturation(app, chart)
        yield from six_queries(app, chart)


def half_of_saturation(app: FastAPI, chart: list[ehr.Resource]) -> Iterator[Line]:
    body = json.encode(ehr.sign(ehr.shoulder(), sent=ehr.prefetch(chart)))
    alone = asked(app, PATH, [body] * CALLS, KIND)
    ceiling = asked(app, "/echo", [body] * CALLS, KIND)
    rate = 1 / alone.median
    yield Line(
        "order-sign, 100 resources prefetched, one core",
        f"{rate:.0f}/s",
        "> 200/s",
        rate > 200,
        {"echo of the same body": ceiling.median / alone.median},
    )
    yield taken_apart(app, "order-sign, one at a time", PATH, [body] * CALLS, KIND, PARTS)
    arrived = asyncio.run(arriving(app, PATH, [body] * CALLS, KIND, rate / 2))
    yield below(f"order-sign at {rate / 2:.0f}/s, half of saturation, p99", arrived.p99, 0.025, str(arrived))


def six_queries(app: FastAPI, chart: list[ehr.Resource]) -> Iterator[Line]:
    insurance = ehr.coverage()
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance, *chart], delay=0.05) as server:
        kept = {
            name: content
            for name, content in ehr.prefetch(chart, insurance).items()
            if name not in {ehr.KEYS.get(kind, kind) for kind in ASKED}
        }
        empty = dict.fromkeys(
            (
                "allergyIntolerances",
                "carePlans",
                "deviceRequests",
                "goals",
                "imagingStudies",
                "questionnaireResponses",
                "serviceRequests",
            )
        )
        body = json.encode(ehr.sign(ehr.shoulder(), sent={**empty, **kept}, fhirServer=server.base))
        taken = asked(app, PATH, [body] * 60, KIND)
        queries = len(server.asked) / 60
    yield below(f"order-sign with {queries:.0f} queries of 50 ms each, p99", taken.p99, 0.25, f"{taken}")
