"""Date and time operators (ELM logical specification, chapter 18).

Constructors, components, counts and the evaluation's clock. Adding durations is `calendar`'s, comparing to
a precision `comparison`'s; `Before`, `After` and the `Same…` operators take intervals too and are in
`interval`.
"""

from __future__ import annotations

from decimal import Decimal

from server.elm.errors import EvaluationError
from server.elm.operators import calendar
from server.elm.operators.registry import Context, operator
from server.elm.temporal import DAY_MS, MINUTE_MS, PRECISION, Date, DateTime, Temporal, Time
from server.elm.values import Uncertainty

# 18.6 Date


@operator("Date", nulls="handle", operands=("year", "month", "day"))
def date(year: int | None, month: int | None = None, day: int | None = None) -> Date | None:
    """A Date of components, coarse to fine; null without a year, and raises out of range."""
    if year is None:
        return None
    try:
        return Date.of(*_known("Date", year, month, day))
    except ValueError as error:
        raise EvaluationError(f"Date({year}, {month}, {day}) is no date: {error}.") from None


def _known(name: str, *components: int | None) -> list[int]:
    """The components given; raises when a finer one stands after one that is missing."""
    given = [component for component in components if component is not None]
    if None in components[: len(given)]:
        raise EvaluationError(f"A {name} cannot have a component below one that is null: {components}.")
    return given


# 18.7 DateFrom


@operator("DateFrom", nulls="propagate")
def date_from(moment: DateTime | Date | Uncertainty) -> Date | Uncertainty:
    """The Date of a DateTime on its own clock; of a bound that is not known, the dates it lies between."""
    if isinstance(moment, Uncertainty):
        first, last = date_from(moment.low), date_from(moment.high)
        return first if first == last else Uncertainty(first, last)
    return moment if isinstance(moment, Date) else moment.date


# 18.8 DateTime


@operator(
    "DateTime",
    nulls="handle",
    operands=("year", "month", "day", "hour", "minute", "second", "millisecond", "timezoneOffset"),
    options=("context",),
)
def date_time(
    year: int | None,
    month: int | None = None,
    day: int | None = None,
    hour: int | None = None,
    minute: int | None = None,
    second: int | None = None,
    millisecond: int | None = None,
    offset: Decimal | None = None,
    *,
    context: Context,
) -> DateTime | None:
    """A DateTime of components, at the evaluation's offset unless one (in hours) is given."""
    if year is None:
        return None
    components = _known("DateTime", year, month, day, hour, minute, second, millisecond)
    minutes = context.offset if offset is None else round(offset * 60)
    if abs(minutes) > 14 * 60:
        raise EvaluationError(f"{offset} is no offset from UTC: hours from -14 to 14 are.")
    try:
        return DateTime.of(*components, offset=minutes)
    except ValueError as error:
        raise EvaluationError(f"DateTime{tuple(components)} is no date and time: {error}.") from None


# 18.9 DateTimeComponentFrom


@operator("DateTimeComponentFrom", nulls="propagate", options=("precision",))
def date_time_component_from(moment: Temporal | Uncertainty, *, precision: str) -> int | Uncertainty | None:
    """One component, null when the value is not known that far; of a range of moments the years alone."""
    if isinstance(moment, Uncertainty):
        years = moment.low.components[0], moment.high.components[0]
        return None if precision != "Year" else years[0] if years[0] == years[1] else Uncertainty(*years)
    level = PRECISION[precision] - (3 if isinstance(moment, Time) else 0)
    components = moment.components
    if level < 1 or (isinstance(moment, Date) and level > 3):
        raise EvaluationError(f"{moment} has no {precision.lower()}.")
    return components[level - 1] if level <= len(components) else None


# 18.10 DifferenceBetween


@operator("DifferenceBetween", nulls="propagate", options=("precision",))
def difference_between(a: Temporal, b: Temporal, *, precision: str) -> int | Uncertainty:
    """Boundaries crossed from a to b."""
    return calendar.difference(a, b, precision)


# 18.11 DurationBetween


@operator("DurationBetween", nulls="propagate", options=("precision",))
def duration_between(a: Temporal, b: Temporal, *, precision: str) -> int | Uncertainty:
    """Whole periods from a to b."""
    return calendar.duration(a, b, precision)


# 18.13 Now, 18.22 TimeOfDay, 18.23 Today


@operator("Now", nulls="handle", options=("context",))
def now(*, context: Context) -> DateTime:
    """When the evaluation began."""
    return context.now


@operator("TimeOfDay", nulls="handle", options=("context",))
def time_of_day(*, context: Context) -> Time | None:
    """The time of day when the evaluation began."""
    return time_from(context.now)


@operator("Today", nulls="handle", options=("context",))
def today(*, context: Context) -> Date:
    """The day when the evaluation began."""
    return context.today


# 18.18 Time


@operator("Time", nulls="handle", operands=("hour", "minute", "second", "millisecond"))
def time(
    hour: int | None, minute: int | None = None, second: int | None = None, millisecond: int | None = None
) -> Time | None:
    """A Time of components, coarse to fine; null without an hour, and raises out of range."""
    if hour is None:
        return None
    components = _known("Time", hour, minute, second, millisecond)
    try:
        return Time.of(*components)
    except ValueError as error:
        raise EvaluationError(f"Time{tuple(components)} is no time of day: {error}.") from None


# 18.19 TimeFrom


@operator("TimeFrom", nulls="propagate")
def time_from(moment: DateTime | Uncertainty) -> Time | None:
    """The time of day of a DateTime on its own clock; null when it has no hour, or is not known."""
    if isinstance(moment, Uncertainty) or moment.precision <= 3:
        return None
    low = moment.local % DAY_MS
    return Time(low, low + moment.high - moment.low, moment.precision)


# 18.20 TimezoneOffsetFrom


@operator("TimezoneOffsetFrom", nulls="propagate")
def timezone_offset_from(moment: DateTime | Uncertainty) -> Decimal:
    """The offset from UTC in hours."""
    if isinstance(moment, Uncertainty):
        return timezone_offset_from(moment.low)
    return Decimal(moment.offset * MINUTE_MS) / Decimal(60 * MINUTE_MS) + Decimal("0.0")
