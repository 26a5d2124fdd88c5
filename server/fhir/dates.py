"""FHIR date, dateTime and instant, with the precision they were written in.

A partial date (`2026`, `2026-03`) is a span of days: `first_day` and `last_day` say which. A caller that
needs one day decides which end it means. The offset of a dateTime is kept by `moment`; the day is the one
written, since a date of service is a day in the life of the clinic, not in UTC.
"""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_FORM = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d{2})(-(?P<day>\d{2})"
    r"(T(?P<time>\d{2}:\d{2}(:\d{2})?(\.\d+)?)(?P<zone>Z|[+-]\d{2}:\d{2})?)?)?)?"
)


def first_day(text: object) -> date | None:
    """The earliest day a FHIR date, dateTime or instant can mean; None if it is not one."""
    parts = _parts(text)
    if parts is None:
        return None
    year, month, day = parts
    return _day(year, month or 1, day or 1)


def last_day(text: object) -> date | None:
    """The latest day it can mean."""
    parts = _parts(text)
    if parts is None:
        return None
    year, month, day = parts
    month = month or 12
    if not 1 <= month <= 12 or year < 1:
        return None
    return _day(year, month, day or monthrange(year, month)[1])


def full_years(since: object, day: date) -> int | None:
    """From a date to that day; None where it is none, or leaves open which side of a birthday the day is."""
    ends = (first_day(since), last_day(since))
    counts = {day.year - end.year - ((day.month, day.day) < (end.month, end.day)) for end in ends if end}
    return counts.pop() if len(counts) == 1 else None


def moved(day: date, days: int) -> date:
    """The day so many days later, or earlier; the calendar's last, or first, where it has no such day."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min


def begun(period: object, day: date) -> bool:
    """Whether a Period has begun on that day; one without a beginning always has."""
    start = first_day(period.get("start")) if isinstance(period, dict) else None
    return start is None or start <= day


def over(period: object, day: date) -> bool:
    """Whether a Period has ended before that day; one without an end never has."""
    end = last_day(period.get("end")) if isinstance(period, dict) else None
    return end is not None and end < day


def ends_before_it_begins(period: object) -> bool:
    """Whether there is no day of which a Period could be (FHIR, per-1)."""
    start = first_day(period.get("start")) if isinstance(period, dict) else None
    return start is not None and over(period, start)


def moment(text: object) -> datetime | None:
    """A dateTime or instant down to the second as an aware datetime (UTC where it names no zone); None if
    it has no time of day or is none, in UTC as in its own zone."""
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None or match["time"] is None:
        return None
    try:
        found = datetime.fromisoformat(match[0])
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        found.astimezone(UTC)  # the first hours of the year 1 are none there
    except (ValueError, OverflowError):
        return None
    return found


def instant(now: datetime) -> str:
    """A FHIR instant: `2026-11-25T10:00:00+00:00`, to the second."""
    return now.astimezone(UTC).isoformat(timespec="seconds")


def _parts(text: object) -> tuple[int, int | None, int | None] | None:
    return _read(text) if isinstance(text, str) else None


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[int, int | None, int | None] | None:
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    month, day = match["month"], match["day"]
    return int(match["year"]), int(month) if month else None, int(day) if day else None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
