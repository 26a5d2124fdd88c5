"""JWTs that clients sign: client assertions and the tokens of CDS Hooks calls.

The signature is checked with a key of the registration, for RS384 and ES384 only, or with that of a
certificate (`server.security.udap`). `Refused` says in words
for the client's developer what is wrong; it never quotes the token.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from server.fhir import json
from server.fhir.errors import FhirError
from server.security.clients import Client
from server.security.keys import FITTING, Key, KeyRing

SKEW = dt.timedelta(seconds=30)
LONGEST = dt.timedelta(minutes=5)
"""SMART: `exp` lies no more than five minutes ahead."""

MAX_LENGTH = 16_000
MAX_JTI = 255


class _WithChain(jws.JWSRegistry):
    """Certificates may stand in a header."""

    max_header_length = MAX_LENGTH


class Refused(Exception):
    """A token that proves nothing. The text goes to the caller."""


@dataclass(frozen=True, slots=True)
class Token:
    """A JWT as read, nothing of it proved yet."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str:
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a checked token leaves to remember: its `jti` until it has expired."""

    jti: str
    expires: dt.datetime


def read(text: str) -> Token:
    """Raises Refused for what is no signed JWT."""
    parts = text.split(".")
    if len(parts) != 3 or len(text) > MAX_LENGTH:
        raise Refused("it is not a signed JWT")
    try:
        header, claims = (json.decode_object(_decoded(part)) for part in parts[:2])
    except (FhirError, ValueError, binascii.Error):
        raise Refused("it is not a signed JWT") from None
    return Token(text, header, claims)


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


async def proved(
    token: Token, client: Client, keys: KeyRing, audiences: Iterable[str], now: dt.datetime
) -> Proof:
    """Raises Refused unless the client signed this token, now, for one of these audiences.

    Where the client's keys are in the file, the address that the token names is looked at by nobody."""
    algorithm, kid = token.header.get("alg"), token.header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in FITTING:
        raise Refused(f"its alg must be {' or '.join(FITTING)}")
    if not isinstance(kid, str) or not kid:
        raise Refused("its header names no kid")
    if client.jwks is None:
        names_registered_keys(token, client)
    proof = claims_hold(token.claims, list(audiences), now)
    key = await keys.key(client.jwks_uri, client.jwks, kid)
    if key is None:
        raise Refused("its kid names no key of the client, or the client's keys could not be had")
    if key.key_type != FITTING[algorithm]:
        raise Refused("its key does not fit its alg")
    signature_holds(token, key, algorithm)
    return proof


def signature_holds(token: Token, key: Key, algorithm: str) -> None:
    """Raises Refused unless this key signed it."""
    try:
        registry = _WithChain(algorithms=[algorithm], strict_check_header=False)
        jws.deserialize_compact(token.text, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        raise Refused("its signature does not hold") from None


def names_registered_keys(token: Token, client: Client) -> None:
    """Raises Refused where the token says that its keys are elsewhere than the client registered."""
    if "jku" in token.header and token.header["jku"] != client.jwks_uri:
        raise Refused("its jku is not the registered address of the client's keys")


def says_when(token: Token) -> None:
    """Raises Refused for a token that does not say when it was made, which SMART alone leaves open."""
    if token.claims.get("iat") is None:
        raise Refused("it has no iat")


def claims_hold(claims: Mapping[str, Any], audiences: list[str], now: dt.datetime) -> Proof:
    """Raises Refused unless it is for one of these audiences, at this time."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    wanted = {each.rstrip("/") for each in audiences}
    if not any(isinstance(each, str) and each.rstrip("/") in wanted for each in named):
        raise Refused(f"its aud must be {audiences[0]}")
    expires, issued = _moment(claims, "exp"), _moment(claims, "iat")
    if expires is None:
        raise Refused("it has no exp")
    if expires <= now - SKEW:
        raise Refused("it has expired")
    if expires > now + LONGEST + SKEW:
        raise Refused("its exp lies more than five minutes ahead")
    begins = [moment for moment in (issued, _moment(claims, "nbf")) if moment is not None]
    if any(moment > now + SKEW for moment in begins):
        raise Refused("it is not valid yet")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise Refused(f"its jti must be a string of at most {MAX_JTI} characters")
    return Proof(jti, expires + SKEW)


def _moment(claims: Mapping[str, Any], name: str) -> dt.datetime | None:
    seconds = claims.get(name)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal):
        raise Refused(f"its {name} is not a number of seconds")
    try:
        return dt.datetime.fromtimestamp(float(seconds), dt.UTC)
    except (OverflowError, OSError, ValueError):
        raise Refused(f"its {name} is not a moment") from None
