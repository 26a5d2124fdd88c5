"""Clients that sign, for tests: a key each, and a key server on loopback that can rotate.

ehr = Signer("harbour")
ehr.assertion(aud="https://payer.test/auth/token", now=NOW)
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from server.fhir import json
from tests.loopback import Handler, Loopback

Claims = dict[str, Any]


class Signer:
    """Signs as `issuer` with ES384, or RS384 where told."""

    def __init__(self, issuer: str, algorithm: str = "ES384", kid: str = "k1") -> None:
        self.issuer, self.algorithm, self.kid = issuer, algorithm, kid
        self.key: ECKey | RSAKey = (
            ECKey.generate_key("P-384") if algorithm == "ES384" else RSAKey.generate_key(2048)
        )

    @property
    def jwk(self) -> Claims:
        return {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": self.algorithm}

    @property
    def jwks(self) -> Claims:
        return {"keys": [self.jwk]}

    def claims(self, aud: Any, now: dt.datetime, **changes: Any) -> Claims:
        said = {
            "iss": self.issuer,
            "sub": self.issuer,
            "aud": aud,
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp()) + 240,
            "jti": uuid4().hex,
        }
        return {name: value for name, value in {**said, **changes}.items() if value is not None}

    def sign(self, claims: Claims, **header: Any) -> str:
        told = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **header}
        told = {name: value for name, value in told.items() if value is not None}
        taken = JWSRegistry(algorithms=[self.algorithm], strict_check_header=False)
        return jwt.encode(told, claims, self.key, registry=taken)

    def assertion(self, aud: Any, now: dt.datetime, **changes: Any) -> str:
        return self.sign(self.claims(aud, now, **changes))


class KeyServer(Loopback):
    """Serves whatever `keys` is, a key set or bytes, and counts how often it was asked, last for `media`.
    `status` may be another; `control` is its Cache-Control, if any."""

    def __init__(self, keys: Claims | bytes, control: str = "") -> None:
        self.keys, self.control, self.status, self.asked, self.media = keys, control, 200, 0, ""
        owner = self

        class Answering(Handler):
            def do_GET(self) -> None:
                owner.asked += 1
                owner.media = self.headers["Accept"]
                body = owner.keys if isinstance(owner.keys, bytes) else json.encode(owner.keys)
                self.send_response(owner.status)
                if owner.control:
                    self.send_header("Cache-Control", owner.control)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Answering)

    @property
    def url(self) -> str:
        return f"{self.address}/jwks.json"
