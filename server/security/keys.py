"""Public keys of clients: inline, or fetched from the registered address and kept for a while.

A key that is not in the kept set is looked for once more, so a client rotates by publishing the new key
first; a key that was taken away is refused after `MAX_AGE`. Addresses come from the registration alone,
never from a token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog
from anyio import Lock
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from server.fhir import json
from server.fhir.elements import elements
from server.fhir.errors import FhirError
from server.security.outbound import Outbound, Refused, why

Key = RSAKey | ECKey

MAX_AGE = 300.0
"""Seconds after which a key set is fetched again."""

STALE = 3600.0
"""Seconds for which a kept set still serves while its address does not answer."""

PAUSE = 5.0
"""Seconds between two looks at the same address, whatever is asked for."""

TIMEOUT = 5.0
MAX_BYTES = 256_000

FITTING = {"RS384": "RSA", "ES384": "EC"}
"""Key type by algorithm; no other algorithm is taken."""


def public_keys(key_set: Mapping[str, Any]) -> dict[str, Key]:
    """The usable keys of a JWK set by kid: public, for signing, RSA of 2048 bits or more, or EC on P-384."""
    found: dict[str, Key] = {}
    for entry in elements(key_set, "keys"):
        if isinstance(entry.get("kid"), str) and (key := _public(entry)):
            found[entry["kid"]] = key
    return found


def _public(entry: dict[str, Any]) -> Key | None:
    operations = entry.get("key_ops")
    signs = entry.get("use", "sig") == "sig" and (not isinstance(operations, list) or "verify" in operations)
    if not signs or "d" in entry:
        return None
    try:
        if entry.get("kty") == "RSA":
            key = RSAKey.import_key(entry)
            return key if key.raw_value.key_size >= 2048 else None
        if entry.get("kty") == "EC" and entry.get("crv") == "P-384":
            return ECKey.import_key(entry)
    except (JoseError, ValueError, TypeError):
        return None
    return None


@dataclass(slots=True)
class _Kept:
    """What an address gave last, when, and when it was last asked; nothing yet, and never."""

    keys: dict[str, Key] = field(default_factory=dict)
    fetched: float = -inf
    looked: float = -inf
    looking: Lock = field(default_factory=Lock)


class KeyRing:
    """Key sets by address."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._kept: dict[str, _Kept] = {}

    async def key(self, jwks_uri: str, jwks: Mapping[str, Any] | None, kid: str) -> Key | None:
        """The client's key of that name; None where it has none, or its address does not tell."""
        if jwks is not None:
            return public_keys(jwks).get(kid)
        kept = self._kept.setdefault(jwks_uri, _Kept())
        async with kept.looking:
            now = time.monotonic()
            wanted = now - kept.fetched > MAX_AGE or kid not in kept.keys
            if wanted and now - kept.looked > PAUSE:
                await self._look(jwks_uri, kept)
            return None if now - kept.fetched > STALE else kept.keys.get(kid)

    async def _look(self, jwks_uri: str, kept: _Kept) -> None:
        """The pause begins when it is over: whoever waited meanwhile does not wait again for an address that
        hangs."""
        try:
            kept.keys, kept.fetched = public_keys(await self._fetched(jwks_uri)), time.monotonic()
        except (httpx.HTTPError, httpx.InvalidURL, FhirError, OSError, TimeoutError) as error:
            structlog.get_logger().warning(
                "key set not had", host=urlsplit(jwks_uri).hostname, why=why(error)
            )
        kept.looked = time.monotonic()

    async def _fetched(self, jwks_uri: str) -> dict[str, Any]:
        client = httpx.AsyncClient(
            transport=self._outbound.transport(), timeout=TIMEOUT, follow_redirects=False
        )
        async with asyncio.timeout(TIMEOUT), client as http, http.stream("GET", jwks_uri) as answer:
            if answer.status_code != 200:
                raise Refused(f"it answers with status {answer.status_code}")
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_BYTES:
                    raise Refused("it is too large")
        return json.decode_object(bytes(body))
