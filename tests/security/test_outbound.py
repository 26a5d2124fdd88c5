"""Whom this server calls, and what it takes from them."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from server import tls
from server.security import outbound
from server.security.outbound import Outbound, Refused, why
from server.settings import Settings
from tests.loopback import Handler, Loopback
from tests.security.authority import Authority, pem

STRICT, LENIENT = Outbound(lenient=False), Outbound(lenient=True)


@contextmanager
def answering(body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback, and the Accept-Encoding headers it got."""
    asked: list[str] = []

    class Answering(Handler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Accept-Encoding", ""))
            self.send_response(302 if "Location" in headers else 200)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

    with Loopback(Answering) as server:
        yield f"{server.address}/", asked


def fetched(guard: Outbound, url: str) -> httpx.Response:
    async def fetch() -> httpx.Response:
        async with guard.client(2) as http:
            return await http.get(url)

    return asyncio.run(fetch())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://ehr.example/",
        "gopher://ehr.example/",
        "https://user:secret@ehr.example/",
        "https://ehr.example:22/",
        "https://ehr.example:25/",
        "https://ehr.example:99999/",
        "https://",
        "http://ehr.example/",
    ],
)
def test_what_is_no_web_address_is_not_called(url: str) -> None:
    with pytest.raises(Refused):
        STRICT.check_url(url)


@pytest.mark.parametrize(
    "url", ["ftp://ehr.example/", "https://user:secret@ehr.example/", "file:///etc/passwd", "https:///x"]
)
def test_odd_addresses_are_refused_everywhere(url: str) -> None:
    with pytest.raises(Refused):
        LENIENT.check_url(url)


def test_even_a_laptop_calls_no_link_local_address() -> None:
    with pytest.raises(Refused):
        Outbound.of(Settings(_env_file=None)).check_ip("169.254.169.254")


INSIDE = """
127.0.0.1 10.0.0.1 192.168.1.1 172.16.0.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1
::1 fe80::1 fe80::1%eth0 fc00::1 fd00::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1 2002:a00:1:: ::10.0.0.1 fec0::1
"""


@pytest.mark.parametrize("number", INSIDE.split())
def test_no_number_inside_the_house_is_called_in_production(number: str) -> None:
    with pytest.raises(Refused):
        STRICT.check_ip(number)


def test_a_name_that_changes_its_mind_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is on the number that is connected to: there is no second look-up to answer otherwise."""
    looked: list[str] = []

    async def rebinding(host: str, port: int, **kinds: Any) -> list[Any]:
        looked.append(host)
        number = "93.184.215.14" if len(looked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port))]

    connected: list[str] = []

    async def connect(self: Any, host: str, port: int, *rest: Any) -> Any:
        connected.append(host)
        raise outbound.httpcore.ConnectError("unreachable here")

    monkeypatch.setattr(outbound.anyio, "getaddrinfo", rebinding)
    monkeypatch.setattr(outbound.httpcore.AnyIOBackend, "connect_tcp", connect)
    with pytest.raises(httpx.NetworkError):
        fetched(STRICT, "https://rebind.example/")
    with pytest.raises(Refused):
        fetched(STRICT, "https://rebind.example/")
    assert connected == ["93.184.215.14"]


def test_a_redirect_is_not_followed() -> None:
    with answering(b"", Location="http://169.254.169.254/") as (url, _):
        assert fetched(LENIENT, url).status_code == 302


def test_a_compressed_answer_never_swells_here() -> None:
    bomb = gzip.compress(b"0" * 1_000_000)
    with answering(bomb, Content_Encoding="gzip") as (url, asked), pytest.raises(Refused, match="compressed"):
        fetched(LENIENT, url)
    assert asked == ["identity"]


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "MOST_BYTES", 1000)
    with answering(b"x" * 5000) as (url, _), pytest.raises(Refused, match="too large"):
        fetched(LENIENT, url)
    with answering(b"x" * 500) as (url, _):
        assert fetched(LENIENT, url).content == b"x" * 500


def test_an_authority_that_only_the_other_side_has_is_told_of_and_trusted_by_ssl_cert_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tls.self_made(tmp_path, [], dt.datetime.now(dt.UTC))
    monkeypatch.setattr(outbound, "_tls", outbound._tls.__wrapped__)
    with Loopback(Handler, tls.server_context(certificate, key)) as server:
        with pytest.raises(httpx.NetworkError) as failed:
            fetched(LENIENT, server.address)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusted = fetched(LENIENT, server.address)

    assert why(failed.value) == "its certificate is not trusted: self-signed certificate"
    assert trusted.status_code == 501


def test_a_server_that_asks_for_a_certificate_is_shown_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = dt.datetime.now(dt.UTC)
    certificate, key = tls.self_made(tmp_path, [], now)
    community, shown = Authority(now), tmp_path / "payer.pem"
    payer = community.client("https://payer.test")
    shown.write_bytes(payer.chain[0].public_bytes(Encoding.PEM) + pem(payer.private))
    demanding = tls.server_context(certificate, key)
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(cadata=community.pem.decode())
    monkeypatch.setattr(outbound, "_tls", outbound._tls.__wrapped__)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Loopback(Handler, demanding) as server:
        with pytest.raises(httpx.NetworkError):
            fetched(LENIENT, server.address)
        ours = Outbound.of(Settings(_env_file=None, outbound_cert=shown))
        assert fetched(ours, server.address).status_code == 501

    with pytest.raises(ValueError, match="OUTBOUND_CERT: "):
        Outbound.of(Settings(_env_file=None, outbound_cert=certificate))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1031/", "Connection refused"),
        ("ftp://127.0.0.1/", "it is not an http or https address"),
    ],
)
def test_what_stops_a_call_is_said_without_its_address(url: str, words: str) -> None:
    with pytest.raises(httpx.TransportError) as failed:
        fetched(LENIENT, url)
    assert why(failed.value) == words
