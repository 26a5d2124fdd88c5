"""The door-keeper: who makes a request, and whether they may make it.

    routes.include_router(door, dependencies=[Depends(services.admission.fhir)])

FHIR routes take the access tokens of the token endpoint, CDS Hooks routes the JWTs that the client signs for
each call. What nobody said a scope for is not open (`scopes.needs`). In development a token is optional
and static ones are valid; one that does not hold is refused there too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from secrets import compare_digest
from typing import Any, TypeVar

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from server.fhir.errors import Forbidden, Unauthorized
from server.security import signed
from server.security.caller import NOBODY, Caller, admit
from server.security.clients import Registry
from server.security.keys import KeyRing
from server.security.limits import Rates
from server.security.outbound import Outbound
from server.security.scopes import Scopes, needs
from server.settings import Settings
from server.store import Store, access
from server.store.tables import AccessToken

T = TypeVar("T")
Dependency = Callable[[Request], Coroutine[Any, Any, None]]


def only_after(check: Dependency) -> type[APIRoute]:
    """The kind of route that asks `check` before anything is read: FastAPI reads and decodes the body that a
    handler declares before any dependency, so whoever came would be listened to first."""

    class Checked(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            answer = super().get_route_handler()

            async def checked(request: Request) -> Response:
                await check(request)
                return await answer(request)

            return checked

    return Checked


class Admission:
    """One for the whole server; `dependencies` of routes are its bound methods."""

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], dt.datetime]) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        self.registry = Registry(settings.clients_file, lenient=settings.development)
        self.keys = KeyRing(Outbound.of(settings))
        self.rates = Rates()
        self._thread = CapacityLimiter(1)

    async def fhir(self, request: Request) -> None:
        """Raises Unauthorized without a valid token, Forbidden where its scopes do not suffice."""
        wanted = needs(request.method, below_base(_path(request)))
        if not wanted:
            return
        caller = await self._bearer(request)
        self._admit(request, caller)
        if caller is not NOBODY and not caller.scopes.allow(*wanted):
            raise _insufficient(map(str, wanted))

    def holding(self, *scopes: str) -> Dependency:
        """Only for callers with one of these scopes of the payer's own."""

        async def holding(request: Request) -> None:
            caller = await self._bearer(request)
            self._admit(request, caller)
            if caller is not NOBODY and caller.scopes.words.isdisjoint(scopes):
                raise _insufficient(scopes)

        return holding

    async def identified(self, request: Request) -> None:
        """For any client; what it sees is the route's affair."""
        self._admit(request, await self._bearer(request))

    async def cds(self, request: Request) -> None:
        """CDS Hooks: discovery is open; a call carries a JWT of a registered client where CDS_JWT is on.

        Where it is off, the JWT of a client that nobody registered says nothing and is passed over; one of a
        registered client must hold."""
        self._admit(request, NOBODY)  # until a token says who it is
        if request.method == "GET":
            return
        token = bearer(request)
        required = self.settings.cds_jwt == "on"
        if not token and not required:
            return
        if not token:
            self.failed(request)
            raise Unauthorized("The call carries no token. Send Authorization: Bearer with a JWT you signed.")
        if not required and self._static(token):
            return
        try:
            sent = signed.read(token)
            client = self.registry.by_issuer(sent.issuer)
            if client is None and not required:
                return
            if client is None:
                raise signed.Refused("its iss is not that of a registered client")
            signed.says_when(sent)
            called = self.settings.base_url + _path(request)
            proof = await signed.proved(sent, client, self.keys, [called], self.clock())
            await self.spend(sent.issuer, proof)
        except signed.Refused as refused:
            self.failed(request)
            structlog.get_logger().warning("token refused", door="crd", why=str(refused))
            raise _invalid(f"The token is not valid: {refused}.") from None
        self._admit(request, self.registry.caller(client, client.granted))

    def failed(self, request: Request) -> None:
        """Counts against the address of a request that proves nothing. Raises TooManyRequests."""
        if not self.settings.development:
            self.rates.take(f"address {_address(request)}", self.settings.rate_limit)

    def paced(self, client: str) -> None:
        """Counts a request of a client. Raises TooManyRequests."""
        registered = self.registry.by_id(client)
        a_minute = registered.rate if registered is not None else None
        self.rates.take(f"client {client}", a_minute or self.settings.rate_limit)

    async def spend(self, issuer: str, proof: signed.Proof) -> None:
        """Raises signed.Refused where a token of that issuer with its `jti` was used before."""

        def spend() -> bool:
            with self.store.transaction() as tx:
                return access.use(tx, issuer, proof.jti, proof.expires, self.clock())

        if not await self._apart(spend):
            raise signed.Refused("its jti was used before")

    async def _apart(self, look: Callable[[], T]) -> T:
        """In a thread of its own: who is at the door need not wait for those being judged, and once more for
        them when let in."""
        return await to_thread.run_sync(look, limiter=self._thread)

    async def _bearer(self, request: Request) -> Caller:
        token = bearer(request)
        if not token:
            if self.settings.development:
                return NOBODY
            self.failed(request)
            raise Unauthorized(
                "Say who you are: send Authorization: Bearer with a token of the token endpoint."
            )
        if self._static(token):
            return NOBODY
        caller = await self._holder(token)
        if caller is None:
            self.failed(request)
            structlog.get_logger().warning("token refused", why="unknown or expired")
            raise _invalid("The token is unknown or has expired. Get another at the token endpoint.")
        return caller

    async def _holder(self, token: str) -> Caller | None:
        operator = self.registry.by_token(token)
        if operator is not None:
            return self.registry.caller(operator, operator.granted)
        found = await self._apart(partial(self.issued, token))
        client = self.registry.by_id(found.client) if found is not None else None
        if found is None or client is None:
            return None
        return self.registry.caller(client, Scopes.of(found.scopes))

    def issued(self, token: str) -> AccessToken | None:
        """The record of a token that still holds."""
        with self.store.reading() as tx:
            return access.by_token(tx, token, self.clock())

    def _static(self, token: str) -> bool:
        return any(compare_digest(token.encode(), known.encode()) for known in self.settings.static_tokens)

    def _admit(self, request: Request, caller: Caller) -> None:
        """From here on it is known who calls, to the trail as well, whatever they may do."""
        if caller.client:
            self.paced(caller.client)
        request.state.client = caller.client
        admit(caller)


def bearer(request: Request) -> str:
    """The bearer token of a request, empty without one. Raises Unauthorized for another scheme."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme and scheme.lower() != "bearer":
        raise Unauthorized("This server takes bearer tokens only. Send Authorization: Bearer.")
    if scheme and not token.strip():
        raise _invalid("The Authorization header has no token. Send one, or leave the header out.")
    return token.strip()


def _path(request: Request) -> str:
    """The one that is routed. What is put together as a URL begins with the Host header, whatever that is."""
    return str(request.scope["path"])


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def below_base(path: str) -> str:
    """`Claim/$submit` of `/r2.0/fhir/Claim/$submit`."""
    return path.partition("/fhir/")[2]


def _insufficient(scopes: Iterable[str]) -> Forbidden:
    return Forbidden(
        f"The token does not cover this. It needs the scope {' or '.join(scopes)}.",
        headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    )


def _invalid(words: str) -> Unauthorized:
    return Unauthorized(words, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
