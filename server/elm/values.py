"""The values CQL computes with, beyond what plain Python already has.

Boolean, Integer, Decimal, String, null, list and tuple are bool, int, `decimal.Decimal`, str, None, list
and dict; a FHIR resource is a dict too. The rest are the small immutable types here: hashable, printing
as the CQL that would make them, and turning into JSON by `to_json`. Python's `==` on them is structural;
CQL's equality, equivalence and order, which know units, precision and null, are in
`operators.comparison`.

    str(Quantity(Decimal(6), "week"))  ->  6 'week'
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from server.elm.temporal import Date, DateTime, Temporal, Time

__all__ = [
    "INTEGER_MAX",
    "INTEGER_MIN",
    "LONG_MAX",
    "LONG_MIN",
    "MAX_DECIMAL",
    "MIN_DECIMAL",
    "Code",
    "CodeSystem",
    "Concept",
    "Date",
    "DateTime",
    "Interval",
    "Long",
    "Quantity",
    "Ratio",
    "Temporal",
    "Time",
    "Uncertainty",
    "ValueSet",
    "bounded_decimal",
    "bounded_integer",
    "bounded_long",
    "literal",
    "to_json",
]

INTEGER_MIN: Final = -(2**31)
INTEGER_MAX: Final = 2**31 - 1
LONG_MIN: Final = -(2**63)
LONG_MAX: Final = 2**63 - 1
STEP: Final = Decimal("1E-8")
MAX_DECIMAL: Final = Decimal("99999999999999999999.99999999")
MIN_DECIMAL: Final = -MAX_DECIMAL
"""What `maximum Decimal` answers: 28 digits in all, 8 of them after the point."""
LARGEST_DECIMAL: Final = Decimal("9999999999999999999999999999.99999999")
"""What still computes: CQL sets a floor, not a ceiling, and its literals go to 28 digits before the point."""

ARITHMETIC: Final = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_UP, traps=[])
"""Wide enough that a product of two CQL decimals is exact before it is brought to eight places."""


class Long(int):
    """A CQL Long: an int that overflows at 64 bits. A plain int is a CQL Integer."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{int(self)}L"

    __repr__ = __str__


def bounded_integer(value: int) -> int | None:
    """`value` as an Integer, or None when it does not fit in 32 bits."""
    return value if INTEGER_MIN <= value <= INTEGER_MAX else None


def bounded_long(value: int) -> Long | None:
    """`value` as a Long, or None when it does not fit in 64 bits."""
    return Long(value) if LONG_MIN <= value <= LONG_MAX else None


def bounded_decimal(value: Decimal) -> Decimal | None:
    """`value` at no more than eight places, or None when it lies beyond CQL's Decimal range."""
    if not value.is_finite() or value.copy_abs() > LARGEST_DECIMAL:
        return None
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -8:
        return value.quantize(STEP, context=ARITHMETIC)
    return value


class Code(msgspec.Struct, frozen=True, gc=False):
    """A terminology code. Structural identity is code, system, version and display."""

    code: str | None
    system: str | None = None
    version: str | None = None
    display: str | None = None

    def __str__(self) -> str:
        return _instance(
            "Code", code=self.code, system=self.system, version=self.version, display=self.display
        )


class Concept(msgspec.Struct, frozen=True):
    """Codes that say the same thing in different systems."""

    codes: tuple[Code, ...]
    display: str | None = None

    def __str__(self) -> str:
        return _instance("Concept", codes=self.codes, display=self.display)


class CodeSystem(msgspec.Struct, frozen=True, gc=False):
    """A code system as a value: what it is called, not its content."""

    id: str
    version: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        return _instance("CodeSystem", id=self.id, version=self.version, name=self.name)


class ValueSet(msgspec.Struct, frozen=True):
    """A value set as a value: what it is called, not its expansion."""

    id: str
    version: str | None = None
    name: str | None = None
    code_systems: tuple[CodeSystem, ...] = ()

    def __str__(self) -> str:
        return _instance("ValueSet", id=self.id, version=self.version, name=self.name)


class Quantity(msgspec.Struct, frozen=True, gc=False):
    """A number with a UCUM unit or a calendar word (`year`, `weeks`); `1` when there is none."""

    value: Decimal
    unit: str = "1"

    def __str__(self) -> str:
        return f"{self.value:f} {literal(self.unit)}"


class Ratio(msgspec.Struct, frozen=True, gc=False):
    """A relationship of two quantities, kept as given (1:128 is not reduced)."""

    numerator: Quantity
    denominator: Quantity

    def __str__(self) -> str:
        return f"{self.numerator}:{self.denominator}"


class Interval(msgspec.Struct, frozen=True):
    """A range of points. A null closed bound is the type's end, a null open one unknown."""

    low: Any
    high: Any
    low_closed: bool = True
    high_closed: bool = True

    def __str__(self) -> str:
        before, after = "[" if self.low_closed else "(", "]" if self.high_closed else ")"
        return f"Interval{before}{literal(self.low)}, {literal(self.high)}{after}"


class Uncertainty(msgspec.Struct, frozen=True):
    """A value known only to lie in `low..high`: a duration between imprecise dates, an unknown bound."""

    low: Any
    high: Any

    def __str__(self) -> str:
        return f"Interval[{literal(self.low)}, {literal(self.high)}]"


def literal(value: Any) -> str:
    """`value` as CQL source: `'it\\'s'`, `@2026-01-05`, `{1, 2}`, `Tuple {a: 1}`."""
    if value is None:
        return "null"
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text if "." in text else f"{text}.0"
    if isinstance(value, list | tuple):
        return "{" + ", ".join(map(literal, value)) + "}"
    if isinstance(value, Mapping):
        return "Tuple {" + ", ".join(f"{name}: {literal(part)}" for name, part in value.items()) + "}"
    return str(value)


def to_json(value: Any) -> Any:
    """`value` as JSON data: dict, list, str, bool, int, Decimal or None.

    Dates are ISO 8601 strings, a quantity `{value, unit}`, an interval `{low, high, lowClosed,
    highClosed}`, a code `{code, system, version, display}` without what is absent.
    """
    match value:
        case None | bool() | str() | Decimal():
            return value
        case int():
            return int(value)
        case Mapping():
            return {name: to_json(part) for name, part in value.items()}
        case list() | tuple():
            return [to_json(item) for item in value]
        case Date() | DateTime() | Time():
            return value.isoformat()
        case Quantity():
            return {"value": value.value, "unit": value.unit}
        case Ratio():
            return {"numerator": to_json(value.numerator), "denominator": to_json(value.denominator)}
        case Interval():
            return {
                "low": to_json(value.low),
                "high": to_json(value.high),
                "lowClosed": value.low_closed,
                "highClosed": value.high_closed,
            }
        case Uncertainty():
            return {
                "low": to_json(value.low),
                "high": to_json(value.high),
                "lowClosed": True,
                "highClosed": True,
            }
        case Code():
            return _present(
                code=value.code, system=value.system, version=value.version, display=value.display
            )
        case Concept():
            return _present(codes=[to_json(code) for code in value.codes], display=value.display)
        case CodeSystem() | ValueSet():
            return _present(id=value.id, version=value.version, name=value.name)
    raise TypeError(f"{type(value).__name__} is not a CQL value")


def _present(**parts: Any) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part is not None}


def _instance(type_name: str, /, **parts: Any) -> str:
    fields = ", ".join(f"{name}: {literal(part)}" for name, part in _present(**parts).items())
    return f"{type_name} {{{fields}}}"
