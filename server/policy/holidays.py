"""The federal holidays of the United States (5 U.S.C. 6103): weekdays that are no working days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import lru_cache

from dateutil.relativedelta import MO, TH, relativedelta

from server.elm import Date

FIXED = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))
"""Month and day. One that falls on a Saturday is kept the day before, on a Sunday the day after."""

BY_WEEKDAY = ((1, MO(3)), (2, MO(3)), (5, MO(-1)), (9, MO(1)), (10, MO(2)), (11, TH(4)))
"""Month, weekday and which one of the month: of May the last."""


def kept_for(year: int) -> tuple[dt.date, ...]:
    """The days on which the holidays of a year are kept; New Year's Day may be kept on the eve."""
    fixed = [_kept(dt.date(year, month, day)) for month, day in FIXED]
    moving = [
        dt.date(year, month, 1) + relativedelta(day=1 if which.n > 0 else 31, weekday=which)
        for month, which in BY_WEEKDAY
    ]
    return tuple(sorted([*fixed, *moving]))


def around(days: Iterable[dt.date | None]) -> Sequence[Date]:
    """The holidays of the years of these days, and of the years after."""
    return _in_cql(frozenset(min(day.year, dt.MAXYEAR - 1) for day in days if day is not None))


@lru_cache(maxsize=64)
def _in_cql(years: frozenset[int]) -> Sequence[Date]:
    kept = {day for year in years for each in (year, year + 1) for day in kept_for(each)}
    return [Date.of(day.year, day.month, day.day) for day in sorted(kept)]


def _kept(day: dt.date) -> dt.date:
    return day + dt.timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))
