"""Clients that prove themselves by a certificate of a trust community."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from server.security import certificates, kept, signed
from server.security.udap import Community
from server.settings import Settings
from tests.pas import builders as a
from tests.security.authority import Authority, Certified, pem
from tests.security.conftest import BASE, NOW, Build, Town, clinic
from tests.security.signing import KeyServer, Signer

REGISTER_URL, TOKEN_URL = f"{BASE}/auth/register", f"{BASE}/auth/token"
BASES = [f"{BASE}/r{version}/fhir" for version in ("2.0", "2.2")]
SUBMIT = "/r2.0/fhir/Claim/$submit"
HARBOUR = "https://harbour.example/b2b"

STATEMENT = {
    "client_name": "Harbour Orthopaedics",
    "contacts": ["mailto:it@harbour.example"],
    "grant_types": ["client_credentials"],
    "token_endpoint_auth_method": "private_key_jwt",
    "scope": "system/Claim.cruds",
}
BUSINESS = {
    "version": "1",
    "organization_id": "urn:oid:2.16.840.1.113883.4.6#1992999999",
    "purpose_of_use": ["urn:oid:2.16.840.1.113883.5.8#COVERAGE"],
}


@dataclass
class Square:
    """A town in a trust community, whose clinic has a certificate."""

    town: Town
    authority: Authority
    payer: Certified
    harbour: Certified

    def statement(self, signer: Certified, to: str = REGISTER_URL, **changes: Any) -> str:
        return signer.assertion(to, NOW, **{**STATEMENT, **changes})

    def register(self, statement: str, **body: Any) -> httpx.Response:
        return self.town.post("/auth/register", {"software_statement": statement, "udap": "1", **body})

    def ask_token(self, signer: Signer, client: str, **changes: Any) -> httpx.Response:
        said = {"iss": client, "sub": client, "extensions": {"hl7-b2b": BUSINESS}, **changes}
        return self.town.ask_token(
            signer.assertion(TOKEN_URL, NOW, **said), udap="1", scope="system/Claim.cruds"
        )


@pytest.fixture(scope="module")
def found_square(found_town: Build, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Square]:
    def made(*bases: str, listed_at: Sequence[str] = (), **settings: Any) -> Square:
        authority = Authority(NOW)
        payer, harbour = authority.server(*(bases or BASES)), authority.client(HARBOUR, listed_at=listed_at)
        town = found_town(**_files(tmp_path_factory.mktemp("udap"), authority, payer), **settings)
        registered = clinic(Signer("harbour"), "1992999999", jwks=None, cds_issuer=None, udap=HARBOUR)
        town.register(registered, clinic(town.signers["hillside"], "1457362880"))
        return Square(town, authority, payer, harbour)

    return made


def _files(folder: Path, authority: Authority, payer: Certified) -> dict[str, Path]:
    content = {
        "udap_anchors": authority.pem,
        "udap_cert": b"".join(each.public_bytes(Encoding.PEM) for each in payer.chain),
        "udap_key": pem(payer.private),
    }
    for name, written in content.items():
        (folder / name).write_bytes(written)
    return {name: folder / name for name in content}


@pytest.fixture(scope="module")
def square(found_square: Callable[..., Square]) -> Square:
    return found_square()


def test_a_client_of_the_community_finds_registers_and_is_served(square: Square) -> None:
    town = square.town
    found = town.get("/r2.0/fhir/.well-known/udap").json()
    told = square.register(square.statement(square.harbour), certifications=[])
    registered = told.json()
    token = square.ask_token(square.harbour, registered["client_id"]).json()
    answer = town.post(SUBMIT, a.request(), token["access_token"])

    assert (found["registration_endpoint"], found["token_endpoint"]) == (REGISTER_URL, TOKEN_URL)
    assert told.status_code == 201
    assert {name: registered[name] for name in STATEMENT} == STATEMENT
    assert registered["client_id"] == "harbour"
    assert token["scope"] == "system/Claim.cruds"
    assert answer.status_code == 200


def test_the_provider_client_of_hl7_registers(square: Square) -> None:
    """It writes its one method as a list, and sends the logo of a client for people."""
    own = {"token_endpoint_auth_method": ["private_key_jwt"], "logo_uri": "https://harbour.example/logo.png"}
    asked = {"scope": "system/*.read system/*.write"}
    told = square.register(square.statement(square.harbour, **own, **asked))

    assert told.status_code == 201
    assert told.json()["scope"] == asked["scope"]


def test_what_the_server_says_of_itself_is_signed_by_its_own_certificate(square: Square) -> None:
    for base in BASES:
        told = square.town.get(base.removeprefix(BASE) + "/.well-known/udap").json()
        sent = signed.read(told["signed_metadata"])
        signed.signature_holds(sent, square.payer.key, "RS256")

        assert sent.header["x5c"] == square.payer.x5c
        assert (sent.claims["iss"], sent.claims["sub"]) == (base, base)
        assert {name: sent.claims[name] for name in ("token_endpoint", "registration_endpoint")} == {
            name: told[name] for name in ("token_endpoint", "registration_endpoint")
        }


def test_a_base_that_the_certificate_does_not_name_has_no_udap(found_square: Callable[..., Square]) -> None:
    town = found_square(BASES[0]).town

    assert town.get("/r2.0/fhir/.well-known/udap").status_code == 200
    assert town.get("/r2.2/fhir/.well-known/udap").status_code == 404


def test_the_described_interface_says_what_a_registration_is(square: Square) -> None:
    described = square.town.get("/openapi.json").json()["paths"]["/auth/register"]["post"]["requestBody"]

    assert described["content"]["application/json"]["schema"]["required"] == ["software_statement", "udap"]


def test_a_payer_in_no_community_takes_no_certificates(town: Town) -> None:
    harbour = Authority(NOW).client("harbour")
    sent = harbour.assertion(TOKEN_URL, NOW, extensions={"hl7-b2b": BUSINESS})

    assert town.get("/r2.0/fhir/.well-known/udap").status_code == 404
    assert town.post("/auth/register", {}).status_code == 404
    assert town.ask_token(sent, udap="1").json()["error"] == "invalid_client"


def _of_others(square: Square) -> str:
    return square.statement(Authority(NOW, "Others").client(HARBOUR))


def _run_out(square: Square) -> str:
    return square.statement(square.authority.client(HARBOUR, until=NOW - dt.timedelta(minutes=1)))


def _below_a_clients(square: Square) -> str:
    """A client that plays the authority, with its own certificate."""
    forger = Authority(NOW)
    forger.name, forger.key = square.harbour.chain[0].subject, square.harbour.private  # type: ignore[assignment]
    forged = forger.client("https://forged.example")
    return square.statement(Certified(forged.issuer, forged.private, [*forged.chain, *square.harbour.chain]))


def _anothers_key(square: Square) -> str:
    other = ec.generate_private_key(ec.SECP256R1())
    return square.statement(Certified(HARBOUR, other, square.harbour.chain))


def _of_version_6(square: Square) -> str:
    der = square.harbour.chain[0].public_bytes(Encoding.DER)
    changed = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1)
    claims = square.harbour.claims(REGISTER_URL, NOW)
    return square.harbour.sign(claims, x5c=[base64.b64encode(changed).decode()])


def _in_a_ring(square: Square) -> str:
    """Authorities that certify each other: hundreds of paths, none of which ends."""
    forger = Authority(NOW, "Ring")
    ring = [forger.certify(forger.key, forger.name, authority=True) for _ in range(5)]
    leaf = forger.client(HARBOUR)
    return square.statement(Certified(HARBOUR, leaf.private, [*leaf.chain, *ring]))


def _short(square: Square) -> str:
    return square.statement(square.authority.client(HARBOUR, rsa.generate_private_key(65537, 1024)))


REFUSED: dict[str, tuple[Callable[[Square], str], str]] = {
    "of another authority": (_of_others, "does not lead to an authority"),
    "that has run out": (_run_out, "has run out"),
    "made out by a client": (_below_a_clients, "does not lead to an authority"),
    "without its key": (_anothers_key, "signature"),
    "made out to another": (
        lambda square: square.statement(
            square.harbour, iss="https://else.example", sub="https://else.example"
        ),
        "another URI",
    ),
    "of which nothing came": (
        lambda square: square.harbour.sign(square.harbour.claims(REGISTER_URL, NOW), x5c=None),
        "x5c",
    ),
    "that is none": (
        lambda square: square.harbour.sign(square.harbour.claims(REGISTER_URL, NOW), x5c=["bm9uZQ=="]),
        "no certificate",
    ),
    "in a ring": (_in_a_ring, "twice"),
    "of a short key": (_short, "too short"),
    "of a version that nobody knows": (_of_version_6, "no certificate"),
    "for another server": (lambda square: square.statement(square.harbour, TOKEN_URL), "aud"),
    "without its moment": (lambda square: square.statement(square.harbour, iat=None), "iat"),
    "of no moment": (
        lambda square: square.harbour.sign({**square.harbour.claims(REGISTER_URL, NOW), "iat": None}),
        "iat",
    ),
    "about another": (lambda square: square.statement(square.harbour, sub="https://else.example"), "sub"),
}


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize("what", REFUSED)
def test_a_certificate_that_proves_nothing_registers_nobody(square: Square, what: str) -> None:
    made, word = REFUSED[what]
    answer = square.register(made(square))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_software_statement")
    assert word in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"grant_types": ["authorization_code"]}, "grant_types"),
        ({"grant_types": []}, "grant_types"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "token_endpoint_auth_method"),
        ({"contacts": ["https://harbour.example"]}, "mailto"),
        ({"client_name": None}, "client_name"),
        ({"scope": "user/*.read"}, "scopes"),
    ],
)
def test_a_statement_asks_for_what_there_is(square: Square, changes: dict[str, Any], word: str) -> None:
    answer = square.register(square.statement(square.harbour, **changes))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert word in answer.json()["error_description"]


def test_a_statement_serves_once_and_another_of_the_same_client_again(square: Square) -> None:
    sent = square.statement(square.harbour)

    assert square.register(sent).status_code == 201
    assert "jti" in square.register(sent).json()["error_description"]
    assert square.register(square.statement(square.harbour)).json()["client_id"] == "harbour"


def test_what_a_client_signs_as_a_uri_and_by_its_id_is_counted_apart(square: Square) -> None:
    """A jti is of its issuer: the guide, 7.1.4."""
    statement = square.statement(square.harbour, jti="7")

    assert square.register(statement).status_code == 201
    assert square.ask_token(square.harbour, "harbour", jti="7").status_code == 200


def test_whom_the_payer_does_not_know_is_told_so(square: Square) -> None:
    """A certificate says who it is; whose cases it may see, the payer says."""
    stranger = square.authority.client("https://stranger.example")

    assert square.register(square.statement(stranger)).json()["error"] == "unapproved_software_statement"


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        {**BUSINESS, "version": "2"},
        {**BUSINESS, "purpose_of_use": []},
        {**BUSINESS, "organization_id": "7"},
    ],
)
def test_a_token_is_for_somebody_and_a_purpose(square: Square, said: Any) -> None:
    answer = square.ask_token(square.harbour, "harbour", extensions={"hl7-b2b": said})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert "hl7-b2b" in answer.json()["error_description"]


def test_each_client_proves_itself_as_it_is_registered(square: Square) -> None:
    town, harbour, hillside = square.town, square.harbour, square.town.signers["hillside"]
    tried = [
        square.ask_token(square.authority.client("https://else.example"), "harbour"),
        square.ask_token(harbour, "hillside"),
        town.ask_token(harbour.assertion(TOKEN_URL, NOW, iss="harbour", sub="harbour")),
        town.ask_token(hillside.assertion(TOKEN_URL, NOW), udap="1"),
    ]

    assert [(each.status_code, each.json()["error"]) for each in tried] == [(401, "invalid_client")] * 4
    assert town.token("hillside")


def test_a_revoked_certificate_proves_nothing_nor_one_of_which_nobody_can_tell(
    found_square: Callable[..., Square], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is the authority's own, of all its certificates, and is looked at again in time."""
    clock = [1000.0]
    monkeypatch.setattr(kept, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with KeyServer(b"none") as published:
        elsewhere = ["ldap://directory.community.example/cn=Community", "http://[list"]
        square = found_square(listed_at=[*elsewhere, published.url], environment="development", cds_jwt="off")
        revoking, forger = square.authority.revoking, ec.generate_private_key(ec.SECP256R1())

        def heard(told: bytes, later: float = kept.PAUSE) -> str:
            published.keys = told
            clock[0] += later + 1
            answer = square.register(square.statement(square.harbour))
            return str(answer.json().get("error_description", answer.status_code))

        assert "could not be had" in heard(b"none")
        assert "could not be had" in heard(revoking(by=forger))
        assert "could not be had" in heard(revoking(part=_part(only_contains_ca_certs=True)))
        assert "could not be had" in heard(revoking(part=_part("http://community.example/2.crl")))
        assert "could not be had" in heard(revoking(part=x509.DeltaCRLIndicator(1)))
        assert heard(revoking(part=_part(published.url, only_contains_user_certs=True))) == "201"
        assert heard(revoking(), certificates.MAX_AGE) == "201"
        assert "was revoked" in heard(revoking(square.harbour.chain[0]), certificates.MAX_AGE)


def _part(address: str = "", **only: bool) -> x509.IssuingDistributionPoint:
    """For which certificates a list is."""
    given = {
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
        **only,
    }
    return x509.IssuingDistributionPoint(
        [x509.UniformResourceIdentifier(address)] if address else None, **given
    )


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ({"udap_key": None}, "belong together"),
        ({"udap_anchors": b"none"}, "UDAP_ANCHORS"),
        ({"udap_key": pem(ec.generate_private_key(ec.SECP256R1()))}, "UDAP_KEY"),
        ({"public_base_url": "https://else.example"}, "UDAP_CERT"),
    ],
)
def test_files_that_do_not_serve_are_told_of_at_start(
    square: Square, tmp_path: Path, spoilt: dict[str, Any], words: str
) -> None:
    files: dict[str, Any] = _files(tmp_path, square.authority, square.payer)
    for name, content in spoilt.items():
        if isinstance(content, bytes):
            files[name].write_bytes(content)
        else:
            files[name] = content

    with pytest.raises(ValueError, match=words):
        Community.of(Settings(_env_file=None, **{"public_base_url": BASE, **files}))
