"""Nothing of a patient and no secret gets into logs, errors or metrics: a canary in every string tells."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from server import logs
from server.fhir import json
from tests.crd import builders as hook
from tests.pas import builders as a
from tests.security.conftest import REVIEWER, Build, Town, found_town  # noqa: F401

CANARY = "ZQCANARY"
KEPT = ("resourceType", "url", "system", "code", "use", "status", "reference", "fullUrl", "profile", "hook")
"""Where a canary would make the request another one: what is said of the patient is elsewhere."""


def planted(value: Any, name: str = "", every: bool = False) -> Any:
    """The same with a canary in each string; in `every` one, or where the request still works with it."""
    if isinstance(value, dict):
        return {key: planted(content, key, every) for key, content in value.items()}
    if isinstance(value, list):
        return [planted(content, name, every) for content in value]
    if isinstance(value, str) and (every or (name not in KEPT and not value[:2].isdigit())):
        return f"{value}{CANARY}"
    return value


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged, by structlog and by the libraries' own loggers."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    logs.configure(stream)
    yield stream
    logging.getLogger().removeHandler(handler)
    logs.configure()


@pytest.fixture(scope="module")
def town(found_town: Build) -> Town:  # noqa: F811
    return found_town(environment="development", cds_jwt="off")


@pytest.mark.parametrize("every", [False, True], ids=["where it still works", "in every string"])
def test_no_canary_reaches_logs_errors_or_metrics(town: Town, written: io.StringIO, every: bool) -> None:
    access = {
        "fhirServer": "http://127.0.0.1:1/fhir",
        "fhirAuthorization": {"access_token": f"token{CANARY}", "token_type": "Bearer", "expires_in": 60},
    }
    call = planted(hook.sign(hook.shoulder(), sent=hook.prefetch()), every=every)
    package = {"resourceType": "Parameters", "parameter": [{"name": "order", "resource": hook.shoulder()}]}
    bodies = {
        "Claim/$submit": planted(a.request(), every=every),
        "Claim/$inquire": planted(a.inquiry(), every=every),
        "Questionnaire/$questionnaire-package": planted(package, every=every),
        "Questionnaire/$next-question": planted(a.request(), every=every),
        "Subscription": planted({"resourceType": "Subscription", "status": "requested"}, every=every),
    }
    answers = []
    for version in ("2.0", "2.2"):
        answers.append(town.post(f"/r{version}/cds-services/order-sign", {**call, **access}))
        for path, body in bodies.items():
            answers.append(town.post(f"/r{version}/fhir/{path}", body))
            answers.append(town.post(f"/r{version}/fhir/{path}", json.encode(body)[:-9]))
        answers.append(town.get(f"/r{version}/fhir/ClaimResponse/{CANARY}"))
        answers.append(town.get(f"/r{version}/fhir/ClaimResponse?patient.identifier={CANARY}"))
        answers.append(town.get(f"/r{version}/fhir/Questionnaire", CANARY))
    answers.append(town.ask_token(f"{CANARY}.{CANARY}.{CANARY}"))
    answers.append(town.get(f"/why/{CANARY}"))
    answers.append(town.get("/review", CANARY))

    assert any(answer.status_code == 200 for answer in answers) or every
    assert all(answer.status_code < 500 for answer in answers)
    assert '"event": "request"' in written.getvalue() or '"event":"request"' in written.getvalue()
    assert CANARY not in written.getvalue()
    assert CANARY not in town.get("/metrics").text
    refused = [answer for answer in answers if answer.status_code >= 400]
    assert refused
    quoted = [answer.text for answer in refused if CANARY in answer.text]
    assert not quoted


def test_the_log_says_which_client_was_refused(town: Town, written: io.StringIO) -> None:
    refused = town.get("/review/none", REVIEWER)
    lines = map(json.decode_object, written.getvalue().encode().splitlines())
    (line,) = [each for each in lines if each["request_id"] == refused.headers["X-Request-ID"]]

    assert (refused.status_code, line["client"]) == (404, "nurse")


def test_a_full_disk_is_named_in_the_log_and_the_request_may_come_again(
    town: Town, written: io.StringIO
) -> None:
    engine = town.app.state.services.store.engine

    def full(connection: Any, *_: Any) -> None:
        connection.connection.dbapi_connection.execute("PRAGMA max_page_count = 1")

    event.listen(engine, "begin", full)
    try:
        refused = town.post("/r2.0/fhir/Claim/$submit", a.request())
    finally:
        event.remove(engine, "begin", full)
        engine.dispose()

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert '"code": "SQLITE_FULL"' in written.getvalue()
    assert "INSERT" not in written.getvalue()
