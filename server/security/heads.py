"""How much may come before a body, and how long it may take: the head of a request. And how long a server
that ends waits for those who have nothing to ask.

    uvicorn.Config(app, http=BoundedHead)

An application hears of a request once its head is whole, so no middleware can stop one that never ends, and
uvicorn, which reads heads with httptools, takes any number of header lines and waits for them for ever.

A head may also offer to go on in another protocol, as Java's client does over plain http with every request
(HTTP/2). Whoever does not take the offer answers as if it had not been made (RFC 9110, 7.8); httptools takes
the body that follows for the other protocol, and it would be lost.
"""

from __future__ import annotations

import asyncio
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser
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

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.parser = Declining(self)

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
        if not self.declines:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.declines:
            super().on_message_complete()

    @property
    def declines(self) -> bool:
        """Whether the head that was read offers a protocol that is not spoken here."""
        offers = self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers)
        return offers and not self._should_upgrade()

    def without_offer(self) -> bytes:
        """That head, as it would be without the offer."""
        line = b"%s %s HTTP/%s" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        kept = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([line, *kept, b"", b""])

    def _begin(self) -> None:
        self._end()
        self._arrived = 0
        # Closing TLS would wait for the other side's farewell, as long again.
        self._waiting = self.loop.call_later(SECONDS, self.transport.abort)

    def _end(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class Declining(HttpRequestParser):
    """Reads a head whose offer is declined once more, without it. From a fresh start: after such a head
    httptools may take the connection for closed."""

    def __init__(self, protocol: BoundedHead) -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        rest = memoryview(data)
        while rest:
            try:
                super().feed_data(rest)
            except HttpParserUpgrade as offer:
                if not self._protocol.declines:
                    raise
                head, rest = self._protocol.without_offer(), rest[offer.args[0] :]
                self.__init__(self._protocol)  # type: ignore[misc]
                super().feed_data(head)
            else:
                return
