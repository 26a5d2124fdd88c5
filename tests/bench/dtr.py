"""The DTR door over HTTP, one request after another: packages, and an adaptive form's questions."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from server import logs, process
from server.app import create_app
from server.fhir import json
from server.settings import Settings
from tests.bench import Line, Times, asking, below
from tests.crd.builders import coverage, lumbar, shoulder
from tests.dtr.conftest import FHIR_JSON, Dtr, resource
from tests.dtr.interviews import FACTS, NEXT, UNCOMPLICATED, answered, package

Resource = dict[str, Any]

PACKAGE_LIMIT, FIRST_LIMIT, LATER_LIMIT = 0.020, 1.0, 0.100
PACKAGES, INTERVIEWS = 200, 20
ORDERS = {"shoulder": shoulder(), "lumbar spine": lumbar()}


def lines() -> Iterator[Line]:
    logs.configure(io.StringIO())
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        settings = Settings(_env_file=None, database_url=f"sqlite:///{Path(folder) / 'payer.db'}")
        app = create_app(settings)
        process.settled()  # as `davinci-payer serve` does
        for version in ("2.0", "2.2"):
            dtr = Dtr(TestClient(app), version, app)
            yield from _packages(dtr)
            yield from _questions(dtr)
        app.state.services.store.close()


def _packages(dtr: Dtr) -> Iterator[Line]:
    for name, order in ORDERS.items():
        asked = {
            "resourceType": "Parameters",
            "parameter": [resource("coverage", coverage()), resource("order", order)],
        }
        body, path = json.encode(asked), f"{dtr.base}/Questionnaire/$questionnaire-package"

        size = len(dtr.http.post(path, content=body, headers=FHIR_JSON).content)
        taken = asking.asked(dtr.app, path, [body] * PACKAGES, FHIR_JSON["Content-Type"])
        shown = f"{taken}, {size / 1e6:.1f} MB"
        yield below(f"r{dtr.version} package, {name}", taken.p99, PACKAGE_LIMIT, shown)


def _questions(dtr: Dtr) -> Iterator[Line]:
    """The first call of an interview, and all that follow it."""
    first: list[float] = []
    later: list[float] = []
    for _ in range(INTERVIEWS):
        response = package(dtr).draft
        for place in range(20):
            started = time.perf_counter()
            body = json.decode_object(dtr.post(NEXT, response).content)
            (later if place else first).append(time.perf_counter() - started)
            if body["status"] == "completed":
                break
            response = answered(body, FACTS | UNCOMPLICATED)
    yield below(f"r{dtr.version} first question", max(first), FIRST_LIMIT, str(Times(tuple(first))))
    taken = Times(tuple(later))
    yield below(f"r{dtr.version} later questions", taken.p99, LATER_LIMIT, str(taken))
