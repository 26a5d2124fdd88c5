"""Who gets a token, and what it opens."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import text
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.testclient import TestClient

from server.fhir import json
from server.security import kept, keys
from server.security.scopes import Need, Scopes, needs
from server.services import GUIDES
from tests.conftest import at_noon
from tests.pas import builders as a
from tests.security.conftest import BASE, NOW, OPERATOR, REVIEWER, Build, Town, clinic
from tests.security.signing import KeyServer, Signer

README = Path(__file__).parents[2] / "README.md"
TOKEN_URL = f"{BASE}/auth/token"
SUBMIT = "/r2.0/fhir/Claim/$submit"


def test_a_registered_client_gets_a_token_and_uses_it(town: Town) -> None:
    token = town.token("harbour")
    answer = town.post(SUBMIT, a.request(), token)

    assert answer.status_code == 200
    assert answer.json()["entry"][0]["resource"]["resourceType"] == "ClaimResponse"


def test_rs384_works_as_well(found_town: Build) -> None:
    town = found_town()
    signer = Signer("rivermouth", "RS384")
    town.register(clinic(signer, "1003000126"))
    town.signers["rivermouth"] = signer

    assert town.token("rivermouth")


def test_dtr_e_where_to_get_a_token_is_told_without_one(town: Town) -> None:
    for version in GUIDES:
        answer = town.get(f"/r{version}/fhir/.well-known/smart-configuration")
        assert answer.status_code == 200
        assert answer.json()["token_endpoint"] == TOKEN_URL
        assert answer.json()["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
        # SMART requires it of every server, with this method in it.
        assert answer.json()["code_challenge_methods_supported"] == ["S256"]
        narrow = Scopes.of(scope for scope in answer.json()["scopes_supported"] if "*" not in scope)
        (rest,) = town.get(f"/r{version}/fhir/metadata").json()["rest"]
        read = {each["type"] for each in rest["resource"] if {"code": "read"} in each.get("interaction", [])}
        # What has no token, or one of the payer's own, aside.
        assert [kind for kind in read - {"Endpoint", "AuditEvent"} if not narrow.allow(Need(kind, "r"))] == []
        # Whoever is registered as the README shows may follow every address in an answer.
        (shown,) = re.findall(r"```json\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
        ehr, _ = json.decode(shown.encode())
        assert [each for each in narrow.words if not Scopes.of(ehr["scopes"]).cover(each)] == []


def test_f33_an_assertion_serves_once_on_any_replica_and_after_a_restart(found_town: Build) -> None:
    town = found_town()
    sent = town.signers["harbour"].assertion(TOKEN_URL, NOW)
    assert town.ask_token(sent).status_code == 200

    store = town.app.state.services.store
    replica = found_town(database_url=str(store.engine.url), clients_file=town.file)
    for server in (town, replica):
        again = server.ask_token(sent)
        assert again.status_code == 401
        assert again.json()["error"] == "invalid_client"
        assert "jti" in again.json()["error_description"]
        assert again.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"aud": "https://elsewhere.example/token"}, "aud"),
        ({"aud": None}, "aud"),
        ({"exp": int(NOW.timestamp()) - 60}, "expired"),
        ({"exp": int(NOW.timestamp()) + 3600}, "five minutes"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"exp": 1e300}, "exp"),
        ({"iat": int(NOW.timestamp()) + 600}, "not valid yet"),
        ({"nbf": int(NOW.timestamp()) + 600}, "not valid yet"),
        ({"jti": None}, "jti"),
        ({"jti": 7}, "jti"),
        ({"jti": "x" * 300}, "jti"),
        ({"sub": "hillside"}, "sub"),
        ({"iss": "nobody"}, "iss"),
    ],
)
def test_an_assertion_that_does_not_hold_is_refused_and_told_why(
    town: Town, changes: dict[str, Any], word: str
) -> None:
    signer = town.signers["harbour"]
    claims = {**signer.claims(TOKEN_URL, NOW), **changes}
    sent = signer.sign({name: value for name, value in claims.items() if value is not None})
    answer = town.ask_token(sent)

    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert word in answer.json()["error_description"]


def test_an_assertion_that_names_keys_which_nobody_registered_is_refused(town: Town) -> None:
    signer = town.signers["harbour"]
    answer = town.ask_token(signer.sign(signer.claims(TOKEN_URL, NOW), jku="https://harbour.example/k"))

    assert answer.status_code == 401
    assert "jku" in answer.json()["error_description"]


def test_an_assertion_may_carry_the_certificate_of_its_key(town: Town) -> None:
    """Some sign so for every payer; the key that counts is the registered one."""
    signer = town.signers["harbour"]
    answer = town.ask_token(signer.sign(signer.claims(TOKEN_URL, NOW), x5c=["TUlJ" * 400]))

    assert answer.status_code == 200


def test_what_a_header_says_beyond_the_standard_is_passed_over(town: Town) -> None:
    """RFC 7515, 4: what is not understood is ignored."""
    signer = town.signers["harbour"]

    assert town.ask_token(signer.sign(signer.claims(TOKEN_URL, NOW), vendor="Gusta")).status_code == 200


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": "basic"}, "invalid_request"),
        ({"client_assertion": "a.b"}, "invalid_client"),
        ({"scope": "patient/*.read"}, "invalid_scope"),
        ({"scope": "payer/review"}, "invalid_scope"),
    ],
)
def test_a_form_that_asks_for_something_else_is_refused(
    town: Town, fields: dict[str, str], error: str
) -> None:
    answer = town.ask_token(town.signers["harbour"].assertion(TOKEN_URL, NOW), **fields)

    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == error


def test_a_token_ends_after_five_minutes(found_town: Build) -> None:
    town = found_town()
    token = town.token("harbour")
    town.now[0] = NOW + dt.timedelta(seconds=301)

    answer = town.post(SUBMIT, a.request(), token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_testers_clock_that_stands_still_keeps_no_client_out(tmp_path: Path) -> None:
    """What a client signs is of the world's time, as notifications and their pauses are."""
    ehr, file = Signer("ehr"), tmp_path / "clients.json"
    file.write_bytes(json.encode([clinic(ehr, "1992999999")]))
    with at_noon(tmp_path, clients_file=file, public_base_url=BASE) as app:
        town = Town(app, TestClient(app, base_url=BASE), file, [dt.datetime.now(dt.UTC)], {"ehr": ehr})
        assert town.get("/r2.0/fhir/Questionnaire", town.token("ehr")).status_code == 200


def test_a_client_that_was_taken_from_the_file_is_out_at_once(found_town: Build) -> None:
    town = found_town()
    token = town.token("harbour")
    town.register(clinic(town.signers["hillside"], "1457362880"))

    assert town.post(SUBMIT, a.request(), token).status_code == 401


def test_a_file_that_became_unreadable_leaves_the_clients_as_they_were(found_town: Build) -> None:
    town = found_town()
    town.file.write_text("[{")

    assert town.token("harbour")


def test_keys_rotate_without_a_restart(found_town: Build) -> None:
    town = found_town(environment="development", cds_jwt="off")
    old, new = Signer("lake"), Signer("lake", kid="k2")
    with KeyServer(old.jwks) as published:
        town.register(clinic(old, "1003000126", jwks=None, jwks_uri=published.url))
        assert town.ask_token(old.assertion(TOKEN_URL, NOW)).status_code == 200
        assert town.ask_token(old.assertion(TOKEN_URL, NOW)).status_code == 200
        assert (published.asked, published.media) == (1, "application/json")

        published.keys = {"keys": [old.jwk, new.jwk]}
        ring = town.app.state.services.admission.keys
        ring._sets._held[published.url].looked -= 6  # time passes
        assert town.ask_token(new.assertion(TOKEN_URL, NOW)).status_code == 200

        published.keys = {"keys": [new.jwk]}
        ring._sets._held[published.url].looked -= 600
        ring._sets._held[published.url].fetched -= 600
        assert town.ask_token(old.assertion(TOKEN_URL, NOW)).status_code == 401


def test_a_key_server_that_is_down_does_not_lock_out_known_keys(found_town: Build) -> None:
    town = found_town(environment="development", cds_jwt="off")
    signer = Signer("lake")
    with KeyServer(signer.jwks) as published:
        town.register(clinic(signer, "1003000126", jwks=None, jwks_uri=published.url))
        assert town.ask_token(signer.assertion(TOKEN_URL, NOW)).status_code == 200
        published.status = 503
        held = town.app.state.services.admission.keys._sets._held[published.url]
        held.looked -= 400
        held.fetched -= 400
        assert town.ask_token(signer.assertion(TOKEN_URL, NOW)).status_code == 200


@pytest.mark.parametrize(
    ("control", "seconds", "kept_on"),
    [
        ("max-age=60", 50, True),
        ("public, max-age=60", 70, False),
        ("no-store", 10, False),
        ("no-cache, max-age=60", 10, False),
        ("max-age=86400", 200, True),
        ("max-age=86400", 400, False),
    ],
)
def test_keys_are_kept_no_longer_than_their_server_says(
    found_town: Build, control: str, seconds: float, kept_on: bool
) -> None:
    """SMART: a server SHALL NOT cache a key set for longer than its Cache-Control says; nor we than five
    minutes."""
    town = found_town(environment="development", cds_jwt="off")
    signer = Signer("lake")
    with KeyServer(signer.jwks, control) as published:
        town.register(clinic(signer, "1003000126", jwks=None, jwks_uri=published.url))
        assert town.ask_token(signer.assertion(TOKEN_URL, NOW)).status_code == 200
        held = town.app.state.services.admission.keys._sets._held[published.url]
        held.looked -= seconds
        held.fetched -= seconds
        assert town.ask_token(signer.assertion(TOKEN_URL, NOW)).status_code == 200
        assert published.asked == (1 if kept_on else 2)

        # A key set that may be kept for a minute serves for a minute, while its server is down too.
        published.status = 503
        held.looked -= 90
        held.fetched -= 90
        expected = 200 if "86400" in control else 401
        assert town.ask_token(signer.assertion(TOKEN_URL, NOW)).status_code == expected


def test_a_key_server_that_hangs_holds_up_nobody_twice(
    found_town: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each call of its client waits for it, one behind the other, until the server takes no more."""
    town = found_town(environment="development", cds_jwt="off")
    known, new = Signer("lake"), Signer("river")
    clock = [1000.0]
    monkeypatch.setattr(kept, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with KeyServer(known.jwks) as published:
        town.register(
            clinic(known, "1003000126", jwks=None, jwks_uri=published.url),
            clinic(new, "1992999999", jwks=None, jwks_uri="https://river.example/jwks.json"),
        )
        assert town.ask_token(known.assertion(TOKEN_URL, NOW)).status_code == 200

    async def hangs(*_: Any) -> None:
        clock[0] += kept.TIMEOUT + 0.1
        raise TimeoutError

    monkeypatch.setattr(kept.Kept, "_fetched", hangs)
    clock[0] += keys.MAX_AGE + 1
    for signer, status in ((known, 200), (new, 401)):
        began = clock[0]
        answers = [town.ask_token(signer.assertion(TOKEN_URL, NOW)).status_code for _ in range(4)]
        assert (answers, clock[0] - began < 2 * kept.TIMEOUT) == ([status] * 4, True), signer.issuer


def test_nothing_secret_is_in_the_database(found_town: Build) -> None:
    town = found_town()
    signer = town.signers["harbour"]
    claims = signer.claims(TOKEN_URL, NOW)
    sent = signer.sign(claims)
    token = town.ask_token(sent).json()["access_token"]
    engine = town.app.state.services.store.engine
    with engine.connect() as connection:
        kept = [
            str(row)
            for table in ("access_token", "used_assertion")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        ]

    assert kept
    assert not any(secret in row for row in kept for secret in (token, sent, claims["jti"]))


def test_a_token_opens_what_its_scopes_say_and_no_more(town: Town) -> None:
    token = town.token("harbour", "system/Questionnaire.rs")

    assert town.get("/r2.0/fhir/Questionnaire", token).status_code == 200
    refused = town.post(SUBMIT, a.request(), token)
    assert refused.status_code == 403
    assert refused.json()["resourceType"] == "OperationOutcome"
    assert "system/Claim.c" in refused.json()["issue"][0]["diagnostics"]
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


@pytest.mark.parametrize("version", GUIDES)
def test_dtr_e_one_token_with_the_scopes_of_the_guide_opens_all_of_it(town: Town, version: str) -> None:
    """What is sent is nonsense: a client that may come in is told so by 400, a stranger is not."""
    token = town.token("harbour", "system/questionnaire.rs system/valueset.rs system/library.rs")
    base = f"/r{version}/fhir"
    addresses = (
        f"{base}/Questionnaire/$questionnaire-package",
        f"{base}/Questionnaire/$next-question",
        f"{base}/Questionnaire/$log-questionnaire-errors",
        f"{base}/ValueSet/$expand",
    )
    for address in addresses:
        assert town.post(address, {}, token).status_code == 400, address
        assert town.post(address, {}).status_code == 401, address
    assert town.get(f"{base}/Library", token).status_code == 200


def test_operators_see_whose_a_token_is_and_nobody_else_does(town: Town) -> None:
    token = town.token("harbour", "system/Claim.cruds")
    told = town.http.post("/auth/introspect", data={"token": token}, headers=town.as_(OPERATOR)).json()

    assert told["active"] is True
    assert (told["client_id"], told["scope"]) == ("harbour", "system/Claim.cruds")
    form = {**town.as_(OPERATOR), "Content-Type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}
    unknown = town.http.post("/auth/introspect", content=b"token=guess", headers=form)
    assert unknown.json() == {"active": False}
    assert town.http.post("/auth/introspect", data={"token": token}).status_code == 401
    assert (
        town.http.post("/auth/introspect", data={"token": token}, headers=town.as_(token)).status_code == 403
    )


def test_every_address_that_tells_of_patients_asks_for_a_token(town: Town) -> None:
    open_to_all = {
        "/",
        "/health",
        "/policies",
        "/services",
        "/docs",
        "/openapi.json",
        "/auth/token",
    }
    seen = set()
    for route in iter_route_contexts(town.app.routes):
        path, methods = route.path or "", route.methods or set()
        if path in open_to_all or "appropriateness" in path or path.startswith("/static"):
            continue
        for method in methods - {"HEAD", "OPTIONS"}:
            seen.add(path)
            answer = town.http.request(method, path.replace("{", "").replace("}", ""))
            told = "metadata" in path or ".well-known" in path or (method == "GET" and "cds-services" in path)
            listed = path.endswith("Endpoint")
            missing = "/Endpoint/" in path
            assert answer.status_code == (200 if told or listed else 404 if missing else 401), (method, path)
            assert answer.content
    assert SUBMIT in seen


def test_a_host_header_moves_no_address(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older frameworks put it before the path as it is: what is routed would be in the query of the URL."""
    monkeypatch.setattr(Request, "url", URL("https://x/fhir/metadata?/r2.0/fhir/Questionnaire"))

    assert town.get("/r2.0/fhir/Questionnaire").status_code == 401


def test_metrics_are_for_operators_and_reviews_for_reviewers(town: Town) -> None:
    assert town.get("/metrics", OPERATOR).status_code == 200
    assert town.get("/metrics", REVIEWER).status_code == 403
    assert town.get("/review", REVIEWER).status_code == 200
    assert town.get("/review", OPERATOR).status_code == 403
    assert town.get("/review", town.token("harbour")).status_code == 403
    # Who may not come in is not listened to: what it sends is not even read.
    unread = town.http.post("/review/1/approve", content=b"{", headers={"Content-Type": "application/json"})
    assert unread.status_code == 401


@pytest.mark.parametrize("scheme", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer guess"])
def test_development_needs_no_token_but_refuses_one_that_does_not_hold(
    found_town: Build, scheme: str
) -> None:
    town = found_town(environment="development", cds_jwt="off", static_tokens="inferno,other")

    assert town.post(SUBMIT, a.request()).status_code == 200
    assert town.post(SUBMIT, a.request(), "inferno").status_code == 200
    assert town.post(SUBMIT, a.request(), Authorization=scheme).status_code == 401
    assert town.get("/metrics", Authorization=scheme).status_code == 401


@pytest.mark.parametrize(
    ("scopes", "need", "allowed"),
    [
        ("system/Claim.cruds", Need("Claim", "c"), True),
        ("system/Claim.write", Need("Claim", "c"), True),
        ("system/Claim.read", Need("Claim", "c"), False),
        ("system/*.read", Need("ClaimResponse", "r"), True),
        ("system/*.*", Need("Subscription", "d"), True),
        ("system/questionnaire.rs", Need("Questionnaire", "r"), True),
        ("user/Claim.cruds", Need("Claim", "c"), False),
        ("system/Claim.", Need("Claim", "c"), False),
        ("system/Claim.dc", Need("Claim", "c"), False),
        ("payer/operate", Need("Claim", "c"), False),
    ],
)
def test_scopes_in_both_spellings(scopes: str, need: Need, allowed: bool) -> None:
    assert Scopes.of(scopes).allow(need) is allowed


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "Claim/$submit", "system/Claim.c"),
        ("GET", "ClaimResponse/1", "system/ClaimResponse.r"),
        ("GET", "Subscription", "system/Subscription.s"),
        ("DELETE", "Subscription/1", "system/Subscription.d"),
        ("PUT", "Subscription/1", "system/Subscription.u"),
        ("POST", "Patient/$unheard-of", "system/Patient.c"),
        ("POST", "$unheard-of", "system/*.c"),
        ("POST", "Endpoint/$validate", "system/Endpoint.r"),
    ],
)
def test_what_a_request_needs(method: str, path: str, said: str) -> None:
    assert str(needs(method, path)[0]) == said


@pytest.mark.parametrize(
    "broken",
    [
        {"id": "x"},
        {"id": "x", "jwks": {"keys": []}},
        {"id": "x", "jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "1"}]}},
        {"id": "x", "token_sha256": "0" * 64, "scopes": "system/Claim.c"},
        {"id": "x", "token_sha256": "0" * 64, "scopes": "root"},
        {"id": "x", "token_sha256": "0" * 64, "scops": "payer/review"},
        {"id": "x", "token_sha256": "0" * 64, "organizations": ["1992999999"]},
        {"id": "x", "jwks_uri": "https://ehr.example:port/jwks.json"},
        {"id": "x", "jwks_uri": "https://[ehr]/jwks.json"},
        {"id": "x", "jwks_uri": "https://ehr.example/jwks.json", "endpoints": ["https://"]},
        {"id": "x", "jwks_uri": "https://ehr.example/jwks.json", "endpoints": ["ehr.example/notify"]},
        {
            "id": "x",
            "jwks_uri": "https://ehr.example/jwks.json",
            "fhir_servers": ["https://ehr.example /fhir"],
        },
    ],
)
def test_a_registration_that_would_not_lock_anything_is_refused_at_the_start(
    found_town: Build, tmp_path: Any, broken: dict[str, Any]
) -> None:
    file = tmp_path / "clients.json"
    file.write_bytes(json.encode([broken]))
    with pytest.raises(ValueError, match="CLIENTS_FILE"):
        found_town(clients_file=file)
