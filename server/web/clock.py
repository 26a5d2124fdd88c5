"""`/clock`: a tester's time, there where `TEST_CLOCK` set one and nowhere else.

    POST /clock {"days": 7}      a week later; what fell due meanwhile is decided before this is answered

Notifications of it leave as ever, in the background. A move is kept, so that a command, or a server that is
started again over the same store, goes on from there (`catch_up`): nothing is decided before it was received.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from server.clock import SetClock
from server.fhir.responses import JsonResponse
from server.store import Store, exchanges
from server.store.tables import Exchange, new_id

DOOR = "clock"


class Step(BaseModel):
    """How far the time moves on."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(0, ge=0, le=3660)
    hours: int = Field(0, ge=0, le=100_000)
    minutes: int = Field(0, ge=0, le=1_000_000)

    @property
    def length(self) -> timedelta:
        return timedelta(days=self.days, hours=self.hours, minutes=self.minutes)


def catch_up(clock: SetClock, store: Store) -> None:
    """Moves a clock that was just set on to where one over the same store was moved last."""
    with store.reading() as tx:
        moved = exchanges.latest(tx, DOOR)
    if moved is not None and moved > clock():
        clock.move(moved - clock())


def router(clock: SetClock, store: Store, sweeps: Sequence[Callable[[], None]]) -> APIRouter:
    """`sweeps` are the rounds that a serving process makes."""
    routes = APIRouter(prefix="/clock", tags=["tests"])

    @routes.get("", summary="The server's time")
    def read() -> JsonResponse:
        return told(clock())

    @routes.post("", summary="Move the server's time on")
    def move(step: Step) -> JsonResponse:
        """Answered once everything that is due by then has been decided."""
        now = clock.move(step.length)
        with store.transaction() as tx:
            exchanges.record(tx, _moved(now))
        for sweep in sweeps:
            sweep()
        return told(now)

    def told(now: datetime) -> JsonResponse:
        return JsonResponse({"now": now.isoformat()})

    return routes


def _moved(now: datetime) -> Exchange:
    """The call as it is kept: `started` is the time it moved to."""
    return Exchange(
        id=new_id(),
        request_id="",
        client="",
        door=DOOR,
        version="",
        operation="move",
        instance="",
        status=200,
        started=now,
        milliseconds=0,
        summary={},
        request=b"",
        response=b"",
    )
