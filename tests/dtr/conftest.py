"""`dtr` drives the real application over HTTP, once per guide version, and fills forms as an app would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.dtr.form import Form
from server.dtr.populate import Engines, Filling, populate
from server.elm import Engine
from server.fhir import json
from tests.conftest import at_noon
from tests.crd.builders import PATIENT, PHYSICIAN, coverage
from tests.emitted import record

Resource = dict[str, Any]

GUIDES = {"2.0": "dtr-2.0.1", "2.2": "dtr-2.2.0"}
FHIR_JSON = {"Content-Type": "application/fhir+json"}
OURS = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
"""Reads our own answers, megabytes of them, without the suspicion that what comes from outside deserves."""
ENGINES = Engines()
"""By version and form."""


@dataclass
class Package:
    """One bundle of an answer."""

    bundle: Resource
    dtr: Dtr

    @property
    def resources(self) -> list[Resource]:
        return [entry["resource"] for entry in self.bundle["entry"]]

    def of_type(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource["resourceType"] == kind]

    @property
    def form(self) -> Form:
        return Form(self.of_type("Questionnaire")[0])

    @property
    def draft(self) -> Resource:
        (draft,) = self.of_type("QuestionnaireResponse")
        return draft

    @property
    def libraries(self) -> list[Resource]:
        return self.of_type("Library")

    @property
    def value_sets(self) -> list[Resource]:
        return self.of_type("ValueSet")

    def engine(self) -> Engine:
        """An engine that knows this package and what `$expand` gives for the sets it only names.

        Compiled once: a form has the same libraries in every package of a version.
        """
        expand = "ValueSet/$expand"
        return ENGINES.of(
            self.dtr.version, self.form, self.resources, lambda url: self.dtr.get(expand, url=url).json()
        )

    def filled(self, chart: Iterable[Resource]) -> Filling:
        """As an app in the EHR fills it: with nothing but the package and the chart."""
        auto = "auto" if self.dtr.version == "2.0" else "auto-client"
        now = self.dtr.app.state.services.clock()
        return populate(self.form, self.draft, self.engine(), [PATIENT, *chart], now, auto)


@dataclass
class Dtr:
    """A DTR client of one version's FHIR base."""

    http: TestClient
    version: str
    app: FastAPI

    @property
    def base(self) -> str:
        return f"/r{self.version}/fhir"

    def get(self, path: str, headers: dict[str, str] | None = None, **query: str) -> httpx.Response:
        return self.http.get(f"{self.base}/{path}", params=query, headers=headers)

    def post(self, path: str, body: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.encode(body)
        return self.http.post(f"{self.base}/{path}", content=content, headers=FHIR_JSON)

    def ask(self, *parameters: Resource) -> httpx.Response:
        return self.post(
            "Questionnaire/$questionnaire-package",
            {"resourceType": "Parameters", "parameter": list(parameters)},
        )

    def answer(self, *parameters: Resource) -> Resource:
        response = self.ask(*parameters)
        assert response.status_code == 200, response.text
        return OURS.decode(response.content)

    def packages(self, *parameters: Resource) -> list[Package]:
        body = self.answer(*parameters)
        name = {"2.0": "PackageBundle", "2.2": "packagebundle"}[self.version]
        bundles = (
            [body]
            if body["resourceType"] == "Bundle"
            else [p["resource"] for p in body.get("parameter", []) if p["name"] == name]
        )
        return [Package(bundle, self) for bundle in bundles]

    def package(self, order: Resource, *more: Resource, **told: Any) -> Package:
        """The one package for an order."""
        (package,) = self.packages(
            resource("coverage", told.pop("coverage", None) or coverage()), resource("order", order), *more
        )
        return package

    def outcome(self, *parameters: Resource) -> list[Resource]:
        """What was remarked on beside the bundles, or instead of them."""
        body = self.answer(*parameters)
        record(GUIDES[self.version], without_bundles(body))
        if body["resourceType"] == "Parameters":
            name = {"2.0": "operationOutcome", "2.2": "outcome"}[self.version]
            (body,) = [p["resource"] for p in body["parameter"] if p["name"] == name]
        assert body["resourceType"] == "OperationOutcome"
        return list(body["issue"])

    def informed(
        self, order: Resource, member: Resource, chart: Iterable[Resource] = (), **patient: Any
    ) -> Resource:
        """What CRD says of an order: the parts of its coverage-information; one that repeats, the last."""
        call = order_sign(order, member, chart, **patient)
        told = self.http.post(
            f"/r{self.version}/cds-services/order-sign",
            content=json.encode(call),
            headers={"Content-Type": "application/json"},
        ).json()
        return {
            part["url"]: next((content for name, content in part.items() if name.startswith("value")), None)
            for action in told["systemActions"]
            for extension in action["resource"]["extension"]
            if extension["url"].endswith("ext-coverage-information")
            for part in extension["extension"]
        }

    def asserted(
        self, order: Resource, member: Resource, chart: Iterable[Resource] = (), **patient: Any
    ) -> str:
        """The coverage-assertion-id that CRD gives for an order."""
        return str(self.informed(order, member, chart, **patient)["coverage-assertion-id"])

    def refused(self, response: httpx.Response) -> tuple[int, list[Resource]]:
        body = json.decode_object(response.content)
        assert body["resourceType"] == "OperationOutcome"
        assert response.headers["content-type"].startswith("application/fhir+json")
        return response.status_code, list(body["issue"])


def order_sign(order: Resource, member: Resource, chart: Iterable[Resource] = (), **patient: Any) -> Resource:
    """A hook call about one order, with all it takes prefetched; `patient` is what differs of the patient."""
    return {
        "hook": "order-sign",
        "hookInstance": "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
        "context": {
            "userId": "Practitioner/dr-lee",
            "patientId": "anna",
            "draftOrders": bundle("collection", [order]),
        },
        "prefetch": {
            "patient": {**PATIENT, **patient},
            "coverage": bundle("searchset", [member]),
            "user": PHYSICIAN,
            "chart": bundle("searchset", chart),
        },
    }


def bundle(kind: str, resources: Iterable[Resource]) -> Resource:
    entries = [{"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def without_bundles(answer: Resource) -> Resource:
    """Packages are large and recorded once each; of other answers only the remarks are."""
    if answer["resourceType"] != "Parameters":
        return answer
    remarks = [p for p in answer["parameter"] if p["resource"]["resourceType"] != "Bundle"]
    return {"resourceType": "Parameters", "parameter": remarks}


def resource(name: str, content: Resource) -> Resource:
    return {"name": name, "resource": content}


def named(canonical: str) -> Resource:
    return {"name": "questionnaire", "valueCanonical": canonical}


def context(text: str) -> Resource:
    return {"name": "context", "valueString": text}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    with at_noon(tmp_path_factory.mktemp("dtr")) as made:
        yield made


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    with at_noon(tmp_path_factory.mktemp("registry"), membership="registry") as made:
        yield made


@pytest.fixture(params=["2.0", "2.2"])
def dtr(request: pytest.FixtureRequest, app: FastAPI) -> Dtr:
    return Dtr(TestClient(app), request.param, app)


@pytest.fixture
def dtr_2_0(app: FastAPI) -> Dtr:
    return Dtr(TestClient(app), "2.0", app)


@pytest.fixture
def dtr_2_2(app: FastAPI) -> Dtr:
    return Dtr(TestClient(app), "2.2", app)
