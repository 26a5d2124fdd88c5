"""A short siege with every test run; `make hostile` has the long one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from server.fhir import json
from tests.hostile.siege import siege
from tests.pas import builders as a
from tests.security.conftest import BASE, NOW, Build, Town, found_town, town  # noqa: F401
from tests.security.signing import Signer

TOKEN_URL = f"{BASE}/auth/token"


def test_seventy_blows_break_nothing() -> None:
    statuses, broken = siege(70, seed=20261125)
    assert broken == []
    assert sum(statuses.values()) == 70


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.encode(value)).rstrip(b"=").decode()


def forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes = b"") -> str:
    """A token signed with HMAC, whatever its header says; unsigned without a secret."""
    signed = f"{_part(header)}.{_part(claims)}"
    if not secret:
        return f"{signed}."
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384}.get(header["alg"], hashlib.sha384)
    mac = hmac.new(secret, signed.encode(), digest).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "HS256", "HS384", "RS256", "ES256", "PS384", "", None]
)
def test_no_algorithm_but_the_two_is_taken(town: Town, alg: Any) -> None:  # noqa: F811
    """The public key is no secret: as an HMAC key it must open nothing."""
    signer = town.signers["harbour"]
    header = {"alg": alg, "kid": signer.kid, "typ": "JWT"}
    for secret in (b"", signer.key.as_pem(private=False), json.encode(signer.jwk)):
        answer = town.ask_token(forged(header, signer.claims(TOKEN_URL, NOW), secret))
        assert answer.status_code == 401
        assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../../../dev/null"},
        {"kid": "' UNION SELECT 'k"},
        {"kid": ""},
        {"kid": "k1\x00"},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"x5u": "https://evil.example/cert"},
        {"crit": ["exp"]},
        {"crit": 1},
        {"crit": [["exp"]]},
        {"b64": False, "crit": ["b64"]},
    ],
)
def test_a_header_opens_no_other_way(town: Town, header: dict[str, Any]) -> None:  # noqa: F811
    thief = Signer("harbour")
    token = thief.assertion(TOKEN_URL, NOW)
    told = json.decode_object(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    sent = ".".join([_part({**told, **header}), *token.split(".")[1:]])

    assert town.ask_token(sent).status_code == 401


def test_a_key_in_the_token_is_not_believed(town: Town) -> None:  # noqa: F811
    thief = Signer("harbour")
    token = thief.sign(thief.claims(TOKEN_URL, NOW), jwk=thief.key.as_dict(private=False))
    assert town.ask_token(token).status_code == 401


def test_a_token_of_one_door_opens_no_other(town: Town) -> None:  # noqa: F811
    signer = town.signers["harbour"]
    for_hook = signer.assertion(f"{BASE}/r2.0/cds-services/order-sign", NOW)
    assert town.ask_token(for_hook).status_code == 401
    for_token = signer.assertion(TOKEN_URL, NOW)
    assert town.post("/r2.0/fhir/Claim/$submit", a.request(), for_token).status_code == 401


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "x" * 20_000, "é.é.é", "[].[].x", "bnVsbA.bnVsbA.x"]
)
def test_what_is_no_token_is_refused(town: Town, token: str) -> None:  # noqa: F811
    assert town.ask_token(token).status_code in (400, 401)


def test_the_described_interface_never_fails(found_town: Build) -> None:  # noqa: F811
    """What OpenAPI says can be sent, sent: no 5xx."""
    laptop = found_town(environment="development", cds_jwt="off")
    schema = schemathesis.openapi.from_asgi("/openapi.json", laptop.app)
    # A token made up is refused before anything is read; here none is needed.
    schema.config.generation.update(with_security_parameters=False)
    for operation in schema.get_all_operations():
        described = operation.ok()

        @settings(
            max_examples=3,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def never_fails(case: Any) -> None:
            answer = case.call()
            assert answer.status_code < 500 or answer.status_code == 501, (case.path, answer.text)

        described.as_strategy()
        _given(described, never_fails)


def _given(described: Any, check: Any) -> None:
    from hypothesis import given

    given(case=described.as_strategy())(check)()
