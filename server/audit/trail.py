"""Every access to what is known of patients is on record before its answer leaves.

`Audited` is a middleware: it sees who was admitted, which route answered with which status, and what the
store was asked for meanwhile (`store.touched`). Refused accesses are on record as well, but for those that
come too often or ask for what is not there: nobody may empty the trail, so no stranger may fill it. Without
a record there is no answer: where the trail cannot be written the caller gets 503. What decides puts itself
on record in the transaction of the decision (`ledger.along`), and others that end together share one, so the
trail costs little.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog
from anyio import CapacityLimiter, Lock, to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.fhir.errors import TooManyRequests, Unauthorized, Unavailable
from server.fhir.responses import error_response
from server.logs import route_of
from server.store import Store, ledger
from server.store.touched import Touched

PUBLIC_KINDS = frozenset(
    {"metadata", ".well-known", "Questionnaire", "Library", "ValueSet", "OperationDefinition", "Endpoint"}
)
"""First steps of a FHIR path whose reading tells of no patient."""


def tells_of_patients(method: str, path: str) -> bool:
    """Whether a request of this kind is an access to be recorded."""
    _, fhir, below = path.partition("/fhir/")
    if fhir:
        step = below.partition("/")[0]
        return not (step in PUBLIC_KINDS and (method in ("GET", "HEAD") or below.endswith("$expand")))
    if "/cds-services/" in path:
        return method == "POST"
    return path.startswith(("/review", "/why/")) or "/appropriateness/criteria/" in path


@dataclass(slots=True)
class _Entry:
    access: ledger.Access
    touched: Touched
    written: asyncio.Future[None]


@dataclass(slots=True)
class Trail:
    """Appends to the ledger, together with whatever else waits to be written; in a thread of its own, for an
    answer that is ready does not wait for those being worked out."""

    store: Store
    _waiting: list[_Entry] = field(default_factory=list)
    _turn: Lock = field(default_factory=Lock)
    _thread: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))

    async def record(self, access: ledger.Access, touched: Touched) -> None:
        """Returns when it is on disk. Raises SQLAlchemyError where it cannot be written."""
        entry = _Entry(access, touched, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        async with self._turn:
            batch, self._waiting = self._waiting, []
            if batch:
                await self._write_all(batch)
        await entry.written

    async def _write_all(self, batch: list[_Entry]) -> None:
        try:
            await to_thread.run_sync(self._write, batch, limiter=self._thread)
        except BaseException as error:
            for entry in batch:
                entry.written.set_exception(error)
                entry.written.exception()  # whoever stopped waiting does not ask any more
            if not isinstance(error, SQLAlchemyError):
                raise
            return
        for entry in batch:
            entry.written.set_result(None)

    def _write(self, batch: list[_Entry]) -> None:
        with self.store.transaction() as tx:
            for entry in batch:
                ledger.record(tx, entry.access, entry.touched)


class Audited:
    """The middleware."""

    def __init__(self, app: ASGIApp, store: Store, clock: Callable[[], dt.datetime]) -> None:
        self.app = app
        self.trail = Trail(store)
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not tells_of_patients(scope["method"], scope["path"]):
            await self.app(scope, receive, send)
            return
        recorded = failed = False
        with ledger.answering(partial(self._access, scope)) as request:

            async def on_record(message: Message) -> None:
                nonlocal recorded, failed
                if message["type"] == "http.response.start" and not recorded:
                    recorded, status = True, message["status"]
                    if request.lacks(status) and _is_access(scope, status, request.touched):
                        failed = not await self._recorded(request, status)
                    if failed:
                        await error_response(_NO_RECORD)(scope, receive, send)
                if not failed:
                    await send(message)

            try:
                await self.app(scope, receive, on_record)
            except Exception:
                if not recorded:
                    await self._recorded(request, 500)
                raise

    def _access(self, scope: Scope, status: int) -> ledger.Access:
        state, peer = scope.get("state", {}), scope.get("client")
        return ledger.Access(
            at=self.clock(),
            client=str(state.get("client", "")),
            address=str(peer[0]) if peer else "",
            method=_method(scope["method"], route_of(scope)),
            route=route_of(scope),
            status=status,
            request_id=str(state.get("request_id", "")),
        )

    async def _recorded(self, request: ledger.Answering, status: int) -> bool:
        try:
            await self.trail.record(request.access(status), request.touched)
        except SQLAlchemyError as error:
            structlog.get_logger().error("audit trail not written", exc_info=error)
            return False
        return True


def _method(method: str, route: str) -> str:
    """What the ledger calls it: of a resource type as a whole, what a GET or a POST means there."""
    below = route.partition("/fhir/")[2]
    whole_type = bool(below) and not set(below) & set("/$")
    return {"GET": ledger.SEARCHED, "POST": ledger.CREATED}.get(method, method) if whole_type else method


def _is_access(scope: Scope, status: int, touched: Touched) -> bool:
    """Whether the door-keeper let the request in or turned it away. What comes too often, and what nothing is
    there to answer, is none."""
    admitted = "client" in scope.get("state", {})
    return status != TooManyRequests.status and (admitted or bool(touched) or status == Unauthorized.status)


_NO_RECORD = Unavailable(
    "The audit trail could not be written, so nothing is told. Send the request again.",
    headers={"Retry-After": "5"},
)
