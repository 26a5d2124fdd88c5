"""Structured logs: one JSON object a line, with the request id, without patients and without secrets.

Everyone logs with `structlog.get_logger()` and passes facts of the protocol only: kinds, counts, codes of
the payer, durations. An exception is written as its class and the lines it passed through, one of the
database with the code that says what ails it (`SQLITE_FULL`, `53100`); its message may quote a request, so it
stays out.
"""

import asyncio
import logging
import re
import sys
import time
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import tracing
from server.fhir.errors import Unavailable
from server.fhir.handlers import unexpected
from server.fhir.responses import error_response
from server.metrics import Metrics, known_method

REQUEST_ID = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")
_BASE = re.compile(r"/r[0-9]\.[0-9](/fhir)?(?=/)")


def configure(stream: TextIO | None = None) -> None:
    """Once a process, before the first line is logged."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            exception_without_message,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if not any(isinstance(each, _OfLibraries) for each in root.handlers):
        root.addHandler(_OfLibraries())
        # It writes by itself, exceptions with all they say, unless somebody listens already.
        logging.getLogger("dbos").addHandler(logging.NullHandler())


AGAIN = 60.0
"""Seconds in which a library is heard once with the same words: DBOS, without a database, has 25 a second."""


class _OfLibraries(logging.Handler):
    """What a library has to say becomes a line like ours: the first of its own, for what follows may quote
    what it worked on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[tuple[Any, ...], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage().partition("\n")[0]
        error = record.exc_info[1] if record.exc_info else None
        if self._just_said(record.name, said, type(error)):
            return
        structlog.get_logger().log(
            max(record.levelno, logging.WARNING), said, library=record.name, exc_info=error
        )

    def _just_said(self, *words: Any) -> bool:
        now = time.monotonic()
        self._said = {each: at for each, at in self._said.items() if now - at < AGAIN}
        return self._said.setdefault(words, now) != now


def exception_without_message(
    logger: object, method: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Replaces `exc_info` by class, the database's code where it has one, and places."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        cause = getattr(error, "orig", None)
        code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
        if code:
            event["code"] = code
        event["at"] = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
    return event


class RequestLog:
    """Outermost layer: gives each request its id (the caller's, if it is a plain one), times and counts it,
    logs one line, and answers 500 for what nobody foresaw. Paths are logged as routes, because ids in them
    may tell."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get(REQUEST_ID))
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            tracing.request(scope, request_id) as span,
        ):
            try:
                await self.app(scope, receive, send_with_id)
            except asyncio.CancelledError:
                # The server is stopped, and has waited long enough.
                if status:
                    raise
                await error_response(_STOPPED)(scope, receive, send_with_id)
            except Exception as error:
                failed(Request(scope), error)
                if status:
                    raise
                await unexpected(request_id)(scope, receive, send_with_id)
            seconds = time.perf_counter() - started
            tracing.answered(span, scope["method"], route_of(scope), status)
            self.metrics.request(scope["method"], route_of(scope), status, seconds)
            client = scope["state"].get("client")
            structlog.get_logger().info(
                "request",
                **({"client": client} if client else {}),
                method=known_method(scope["method"]),
                route=route_of(scope),
                status=status,
                milliseconds=round(seconds * 1000, 2),
            )


_STOPPED = Unavailable("The server was stopped. Send the request again.", headers={"Retry-After": "5"})


def failed(request: Request, error: BaseException) -> None:
    """Logs an error that a handler answers itself."""
    structlog.get_logger().error("failed", route=route_of(request.scope), exc_info=error)


def _request_id(offered: str | None) -> str:
    """A caller may name its request, but not write into our log."""
    return offered if offered is not None and _ID.fullmatch(offered) else str(uuid4())


def route_of(scope: Scope) -> str:
    """The route that took a request, with the base it was called at; `-` where none did. Never the path: ids
    in it may tell."""
    route = str(getattr(scope.get("route"), "path", "-"))
    base = _BASE.match(scope["path"])
    return (
        route if base is None or not route.startswith("/") or route.startswith(base[0]) else base[0] + route
    )
