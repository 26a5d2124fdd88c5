"""The registered clients: a JSON file, read again when it changes.

    [{"id": "harbour-ehr", "name": "Harbour Orthopaedics",
      "organizations": ["http://hl7.org/fhir/sid/us-npi|1992999999"],
      "scopes": ["system/Claim.cruds", "system/Questionnaire.rs"],
      "endpoints": ["https://ehr.example/notifications"],
      "jwks_uri": "https://ehr.example/jwks.json",
      "cds_issuer": "https://ehr.example",
      "fhir_servers": ["https://ehr.example/fhir"]},
     {"id": "prometheus", "scopes": ["payer/operate"], "token_sha256": "5e88…"}]

Notifications go to the `endpoints` of a client only, and to what lies below them; what its CDS Hooks calls do
not bring is read from its `fhir_servers` only. A client proves itself with a key of its key set (`jwks_uri`,
or `jwks` in the file), with a certificate of a trust community that is made out to its URI (`udap`), or with
either. Programs of the payer's own that cannot sign may have a long-lived token; the file holds its digest
only, and it opens nothing of a FHIR base. A file that cannot be read any more leaves the clients as they
were, and the log says so.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import structlog
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from server.security.caller import Caller
from server.security.keys import public_keys
from server.security.outbound import Outbound, Refused
from server.security.scopes import OWN, Need, Scopes, known


class Client(BaseModel):
    """One registration. Unknown members are refused: a misspelt one would look like a lock."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: str = Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")
    name: str = ""
    organizations: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks: dict[str, Any] | None = None
    udap: str = Field("", pattern=r"^([A-Za-z][A-Za-z0-9+.-]*:\S+)?$")
    cds_issuer: str = ""
    endpoints: tuple[str, ...] = ()
    fhir_servers: tuple[str, ...] = ()
    token_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    rate: int | None = Field(None, ge=1)

    @field_validator("scopes", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return value.split() if isinstance(value, str) else value

    @field_validator("scopes")
    @classmethod
    def _known_scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if strange := [word for word in value if not known(word)]:
            raise ValueError(f"has scopes this server does not know: {', '.join(strange)}")
        return value

    @field_validator("organizations")
    @classmethod
    def _identifiers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("|" not in one for one in value):
            raise ValueError("must be identifiers written system|value")
        return value

    @field_validator("jwks_uri", "endpoints", "fhir_servers")
    @classmethod
    def _addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in filter(None, (value,) if isinstance(value, str) else value):
            try:
                Outbound(lenient=True).check_url(address)
            except (Refused, ValueError) as refused:
                raise ValueError(f"{address!r}: {refused}") from None
        return value

    @field_validator("jwks")
    @classmethod
    def _keys(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None and not public_keys(value):
            raise ValueError("has no public RSA (2048 bits or more) or P-384 key with a kid")
        return value

    @model_validator(mode="after")
    def _one_proof(self) -> Client:
        proofs = sum((self.keyed, bool(self.udap), bool(self.token_sha256)))
        if not proofs or (self.jwks_uri and self.jwks is not None) or (self.token_sha256 and proofs > 1):
            raise ValueError(
                "needs one of jwks_uri, jwks and token_sha256, or udap, alone or beside its keys"
            )
        if self.cds_issuer and not self.keyed:
            raise ValueError(
                "has a cds_issuer and needs jwks_uri or jwks: CDS Hooks calls are signed with these"
            )
        if self.token_sha256 and not set(self.scopes) <= OWN:
            raise ValueError(f"has a token_sha256 and may have no scopes but {', '.join(sorted(OWN))}")
        return self

    @property
    def keyed(self) -> bool:
        """Whether it has a key set."""
        return bool(self.jwks_uri) or self.jwks is not None

    @property
    def granted(self) -> Scopes:
        return Scopes.of(self.scopes)


_CLIENTS = TypeAdapter(tuple[Client, ...])


class Registry:
    """The clients of a file; none without one. `lenient`: what nobody in particular sent is everybody's, and
    is told wherever it was asked to be (development only). Shared by threads."""

    def __init__(self, path: Path | None, *, lenient: bool) -> None:
        self._path = path
        self._anybody = frozenset({""}) if lenient else frozenset[str]()
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._clients: dict[str, Client] = {}
        if path is not None:
            self._stamp = _stamp(path)
            self._clients = read(path)

    def by_id(self, client_id: str) -> Client | None:
        return self._current().get(client_id)

    def by_issuer(self, issuer: str) -> Client | None:
        """The client whose CDS Hooks calls come under this `iss`."""
        return next((each for each in self._current().values() if issuer and each.cds_issuer == issuer), None)

    def by_uri(self, uri: str) -> Client | None:
        """The client to whose URI the certificates of its trust community are made out."""
        return next((each for each in self._current().values() if uri and each.udap == uri), None)

    def by_token(self, token: str) -> Client | None:
        """The client of a long-lived token. Digests are compared: timing tells nothing about the token."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        return next((each for each in self._current().values() if each.token_sha256 == digest), None)

    def organizations(self, client_id: str) -> tuple[str, ...]:
        """Whom a client speaks for, `system|value` each; nobody where it is not registered."""
        client = self.by_id(client_id)
        return client.organizations if client is not None else ()

    def reaches(self, client_id: str, url: str) -> bool:
        """Whether what a client is owed may go to this address: both are registered now, and the client for
        subscriptions, whatever was when it was promised."""
        client = self.by_id(client_id)
        if client is None:
            return client_id in self._anybody
        subscribes = client.granted.allow(*(Need("Subscription", letter) for letter in "cu"))
        return subscribes and self.caller(client, client.granted).reached_at(url)

    def keeps_charts_at(self, base: str) -> bool:
        """Whether a FHIR base is one of a client's, whichever; every one is where no client names any."""
        named = {each.rstrip("/") for client in self._current().values() for each in client.fhir_servers}
        return not named or base.rstrip("/") in named

    def caller(self, client: Client, scopes: Scopes) -> Caller:
        mine = frozenset(client.organizations)
        kin = {each.id for each in self._current().values() if mine.intersection(each.organizations)}
        own = self._anybody | {client.id, *kin}
        bases = frozenset(base.rstrip("/") for base in client.fhir_servers)
        return Caller(client.id, mine, own, scopes.within(client.granted), client.endpoints, bases)

    def _current(self) -> dict[str, Client]:
        if self._path is None:
            return self._clients
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                with self._lock:
                    self._stamp = stamp
                    self._clients = read(self._path)
                    structlog.get_logger().info("clients read again", clients=len(self._clients))
        except (OSError, ValueError) as error:
            structlog.get_logger().error(
                "clients file unreadable, the clients stay as they were", exc_info=error
            )
        return self._clients


def read(path: Path) -> dict[str, Client]:
    """The clients by id. Raises OSError, and ValueError with a message that says which client and why."""
    try:
        clients = _CLIENTS.validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        place = ".".join(str(step) for step in fault["loc"]) or "the file"
        raise ValueError(f"CLIENTS_FILE: {place}: {fault['msg'].removeprefix('Value error, ')}") from None
    for name in ("id", "udap", "cds_issuer", "token_sha256"):
        given = [getattr(client, name) for client in clients if getattr(client, name)]
        if len(given) != len(set(given)):
            raise ValueError(f"CLIENTS_FILE: two clients have the same {name}")
    return {client.id: client for client in clients}


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
