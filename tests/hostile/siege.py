"""The siege: many hostile requests against one payer, and what must hold after each.

    python -m tests.hostile.siege --count 10000 [--seed 7]

Prints its seed, so that what it found can be had again.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import track
from starlette.testclient import TestClient

from server import logs
from server.app import create_app
from server.fhir import json
from server.fhir.errors import FhirError
from server.settings import Settings
from tests.hostile.bodies import Blow, blows
from tests.pas import builders as a
from tests.security.signing import Signer

SECRET = "Berthold-of-Hillside"
"""In every resource of the other clinic; nobody else may ever read it."""

PATIENCE = 10.0
"""Seconds of work after which an answer counts as a hang."""

NPI = "http://hl7.org/fhir/sid/us-npi"


class Broken(AssertionError):
    """Something that must hold did not."""


@contextmanager
def besieged(folder: Path, packages: bool) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """A payer with two clinics, and the guides' profiles where FHIR_PACKAGES has them; gives a client of it
    and the headers of the one that attacks."""
    signers = {name: Signer(name) for name in ("harbour", "hillside")}
    file = folder / "clients.json"
    numbers = {"harbour": "1992999999", "hillside": "1457362880"}
    file.write_bytes(
        json.encode(
            [
                {
                    "id": name,
                    "organizations": [f"{NPI}|{numbers[name]}"],
                    "scopes": ["system/*.cruds"],
                    "jwks": signer.jwks,
                    "endpoints": ["https://ehr.example/notify"],
                }
                for name, signer in signers.items()
            ]
        )
    )
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite:///{folder}/payer.db",
        clients_file=file,
        public_base_url="http://payer.test",
        rate_limit=0,
        max_body_bytes=5_000_000,
        fhir_packages=os.environ.get("FHIR_PACKAGES") if packages else None,
    )
    app = create_app(settings)
    http = TestClient(app, base_url="http://payer.test", raise_server_exceptions=False)
    began = dt.datetime.now(dt.UTC)
    app.state.services.admission.clock = lambda: began
    headers = {name: _headers(http, signer, began) for name, signer in signers.items()}
    for version in ("2.0", "2.2"):
        raw = json.encode(a.request()).replace(b"M-ANNA", b"M-BERT").replace(b"Harbour", SECRET.encode())
        raw = raw.replace(b'"Anna"', b'"' + SECRET.encode() + b'"').replace(b"1992999999", b"1457362880")
        answer = http.post(f"/r{version}/fhir/Claim/$submit", content=raw, headers=headers["hillside"])
        assert answer.status_code == 200, answer.text
    try:
        yield http, headers["harbour"]
    finally:
        app.state.services.store.close()


def _headers(http: TestClient, signer: Signer, now: dt.datetime) -> dict[str, str]:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signer.assertion("http://payer.test/auth/token", now),
    }
    token = http.post("/auth/token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def strike(http: TestClient, headers: dict[str, str], blow: Blow) -> int:
    """The status of the answer. Raises Broken where something does not hold."""
    sent = {**headers}
    if "cds-services" in blow.path:
        del sent["Authorization"]
    began = time.process_time()
    answer = http.post(blow.path, content=blow.body, headers=sent)
    seconds = time.process_time() - began
    if answer.status_code >= 500:
        raise Broken(f"{answer.status_code}: {answer.text[:300]}")
    if seconds > PATIENCE:
        raise Broken(f"{seconds:.1f} s")
    if SECRET in answer.text:
        raise Broken("another client's data in the answer")
    if answer.status_code == 204:
        return 204
    try:
        body = json.decode_object(answer.content)
    except FhirError:
        raise Broken("the answer is no JSON") from None
    if answer.status_code >= 400 and body.get("resourceType") != "OperationOutcome":
        raise Broken("an error that is no OperationOutcome")
    if approved(body) and _asks_for_the_shoulder(blow.body):
        raise Broken("an approval that nothing supports")
    return answer.status_code


def approved(body: dict[str, Any]) -> bool:
    """Whether an authorization was granted: by a ClaimResponse, or by coverage information."""
    text = json.encode(body)
    return b'"preAuthRef"' in text and b'"code":"A1"' in text


def _asks_for_the_shoulder(raw: bytes) -> bool:
    """The order as it was, with the plan as it was: it needs an authorization and has no evidence. Another
    code or another plan may need none."""
    try:
        body = json.decode_object(raw)
    except FhirError:
        return True
    text = json.encode(body)
    return b'"73221"' in text and b'"evicore"' in text and b"no-imaging-pa" not in text


def siege(count: int, seed: int, long: bool = False) -> tuple[Counter[str], list[str]]:
    """How often each status came, by kind of blow; and what broke. A long one shows how far it is, and also
    attacks the profile validator, which takes a while to start."""
    log = io.StringIO()
    logs.configure(log)
    statuses: Counter[str] = Counter()
    broken: list[str] = []
    attack = blows(random.Random(seed))
    with tempfile.TemporaryDirectory() as folder, besieged(Path(folder), long) as (http, headers):
        numbers = track(range(count), f"seed {seed}") if long else range(count)
        for number in numbers:
            blow = next(attack)
            try:
                statuses[f"{blow.kind}: {strike(http, headers, blow)}"] += 1
            except Broken as error:
                broken.append(f"#{number} {blow.kind} {blow.path}: {error} {_cause(log)}")
                if long:
                    print(broken[-1], flush=True)
            if long and (number + 1) % 1_000 == 0:
                print(f"{number + 1 - len(broken)} of {number + 1} withstood", flush=True)
    return statuses, broken


def _cause(log: io.StringIO) -> str:
    """Where the last exception came from, as the log tells it."""
    failures = [
        json.decode_object(line.encode()) for line in log.getvalue().splitlines() if '"failed"' in line
    ]
    log.seek(0)
    log.truncate()
    return f"{failures[-1].get('exception')} at {failures[-1].get('at', [])[-3:]}" if failures else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    statuses, broken = siege(asked.count, asked.seed, long=True)
    for line, times in sorted(statuses.items()):
        print(f"{times:6} {line}")
    print(f"{asked.count - len(broken)} of {asked.count} withstood")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
