"""How much may come before a body, and how long it may take: the head of a request. And how long a server
that ends waits for those who have nothing to ask.

    uvicorn.Config(app, http=BoundedHead)

An application hears of a request once its head is whole, so no middleware can stop one that never ends, and
uvicorn, which reads heads with httptools, takes any number of header lines and waits for them for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES = 64_000
"""Of request line and headers; a token has some hundred."""

SECONDS = 30.0
"""From the connection, or the first byte of a later request, to the end of its head."""


FAREWELL = 1.0
"""From the end of a server to the end of its idle connections."""


class BoundedHead(HttpToolsProtocol):
    """One connection. A head that is too large is answered 400; one that is too slow is not waited for."""

    _arrived = 0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        waiting = self._waiting
        super().data_received(data)
        # What a head shares with the end of the body before it is not counted: it is one read at most.
        if waiting is None or waiting is not self._waiting:
            return
        self._arrived += len(data)
        if self._arrived > MOST_BYTES:
            self._end()
            self.send_400_response("The head of the request is too large.")

    def shutdown(self) -> None:
        """An idle client need not say good-bye: TLS would wait for that half a minute, and whoever stops the
        server kills it before."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(FAREWELL, self.transport.abort)

    def on_message_begin(self) -> None:
        self._begin()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._end()
        super().on_headers_complete()

    def _begin(self) -> None:
        self._end()
        self._arrived = 0
        # Closing TLS would wait for the other side's farewell, as long again.
        self._waiting = self.loop.call_later(SECONDS, self.transport.abort)

    def _end(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
