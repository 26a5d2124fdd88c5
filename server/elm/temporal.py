"""Date, DateTime and Time: the CQL values that may be known only to some precision.

Author's guide, "Date, DateTime, and Time values". A value known to the month stands for every instant
of that month, so each is held as the closed span `low..high` of what it may mean, with the precision it
was given to: days since 0001-01-01 for a Date, milliseconds in UTC for a DateTime, milliseconds since
midnight for a Time. Comparing two of them is then comparing numbers:

    2026-03 against 2026-04-10 : spans apart, so before
    2026-03 against 2026-03-10 : spans overlap, so unknown (null)

Seconds and milliseconds are one precision to CQL (a value to the second means .000), so such a span is a
single instant. A DateTime always has an offset: whoever makes one without supplies the evaluation's.
Comparison and arithmetic are in `operators`; here are the values, their parsing and their printing.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

YEAR: Final = 1
MONTH: Final = 2
DAY: Final = 3
HOUR: Final = 4
MINUTE: Final = 5
SECOND: Final = 6
MILLISECOND: Final = 7

PRECISION: Final = {
    "Year": YEAR,
    "Month": MONTH,
    "Day": DAY,
    "Hour": HOUR,
    "Minute": MINUTE,
    "Second": SECOND,
    "Millisecond": MILLISECOND,
}
"""ELM's DateTimePrecision names, without Week, which is a duration and never a component."""

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
SECOND_MS: Final = 1000
UNIT_MS: Final = {HOUR: HOUR_MS, MINUTE: MINUTE_MS, SECOND: SECOND_MS, MILLISECOND: 1}

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_TIME = re.compile(r"T?(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?", re.ASCII)
_DATETIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?)?)?)?)?T?"
    r"(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)


def month_length(year: int, month: int) -> int:
    """Days in a month of the Gregorian calendar."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


class Date(msgspec.Struct, frozen=True, gc=False):
    """A Date; `low` and `high` are proleptic Gregorian ordinals (`datetime.date.toordinal`)."""

    low: int
    high: int
    precision: int

    @classmethod
    def of(cls, year: int, month: int | None = None, day: int | None = None) -> Date:
        """From components, coarse to fine; ValueError when one is out of its range."""
        if month is None:
            return cls(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal(), YEAR)
        first = date(year, month, 1).toordinal()
        if day is None:
            return cls(first, first + month_length(year, month) - 1, MONTH)
        ordinal = date(year, month, day).toordinal()
        return cls(ordinal, ordinal, DAY)

    @classmethod
    def parse(cls, text: str) -> Date | None:
        """From `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; None when it is not such a date."""
        match = _DATE.fullmatch(text)
        if match is None:
            return None
        year, month, day = match.groups()
        try:
            return cls.of(int(year), _number(month), _number(day))
        except ValueError:
            return None

    @property
    def components(self) -> tuple[int, ...]:
        """(year), (year, month) or (year, month, day), as far as known."""
        known = date.fromordinal(self.low)
        return (known.year, known.month, known.day)[: self.precision]

    @property
    def year(self) -> int:
        return date.fromordinal(self.low).year

    @property
    def month(self) -> int | None:
        return date.fromordinal(self.low).month if self.precision >= MONTH else None

    @property
    def day(self) -> int | None:
        return date.fromordinal(self.low).day if self.precision >= DAY else None

    def isoformat(self) -> str:
        """The ISO 8601 form, as FHIR writes it."""
        return date.fromordinal(self.low).isoformat()[: (0, 4, 7, 10)[self.precision]]

    def __str__(self) -> str:
        return f"@{self.isoformat()}"


class Time(msgspec.Struct, frozen=True, gc=False):
    """A time of day; `low` and `high` are milliseconds since midnight, `precision` HOUR to MILLISECOND."""

    low: int
    high: int
    precision: int

    @classmethod
    def of(
        cls, hour: int, minute: int | None = None, second: int | None = None, millisecond: int | None = None
    ) -> Time:
        """From components, coarse to fine; ValueError when one is out of its range."""
        low, width, precision = _time_of_day(hour, minute, second, millisecond)
        return cls(low, low + width, precision)

    @classmethod
    def parse(cls, text: str) -> Time | None:
        """From `hh`, `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fff`, `T` before it or not; None when malformed."""
        match = _TIME.fullmatch(text)
        if match is None:
            return None
        hour, minute, second, fraction = match.groups()
        try:
            return cls.of(int(hour), _number(minute), _number(second), _millisecond(fraction))
        except ValueError:
            return None

    @property
    def components(self) -> tuple[int, ...]:
        """(hour, minute, second, millisecond), as far as known."""
        return _clock(self.low)[: self.precision - 3]

    @property
    def hour(self) -> int:
        return self.low // HOUR_MS

    @property
    def minute(self) -> int | None:
        return self.low // MINUTE_MS % 60 if self.precision >= MINUTE else None

    @property
    def second(self) -> int | None:
        return self.low // SECOND_MS % 60 if self.precision >= SECOND else None

    @property
    def millisecond(self) -> int | None:
        return self.low % SECOND_MS if self.precision >= MILLISECOND else None

    def isoformat(self) -> str:
        """The ISO 8601 form, without `T`, as FHIR writes it."""
        return _clock_text(self.low, self.precision)

    def __str__(self) -> str:
        return f"@T{self.isoformat()}"


class DateTime(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A DateTime; `low` and `high` are milliseconds in UTC since 0001-01-01, `offset` minutes east of UTC.

    Two of them are equal in Python when they mean the same instants to the same precision, whatever the
    offset they are written with.
    """

    low: int
    high: int
    precision: int
    offset: int

    @classmethod
    def of(
        cls,
        year: int,
        month: int | None = None,
        day: int | None = None,
        hour: int | None = None,
        minute: int | None = None,
        second: int | None = None,
        millisecond: int | None = None,
        *,
        offset: int,
    ) -> DateTime:
        """From components, coarse to fine, in local time; ValueError when one is out of its range."""
        shift = offset * MINUTE_MS
        if hour is None:
            days = Date.of(year, month, day)
            return cls(
                days.low * DAY_MS - shift, (days.high + 1) * DAY_MS - 1 - shift, days.precision, offset
            )
        if month is None or day is None:
            raise ValueError("an hour needs a month and a day")
        clock, width, precision = _time_of_day(hour, minute, second, millisecond)
        low = date(year, month, day).toordinal() * DAY_MS + clock - shift
        return cls(low, low + width, precision, offset)

    @classmethod
    def parse(cls, text: str, offset: int) -> DateTime | None:
        """From ISO 8601 to any precision; `offset` (minutes) stands in where the text names none.

        Also takes FHIR's dateTime and instant; more than three digits of a second are cut. None when
        the text is not such a date and time.
        """
        match = _DATETIME.fullmatch(text)
        if match is None:
            return None
        year, month, day, hour, minute, second, fraction, zone = match.groups()
        try:
            return cls.of(
                int(year),
                _number(month),
                _number(day),
                _number(hour),
                _number(minute),
                _number(second),
                _millisecond(fraction),
                offset=offset if zone is None else _zone_minutes(zone),
            )
        except ValueError:
            return None

    @classmethod
    def of_python(cls, moment: datetime) -> DateTime:
        """From an aware `datetime` (a naive one is read as UTC), to the millisecond."""
        span = moment.utcoffset() or timedelta()
        offset = int(span.total_seconds() // 60)
        clock = moment.hour * HOUR_MS + moment.minute * MINUTE_MS + moment.second * SECOND_MS
        low = moment.toordinal() * DAY_MS + clock + moment.microsecond // 1000 - offset * MINUTE_MS
        return cls(low, low, MILLISECOND, offset)

    @property
    def local(self) -> int:
        """Milliseconds since 0001-01-01 on the local clock of its first instant."""
        return self.low + self.offset * MINUTE_MS

    @property
    def local_day(self) -> int:
        """Ordinal of the local day of its first instant."""
        return (self.low + self.offset * MINUTE_MS) // DAY_MS

    @property
    def components(self) -> tuple[int, ...]:
        """(year, …, millisecond) on the local clock, as far as known."""
        days, clock = divmod(self.local, DAY_MS)
        known = date.fromordinal(days)
        return (known.year, known.month, known.day, *_clock(clock))[: self.precision]

    @property
    def year(self) -> int:
        return date.fromordinal(self.local_day).year

    @property
    def month(self) -> int | None:
        return date.fromordinal(self.local_day).month if self.precision >= MONTH else None

    @property
    def day(self) -> int | None:
        return date.fromordinal(self.local_day).day if self.precision >= DAY else None

    @property
    def hour(self) -> int | None:
        return self.local // HOUR_MS % 24 if self.precision >= HOUR else None

    @property
    def minute(self) -> int | None:
        return self.local // MINUTE_MS % 60 if self.precision >= MINUTE else None

    @property
    def second(self) -> int | None:
        return self.local // SECOND_MS % 60 if self.precision >= SECOND else None

    @property
    def millisecond(self) -> int | None:
        return self.local % SECOND_MS if self.precision >= MILLISECOND else None

    @property
    def date(self) -> Date:
        """Its Date on the local clock."""
        day = self.local_day
        if self.precision >= DAY:
            return Date(day, day, DAY)
        return Date(day, (self.high + self.offset * MINUTE_MS) // DAY_MS, self.precision)

    @property
    def zone(self) -> str:
        """The offset as ISO 8601 writes it: `Z` or `+hh:mm`."""
        if self.offset == 0:
            return "Z"
        hours, minutes = divmod(abs(self.offset), 60)
        return f"{'-' if self.offset < 0 else '+'}{hours:02}:{minutes:02}"

    def isoformat(self) -> str:
        """The ISO 8601 form, as FHIR writes it: the offset only where there is an hour."""
        days, clock = divmod(self.local, DAY_MS)
        text = date.fromordinal(days).isoformat()
        if self.precision <= DAY:
            return text[: (0, 4, 7, 10)[self.precision]]
        return f"{text}T{_clock_text(clock, self.precision)}{self.zone}"

    def __str__(self) -> str:
        return f"@{self.isoformat()}" if self.precision >= HOUR else f"@{self.isoformat()}T"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DateTime)
            and self.low == other.low
            and self.high == other.high
            and self.precision == other.precision
        )

    def __ne__(self, other: object) -> bool:
        # A Struct compares itself by fields where this is left out.
        return not self == other

    def __hash__(self) -> int:
        return hash((self.low, self.high, self.precision))


Temporal = Date | DateTime | Time


def _time_of_day(
    hour: int, minute: int | None, second: int | None, millisecond: int | None
) -> tuple[int, int, int]:
    """First millisecond, width of the span and precision; ValueError when a component is out of range."""
    if not 0 <= hour < 24:
        raise ValueError("hour must be 0 to 23")
    if minute is None:
        return hour * HOUR_MS, HOUR_MS - 1, HOUR
    if not 0 <= minute < 60:
        raise ValueError("minute must be 0 to 59")
    low = hour * HOUR_MS + minute * MINUTE_MS
    if second is None:
        return low, MINUTE_MS - 1, MINUTE
    if not 0 <= second < 60:
        raise ValueError("second must be 0 to 59")
    low += second * SECOND_MS
    if millisecond is None:
        return low, 0, SECOND
    if not 0 <= millisecond < 1000:
        raise ValueError("millisecond must be 0 to 999")
    return low + millisecond, 0, MILLISECOND


def _clock(ms: int) -> tuple[int, int, int, int]:
    return ms // HOUR_MS, ms // MINUTE_MS % 60, ms // SECOND_MS % 60, ms % SECOND_MS


def _clock_text(ms: int, precision: int) -> str:
    hour, minute, second, millisecond = _clock(ms)
    return f"{hour:02}:{minute:02}:{second:02}.{millisecond:03}"[: (2, 5, 8, 12)[precision - HOUR]]


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits)


def _millisecond(fraction: str | None) -> int | None:
    return None if fraction is None else int(f"{fraction:0<3}"[:3])


def _zone_minutes(zone: str) -> int:
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    if minutes > 14 * 60 or int(zone[4:6]) > 59:
        raise ValueError("an offset lies between -14:00 and +14:00")
    return -minutes if zone[0] == "-" else minutes
