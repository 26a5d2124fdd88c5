"""`town` is a payer in production with two clinics, an operator and a reviewer as registered clients."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.app import create_app
from server.fhir import json
from server.settings import Settings
from tests import databases
from tests.security.signing import Signer

BASE = "https://payer.test"
NOW = dt.datetime(2026, 11, 25, 10, 0, tzinfo=dt.UTC)
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
NPI = "http://hl7.org/fhir/sid/us-npi"
EVERYTHING = "system/*.cruds"
OPERATOR, REVIEWER, AUDITOR = "operator-token", "reviewer-token", "auditor-token"


@dataclass
class Town:
    """The running payer, and who is registered with it."""

    app: FastAPI
    http: TestClient
    file: Path
    now: list[dt.datetime]
    signers: dict[str, Signer] = field(default_factory=dict)

    def register(self, *clients: dict[str, Any]) -> None:
        """The clients file, written anew."""
        self.file.write_bytes(json.encode(list(clients)))

    def ask_token(self, assertion: str, **fields: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": assertion,
            **fields,
        }
        return self.http.post("/auth/token", data=form)

    def token(self, client: str, scope: str = "") -> str:
        asked = {"scope": scope} if scope else {}
        sent = self.signers[client].assertion(f"{BASE}/auth/token", self.now[0])
        answer = self.ask_token(sent, **asked)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def as_(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    def post(self, path: str, body: Any, token: str = "", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.encode(body)
        auth = self.as_(token) if token else {}
        sent = {"Content-Type": "application/fhir+json", **auth, **headers}
        return self.http.post(path, content=content, headers=sent)

    def get(self, path: str, token: str = "", **headers: str) -> httpx.Response:
        return self.http.get(path, headers={**(self.as_(token) if token else {}), **headers})


def clinic(signer: Signer, npi: str, **changes: Any) -> dict[str, Any]:
    told = {
        "id": signer.issuer,
        "organizations": [f"{NPI}|{npi}"],
        "scopes": EVERYTHING,
        "jwks": signer.jwks,
        "endpoints": ["https://ehr.example/notify"],
        "cds_issuer": f"https://{signer.issuer}.example",
    }
    return {name: value for name, value in {**told, **changes}.items() if value is not None}


def own(name: str, token: str, *scopes: str) -> dict[str, Any]:
    return {
        "id": name,
        "scopes": list(scopes),
        "token_sha256": hashlib.sha256(token.encode()).hexdigest(),
    }


Build = Callable[..., Town]


@pytest.fixture(scope="module")
def found_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Makes a town over a database of its own; settings may be changed."""
    apps: list[FastAPI] = []

    def made(**changes: Any) -> Town:
        folder = tmp_path_factory.mktemp("town")
        file = folder / "clients.json"
        signers = {name: Signer(name) for name in ("harbour", "hillside")}
        clients = [
            clinic(signers["harbour"], "1992999999"),
            clinic(signers["hillside"], "1457362880"),
            own("prometheus", OPERATOR, "payer/operate"),
            own("nurse", REVIEWER, "payer/review"),
            own("auditor", AUDITOR, "payer/audit"),
        ]
        file.write_bytes(json.encode(clients))
        settings = {
            "environment": "production",
            "public_base_url": BASE,
            "database_url": databases.sqlite(folder),
            "clients_file": file,
            "cds_jwt": "on",
            "trusted_proxies": "10.0.0.7",
            **changes,
        }
        app = create_app(Settings(_env_file=None, **settings))
        now = [NOW]
        app.state.services.admission.clock = lambda: now[0]
        apps.append(app)
        return Town(app, TestClient(app, base_url=BASE), file, now, signers)

    yield made
    for app in apps:
        app.state.services.store.close()


@pytest.fixture(scope="module")
def town(found_town: Build) -> Town:
    return found_town()
