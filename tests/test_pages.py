"""What people and operators find at the addresses beside the guides', and in the terminal."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from rich.console import Console
from starlette.testclient import TestClient

from server.app import create_app
from server.cli import print_banner, served
from server.demo.stories import as_written
from server.fhir import json as fhir
from server.settings import Settings
from server.store import Store
from tests import databases
from tests.crd import builders as hook

BASE = "http://payer.test"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    database = f"sqlite:///{tmp_path_factory.mktemp('pages')}/payer.db"
    app = create_app(Settings(_env_file=None, database_url=database, public_base_url=BASE))
    with TestClient(app, base_url=BASE) as client:
        yield client


def test_the_front_page_says_where_to_point_what(http: TestClient) -> None:
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for version in ("r2.0", "r2.2"):
        for path in ("cds-services", "fhir", "fhir/Claim/$submit", "fhir/Claim/$inquire"):
            assert f"{BASE}/{version}/{path}" in page.text
    # Whoever opens it at a hospital has no business telling anybody else.
    assert not re.findall(r"""(?:src|href)=["']https?://(?!payer\.test)""", page.text)


@pytest.fixture
def served_at(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """A server as `davinci-payer serve` has it."""
    apps: list[FastAPI] = []

    def made(**settings: Any) -> TestClient:
        url = databases.sqlite(tmp_path)
        apps.append(
            served(
                Settings(
                    _env_file=None,
                    database_url=url,
                    public_base_url=BASE.replace("http:", "https:"),
                    **settings,
                )
            )
        )
        return TestClient(apps[-1], base_url=BASE)

    yield made
    for app in apps:
        app.state.services.store.close()


def test_an_order_is_tried_in_a_browser_and_changed(served_at: Callable[..., TestClient]) -> None:
    """Each call that an EHR would make is there, and what is written there is not taken for HTML."""
    http = served_at()
    page = http.get("/try", params={"story": "documentation"}).text
    (written,) = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    story = json.loads(html.unescape(written))
    played = http.post("/try", data={"story": json.dumps(story), "version": "2.2"}).text
    story["case"]["icd10"] = ["<b>M25.512</b>"]
    changed = http.post("/try", data={"story": json.dumps(story), "version": "2.0"}).text

    for told in ("still asked: SH-IMM", "A1  Authorized", "/r2.2/fhir/Claim/$submit", "prefetch"):
        assert told in played
    (unanswered,) = (each for each in as_written() if each["case"]["id"] == "wrong-code")
    back = http.post("/try", data={"story": json.dumps(unanswered), "version": "2.0"}).text
    assert "the order goes back to the clinician" in back

    assert "/r2.0/cds-services/order-sign" in changed
    assert "<b>" not in changed


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        ({"story": "{", "version": "2.0"}, "truncated"),
        ({"story": '{"title": "none"}', "version": "2.0"}, "case"),
        ({"story": "{}", "version": "9"}, "no base"),
    ],
)
def test_what_is_no_order_is_told_so(
    served_at: Callable[..., TestClient], sent: dict[str, str], word: str
) -> None:
    answer = served_at().post("/try", data=sent)

    assert answer.status_code == 400
    assert word in answer.text


def test_a_story_that_was_changed_amiss_says_what_stops_it(served_at: Callable[..., TestClient]) -> None:
    """Days before the calendar, answers that the form does not take or that are none, a code that is none."""
    http = served_at()
    written = as_written()[0]
    fact = written["case"]["facts"][0]
    for of, change, told in (
        ("case", {"age": 3000}, "age: year"),
        ("case", {"rbm": "evicor"}, "there is no plan evicor; there are carelon"),
        ("case", {"facts": [{**fact, "date": 10**7}]}, "facts[0]: date value out of range"),
        (
            "case",
            {"facts": [{"type": "Observation", "code": "hawkins", "system": "exam", "value": {}}]},
            "has value {}",
        ),
        ("case", {"cpt": "<b>73221</b>"}, "the request was not processed: "),
        ("answers", {"SH-IMM": "no idea"}, "answers: SH-IMM does not take 'no idea'"),
        ("answers", {"CC-DUR.start": "D-9999999"}, "answers: date value out of range"),
        ("answers", {"SH-IMM": []}, "Played on r2.2"),
    ):
        story = {**written, of: {**written[of], **change}}
        answer = http.post("/try", data={"story": json.dumps(story), "version": "2.2"})
        assert answer.status_code in (200, 400), told
        assert told in html.unescape(answer.text)


def test_each_page_says_in_which_language_it_is(http: TestClient) -> None:
    pages = ("/", "/docs", "/review", "/try", "/r2.2/appropriateness/")
    browser = {"Accept": "text/html"}
    assert all('<html lang="en">' in http.get(path, headers=browser).text for path in pages)


def test_a_browser_is_told_in_a_page_what_went_wrong(http: TestClient) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path, status, words in (
        ("/why/PA0", 404, "There is no authorization"),
        ("/review/none", 404, "There is no work item"),
        ("/review?_count=x", 400, "http.query._count: "),
        ("/nowhere/<b>", 404, "Nothing answers at"),
    ):
        page, plain = http.get(path, headers=browser), http.get(path)
        assert (page.status_code, plain.status_code) == (status, status), path
        assert page.headers["content-type"].startswith("text/html")
        assert words in page.text
        assert "<b>" not in page.text
        assert plain.json()["resourceType"] == "OperationOutcome"
    door = http.get("/r2.2/fhir/ClaimResponse/none", headers=browser)
    assert door.json()["resourceType"] == "OperationOutcome"


def test_nothing_is_tried_out_in_production(served_at: Callable[..., TestClient], tmp_path: Path) -> None:
    (tmp_path / "clients.json").write_text("[]")
    strict = {"clients_file": tmp_path / "clients.json", "cds_jwt": "on", "trusted_proxies": "10.0.0.7"}
    http = served_at(environment="production", **strict)

    assert http.get("/try").status_code == 404
    assert "/try" not in http.get("/").text


def test_whoever_builds_a_client_sees_what_it_sent_and_was_told(served_at: Callable[..., TestClient]) -> None:
    """The newest calls, those that were refused too; never a token."""
    http = served_at(keep_calls=2, static_tokens="SECRET-2")
    http.post("/r2.0/fhir/Claim/$inquire", content=b"[]", headers={"Content-Type": "application/json"})
    call = hook.sign(hook.shoulder(), sent=hook.prefetch())
    call["fhirAuthorization"] = {"access_token": "SECRET-1", "token_type": "Bearer", "scope": "user/*.rs"}
    call["fhirServer"] = "http://127.0.0.1:9"
    known = {"Content-Type": "application/json", "Authorization": "Bearer SECRET-2"}
    signed, _ = (
        http.post(path, content=body, headers={**known, "X-Request-ID": number})
        for path, body, number in (
            ("/r2.0/cds-services/order-sign", fhir.encode(call), "one"),
            ("/r2.2/fhir/Claim/$submit", b'{"resourceType": "Bundle"}', "two"),
        )
    )

    listed = http.get("/calls").text
    newest, before = re.findall(r"/calls/(\w+)", listed)
    assert http.get(f"/calls/{newest}/sent").text == '{"resourceType": "Bundle"}'
    assert http.get(f"/calls/{before}/answered").content == signed.content
    assert http.get("/calls", params={"q": "order-sign"}).text.count("/calls/") == 1
    (why,) = re.findall(r'href="[^"]*(/why/[^"]*)"', http.get("/calls/one").text)
    shown = http.get(why, headers={"Accept": "text/html,*/*;q=0.8"}).text
    assert "What would change it" in shown
    assert "CC-DUR  Conservative care long enough" in shown
    assert http.get(why).json()["decision"] == "more-info"
    assert http.get("/calls/one/answered").content == signed.content
    refused = http.get("/calls/two").text
    assert "error: Bundle.type:" in html.unescape(refused)
    assert "SECRET" not in "".join(http.get(f"/calls/{path}").text for path in ("one", "one/sent", "two"))
    assert http.get("/calls/none").status_code == 404


def test_calls_of_one_request_id_are_each_shown(served_at: Callable[..., TestClient]) -> None:
    """As of a client that tries again."""
    http = served_at(keep_calls=2)
    for body in (b"[1]", b"[2]"):
        kind = {"Content-Type": "application/json", "X-Request-ID": "again"}
        http.post("/r2.0/fhir/Claim/$submit", content=body, headers=kind)

    shown = [http.get(path).text for path in re.findall(r"/calls/\w+", http.get("/calls").text)]
    sent = [http.get(path).text for each in shown for path in re.findall(r"/calls/\w+/sent", each)]
    assert sent == ["[2]", "[1]"]
    assert http.get("/calls/again/sent").text == "[2]"


def test_what_clients_sent_runs_nowhere_and_tells_no_secret(served_at: Callable[..., TestClient]) -> None:
    """Two types of a body, of which a browser would believe the second; what lets in by other names than
    Bearer. What the server says of a token that is missing stays whole."""
    http = served_at(keep_calls=3, cds_jwt="on")
    lines = ["Authorization: Basic SECRET-1", "X-Api-Key: SECRET-2&SECRET-3", "X-Clinic: north"]
    subscription = fhir.encode({"resourceType": "Subscription", "channel": {"header": lines}})
    hidden = {"Cookie": "session=SECRET-4", "Proxy-Authorization": "Basic SECRET-5"}
    for path, body, number, headers in (
        ("/r2.0/fhir/Claim/$submit", b"<script>", "script", [("Content-Type", "text/html")]),
        ("/r2.0/fhir/Subscription?access_token=SECRET-6", subscription, "secrets", [*hidden.items()]),
        ("/r2.0/cds-services/order-sign", b"{}", "unnamed", []),
    ):
        kinds = [("Content-Type", "application/json"), *headers, ("X-Request-ID", number)]
        http.post(path, content=body, headers=kinds)

    sent = http.get("/calls/script/sent")
    assert sent.text == "<script>"
    assert sent.headers["content-type"].startswith("text/plain")
    shown = http.get("/calls/secrets").text + http.get("/calls/secrets/sent").text
    assert "X-Clinic: north" in shown
    assert "SECRET" not in shown
    assert "Send Authorization: Bearer with a JWT" in http.get("/calls/unnamed").text


def test_health_says_that_the_database_is_read(http: TestClient) -> None:
    assert http.get("/health").json() == {"status": "ok", "version": "0.1.0", "database": "ok"}


def test_whoever_asks_only_for_the_head_is_answered_as_by_a_get(http: TestClient) -> None:
    for path in ("/health", "/r2.0/cds-services", "/r2.2/fhir/metadata", "/r2.0/fhir/ClaimResponse/none"):
        asked, read = http.head(path), http.get(path)
        assert (asked.status_code, asked.content) == (read.status_code, b"")
        assert asked.headers["content-type"] == read.headers["content-type"]
    assert http.head("/r2.0/fhir/Claim/$submit").headers["allow"] == "POST"
    assert re.search(r'^\w+\{method="HEAD"[^}]*\} 1', http.get("/metrics").text, re.MULTILINE)


def test_a_head_that_fails_is_still_one_for_whoever_answers(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a body is sent for it, which the connection's next answer would begin with."""
    with monkeypatch.context() as broken:
        broken.setattr(Store, "reading", lambda _: 1 / 0)
        assert http.head("/health").status_code == 500
    assert re.search(
        r'^\w+\{method="HEAD"[^}]*status="500"[^}]*\} 1', http.get("/metrics").text, re.MULTILINE
    )


def test_metrics_count_what_was_asked(http: TestClient) -> None:
    http.get("/health")
    exposed = http.get("/metrics")
    assert exposed.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert re.search(r'^\w+\{[^}]*route="/health"[^}]*\} [1-9]', exposed.text, re.MULTILINE)


def test_a_browser_keeps_nothing_that_is_told(http: TestClient) -> None:
    told = http.get("/why/PA1").headers
    assert (told["cache-control"], told["x-content-type-options"]) == ("no-store", "nosniff")
    assert "cache-control" not in http.get("/static/site.css").headers
    assert http.get("/r2.0/cds-services").headers["cache-control"].startswith("public")


def test_no_page_is_shown_in_one_of_another_site_but_the_ehrs_app(http: TestClient) -> None:
    """Who decides on a page must see that page, and which."""
    browser = {"Accept": "text/html"}
    for page in ("/", "/review", "/why/PA1", "/docs"):
        told = http.get(page, headers=browser).headers
        assert told["content-security-policy"] == "frame-ancestors 'none'"
    assert "content-security-policy" not in http.get("/r2.0/appropriateness/").headers


def test_policies_name_every_criterion_with_its_guideline(http: TestClient) -> None:
    policies = {policy["region"]: policy for policy in http.get("/policies").json()}
    assert {"SH", "EL", "WH", "HI", "KN", "AF", "CS", "TS", "LS", "BR"} <= policies.keys()
    for policy in policies.values():
        assert policy["effective"]["start"]
        assert policy["criteria"]
        assert all(criterion["title"] and criterion["guideline"] for criterion in policy["criteria"])


def test_services_list_what_needs_authorization_under_which_plan(http: TestClient) -> None:
    """What people decide needs authorization as much as what a policy does, and each code is listed once."""
    listed = http.get("/services").json()
    services = {service["code"]: service for service in listed}
    governed = {code for policy in http.get("/policies").json() for code in policy["services"]}
    assert governed | {"72195", "73725", "76498"} <= services.keys()
    assert len(listed) == len(services)
    assert services["73721"]["title"] == "MRI of the lower limb", "hip, knee, ankle and foot share it"
    assert "73030" not in services
    for code in ("73221", "72195"):
        assert set(services[code]["plans"]) == {"carelon", "evicore", "nia", "reviewed"}


def test_every_address_is_in_the_open_api(http: TestClient) -> None:
    page = http.get("/docs").text
    assert "https://" not in page, "a payer's network reaches nobody else's"
    needed = [
        urljoin("/behind/a/proxy/docs", each)
        for each in re.findall(r"""(?:src=|href=|url: )["']([^"']+)["']""", page)
    ]
    assert len(needed) == 4
    assert all(http.get(each.removeprefix("/behind/a/proxy")).is_success for each in needed)
    assert all(each.startswith("/behind/a/proxy/") for each in needed), needed
    described = http.get("/openapi.json").json()
    paths = described["paths"]
    for path in ("/r2.0/cds-services/{service}", "/r2.2/fhir/Claim/$submit", "/why/{number}", "/health"):
        assert path in paths
    # The page sends what is typed there, under the name of whoever tries it out.
    for path, operations in paths.items():
        assert all("requestBody" in operations[each] for each in operations.keys() & {"post", "put"}), path
    assert "ValidationError" not in http.get("/openapi.json").text, (
        "what is wrong is told by an OperationOutcome"
    )
    assert described["security"] == [{name: []} for name in described["components"]["securitySchemes"]]


def test_a_client_made_from_the_open_api_can_search_send_and_read(http: TestClient) -> None:
    """Generators take an answer for what its schema says, send no parameter that is not listed, and stumble
    over a body of two kinds."""
    paths = http.get("/openapi.json").json()["paths"]
    every = [operation for operations in paths.values() for operation in operations.values()]
    answers = [
        (kind, content["schema"])
        for operation in every
        for answer in operation["responses"].values()
        for kind, content in answer.get("content", {}).items()
    ]
    assert {kind for kind, schema in answers if schema == {"type": "string"}} == {"text/plain"}
    bodies = [operation["requestBody"]["content"] for operation in every if "requestBody" in operation]
    assert {len(body) for body in bodies} == {1}
    for path, names in {
        "/r2.0/fhir/Questionnaire": {"url", "title", "_count"},
        "/r2.2/fhir/ClaimResponse": {"identifier", "outcome", "_count"},
        "/r2.2/fhir/ValueSet/$expand": {"url", "filter"},
        "/r2.2/fhir/AuditEvent": {"agent", "patient", "_count"},
    }.items():
        assert names <= {each["name"] for each in paths[path]["get"]["parameters"]}, path


def test_an_unknown_number_is_explained_without_a_guess(http: TestClient) -> None:
    answered = http.get("/why/PA-NEVER-GIVEN")
    assert answered.status_code == 404
    assert answered.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_terminal_shows_addresses_whole_however_narrow(width: int) -> None:
    shown = io.StringIO()
    settings = Settings(_env_file=None, public_base_url="https://payer.a-long-name-of-a-host.example:8443")
    print_banner(settings, Console(file=shown, width=width))
    for path in ("r2.0/cds-services", "r2.0/fhir", "r2.2/cds-services", "r2.2/fhir", "docs"):
        assert f"https://payer.a-long-name-of-a-host.example:8443/{path}" in shown.getvalue()
