"""What the payer says of its addresses, and that no header changes it."""

from __future__ import annotations

from typing import Any

import pytest

from server.fhir import json
from server.fhir.structure import faults
from server.services import GUIDES, Version
from tests.pas import builders as a
from tests.security.conftest import BASE, Build, Town

ORIGIN = "https://app.example"


@pytest.mark.parametrize(
    "path", ["cds-services", "cds-services/order-sign", "fhir/Claim/$submit", "fhir/metadata"]
)
def test_f9_a_preflight_needs_no_token_and_the_call_does(town: Town, path: str) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = town.http.options(f"/r2.0/{path}", headers=asked)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed
    assert "access-control-allow-credentials" not in answer.headers
    if "order-sign" in path or "Claim" in path:
        refused = town.post(f"/r2.0/{path}", {}, Origin=ORIGIN)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] in ("*", ORIGIN)


def test_a_browser_may_ask_whether_a_form_is_new(town: Town) -> None:
    """A browser sends nothing with a header that the preflight does not allow."""
    form = "/r2.2/fhir/Questionnaire/mri-knee"
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,cache-control,if-modified-since,if-none-match",
    }
    assert town.http.options(form, headers=asked).status_code == 200
    assert "ETag" in town.get(form, Origin=ORIGIN).headers["access-control-expose-headers"]


@pytest.mark.parametrize("version", GUIDES)
def test_dtr_e_the_addresses_are_endpoints(town: Town, version: Version) -> None:
    found = [e["resource"] for e in town.get(f"/r{version}/fhir/Endpoint").json()["entry"]]

    assert [each["address"] for each in found] == [
        f"{BASE}/r{version}/fhir",
        f"{BASE}/r{version}/cds-services",
    ]
    for each in found:
        assert not faults(each, "Endpoint")
        assert town.get(f"/r{version}/fhir/Endpoint/{each['id']}").json() == each
    assert town.get(f"/r{version}/fhir/Endpoint/none").status_code == 404
    (fhir,) = town.get(f"/r{version}/fhir/Endpoint?connection-type=hl7-fhir-rest").json()["entry"]
    assert fhir["resource"] == found[0]


def test_dtr_e_one_address_leads_to_each_guide_in_each_version(town: Town) -> None:
    """HRex 1.2, Endpoint Discovery: DTR 2.2 says SHOULD, of the package's address above all."""
    told = town.get("/.well-known/davinci-configuration").json()
    assert told["identifier"] == {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}
    assert told["endpoints"] == {
        f"{code}#{version}": f"{BASE}/r{version}/{path}"
        for version in ("2.0", "2.2")
        for code, path in (
            ("davinci_crd_hook_endpoint", "cds-services"),
            ("davinci_dtr_qpackage_endpoint", "fhir"),
            ("davinci_pas_submission_endpoint", "fhir"),
        )
    }


def test_the_older_base_says_when_it_ends(town: Town) -> None:
    """To programs in the CapabilityStatement of the base, to people in the description of the interface."""
    said = {version: town.get(f"/r{version}/fhir/metadata").json()["rest"][0] for version in GUIDES}
    assert "2028-01-01" in said["2.0"]["documentation"]
    assert "documentation" not in said["2.2"]
    assert "2028-01-01" in town.get("/openapi.json").json()["info"]["description"]


def test_dtr_e_metadata_says_where_tokens_are(town: Town) -> None:
    security = town.get("/r2.2/fhir/metadata").json()["rest"][0]["security"]
    assert f"{BASE}/auth/token" in json.encode(security).decode()
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


def test_f32_no_header_changes_what_we_emit(found_town: Build) -> None:
    town = found_town(public_base_url=f"{BASE}/payer", environment="development", cds_jwt="off")
    lies = {
        "Host": "evil.example",
        "Forwarded": "host=evil.example;proto=http",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Prefix": "/evil",
    }
    answers: list[Any] = [
        town.get(path, **lies)
        for path in (
            "/r2.0/fhir/metadata",
            "/r2.0/fhir/Endpoint",
            "/r2.0/fhir/.well-known/smart-configuration",
            "/r2.0/fhir/Questionnaire",
            "/r2.0/fhir/AuditEvent",
        )
    ]
    answers.append(town.post("/r2.0/fhir/Claim/$submit", a.request(), **lies))

    for answer in answers:
        assert answer.status_code == 200
        assert "evil" not in answer.text
        assert "payer.test/r2" not in answer.text


@pytest.mark.parametrize("accept", ["application/fhir+json;charset=UTF-8", "text/html;q=0.1, */*;q=0.5"])
def test_f31_media_types_with_parameters_work(town: Town, accept: str) -> None:
    answer = town.get("/r2.2/fhir/metadata", Accept=accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert town.get("/r2.2/cds-services", Accept=accept).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"resourceType":"Bundle","entry":[{"resource":{}}]}', b"\xff"]
)
def test_f30_errors_are_outcomes_and_never_a_framework_s(town: Town, body: bytes) -> None:
    token = town.token("harbour")
    for path in ("Claim/$submit", "Claim/$inquire", "Questionnaire/$questionnaire-package", "Subscription"):
        answer = town.post(f"/r2.2/fhir/{path}", body, token)
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"].startswith("application/fhir+json")
        outcome = answer.json()
        assert outcome["resourceType"] == "OperationOutcome"
        assert "detail" not in outcome
        assert all(issue["diagnostics"] for issue in outcome["issue"])
