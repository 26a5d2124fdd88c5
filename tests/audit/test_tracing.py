"""OpenTelemetry hears how long what took, and nothing of whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import ValidationError

from server import tracing
from server.settings import Settings
from tests.audit.test_canaries import CANARY, planted
from tests.crd import builders as hook
from tests.ehr import Ehr
from tests.pas import builders as a
from tests.security.conftest import Build, Town, found_town  # noqa: F401

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    found = InMemorySpanExporter()
    tracing.told_to(SimpleSpanProcessor(found))
    yield found
    tracing.told_to(None)


@pytest.fixture(scope="module")
def town(found_town: Build) -> Town:  # noqa: F811
    return found_town(environment="development", cds_jwt="off")


def test_an_ehr_follows_its_order_through_the_payer_and_back_to_its_own_server(
    town: Town, exporter: InMemorySpanExporter
) -> None:
    with Ehr([hook.PATIENT, hook.coverage()]) as ehr:
        call = {**hook.sign(hook.shoulder()), "fhirServer": ehr.base}
        assert town.post("/r2.0/cds-services/order-sign", call, **CALLER).status_code == 200

    *asked, served = exporter.get_finished_spans()
    assert served.name == "POST /r2.0/cds-services/{service}"
    assert served.parent is not None
    assert f"{served.parent.span_id:016x}" == PARENT
    assert served.attributes is not None
    assert served.attributes["http.response.status_code"] == 200
    assert {f"{span.context.trace_id:032x}" for span in (served, *asked)} == {TRACE}
    assert {span.name for span in asked} == {"GET"}
    assert ehr.traces == {f"00-{TRACE}-{span.context.span_id:016x}-01" for span in asked}


def test_no_canary_reaches_a_span(town: Town, exporter: InMemorySpanExporter) -> None:
    sent = {
        **CALLER,
        "tracestate": f"ehr={CANARY}",
        "baggage": f"patient={CANARY}",
        "user-agent": CANARY,
    }
    call = planted(hook.sign(hook.shoulder(), sent=hook.prefetch()))
    access = {"fhirServer": f"http://127.0.0.1:1/{CANARY}"}
    town.post("/r2.2/cds-services/order-sign", {**call, **access}, **sent)
    town.post("/r2.2/fhir/Claim/$submit", planted(a.request()), **sent)
    town.get(f"/r2.2/fhir/ClaimResponse/{CANARY}?patient.identifier={CANARY}", **sent)
    town.http.request(CANARY, f"/{CANARY}", headers=sent)

    spans = exporter.get_finished_spans()
    assert "GET /r2.2/fhir/ClaimResponse/{resource_id}" in [span.name for span in spans]
    assert {span.name.partition(" ")[0] for span in spans} == {"GET", "POST", "_OTHER"}
    assert CANARY not in "".join(span.to_json() for span in spans)
    assert not any(span.context.trace_state for span in spans)


def test_what_failed_is_marked_with_its_kind_and_without_its_message(
    town: Town, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError(f"no room for {CANARY}")

    monkeypatch.setattr(town.app.state.services.store, "reading", broken)
    assert town.get("/why/anything").status_code == 500

    (span,) = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert not span.events
    assert CANARY not in span.to_json()


def test_without_the_extra_nobody_believes_to_be_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "installed", lambda: False)
    with pytest.raises(ValidationError, match=r"davinci-payer\[otel\]"):
        Settings(_env_file=None, otel_exporter_otlp_endpoint="http://127.0.0.1:4318")
