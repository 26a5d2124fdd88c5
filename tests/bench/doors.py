"""The three doors over HTTP within the process, beside the ceiling: the same application echoing the same
body."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response

from server import inside
from server.app import create_app
from server.fhir import json
from server.policy.determine import determine
from server.policy.request import Chart, Member
from server.settings import Settings
from server.store import records
from tests.bench import Line, Times, times
from tests.crd import builders as ehr
from tests.elm.charts import Drawer, value_sets
from tests.pas import builders as pas

REPEAT = 150
FHIR = {"Content-Type": "application/fhir+json"}


def lines() -> Iterator[Line]:
    with application() as app:
        yield from order_sign(app)
        yield from submit(app)
        yield from package(app)


@contextmanager
def application() -> Iterator[FastAPI]:
    with tempfile.TemporaryDirectory() as folder:
        now = dt.datetime.combine(ehr.DAY, dt.time(12), dt.UTC)
        settings = Settings(
            _env_file=None, database_url=f"sqlite:///{Path(folder) / 'bench.db'}", test_clock=now
        )
        app = create_app(settings)

        @app.post("/echo")
        async def echo(request: Request) -> Response:
            return Response(await request.body(), media_type="application/json")

        gc.collect()
        gc.freeze()  # as `davinci-payer serve` does
        yield app
        gc.unfreeze()
        app.state.services.store.close()


def order_sign(app: FastAPI) -> Iterator[Line]:
    order = ehr.shoulder()
    chart = [each for each in Drawer(1, value_sets()).chart(100) if each["resourceType"] != "Patient"]
    body = json.encode(ehr.sign(order, sent=ehr.prefetch(chart)))
    taken = asked(app, "/r2.0/cds-services/order-sign", [body] * REPEAT, "application/json")
    ceiling = asked(app, "/echo", [body] * REPEAT, "application/json")
    plan = app.state.services.catalog.plan("evicore")
    member = Member(key="m", coverage=ehr.coverage())
    judged = times(
        lambda: determine(order, member, Chart(chart), plan, app.state.services.clock()), repeat=50
    )
    read = times(lambda: json.decode(body), repeat=50)
    yield _line("order-sign, 100 resources prefetched", taken, ceiling, determine=judged, JSON=read)


def submit(app: FastAPI) -> Iterator[Line]:
    bodies = [json.encode(_request(number)) for number in range(REPEAT + 3)]
    taken = asked(app, "/r2.0/fhir/Claim/$submit", bodies, FHIR["Content-Type"])
    ceiling = asked(app, "/echo", bodies, FHIR["Content-Type"])
    services, number = app.state.services, count(1)

    def commit() -> None:
        site = {"resourceType": "Location", "id": f"site-{next(number)}", "status": "active"}
        with services.store.transaction() as tx:
            records.put(tx, site, None, services.clock())

    durable = times(commit, repeat=50)
    read = times(lambda: json.decode(bodies[0]), repeat=50)
    yield _line("$submit, durable", taken, ceiling, JSON=read, **{"one durable commit": durable})


def _request(number: int) -> dict[str, object]:
    member = f"M-{number}"
    patient = pas.anna()
    patient["identifier"][0]["value"] = member
    return pas.request(patient=patient, coverage=pas.coverage(subscriberId=member))


def package(app: FastAPI) -> Iterator[Line]:
    body = json.encode(
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "coverage", "resource": ehr.coverage()},
                {"name": "order", "resource": ehr.shoulder()},
            ],
        }
    )
    taken = asked(
        app, "/r2.0/fhir/Questionnaire/$questionnaire-package", [body] * REPEAT, FHIR["Content-Type"]
    )
    ceiling = asked(app, "/echo", [body] * REPEAT, FHIR["Content-Type"])
    yield _line("$questionnaire-package for one order", taken, ceiling)


def asked(app: FastAPI, path: str, bodies: list[bytes], kind: str) -> Times:
    """Seconds of each POST, one after another, the first three not counted."""

    async def all_of_them() -> list[float]:
        found = []
        async with inside.client(app) as http:
            for body in bodies:
                started = time.perf_counter()
                answered = await http.post(path, content=body, headers={"Content-Type": kind})
                found.append(time.perf_counter() - started)
                if not answered.is_success:
                    raise RuntimeError(f"{path}: {answered.status_code} {answered.text[:300]}")
        return found

    return Times(tuple(asyncio.run(all_of_them())[3:]))


def _line(name: str, taken: Times, ceiling: Times, **parts: Times) -> Line:
    share = ceiling.median / taken.median
    shares = {
        "echo of the same body": share,
        **{part: found.median / taken.median for part, found in parts.items()},
    }
    rest = 1 - sum(shares.values())
    return Line(
        name, f"{taken}, {1 / taken.median:.0f}/s", parts={**shares, "the rest": rest} if rest > 0 else shares
    )
