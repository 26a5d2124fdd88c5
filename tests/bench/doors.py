"""CRD and DTR over HTTP within the process, beside the ceiling: the same application echoing the same body.
With the ways to ask that the other doors are measured by."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request
from starlette.responses import Response

from server import inside, process
from server.app import create_app
from server.fhir import json
from server.policy.determine import determine
from server.policy.request import Chart, Member
from server.settings import Settings
from tests.bench import Line, Times, times
from tests.crd import builders as ehr
from tests.elm.charts import Drawer, value_sets

REPEAT = 150
FHIR = {"Content-Type": "application/fhir+json"}


def lines() -> Iterator[Line]:
    with application() as app:
        yield from order_sign(app)
        yield from package(app)


@contextmanager
def application(**changed: Any) -> Iterator[FastAPI]:
    with tempfile.TemporaryDirectory() as folder:
        now = dt.datetime.combine(ehr.DAY, dt.time(12), dt.UTC)
        settings = Settings(
            _env_file=None,
            **{"database_url": f"sqlite:///{Path(folder) / 'bench.db'}", "test_clock": now, **changed},
        )
        app = create_app(settings)

        @app.post("/echo")
        async def echo(request: Request) -> Response:
            return Response(await request.body(), media_type="application/json")

        process.settled()  # as `davinci-payer serve` does
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


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, which is up as under a server."""
    async with app.router.lifespan_context(app), inside.client(app) as http:
        yield http


def asked(app: FastAPI, path: str, bodies: list[bytes], kind: str) -> Times:
    """Seconds of each POST, one after another, the first three not counted."""

    async def all_of_them() -> list[float]:
        found = []
        async with serving(app) as http:
            for body in bodies:
                started = time.perf_counter()
                answered = await http.post(path, content=body, headers={"Content-Type": kind})
                found.append(time.perf_counter() - started)
                if not answered.is_success:
                    raise RuntimeError(f"{path}: {answered.status_code} {answered.text[:300]}")
        return found

    return Times(tuple(asyncio.run(all_of_them())[3:]))


async def together(app: FastAPI, path: str, bodies: Sequence[bytes], kind: str, clients: int) -> float:
    """How many POSTs a second are answered, so many clients at a time."""
    waiting = iter(bodies)
    async with serving(app) as http:

        async def one_after_another() -> None:
            for body in waiting:
                answered = await http.post(path, content=body, headers={"Content-Type": kind})
                answered.raise_for_status()

        started = time.perf_counter()
        await asyncio.gather(*(one_after_another() for _ in range(clients)))
        return len(bodies) / (time.perf_counter() - started)


async def arriving(app: FastAPI, path: str, bodies: Sequence[bytes], kind: str, rate: float) -> Times:
    """POSTs at random moments, so many a second, whether or not the one before has been answered."""
    chance = random.Random(1)
    found: list[float] = []

    async with serving(app) as http:

        async def call(body: bytes, due: float) -> None:
            answered = await http.post(path, content=body, headers={"Content-Type": kind})
            found.append(time.perf_counter() - due)
            answered.raise_for_status()

        due = time.perf_counter()
        tasks = []
        for body in bodies:
            due += chance.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(call(body, due)))
        await asyncio.gather(*tasks)
    return Times(tuple(found))


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
