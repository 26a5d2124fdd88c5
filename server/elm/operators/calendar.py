"""Calendar arithmetic on dates and times (author's guide, "Date/Time Arithmetic" and "Uncertainty").

Adding a duration, counting whole durations between two values, counting boundaries crossed. Between values
of limited precision a count is an `Uncertainty`: the fewest and the most it may be. Month and day lengths
are the calendar's; a month added to the 31st ends on the last day there is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from server.elm.errors import EvaluationError
from server.elm.temporal import (
    DAY,
    DAY_MS,
    HOUR,
    HOUR_MS,
    MILLISECOND,
    MINUTE,
    MINUTE_MS,
    MONTH,
    PRECISION,
    SECOND,
    SECOND_MS,
    YEAR,
    Date,
    DateTime,
    Temporal,
    Time,
    month_length,
)
from server.elm.ucum import DURATION_WORD
from server.elm.values import Quantity, Uncertainty

_LEVEL: Final = MappingProxyType(
    {
        "year": YEAR,
        "month": MONTH,
        "week": DAY,
        "day": DAY,
        "hour": HOUR,
        "minute": MINUTE,
        "second": SECOND,
        "millisecond": MILLISECOND,
    }
)
_MS: Final = MappingProxyType(
    {
        "week": 7 * DAY_MS,
        "day": DAY_MS,
        "hour": HOUR_MS,
        "minute": MINUTE_MS,
        "second": SECOND_MS,
        "millisecond": 1,
    }
)
_MS_OF_LEVEL: Final = MappingProxyType(
    {
        YEAR: 365 * DAY_MS,
        MONTH: 30 * DAY_MS,
        DAY: DAY_MS,
        HOUR: HOUR_MS,
        MINUTE: MINUTE_MS,
        SECOND: SECOND_MS,
        MILLISECOND: 1,
    }
)
_LAST_DAY: Final = Date.of(9999, 12, 31).low


def add_duration(moment: Temporal, amount: Quantity, sign: int = 1) -> Temporal:
    """`moment` plus (or with sign -1 minus) a time-valued quantity, to the precision of `moment`.

    A finer quantity is first brought to that precision, dropping the rest: 2014 + 18 months is 2015. A
    Time goes round the clock. Raises EvaluationError for a unit that does not apply ('a' and 'mo' never
    do: their length is not the calendar's) and for a result outside years 1 to 9999.
    """
    word = DURATION_WORD.get(amount.unit)
    if word is None or (isinstance(moment, Time) and _LEVEL[word] < HOUR):
        raise EvaluationError(
            f"{amount} cannot be added to {moment}: use a calendar duration, such as months."
        )
    if isinstance(moment, Date) and _LEVEL[word] > DAY:
        raise EvaluationError(f"{amount} cannot be added to the date {moment}: days are its smallest unit.")
    try:
        return _added(moment, word, sign * amount.value)
    except (ValueError, OverflowError):
        verb = "plus" if sign > 0 else "minus"
        raise EvaluationError(f"{moment} {verb} {amount} lies outside the years 1 to 9999.") from None


def _added(moment: Temporal, word: str, value: Decimal) -> Temporal:
    whole = int(value)
    if word == "year" or word == "month":
        months = whole * 12 if word == "year" else whole
        if moment.precision == YEAR:
            return _add_years(moment, _toward_zero(months, 12))
        assert not isinstance(moment, Time)
        return _add_months(moment, months)
    # Only seconds have fractions: above them time is counted by the calendar.
    ms = int(value * SECOND_MS) if word == "second" else whole * _MS[word]
    if moment.precision >= _LEVEL[word]:
        return _shifted(moment, ms)
    units = _toward_zero(ms, _MS_OF_LEVEL[moment.precision])
    if moment.precision == YEAR:
        return _add_years(moment, units)
    if moment.precision == MONTH:
        assert not isinstance(moment, Time)
        return _add_months(moment, units)
    return _shifted(moment, units * _MS_OF_LEVEL[moment.precision])


def _toward_zero(amount: int, unit: int) -> int:
    return amount // unit if amount >= 0 else -(-amount // unit)


def _add_years(moment: Temporal, years: int) -> Temporal:
    if isinstance(moment, DateTime):
        return DateTime.of(moment.year + years, offset=moment.offset)
    assert isinstance(moment, Date)
    return Date.of(moment.year + years)


def _add_months(moment: Date | DateTime, months: int) -> Date | DateTime:
    year, month, *rest = moment.components
    year, month = divmod(year * 12 + month - 1 + months, 12)
    month += 1
    if not 1 <= year <= 9999:
        raise ValueError(year)
    if rest:
        rest[0] = min(rest[0], month_length(year, month))
    if isinstance(moment, DateTime):
        return DateTime.of(year, month, *rest, offset=moment.offset)
    return Date.of(year, month, *rest)


def _shifted(moment: Temporal, ms: int) -> Temporal:
    """Moved along the line by a definite length."""
    if isinstance(moment, Time):
        low = (moment.low + ms) % DAY_MS
        return Time(low, low + moment.high - moment.low, moment.precision)
    if isinstance(moment, Date):
        days = _toward_zero(ms, DAY_MS)
        if not 1 <= moment.low + days <= _LAST_DAY:
            raise ValueError(days)
        return Date(moment.low + days, moment.high + days, moment.precision)
    if not DAY_MS <= moment.local + ms < (_LAST_DAY + 1) * DAY_MS:
        raise ValueError(ms)
    return DateTime(moment.low + ms, moment.high + ms, moment.precision, moment.offset)


# Counting. An instant is (ordinal day, ms of day) on a clock; each count takes two of them.

Instant = tuple[int, int]


def duration(a: Temporal, b: Temporal, precision: str) -> int | Uncertainty:
    """Whole `precision`s (ELM name, Week too) from a to b, negative when b is first: time that passed."""
    return _counted(a, b, precision, _WHOLE[precision], own_clocks=False)


def difference(a: Temporal, b: Temporal, precision: str) -> int | Uncertainty:
    """Boundaries of `precision` crossed from a to b, negative when b is first. Weeks begin on Sunday.

    Days and longer are crossed on the calendar each value was written in, whatever its offset.
    """
    own_clocks = PRECISION.get(precision, DAY) <= DAY
    return _counted(a, b, precision, _CROSSED[precision], own_clocks)


def _counted(
    a: Any, b: Any, precision: str, count: Callable[[Instant, Instant], int], own_clocks: bool
) -> int | Uncertainty:
    if type(a) is not type(b) or type(a) is Uncertainty:
        if Uncertainty in (type(a), type(b)):
            return _counted_within(a, b, precision, count, own_clocks)
        a, b = _same_kind(a, b)
    level = PRECISION.get(precision, DAY)
    if (isinstance(a, Date) and level > DAY) or (isinstance(a, Time) and level < HOUR):
        raise EvaluationError(f"{precision}s are not counted between {a} and {b}.")
    if isinstance(a, DateTime) and a.offset != b.offset and not own_clocks:
        a, b = _one_clock(a, b)
    a_low, a_high = _span(a)
    b_low, b_high = _span(b)
    fewest, most = count(a_high, b_low), count(a_low, b_high)
    return fewest if fewest == most else Uncertainty(fewest, most)


def _counted_within(
    a: Any, b: Any, precision: str, count: Callable[[Instant, Instant], int], own_clocks: bool
) -> int | Uncertainty:
    """Of a bound that is not known: the fewest and the most from any point of its range."""
    (a_first, a_last), (b_first, b_last) = (
        (each.low, each.high) if isinstance(each, Uncertainty) else (each, each) for each in (a, b)
    )
    least = _counted(a_last, b_first, precision, count, own_clocks)
    most = _counted(a_first, b_last, precision, count, own_clocks)
    fewest = least.low if isinstance(least, Uncertainty) else least
    greatest = most.high if isinstance(most, Uncertainty) else most
    return fewest if fewest == greatest else Uncertainty(fewest, greatest)


def _one_clock(a: DateTime, b: DateTime) -> tuple[DateTime, DateTime]:
    """Both at one offset; a value without an hour has no clock to move."""
    if b.precision >= HOUR:
        return a, DateTime(b.low, b.high, b.precision, a.offset)
    return (DateTime(a.low, a.high, a.precision, b.offset) if a.precision >= HOUR else a), b


def _span(value: Any) -> tuple[Instant, Instant]:
    """First and last instant on the value's clock."""
    if isinstance(value, Date):
        return (value.low, 0), (value.high, 0)
    if isinstance(value, Time):
        return (0, value.low), (0, value.high)
    shift = value.offset * MINUTE_MS
    return divmod(value.low + shift, DAY_MS), divmod(value.high + shift, DAY_MS)


def _same_kind(a: Any, b: Any) -> tuple[Any, Any]:
    if isinstance(a, Date) and isinstance(b, DateTime):
        return DateTime.of(*a.components, offset=b.offset), b
    if isinstance(a, DateTime) and isinstance(b, Date):
        return a, DateTime.of(*b.components, offset=a.offset)
    raise EvaluationError(f"{a} and {b} are not on one time line.")


def _month_index(instant: Instant) -> tuple[int, int]:
    known = date.fromordinal(instant[0])
    return known.year * 12 + known.month - 1, known.day


def _whole_months(a: Instant, b: Instant) -> int:
    if a > b:
        return -_whole_months(b, a)
    first, first_day = _month_index(a)
    last, last_day = _month_index(b)
    return last - first - ((last_day, b[1]) < (first_day, a[1]))


def _whole_years(a: Instant, b: Instant) -> int:
    """A year from 29 February ends on the 28th where there is no 29th (appendix H, scenario 4)."""
    if a > b:
        return -_whole_years(b, a)
    first, last = date.fromordinal(a[0]), date.fromordinal(b[0])
    day = first.day
    if day == 29 and first.month == 2:
        day = month_length(last.year, 2)
    return last.year - first.year - ((last.month, last.day, b[1]) < (first.month, day, a[1]))


def _whole(ms: int) -> Callable[[Instant, Instant], int]:
    def count(a: Instant, b: Instant) -> int:
        span = (b[0] - a[0]) * DAY_MS + b[1] - a[1]
        return _toward_zero(span, ms)

    return count


def _crossed(ms: int) -> Callable[[Instant, Instant], int]:
    def count(a: Instant, b: Instant) -> int:
        return (b[0] * DAY_MS + b[1]) // ms - (a[0] * DAY_MS + a[1]) // ms

    return count


_WHOLE: Final = MappingProxyType(
    {"Year": _whole_years, "Month": _whole_months}
    | {word.capitalize(): _whole(ms) for word, ms in _MS.items()}
)
_CROSSED: Final = MappingProxyType(
    {
        "Year": lambda a, b: _month_index(b)[0] // 12 - _month_index(a)[0] // 12,
        "Month": lambda a, b: _month_index(b)[0] - _month_index(a)[0],
    }
    | {word.capitalize(): _crossed(ms) for word, ms in _MS.items()}
)
