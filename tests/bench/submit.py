"""`Claim/$submit`, durable: how many one core can do, how long they take at half of that, and what the time
goes into. Then the first two again with profiles held at the door.

Every request is of a member of its own and comes with a form that meets every criterion: each ends in a
new number. The process has one core, which clients share while others wait for the disk; what a request
takes of the processor, the client's part included, depends least on what else the machine does.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from fastapi import FastAPI

from server.adjudication import adjudicator
from server.fhir import json
from server.fhir.responses import FhirResponse
from server.inferno import pas as preset
from server.inferno.pas_dialects import V2_2
from server.pas import intake, submit
from server.pas.judging import Docket, Judge
from server.store import Store, ledger
from tests.bench import Line, Times, below, milliseconds
from tests.bench.asking import FHIR, application, arriving, asked, taken_apart, together
from tests.bench.stopwatch import Place
from tests.crd.builders import DAY

PATH, KIND = "/r2.2/fhir/Claim/$submit", FHIR["Content-Type"]
REQUESTS, CLIENTS = 300, 8
RATE, P99 = 200.0, 0.050
MEMBERS = count(1)

PARTS: dict[str, Sequence[Place]] = {
    "JSON": [(json, "decode_object"), (FhirResponse, "render")],
    "FHIR structure of Claim and Coverage": [(intake, "faults")],
    "envelope, references, local names": [(submit, "read_request"), (Docket, "of")],
    "reading the store": [(Judge, "lines")],
    "determine": [(adjudicator, "determine")],
    "building the answer": [(submit, "pas_response_bundle")],
    "storing, with one durable commit": [(Store, "transaction")],
    "audit trail, in the same": [(ledger, "along")],
}


def lines() -> Iterator[Line]:
    with application(profiles="off") as app:
        yield from _under_load(app, "$submit, durable")
        yield taken_apart(app, "$submit, one at a time", PATH, _bodies(REQUESTS), KIND, PARTS)
    packages = os.environ.get("FHIR_PACKAGES")
    if packages is None:
        yield Line("$submit, durable, profiles held", "needs FHIR_PACKAGES")
        return
    with application(profiles="refuse", fhir_packages=Path(packages)) as app:
        yield from _under_load(app, "$submit, durable, profiles held")


def _under_load(app: FastAPI, name: str) -> Iterator[Line]:
    asked(app, PATH, _bodies(5), KIND)
    rate, ceiling, worked, arrived = asyncio.run(_loaded(app))
    shares = {"of the echo's rate": rate / ceiling}
    figure = f"{rate:.0f}/s, {milliseconds(worked)} of processor"
    yield Line(f"{name}, one core", figure, f">= {RATE:.0f}/s", rate >= RATE, shares)
    yield below(f"at {rate / 2:.0f}/s, half of that, p99", arrived.p99, P99, str(arrived))


async def _loaded(app: FastAPI) -> tuple[float, float, float, Times]:
    """Rates of submissions and of echoes, seconds of processor a submission, and the times at half the rate.
    One loop for all, as a server has."""
    bodies = _bodies(REQUESTS)
    worked = time.process_time()
    rate = await together(app, PATH, bodies, KIND, CLIENTS)
    worked = (time.process_time() - worked) / REQUESTS
    ceiling = await together(app, "/echo", _bodies(REQUESTS), KIND, CLIENTS)
    return rate, ceiling, worked, await arriving(app, PATH, _bodies(REQUESTS), KIND, rate / 2)


def _bodies(number: int) -> list[bytes]:
    requests = (preset.approved(f"BENCH-{next(MEMBERS)}", V2_2, DAY) for _ in range(number))
    return [json.encode(preset.simple(request)) for request in requests]
