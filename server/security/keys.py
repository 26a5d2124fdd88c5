"""Public keys of clients: inline, or fetched from the registered address and kept for a while.

A key that is not in the kept set is looked for once more, so a client rotates by publishing the new key
first; a key that was taken away is refused after `MAX_AGE`. Addresses come from the registration alone,
never from a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from server.fhir import json
from server.fhir.elements import elements
from server.security.kept import Kept
from server.security.outbound import Outbound

Key = RSAKey | ECKey

MAX_AGE = 300.0
"""Seconds after which a key set is fetched again."""

STALE = 3600.0
"""Seconds for which a kept set still serves while its address does not answer."""

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


class KeyRing:
    """Key sets by address."""

    def __init__(self, outbound: Outbound) -> None:
        # SMART: it is asked for as JSON, and SHALL NOT be kept for longer than its Cache-Control says.
        self._sets = Kept(
            "key set", outbound, _read, MAX_AGE, STALE, MAX_BYTES, heeds=True, media="application/json"
        )

    async def key(self, jwks_uri: str, jwks: Mapping[str, Any] | None, kid: str) -> Key | None:
        """The client's key of that name; None where it has none, or its address does not tell."""
        known = (
            public_keys(jwks) if jwks is not None else await self._sets.at(jwks_uri, lambda keys: kid in keys)
        )
        return known.get(kid) if known is not None else None


def _read(body: bytes) -> dict[str, Key]:
    return public_keys(json.decode_object(body))
