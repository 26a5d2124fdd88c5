"""Conversions between types (ELM logical specification, chapter 22).

`ToX` gives null for text that is no X, `ConvertsToX` says whether it would. Text is read in the formats of
the CQL reference, and `ToString` writes what `ToX` reads back. `As`, `Is`, `Convert` and `CanConvert` look
at types and are the compiler's forms.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from server.elm.operators.arithmetic import quantity_of_ratio
from server.elm.operators.registry import Context, operator
from server.elm.temporal import Date, DateTime, Time
from server.elm.ucum import common, convert, known
from server.elm.values import (
    ARITHMETIC,
    Code,
    Concept,
    Interval,
    Long,
    Quantity,
    Ratio,
    Uncertainty,
    bounded_decimal,
    bounded_integer,
    bounded_long,
)

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:'([^']*)'|([A-Za-z]+))?", re.ASCII)
_ZONE = re.compile(r"(?:Z|[+-]\d\d:\d\d)$")
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
_MOST_DIGITS = 60  # beyond any type's range; longer text is not worth a number


# 22.3 CanConvertQuantity


@operator("CanConvertQuantity", nulls="propagate")
def can_convert_quantity(quantity: Quantity, unit: str) -> bool:
    """Whether it has an equivalent in the unit."""
    return quantity.unit == unit or common(quantity.unit, unit) is not None


# 22.6 ConvertQuantity


@operator("ConvertQuantity", nulls="propagate")
def convert_quantity(quantity: Quantity, unit: str) -> Quantity | None:
    """Its equivalent in the unit; null when there is none."""
    if quantity.unit == unit:
        return quantity
    exact = convert(quantity.value, quantity.unit, unit)
    if exact is None:
        return None
    value = bounded_decimal(ARITHMETIC.divide(Decimal(exact.numerator), Decimal(exact.denominator)))
    return None if value is None else Quantity(value, unit)


# 22.7 ConvertsToBoolean to 22.16 ConvertsToTime


def _converts(to: Callable[[Any], Any]) -> Callable[[Any], bool]:
    return lambda value: to(value) is not None


@operator("ConvertsToDate", nulls="propagate")
def converts_to_date(value: Any) -> bool:
    """`ToDate` would give a date."""
    return to_date(value) is not None


@operator("ConvertsToDateTime", nulls="propagate", options=("context",))
def converts_to_date_time(value: Any, *, context: Context) -> bool:
    """`ToDateTime` would give a date and time."""
    return to_date_time(value, context=context) is not None


# 22.18 ToBoolean


@operator("ToBoolean", nulls="propagate")
def to_boolean(value: Any) -> bool | None:
    """Of 1 and 0, and of words such as `yes` and `F`."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return True if value == 1 else False if value == 0 else None
    if isinstance(value, str):
        word = value.lower()
        return True if word in _TRUE else False if word in _FALSE else None
    return None


# 22.19 ToChars


@operator("ToChars", nulls="propagate")
def to_chars(text: str) -> list[str]:
    """Its characters, each a String."""
    return list(text)


# 22.20 ToConcept


@operator("ToConcept", nulls="propagate")
def to_concept(value: Any) -> Concept:
    """Of a Code, with its display, or of a list of codes."""
    if isinstance(value, Concept):
        return value
    if isinstance(value, Code):
        return Concept((value,), value.display)
    return Concept(tuple(code for code in value if code is not None))


# 22.21 ToDate


@operator("ToDate", nulls="propagate")
def to_date(value: Any) -> Date | None:
    """Of a DateTime its day, of text a date with or without a time behind it."""
    if isinstance(value, Date):
        return value
    if isinstance(value, DateTime):
        return value.date
    if not isinstance(value, str):
        return None
    moment = Date.parse(value) or DateTime.parse(value, 0)
    return moment.date if isinstance(moment, DateTime) else moment


# 22.22 ToDateTime


@operator("ToDateTime", nulls="propagate", options=("context",))
def to_date_time(value: Any, *, context: Context) -> DateTime | None:
    """Of a Date that day, its time unknown; of text a moment, by default at our offset."""
    if isinstance(value, DateTime):
        return value
    if isinstance(value, Date):
        return DateTime.of(*value.components, offset=context.offset)
    return DateTime.parse(value, context.offset) if isinstance(value, str) else None


# 22.23 ToDecimal


@operator("ToDecimal", nulls="propagate")
def to_decimal(value: Any) -> Decimal | Uncertainty | None:
    """Of a whole number, a Boolean (1.0, 0.0) or text. A count that is not certain stays so."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, Uncertainty):
        return Uncertainty(Decimal(value.low), Decimal(value.high))
    if isinstance(value, bool):
        return Decimal("1.0") if value else Decimal("0.0")
    if isinstance(value, int):
        return Decimal(int(value))
    if not isinstance(value, str) or len(value) > _MOST_DIGITS or not _DECIMAL.fullmatch(value):
        return None
    return bounded_decimal(Decimal(value))


# 22.24 ToInteger, 22.26 ToLong


@operator("ToInteger", nulls="propagate")
def to_integer(value: Any) -> int | None:
    """Of a Long that fits, a Boolean (1, 0) or text."""
    whole = _whole(value)
    return None if whole is None else bounded_integer(whole)


@operator("ToLong", nulls="propagate")
def to_long(value: Any) -> Long | None:
    """Of an Integer, a Boolean (1, 0) or text."""
    whole = _whole(value)
    return None if whole is None else bounded_long(whole)


def _whole(value: Any) -> int | None:
    if isinstance(value, int):
        return int(value)
    if not isinstance(value, str) or len(value) > _MOST_DIGITS or not _INTEGER.fullmatch(value):
        return None
    return int(value)


# 22.25 ToList


@operator("ToList", nulls="handle")
def to_list(value: Any) -> list[Any]:
    """A list of the one value; of null, an empty list."""
    return [] if value is None else [value]


# 22.27 ToQuantity


@operator("ToQuantity", nulls="propagate")
def to_quantity(value: Any) -> Quantity | None:
    """Of a number, with unit '1'; of a Ratio, its quotient; of text such as `5.4 'mg'` or `4 days`."""
    if isinstance(value, Quantity):
        return value
    if isinstance(value, Ratio):
        return quantity_of_ratio(value)
    if isinstance(value, int | Decimal):
        return Quantity(Decimal(value))
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 200 else None
    if match is None:
        return None
    number, word = bounded_decimal(Decimal(match[1])), match[3]
    unit = match[2] or word or "1"
    taken = known(unit) if word is None else _is_calendar(word)
    return Quantity(number, unit) if number is not None and taken else None


# 22.28 ToRatio


@operator("ToRatio", nulls="propagate")
def to_ratio(value: Any) -> Ratio | None:
    """Of text: two quantities with a colon between them."""
    if isinstance(value, Ratio):
        return value
    above, colon, below = value.partition(":") if isinstance(value, str) else ("", "", "")
    numerator, denominator = to_quantity(above), to_quantity(below)
    if not colon or numerator is None or denominator is None:
        return None
    return Ratio(numerator, denominator)


# 22.29 ToString


@operator("ToString", nulls="propagate")
def to_string(value: Any) -> str | None:
    """As `ToX` reads it back: dates in ISO 8601, quantities with their unit."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text if "." in text else f"{text}.0"
    if isinstance(value, DateTime):
        text = value.isoformat()
        return f"{text[:-1]}+00:00" if text.endswith("Z") else text
    if isinstance(value, Date | Time):
        return value.isoformat()
    if isinstance(value, Quantity):
        return _quantity_text(value)
    if isinstance(value, Ratio):
        return f"{_quantity_text(value.numerator)}:{_quantity_text(value.denominator)}"
    if isinstance(value, Interval | Code | Concept):
        return str(value)
    return None


def _quantity_text(quantity: Quantity) -> str:
    unit = quantity.unit if _is_calendar(quantity.unit) else f"'{quantity.unit}'"
    return f"{quantity.value:f} {unit}"


def _is_calendar(unit: str) -> bool:
    """Whether it is a word of the calendar, singular or plural, which is written without quotes."""
    return unit.removesuffix("s") in _CALENDAR_WORDS


_CALENDAR_WORDS = frozenset({"year", "month", "week", "day", "hour", "minute", "second", "millisecond"})


# 22.30 ToTime


@operator("ToTime", nulls="propagate")
def to_time(value: Any) -> Time | None:
    """Of text, `T` before it or not; an offset says nothing about a time of day and is passed over."""
    if isinstance(value, Time):
        return value
    return Time.parse(_ZONE.sub("", value)) if isinstance(value, str) else None


for _name, _to in (
    ("Boolean", to_boolean),
    ("Decimal", to_decimal),
    ("Integer", to_integer),
    ("Long", to_long),
    ("Quantity", to_quantity),
    ("Ratio", to_ratio),
    ("String", to_string),
    ("Time", to_time),
):
    operator(f"ConvertsTo{_name}", nulls="propagate")(_converts(_to))
