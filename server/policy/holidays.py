"""The federal holidays of the United States (5 U.S.C. 6103): weekdays that are no working days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import lru_cache

from server.elm import Date

FIXED = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))
"""Month and day. One that falls on a Saturday is kept the day before, on a Sunday the day after."""

MONDAY, THURSDAY = 0, 3
BY_WEEKDAY = ((1, MONDAY, 3), (2, MONDAY, 3), (9, MONDAY, 1), (10, MONDAY, 2), (11, THURSDAY, 4))
"""Month, weekday, and which one of the month; Memorial Day, the last Monday of May, beside."""


def kept_for(year: int) -> tuple[dt.date, ...]:
    """The days on which the holidays of a year are kept; New Year's Day may be kept on the eve."""
    fixed = [_kept(dt.date(year, month, day)) for month, day in FIXED]
    moving = [
        _on_or_after(dt.date(year, month, 7 * (which - 1) + 1), weekday)
        for month, weekday, which in BY_WEEKDAY
    ]
    return tuple(sorted([*fixed, *moving, _on_or_after(dt.date(year, 5, 25), MONDAY)]))


def around(days: Iterable[dt.date | None]) -> Sequence[Date]:
    """The holidays of the years of these days, and of the years after."""
    return _in_cql(frozenset(min(day.year, dt.MAXYEAR - 1) for day in days if day is not None))


@lru_cache(maxsize=64)
def _in_cql(years: frozenset[int]) -> Sequence[Date]:
    kept = {day for year in years for each in (year, year + 1) for day in kept_for(each)}
    return [Date.of(day.year, day.month, day.day) for day in sorted(kept)]


def _kept(day: dt.date) -> dt.date:
    return day + dt.timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _on_or_after(day: dt.date, weekday: int) -> dt.date:
    return day + dt.timedelta(days=(weekday - day.weekday()) % 7)
