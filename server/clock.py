"""Which time it is.

    clock = settings.clock()      the server's time: the world's, or one that a tester sets and moves on
    wall()                        the world's
    still(now)                    the day that is not over yet

Whatever is decided, dated or due goes by the server's time. How long another machine may take, and when it
is tried again, goes by the world's: a tester's clock that stands still keeps no subscriber waiting.
"""

from datetime import UTC, date, datetime, timedelta
from threading import Lock


def wall() -> datetime:
    """An aware datetime in UTC."""
    return datetime.now(UTC)


def still(now: datetime) -> date:
    """The day that it still is somewhere on earth: what is good until the end of a day, of a clinic's in
    Honolulu too, has not ended before."""
    return (now - timedelta(hours=12)).date()


class SetClock:
    """A clock that a tester sets: it stands still until it is moved, and never goes back."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._moving = Lock()

    def __call__(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> datetime:
        """Gives the new time. Raises ValueError for a step back."""
        if by < timedelta(0):
            raise ValueError("what was decided would lie in the future")
        with self._moving:
            self._now += by
            return self._now
