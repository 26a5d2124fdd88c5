"""Which time it is.

    clock = settings.clock()      the server's time: the world's, or one that a tester sets and moves on
    wall()                        the world's

Whatever is decided, dated or due goes by the server's time. How long another machine may take, and when it
is tried again, goes by the world's: a tester's clock that stands still keeps no subscriber waiting.
"""

from datetime import UTC, datetime, timedelta
from threading import Lock


def wall() -> datetime:
    """An aware datetime in UTC."""
    return datetime.now(UTC)


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
