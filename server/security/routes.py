"""How a client gets a token, and how it learns where: SMART Backend Services.

GET  /{version}/fhir/.well-known/smart-configuration
POST /auth/token          client_credentials with a signed client assertion (private_key_jwt)
POST /auth/introspect     for the payer's operators (RFC 7662)

With `udap=1` the assertion is signed by a certificate, as `server.security.udap` has it.
"""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any
from urllib.parse import parse_qs

import structlog
from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from server.fhir.requests import FORM, is_form, read_limited
from server.fhir.responses import JsonResponse
from server.security import signed
from server.security.admission import Admission
from server.security.clients import Client
from server.security.keys import FITTING
from server.security.oauth import FRESH, MAX_BYTES, OAuthError
from server.security.scopes import OPERATE, SUPPORTED, Scopes
from server.security.udap import Community, business
from server.services import GUIDES
from server.store import access

LIFETIME = dt.timedelta(seconds=300)
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def smart_configuration(base_url: str) -> dict[str, Any]:
    """`.well-known/smart-configuration` (SMART App Launch 2) of each FHIR base."""
    return {
        "token_endpoint": f"{base_url}/auth/token",
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(FITTING),
        "grant_types_supported": ["client_credentials"],
        # Required of every server, though only those that launch apps have a use for it.
        "code_challenge_methods_supported": ["S256"],
        "introspection_endpoint": f"{base_url}/auth/introspect",
        "scopes_supported": list(SUPPORTED),
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }


def router(admission: Admission, community: Community | None) -> APIRouter:
    routes = APIRouter(tags=["authorization"])
    base_url = admission.settings.base_url
    token_endpoint = f"{base_url}/auth/token"
    configuration = smart_configuration(base_url)

    def configured() -> JsonResponse:
        return JsonResponse(configuration, headers={"Cache-Control": "public, max-age=3600"})

    for version in GUIDES:
        path = f"/r{version}/fhir/.well-known/smart-configuration"
        routes.add_api_route(path, configured, summary="How to get a token")

    @routes.post("/auth/token", summary="Get an access token")
    async def token(request: Request) -> JsonResponse:
        """For a client that signs an assertion with its key."""
        try:
            form = await _form(request)
            client = await proven_client(form)
            admission.paced(client.id)
            granted = _granted(form, client)
            fresh = await run_in_threadpool(issue, client, granted)
        except OAuthError as error:
            admission.failed(request)
            return error.answer("no token issued")
        structlog.get_logger().info("token issued", client=client.id)
        body = {
            "access_token": fresh,
            "token_type": "bearer",
            "expires_in": int(LIFETIME.total_seconds()),
            "scope": str(granted),
        }
        return JsonResponse(body, headers=FRESH)

    async def proven_client(form: dict[str, str]) -> Client:
        if form.get("grant_type") != "client_credentials":
            raise OAuthError("unsupported_grant_type", "The grant_type must be client_credentials.")
        if form.get("client_assertion_type") != ASSERTION:
            raise OAuthError("invalid_request", f"The client_assertion_type must be {ASSERTION}.")
        try:
            sent = signed.read(form.get("client_assertion", ""))
            client = admission.registry.by_id(sent.issuer)
            if client is None or client.token_sha256 or sent.claims.get("sub") != client.id:
                raise signed.Refused("its iss and sub must both be the id of a registered client")
            if form.get("udap") == "1":
                proof = await by_certificate(sent, client)
            elif not client.keyed:
                raise signed.Refused("the client has no key set here, it proves itself with udap=1 and x5c")
            else:
                # SMART: an address that was not registered is no proof, whatever the signature.
                signed.names_registered_keys(sent, client)
                proof = await signed.proved(sent, client, admission.keys, [token_endpoint], admission.clock())
            await admission.spend(sent.issuer, proof)
        except signed.Refused as refused:
            raise OAuthError("invalid_client", f"The client assertion is not valid: {refused}.") from None
        return client

    async def by_certificate(sent: signed.Token, client: Client) -> signed.Proof:
        if community is None or not client.udap:
            raise signed.Refused("the client has no certificate here, it proves itself without udap")
        proof = await community.proved(sent, client.udap, token_endpoint, admission.clock())
        asked = business(sent)
        structlog.get_logger().info(
            "proved by certificate",
            client=client.id,
            organization=asked.organization_id,
            purposes=asked.purpose_of_use,
        )
        return proof

    def issue(client: Client, granted: Scopes) -> str:
        fresh, now = secrets.token_urlsafe(32), admission.clock()
        with admission.store.transaction() as tx:
            access.issue(tx, fresh, client.id, str(granted), now, now + LIFETIME)
        return fresh

    @routes.post(
        "/auth/introspect",
        summary="What a token is good for",
        dependencies=[Depends(admission.holding(OPERATE))],
    )
    async def introspect(request: Request) -> JsonResponse:
        """For operators: whose a token is, and for what."""
        try:
            form = await _form(request)
        except OAuthError as error:
            return error.answer("no token issued")
        found = await run_in_threadpool(admission.issued, form.get("token", ""))
        client = admission.registry.by_id(found.client) if found is not None else None
        if found is None or client is None:
            return JsonResponse({"active": False}, headers=FRESH)
        body = {
            "active": True,
            "client_id": found.client,
            "sub": found.client,
            "scope": str(Scopes.of(found.scopes).within(client.granted)),
            "token_type": "bearer",
            "iat": int(found.issued.timestamp()),
            "exp": int(found.expires.timestamp()),
        }
        return JsonResponse(body, headers=FRESH)

    return routes


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form. A field that comes twice is refused, as OAuth has it."""
    if not is_form(request):
        raise OAuthError("invalid_request", f"Send the fields as {FORM}.")
    body = await read_limited(request, MAX_BYTES)
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=20, strict_parsing=True)
    except ValueError:
        raise OAuthError("invalid_request", "The body is no form.") from None
    if any(len(values) > 1 for values in fields.values()):
        raise OAuthError("invalid_request", "A field comes twice.")
    return {name: values[0] for name, values in fields.items()}


def _granted(form: dict[str, str], client: Client) -> Scopes:
    """What was asked for, as far as the client is registered for it; all of that where nothing was asked."""
    asked = Scopes.of(form.get("scope", "")) if form.get("scope", "").strip() else client.granted
    granted = asked.within(client.granted)
    if not granted.words:
        raise OAuthError("invalid_scope", "The client is registered for none of these scopes.")
    return granted
