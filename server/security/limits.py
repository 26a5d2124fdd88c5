"""How much one caller may ask at once: size of a body, time for it to arrive, work under way, calls a minute.

`Limits` is a middleware, so it holds for every route, whoever reads the body. A compressed body is refused
where bodies are read (`fhir.requests`), so none can swell; depth and length of what is decoded are
`fhir.json`'s affair.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.fhir.errors import FhirError, TimedOut, TooLarge, TooManyRequests, Unavailable
from server.fhir.responses import error_response

ALWAYS = frozenset({"/health"})
"""Answered however busy the server is."""


class Limits:
    """`most_bytes` of one body, `seconds` for it to arrive whole, `most_running` requests at a time."""

    def __init__(self, app: ASGIApp, most_bytes: int, seconds: float, most_running: int) -> None:
        self.app = app
        self.most_bytes = most_bytes
        self.seconds = seconds
        self.most_running = most_running
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS:
            await self.app(scope, receive, send)
            return
        if self._running >= self.most_running:
            await error_response(_busy())(scope, receive, send)
            return
        await self._limited(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self.most_bytes:
            await error_response(self._too_large())(scope, receive, send)
            return
        end = time.monotonic() + self.seconds
        arrived, whole = 0, False
        fault: FhirError | None = None
        begun = working = False

        def works(now: bool) -> None:
            """Who waits for the other side, to send or to take, is not at work: such could be the most there
            may be, for as long as they like."""
            nonlocal working
            self._running += now - working
            working = now

        async def counted() -> Message:
            nonlocal arrived, whole, fault
            if whole:
                return await receive()
            works(False)
            try:
                async with asyncio.timeout(end - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                fault = self._too_slow()
                raise fault from None
            arrived += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if arrived > self.most_bytes:
                fault = self._too_large()
                raise fault
            if whole and self._running >= self.most_running:
                fault = _busy()
                raise fault
            works(whole)
            return message

        async def answered(message: Message) -> None:
            """Whoever read the body may have made an answer of its own out of the fault; ours counts."""
            nonlocal begun
            if fault is None or begun:
                begun = True
                works(False)
                await send(message)

        works(True)
        try:
            await self.app(scope, counted, answered)
        except FhirError:
            if fault is None:
                raise
        finally:
            works(False)
        if fault is not None and not begun:
            await error_response(fault)(scope, receive, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The body is larger than {self.most_bytes} bytes. Send less.",
            headers={"Connection": "close"},
        )

    def _too_slow(self) -> TimedOut:
        return TimedOut(
            f"The body did not arrive within {self.seconds:g} seconds. Send it again.",
            headers={"Connection": "close"},
        )


def _busy() -> Unavailable:
    return Unavailable("The server is busy. Send the request again.", headers={"Retry-After": "1"})


class Rates:
    """Calls a minute, by caller: each has a bucket that fills steadily and holds a minute's worth. Only
    the most recent `most` callers are remembered; one that was forgotten begins with a full bucket."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, a_minute: int) -> None:
        """Raises TooManyRequests, with the seconds to wait, where the bucket is empty; 0 a minute means no
        limit."""
        if not a_minute:
            return
        now = self._clock()
        content, seen = self._buckets.pop(caller, (float(a_minute), now))
        content = min(float(a_minute), content + (now - seen) * a_minute / 60)
        self._buckets[caller] = (max(content - 1, 0.0) if content >= 1 else content, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        if content < 1:
            wait = max(1, round((1 - content) * 60 / a_minute))
            raise TooManyRequests(
                f"More than {a_minute} requests a minute. Wait {wait} s.", headers={"Retry-After": str(wait)}
            )
