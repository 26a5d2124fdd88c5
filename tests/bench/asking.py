"""The application asked over HTTP within the process: one request after another, several at a time, or as
they come. It echoes as well: the same application's ceiling."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request
from starlette.responses import Response

from server import inside, process
from server.app import create_app
from server.settings import Settings
from tests.bench import Line, Times
from tests.bench.stopwatch import Place, watching
from tests.crd import builders as ehr

FHIR = {"Content-Type": "application/fhir+json"}


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


def taken_apart(
    app: FastAPI, name: str, path: str, bodies: list[bytes], kind: str, parts: Mapping[str, Sequence[Place]]
) -> Line:
    """What the time of these POSTs goes into, one after another; the last of `parts` as a whole."""
    echoed = sum(asked(app, "/echo", bodies, kind).seconds)
    with watching(parts, whole=list(parts)[-1]) as spent:
        taken = asked(app, path, bodies, kind)
    # The first three are not in the times, though the watch saw them.
    whole = sum(taken.seconds) * len(bodies) / len(taken.seconds)
    shares = {"echo of the same body": echoed / whole, **{part: spent[part] / whole for part in parts}}
    return Line(name, str(taken), parts={**shares, "the rest": 1 - sum(shares.values())})
