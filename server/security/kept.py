"""What others publish at an address for us to trust, fetched when it is needed and kept for a while.

An address is asked by one caller at a time, and not again within `PAUSE`: whatever is asked for, nobody can
make this server call others without end, and one that hangs is waited for once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import httpx
import structlog
from anyio import Lock

from server.fhir.errors import FhirError
from server.security.outbound import Outbound, Refused, why

T = TypeVar("T")

PAUSE = 5.0
"""Seconds between two looks at the same address."""

TIMEOUT = 5.0


@dataclass(slots=True)
class _Held(Generic[T]):
    """What an address gave last, when, for how many seconds if it `said` so, and when it was last asked;
    nothing yet, and never."""

    value: T | None = None
    said: float | None = None
    fetched: float = -inf
    looked: float = -inf
    looking: Lock = field(default_factory=Lock)


@dataclass(slots=True)
class Kept(Generic[T]):
    """`read` makes a value of what an address gives; it raises ValueError or FhirError for what is none.

    `what` is its name in the log. After `max_age` seconds it is fetched again; while its address does not
    answer it serves for `stale` seconds; for less of both where it `heeds` a Cache-Control that says so.
    `most_bytes` of one answer are taken. It is asked for as `media`."""

    what: str
    outbound: Outbound
    read: Callable[[bytes], T]
    max_age: float
    stale: float
    most_bytes: int
    heeds: bool = False
    media: str = "*/*"
    _held: dict[str, _Held[T]] = field(default_factory=dict)

    async def at(self, address: str, serves: Callable[[T], bool]) -> T | None:
        """The value at an address, looked for anew where the one that is kept does not serve; None where
        there is none, or its address does not tell."""
        held = self._held.setdefault(address, _Held())
        async with held.looking:
            now = time.monotonic()
            old = now - held.fetched > self._within(self.max_age, held)
            if (old or held.value is None or not serves(held.value)) and now - held.looked > PAUSE:
                await self._look(address, held)
            return None if now - held.fetched > self._within(self.stale, held) else held.value

    def _within(self, seconds: float, held: _Held[T]) -> float:
        """So many seconds, or as few as was said; what was just fetched serves until it can be again."""
        return seconds if held.said is None else max(PAUSE, min(seconds, held.said))

    async def _look(self, address: str, held: _Held[T]) -> None:
        """The pause begins when it is over: whoever waited meanwhile does not wait again for an address that
        hangs."""
        try:
            body, said = await self._fetched(address)
            held.value, held.fetched = self.read(body), time.monotonic()
            held.said = said if self.heeds else None
        except (httpx.HTTPError, httpx.InvalidURL, FhirError, ValueError, OSError, TimeoutError) as error:
            structlog.get_logger().warning(f"{self.what} not had", host=_host(address), why=why(error))
        held.looked = time.monotonic()

    async def _fetched(self, address: str) -> tuple[bytes, float | None]:
        async with (
            asyncio.timeout(TIMEOUT),
            self.outbound.client(TIMEOUT) as http,
            http.stream("GET", address, headers={"Accept": self.media}) as answer,
        ):
            if answer.status_code != 200:
                raise Refused(f"it answers with status {answer.status_code}")
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > self.most_bytes:
                    raise Refused("it is too large")
        return bytes(body), _lasting(answer.headers.get("Cache-Control", ""))


def _lasting(control: str) -> float | None:
    """For how many seconds an answer with this Cache-Control may be kept; None where it does not say."""
    words = [word.strip().lower() for word in control.split(",")]
    if "no-store" in words or "no-cache" in words:
        return 0.0
    ages = (word.partition("=")[2].strip('"') for word in words if word.startswith("max-age="))
    return next((float(age) for age in ages if age.isdecimal()), None)


def _host(address: str) -> str | None:
    """None where an address is none: certificates are written by others."""
    with suppress(ValueError):
        return urlsplit(address).hostname
    return None
