"""The JWTs of CDS Hooks clients."""

from __future__ import annotations

from typing import Any

import pytest

from server.security.keys import KeyRing
from tests.crd import builders as hook
from tests.security.conftest import BASE, NOW, Build, Town, clinic
from tests.security.signing import KeyServer, Signer

SERVICE = "/r2.0/cds-services/order-sign"
HERE = BASE + SERVICE


def call(town: Town, token: str = "", path: str = SERVICE) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = hook.sign(hook.shoulder(), sent=hook.prefetch())
    return town.post(path, body, **{"Content-Type": "application/json", **headers})


def signed(town: Town, aud: Any = HERE, **changes: Any) -> str:
    signer = town.signers["harbour"]
    return signer.sign({**signer.claims(aud, NOW, sub=None), "iss": "https://harbour.example", **changes})


def test_discovery_is_open_and_a_call_is_not(town: Town) -> None:
    assert town.get("/r2.0/cds-services").status_code == 200
    refused = call(town)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("aud", [HERE, [HERE], ["https://other.example", HERE], HERE + "/"])
def test_f10_the_called_address_is_the_audience(town: Town, aud: Any) -> None:
    assert call(town, signed(town, aud)).status_code == 200


@pytest.mark.parametrize(
    "aud",
    ["https://payer.test/r2.2/cds-services/order-sign", f"{BASE}/r2.0/cds-services", "payer", [], 7, None],
)
def test_f10_another_audience_is_refused_and_told_which_one_is_right(town: Town, aud: Any) -> None:
    refused = call(town, signed(town, aud))
    assert refused.status_code == 401
    assert HERE in refused.json()["issue"][0]["diagnostics"]


def test_f10_a_proxy_prefix_in_the_public_base_is_honoured(found_town: Build) -> None:
    town = found_town(public_base_url=f"{BASE}/payer")
    assert call(town, signed(town, f"{BASE}/payer{SERVICE}")).status_code == 200
    assert call(town, signed(town)).status_code == 401
    assert town.http.get("/openapi.json").json()["servers"] == [{"url": "/payer"}]


def test_feedback_needs_a_token_too(town: Town) -> None:
    path = f"{SERVICE}/feedback"
    body = {"feedback": []}
    assert town.post(path, body, **{"Content-Type": "application/json"}).status_code == 401
    sent = {"Content-Type": "application/json", "Authorization": f"Bearer {signed(town, BASE + path)}"}
    assert town.post(path, body, **sent).status_code < 500
    assert town.post(path, body, **sent).status_code == 401


def test_a_call_is_not_repeated_with_the_same_token(town: Town) -> None:
    token = signed(town)
    assert call(town, token).status_code == 200
    again = call(town, token)
    assert again.status_code == 401
    assert "jti" in again.json()["issue"][0]["diagnostics"]


def test_off_means_that_a_stranger_s_token_is_passed_over_and_a_client_s_must_hold(
    found_town: Build,
) -> None:
    town = found_town(environment="development", cds_jwt="off")
    stranger = Signer("https://inferno.example/custom/crd_server")

    assert call(town).status_code == 200
    assert call(town, stranger.assertion(HERE, NOW)).status_code == 200
    assert call(town, signed(town)).status_code == 200
    assert call(town, signed(town, "https://other.example")).status_code == 401
    assert call(town, "guess").status_code == 401


def test_an_address_of_keys_comes_from_the_registration_never_from_the_token(
    found_town: Build,
) -> None:
    """A `jku` that is not registered is not looked at, wherever it leads."""
    town = found_town(environment="development")
    signer, thief = Signer("https://lake.example"), Signer("https://lake.example")
    with KeyServer(signer.jwks) as keys, KeyServer(thief.jwks) as inner:
        town.register(
            clinic(signer, "1003000126", jwks=None, jwks_uri=keys.url, cds_issuer="https://lake.example")
        )
        claims = signer.claims(HERE, NOW)
        assert call(town, signer.sign(claims, jku=keys.url)).status_code == 200
        for jku in (inner.url, "http://169.254.169.254/keys"):
            refused = call(town, thief.sign(thief.claims(HERE, NOW), jku=jku))
            assert refused.status_code == 401
        assert inner.asked == 0


def test_the_key_ring_never_fetches_for_a_client_that_has_its_keys_in_the_file(town: Town) -> None:
    """An EHR says in every call where its keys are; a payer that cannot reach that has them in its file."""
    ring: KeyRing = town.app.state.services.admission.keys
    signer = town.signers["harbour"]
    told = signer.sign(
        {**signer.claims(HERE, NOW), "iss": "https://harbour.example"}, jku="https://ehr.example/k"
    )
    assert call(town, told).status_code == 200
    assert call(town, signed(town)).status_code == 200
    assert not ring._sets._held


@pytest.mark.parametrize("header", [{"alg": "none"}, {"kid": None}, {"kid": "../../k1"}, {"kid": "k2"}])
def test_a_header_that_does_not_fit_is_refused(town: Town, header: dict[str, Any]) -> None:
    signer = town.signers["harbour"]
    claims = {**signer.claims(HERE, NOW), "iss": "https://harbour.example"}
    if header.get("alg") == "none":
        body = signer.sign(claims).split(".")[1]
        token = f"eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.{body}."
    else:
        token = signer.sign(claims, **header)
    assert call(town, token).status_code == 401


def test_a_token_says_when_it_was_made(town: Town) -> None:
    """CDS Hooks, "Trusting CDS Clients": iat is required, where SMART's assertions may leave it out."""
    signer = town.signers["harbour"]
    claims = {**signer.claims(HERE, NOW), "iss": "https://harbour.example"}
    undated = call(town, signer.sign({name: told for name, told in claims.items() if name != "iat"}))
    assert (undated.status_code, "no iat" in undated.text) == (401, True)
