"""`crd` drives the real application over HTTP, once per guide version."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.fhir import json
from tests.conftest import at_noon
from tests.crd.shape import Information, coverage_informations, held

HEADERS = {"Content-Type": "application/json"}


@dataclass
class Answered:
    """A response that has the right shape."""

    body: dict[str, Any]

    @property
    def cards(self) -> list[dict[str, Any]]:
        return list(self.body["cards"])

    @property
    def suggestions(self) -> list[dict[str, Any]]:
        return [each for card in self.cards for each in card.get("suggestions", [])]

    def proposed(self, words: str = "") -> list[dict[str, Any]]:
        """The resources that its suggestions change or create, of those with these words in their label."""
        meant = (each for each in self.suggestions if words in each["label"])
        actions = (action for each in meant for action in each["actions"])
        return [action["resource"] for action in actions if "resource" in action]

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Orders, appointments and encounters that came back by system action, by id."""
        returned = [action["resource"] for action in self.body["systemActions"]]
        return {resource["id"]: resource for resource in returned if resource["resourceType"] != "Coverage"}

    @property
    def information(self) -> Information:
        """The one coverage information of the one order."""
        (information,) = self.informations
        return information

    @property
    def informations(self) -> list[Information]:
        return [each for resource in self.resources.values() for each in coverage_informations(resource)]

    def of(self, order: dict[str, Any]) -> Information:
        (information,) = coverage_informations(self.resources[order["id"]])
        return information


@dataclass
class Crd:
    """A client of the CDS services of one version."""

    http: TestClient
    version: str
    app: FastAPI

    @property
    def base(self) -> str:
        return f"/r{self.version}/cds-services"

    def post(self, body: Any, service: str = "", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.encode(body)
        service = service or (body.get("hook", "order-sign") if isinstance(body, dict) else "order-sign")
        return self.http.post(f"{self.base}/{service}", content=content, headers={**HEADERS, **headers})

    def __call__(self, body: dict[str, Any]) -> Answered:
        response = self.post(body)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].partition(";")[0] == "application/json"
        return Answered(held(json.decode_object(response.content), self.version))

    def refused(self, body: Any, service: str = "") -> tuple[int, dict[str, str]]:
        """Status, and expression to diagnostics of the OperationOutcome's issues."""
        response = self.post(body, service)
        outcome = json.decode_object(response.content)
        assert outcome["resourceType"] == "OperationOutcome"
        assert response.headers["content-type"].partition(";")[0] == "application/fhir+json"
        return response.status_code, {
            issue.get("expression", [""])[0]: issue["diagnostics"] for issue in outcome["issue"]
        }


Server = Callable[..., FastAPI]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Makes an application over a database of its own, its clock at noon of DAY."""
    with ExitStack() as running:
        yield lambda **settings: running.enter_context(at_noon(tmp_path, **settings))


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """One application for all tests that do not mind each other: every case has a member of its own."""
    with at_noon(tmp_path_factory.mktemp("crd")) as app:
        yield app


@pytest.fixture(params=["2.0", "2.2"])
def crd(request: pytest.FixtureRequest, running: FastAPI) -> Crd:
    return Crd(TestClient(running), request.param, running)


@pytest.fixture
def crd_2_0(running: FastAPI) -> Crd:
    return Crd(TestClient(running), "2.0", running)


@pytest.fixture
def crd_2_2(running: FastAPI) -> Crd:
    return Crd(TestClient(running), "2.2", running)
