"""The one guard for addresses that others give us: EHR FHIR servers, subscription endpoints, key sets,
revocation lists.

    guard = Outbound.of(settings)
    async with guard.client(10) as http: …

A request goes out only over https, or for what carries a signature of its own http, and only to public
addresses, unless the server runs in development. The address is checked at the moment of connecting, on the
very IP number that is connected to, so a name that resolves differently the second time gains nothing.
Answers are taken uncompressed and up to `MOST_BYTES`, so none can swell. Redirects are not followed.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpcore
import httpx

from server import tracing
from server.settings import Settings

MOST_BYTES = 25_000_000
"""Of one answer, whoever reads it."""

WEB_PORTS = frozenset({80, 443})
"""The ports below 1024 that are called; the others belong to services that are not of the web."""


PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
"""What of IPv6 hosts on the internet have; Python counts much of the rest as public as well."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""How a network without IPv4 calls the hosts that have nothing else (RFC 6052)."""


class Refused(httpx.TransportError):
    """An address this server does not call; to a caller a failure of the network like others. The text says
    why, without the address."""


def why(error: Exception) -> str:
    """What stopped a call, in a few words for the log and whoever may be told: of the network, of the
    certificate or of ours, without the address and what either side sent."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case Refused():
                return str(cause)
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {cause.verify_message.partition(',')[0]}"
            case ssl.SSLError():
                return f"TLS: {cause.reason}"
            case socket.gaierror():
                return "its name is not known"
            case OSError(errno=int(number)):
                return os.strerror(number)
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


@dataclass(frozen=True, slots=True)
class Outbound:
    """`lenient`: http, loopback and private targets are allowed (development only). `signed`: what is fetched
    carries a signature of its own, so http will do. `shown`: a PEM file with the certificate and key that
    whoever is called may ask for."""

    lenient: bool
    signed: bool = False
    shown: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> Outbound:
        """Raises ValueError where OUTBOUND_CERT holds no certificate with its key."""
        try:
            _tls(settings.outbound_cert)
        except OSError as refused:
            needed = "a PEM file of certificate and key, without pass phrase, is needed."
            raise ValueError(f"OUTBOUND_CERT: {refused.strerror}; {needed}") from None
        return cls(lenient=settings.development, shown=settings.outbound_cert)

    def check_url(self, url: str) -> None:
        """Raises Refused for an address that is not http(s), carries a password, or is not https where
        that is asked for."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", url):
            raise Refused("it is not an http or https address")
        try:
            port = parts.port
        except ValueError:
            raise Refused("its port is none") from None
        if port is not None and port < 1024 and port not in WEB_PORTS:
            raise Refused("its port is not one of the web's")
        if parts.username or parts.password:
            raise Refused("it carries a user name or password")
        if parts.scheme == "http" and not (self.lenient or self.signed):
            raise Refused("it is not https")

    def check_ip(self, number: str) -> None:
        """Raises Refused for an IP number that is not on the public internet, where that is asked for."""
        meant = _meant(ipaddress.ip_address(number.partition("%")[0]))
        if meant.is_multicast or meant.is_unspecified or (meant.is_link_local and not meant.is_loopback):
            raise Refused("it leads to no single host, or to one that answers whoever is near")
        if not self.lenient and not (meant.is_global and (meant.version == 4 or meant in PUBLIC_V6)):
            raise Refused("it leads into a private network")

    def client(self, seconds: float) -> httpx.AsyncClient:
        """A client that waits so long at each step; connections end with it."""
        return httpx.AsyncClient(transport=_Transport(self), timeout=seconds, follow_redirects=False)


def _meant(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 number that an IPv6 one stands for: what is called by it is the same host."""
    if address.version == 4:
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


_PLAIN = (b"Accept-Encoding", b"identity")


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, guard: Outbound) -> None:
        self._guard = guard
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_tls(guard.shown), network_backend=_Backend(guard), max_connections=20, http2=False
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with tracing.call(request.method, request.headers) as span:
            answer = await self._answer(request)
            tracing.told(span, answer.status_code)
        return answer

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self._guard.check_url(str(request.url))
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        assert isinstance(request.stream, httpx.AsyncByteStream)
        asked = httpcore.Request(
            request.method,
            url,
            headers=[
                *(pair for pair in request.headers.raw if pair[0].lower() != b"accept-encoding"),
                _PLAIN,
            ],
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answered = await self._pool.handle_async_request(asked)
        except httpcore.TimeoutException as error:
            raise httpx.TimeoutException(str(error), request=request) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise httpx.NetworkError(str(error), request=request) from error
        if any(
            name.lower() == b"content-encoding" and value != b"identity" for name, value in answered.headers
        ):
            await answered.aclose()
            raise Refused("its answer is compressed, though we asked for a plain one")
        return httpx.Response(
            answered.status,
            headers=answered.headers,
            stream=_Stream(answered, request),
            extensions=answered.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Stream(httpx.AsyncByteStream):
    """The body as it arrives; a connection lost on the way is the network's error, as before it."""

    def __init__(self, answered: httpcore.Response, request: httpx.Request) -> None:
        self._answered = answered
        self._request = request

    async def __aiter__(self) -> Any:
        arrived = 0
        try:
            async for part in self._answered.aiter_stream():
                arrived += len(part)
                if arrived > MOST_BYTES:
                    raise Refused("its answer is too large")
                yield part
        except httpcore.TimeoutException as error:
            raise httpx.TimeoutException(str(error), request=self._request) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise httpx.NetworkError(str(error), request=self._request) from error

    async def aclose(self) -> None:
        await self._answered.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    """Resolves names itself and connects to a number that was checked."""

    def __init__(self, guard: Outbound) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        numbers = [str(entry[4][0]) for entry in found]
        for number in numbers:
            self._guard.check_ip(number)
        failure: Exception = httpcore.ConnectError("the name leads nowhere")
        for number in numbers:
            try:
                return await self._inner.connect_tcp(number, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, *unused: Any, **also_unused: Any) -> httpcore.AsyncNetworkStream:
        raise Refused("it is not a network address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


@lru_cache(maxsize=2)
def _tls(shown: Path | None) -> ssl.SSLContext:
    """Built once: reading the certificate store takes longer than most requests. Raises OSError for a file
    that does not serve."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if shown is not None:
        context.load_cert_chain(shown, password="")
    return context
