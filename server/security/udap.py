"""UDAP: clients that prove themselves by a certificate of a trust community (HL7 FAST, Security for Scalable
Registration, Authentication, and Authorization, STU 2; business to business, by client credentials).

GET  /{version}/fhir/.well-known/udap   what this server does, signed with its own certificate
POST /auth/register                     a software statement, for a client id
POST /auth/token                        with udap=1 (`server.security.routes`)

A certificate says who somebody is, not whose cases are told to them. So the payer's file of clients stays
what it is: registration finds the client there whose `udap` is the URI that the certificate is made out to,
and grants what the file grants; who is not in it is told so (`unapproved_software_statement`).
"""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from pydantic import BaseModel, Field, ValidationError, field_validator

from server.fhir import json
from server.fhir.errors import FhirError
from server.fhir.requests import read_limited
from server.fhir.responses import JsonResponse
from server.security import certificates, signed
from server.security.admission import Admission
from server.security.certificates import Authorities, Untrusted
from server.security.keys import Key
from server.security.oauth import FRESH, MAX_BYTES, OAuthError
from server.security.outbound import Outbound
from server.security.scopes import SUPPORTED, Scopes
from server.services import GUIDES
from server.settings import Settings

_RSA, _EC = RSAKey.import_key, ECKey.import_key
ALGORITHMS: Final[dict[str, Callable[[bytes], Key]]] = {
    "RS256": _RSA,
    "RS384": _RSA,
    "ES256": _EC,
    "ES384": _EC,
}
"""How the key of a certificate is read, by algorithm; the guide asks for RS256."""

LIFETIME: Final = dt.timedelta(days=1)
"""Of signed metadata, which are made anew for each answer."""


class Community:
    """What this server is in its trust communities: whom it trusts, and what it shows of itself."""

    def __init__(self, authorities: Authorities, chain: list[x509.Certificate], key: RSAKey) -> None:
        self.authorities = authorities
        self._chain = [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain]
        self._key = key
        self._named = frozenset(certificates.uris(chain[0]))

    @classmethod
    def of(cls, settings: Settings) -> Community | None:
        """None where no community is set. Raises ValueError, which names the setting, for files that do not
        serve."""
        if settings.udap_anchors is None or settings.udap_cert is None or settings.udap_key is None:
            return None
        anchors = _read("UDAP_ANCHORS", settings.udap_anchors)
        chain = _read("UDAP_CERT", settings.udap_cert)
        try:
            key = RSAKey.import_key(settings.udap_key.read_bytes())
        except (JoseError, ValueError, TypeError, OSError):
            raise ValueError("UDAP_KEY: a PEM file of an RSA key without pass phrase is needed") from None
        if not key.is_private or key.raw_value.public_key() != chain[0].public_key():  # type: ignore[union-attr]
            raise ValueError("UDAP_KEY: it is not the private key of the first certificate in UDAP_CERT")
        bases = [f"{settings.base_url}/r{version}/fhir" for version in GUIDES]
        community = cls(Authorities(anchors, Outbound(lenient=settings.development, signed=True)), chain, key)
        if not any(map(community.answers_for, bases)):
            raise ValueError(f"UDAP_CERT: it is made out to none of {', '.join(bases)}, as URI")
        return community

    def answers_for(self, base: str) -> bool:
        """Whether its certificate is made out to this FHIR base; what is not, has no UDAP."""
        return base in self._named

    def stated(self, base: str, claims: dict[str, Any], now: dt.datetime) -> str:
        """`signed_metadata` of a FHIR base."""
        said = {
            "iss": base,
            "sub": base,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": secrets.token_urlsafe(16),
            **claims,
        }
        return jwt.encode({"alg": "RS256", "x5c": self._chain}, said, self._key, algorithms=["RS256"])

    async def proved(self, token: signed.Token, uri: str, audience: str, now: dt.datetime) -> signed.Proof:
        """Raises signed.Refused unless whoever has a certificate made out to this URI signed the token, now,
        for this audience."""
        algorithm = token.header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise signed.Refused(f"its alg must be one of {', '.join(ALGORITHMS)}")
        proof = signed.claims_hold(token.claims, [audience], now)
        signed.says_when(token)
        try:
            owner = await self.authorities.owner(token.header.get("x5c"), now)
        except Untrusted as untrusted:
            raise signed.Refused(str(untrusted)) from None
        if not uri or uri not in certificates.uris(owner):
            raise signed.Refused("its certificate is made out to another URI")
        signed.signature_holds(token, _key_of(owner, algorithm), algorithm)
        return proof


def _read(setting: str, path: Path) -> list[x509.Certificate]:
    try:
        return certificates.read_pem(path)
    except (OSError, ValueError):
        raise ValueError(f"{setting}: a PEM file of certificates is needed") from None


def _key_of(certificate: x509.Certificate, algorithm: str) -> Key:
    pem = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        return ALGORITHMS[algorithm](pem)
    except (JoseError, ValueError, TypeError):
        raise signed.Refused("the key of its certificate does not fit its alg") from None


class _Request(BaseModel):
    """The body of a registration; certifications are none that this server knows."""

    software_statement: str
    udap: Literal["1"]


_BODY: Final = {"required": True, "content": {"application/json": {"schema": _Request.model_json_schema()}}}


class SoftwareStatement(BaseModel):
    """What a client says of itself, of the claims those that are looked at."""

    client_name: str = Field(min_length=1, max_length=255)
    contacts: tuple[str, ...] = Field(min_length=1)
    grant_types: tuple[Literal["client_credentials"], ...] = Field(min_length=1, max_length=1)
    token_endpoint_auth_method: Literal["private_key_jwt"] | tuple[Literal["private_key_jwt"]]
    """One word; HL7's own provider client writes a list of it."""

    scope: str = Field(min_length=1)

    @field_validator("contacts")
    @classmethod
    def _written_to(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not any(each.startswith("mailto:") for each in value):
            raise ValueError("has no mailto address")
        return value


_Words = tuple[Annotated[str, Field(min_length=1, max_length=255)], ...]


class Business(BaseModel):
    """The authorization extension object `hl7-b2b`: for whom a token is asked, and what for."""

    version: Literal["1"]
    organization_id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$", max_length=255)
    purpose_of_use: _Words = Field(min_length=1, max_length=20)


def business(token: signed.Token) -> Business:
    """Raises OAuthError where a client assertion does not say for whom and what for."""
    extensions = token.claims.get("extensions")
    said = extensions.get("hl7-b2b") if isinstance(extensions, dict) else None
    try:
        return Business.model_validate(said)
    except ValidationError as error:
        raise OAuthError("invalid_grant", f"extensions.hl7-b2b{_fault(error)}") from None


def _fault(error: ValidationError) -> str:
    fault = error.errors(include_input=False)[0]
    return "".join(f".{step}" for step in fault["loc"]) + f": {fault['msg'].removeprefix('Value error, ')}"


def router(admission: Admission, community: Community) -> APIRouter:
    routes = APIRouter(tags=["authorization"])
    base_url = admission.settings.base_url
    endpoints = {
        "token_endpoint": f"{base_url}/auth/token",
        "registration_endpoint": f"{base_url}/auth/register",
    }

    def describe(base: str) -> None:
        def described() -> JsonResponse:
            """One community is served, whichever `community` a client asks for."""
            stated = community.stated(base, endpoints, admission.clock())
            body = {**metadata(endpoints), "signed_metadata": stated}
            return JsonResponse(body, headers={"Cache-Control": "public, max-age=3600"})

        path = f"{base.removeprefix(base_url)}/.well-known/udap"
        routes.add_api_route(path, described, summary="How to register and get a token with a certificate")

    for version in GUIDES:
        if community.answers_for(base := f"{base_url}/r{version}/fhir"):
            describe(base)

    @routes.post(
        "/auth/register",
        summary="Register with a software statement",
        status_code=201,
        openapi_extra={"requestBody": _BODY},
    )
    async def register(request: Request) -> JsonResponse:
        """For a client whose certificate is made out to a URI that the payer knows. It may come again."""
        try:
            registered = await _registered(request)
        except OAuthError as error:
            admission.failed(request)
            return error.answer("not registered")
        structlog.get_logger().info("registered", client=registered["client_id"])
        return JsonResponse(registered, status_code=201, headers=FRESH)

    async def _registered(request: Request) -> dict[str, Any]:
        statement = await _statement(request)
        try:
            sent = signed.read(statement)
            if sent.claims.get("sub") != sent.issuer:
                raise signed.Refused("its sub must be its iss")
            here = endpoints["registration_endpoint"]
            proof = await community.proved(sent, sent.issuer, here, admission.clock())
            client = admission.registry.by_uri(sent.issuer)
            if client is None:
                words = "This URI is not among the clients of this payer. Ask its operators to add it."
                raise OAuthError("unapproved_software_statement", words)
            admission.paced(client.id)
            await admission.spend(sent.issuer, proof)
        except signed.Refused as refused:
            words = f"The software statement is not valid: {refused}."
            raise OAuthError("invalid_software_statement", words) from None
        try:
            said = SoftwareStatement.model_validate(sent.claims)
        except ValidationError as error:
            raise OAuthError("invalid_client_metadata", f"software_statement{_fault(error)}") from None
        granted = Scopes.of(said.scope).within(client.granted)
        if not granted.words:
            words = "The client is registered for none of these scopes."
            raise OAuthError("invalid_client_metadata", words)
        return {
            "client_id": client.id,
            "software_statement": statement,
            **said.model_dump(exclude={"scope"}),
            "scope": str(granted),
        }

    return routes


async def _statement(request: Request) -> str:
    sent = await read_limited(request, MAX_BYTES)
    try:
        body = json.decode_object(sent)
        return _Request.model_validate(body).software_statement
    except FhirError:
        raise OAuthError("invalid_client_metadata", "The body is no JSON object.") from None
    except ValidationError as error:
        raise OAuthError("invalid_client_metadata", f"body{_fault(error)}") from None


def metadata(endpoints: dict[str, str]) -> dict[str, Any]:
    """`.well-known/udap` without its signature."""
    algorithms = list(ALGORITHMS)
    return {
        "udap_versions_supported": ["1"],
        "udap_profiles_supported": ["udap_dcr", "udap_authn", "udap_authz"],
        "udap_authorization_extensions_supported": ["hl7-b2b"],
        "udap_authorization_extensions_required": ["hl7-b2b"],
        "udap_certifications_supported": [],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": list(SUPPORTED),
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "registration_endpoint_jwt_signing_alg_values_supported": algorithms,
        **endpoints,
    }
