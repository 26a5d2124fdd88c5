"""`payer` drives the real application over HTTP, once per guide version."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.fhir import json
from server.fhir.extensions import extension, value
from server.pas.terms import extension_url
from tests.conftest import Payers, empty
from tests.emitted import record
from tests.pas import builders as a
from tests.pas import charts

Resource = dict[str, Any]

FHIR = {"Content-Type": "application/fhir+json"}
GUIDE = {"2.0": "pas-2.0.1", "2.2": "pas-2.2.1"}


@dataclass(frozen=True)
class Answer:
    """A response Bundle of `$submit`, or one of an inquiry."""

    bundle: Resource

    @property
    def response(self) -> Resource:
        return dict(self.bundle["entry"][0]["resource"])

    @property
    def url(self) -> str:
        return str(self.bundle["entry"][0]["fullUrl"])

    @property
    def items(self) -> list[Resource]:
        return list(self.response["item"])

    @property
    def actions(self) -> list[str]:
        """Review action codes, item by item."""
        return [_action(item) for item in self.items]

    @property
    def action(self) -> str:
        (only,) = self.actions
        return only

    @property
    def number(self) -> str:
        return str(self.response["preAuthRef"])

    @property
    def words(self) -> str:
        return " ".join(note["text"] for note in self.response.get("processNote", []))

    @property
    def tracking(self) -> str:
        """The number that the request for more goes by."""
        (asked,) = self.of_type("CommunicationRequest")
        return str(asked["identifier"][0]["value"])

    def of_type(self, kind: str) -> list[Resource]:
        resources = (entry["resource"] for entry in self.bundle["entry"])
        return [resource for resource in resources if resource["resourceType"] == kind]


@dataclass(frozen=True)
class Payer:
    """A client of one guide version's FHIR base."""

    http: TestClient
    app: FastAPI
    version: str

    @property
    def base(self) -> str:
        return f"/r{self.version}/fhir"

    def post(self, operation: str, body: Resource | bytes, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else a.raw(body)
        return self.http.post(f"{self.base}/Claim/{operation}", content=content, headers={**FHIR, **headers})

    def submit(self, body: Resource | bytes, **headers: str) -> Answer:
        return Answer(self._read(self.post("$submit", body, **headers)))

    def inquire(self, body: Resource) -> list[Answer]:
        """Every case that was told; the envelope is each version's own."""
        answered = self._read(self.post("$inquire", body))
        if self.version == "2.2":
            return [Answer(part["resource"]) for part in answered.get("parameter", [])]
        kinds = [entry["resource"]["resourceType"] for entry in answered["entry"]]
        found = kinds.count("ClaimResponse")
        return [
            Answer({**answered, "entry": [*answered["entry"][place : place + 1], *answered["entry"][found:]]})
            for place in range(found)
        ]

    def granted(self) -> Answer:
        """A request for Anna that meets every criterion."""
        return self.submit(a.request(*charts.meets_every_criterion()))

    def on_file(self) -> Answer:
        """The one case that an inquiry finds."""
        (found,) = self.inquire(a.inquiry())
        return found

    def refused(self, operation: str, body: Resource | bytes) -> tuple[int, Resource]:
        response = self.post(operation, body)
        outcome = json.decode_object(response.content)
        assert outcome["resourceType"] == "OperationOutcome"
        assert response.headers["content-type"].startswith("application/fhir+json")
        record(GUIDE[self.version], outcome)
        return response.status_code, outcome

    def read(self, url: str) -> Resource:
        return self._read(self.http.get(url))

    def _read(self, response: httpx.Response) -> Resource:
        """The answer, which is held to the guide of the base that gave it."""
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("application/fhir+json")
        body = json.decode_object(response.content)
        record(next(GUIDE[each] for each in GUIDE if f"/r{each}/" in str(response.url)), body)
        return body


def _action(item: Resource) -> str:
    review = extension(item["adjudication"][0], extension_url("reviewAction"))
    return str(value(extension(review, extension_url("reviewActionCode")))["coding"][0]["code"])


@pytest.fixture(scope="session")
def running(payers: Payers) -> Payers:
    """Under the name that other packages import."""
    return payers


@pytest.fixture(
    params=[("sqlite", "2.0"), ("sqlite", "2.2"), ("postgresql", "2.2")],
    ids=["2.0.1", "2.2.1", "2.2.1-postgresql"],
)
def payer(request: pytest.FixtureRequest, running: Payers) -> Payer:
    """On both bases, and on both kinds of database: those know no versions, so one of them is enough for the
    second."""
    kind, version = request.param
    http = running(kind)
    app = http.app
    assert isinstance(app, FastAPI)
    empty(app.state.services.store)
    return Payer(http, app, version)


@pytest.fixture
def granted(payer: Payer) -> Answer:
    return payer.granted()
