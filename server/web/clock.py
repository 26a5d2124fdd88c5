"""`/clock`: a tester's time, there where `TEST_CLOCK` set one and nowhere else.

    POST /clock {"days": 7}      a week later; what fell due meanwhile is decided before this is answered

Notifications of it leave as ever, in the background.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from server.clock import SetClock
from server.fhir.responses import JsonResponse


class Step(BaseModel):
    """How far the time moves on."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(0, ge=0, le=3660)
    hours: int = Field(0, ge=0, le=100_000)
    minutes: int = Field(0, ge=0, le=1_000_000)

    @property
    def length(self) -> timedelta:
        return timedelta(days=self.days, hours=self.hours, minutes=self.minutes)


def router(clock: SetClock, sweeps: Sequence[Callable[[], None]]) -> APIRouter:
    """`sweeps` are the rounds that a serving process makes."""
    routes = APIRouter(prefix="/clock", tags=["tests"])

    @routes.get("", summary="The server's time")
    def read() -> JsonResponse:
        return told(clock())

    @routes.post("", summary="Move the server's time on")
    def move(step: Step) -> JsonResponse:
        """Answered once everything that is due by then has been decided."""
        now = clock.move(step.length)
        for sweep in sweeps:
            sweep()
        return told(now)

    def told(now: datetime) -> JsonResponse:
        return JsonResponse({"now": now.isoformat()})

    return routes
