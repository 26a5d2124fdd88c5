"""The FHIR 4.0.1 data model, as CQL sees FHIR JSON.

A resource or complex element is its JSON dict, a primitive its JSON value; types are known statically from
the table `fhir_4_0_1.json` (class, base, elements with their types), made from the published model info by
`model_table`. Two things need more than the JSON value:

- an element of a choice type (`Observation.value`) lies under a key that names its type (`valueQuantity`).
  Read by its CQL name it becomes an `Element`, `Text` or `Number`: the same value, remembering its type.
- `.value` of a primitive is the System value: a FHIR.dateTime's string becomes a DateTime, parsed once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from server.elm.types import Choice, ListOf, Named, Type
from server.elm.values import Date, DateTime, Time

TABLE: Final = Path(__file__).with_name("fhir_4_0_1.json")


class Element(dict[str, Any]):
    """A complex element that was read from a choice: a dict that knows its FHIR type."""

    __slots__ = ("fhir_type",)

    def __init__(self, value: Mapping[str, Any], fhir_type: str) -> None:
        super().__init__(value)
        self.fhir_type = fhir_type


class Text(str):
    """A string-valued primitive that was read from a choice, or a dateTime beside a string."""

    fhir_type: str
    __slots__ = ("fhir_type",)

    def __new__(cls, value: str, fhir_type: str) -> Text:
        made = super().__new__(cls, value)
        made.fhir_type = fhir_type
        return made


class Number(int):
    """A whole-number primitive that was read from a choice."""

    fhir_type: str

    def __new__(cls, value: int, fhir_type: str) -> Number:
        made = super().__new__(cls, value)
        made.fhir_type = fhir_type
        return made


class Model:
    """The class table. Names are without the `FHIR.` prefix inside, with it in `Type`s."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.classes: Mapping[str, Mapping[str, Any]] = MappingProxyType(dict(table["classes"]))
        self._types: dict[str, Type] = {}

    def base(self, name: str) -> str | None:
        """The class a class extends."""
        entry = self.classes.get(name)
        return None if entry is None else entry.get("base")

    def extends(self, name: str, ancestor: str) -> bool:
        """Whether `name` is `ancestor` or extends it."""
        current: str | None = name
        while current is not None:
            if current == ancestor:
                return True
            current = self.base(current)
        return False

    def element(self, class_name: str, element: str) -> Type:
        """The type of an element of a class or its bases; None when there is none of that name."""
        current: str | None = class_name
        while current is not None:
            entry = self.classes.get(current)
            if entry is None:
                return None
            text = entry.get("elements", {}).get(element)
            if text is not None:
                return self._parse(text)
            current = entry.get("base")
        return None

    def code_path(self, class_name: str) -> str | None:
        """The element a retrieve filters by when it names none."""
        entry = self.classes.get(class_name)
        return None if entry is None else entry.get("codePath")

    def subject_paths(self, class_name: str) -> tuple[str, ...]:
        """Elements that relate a resource to its patient."""
        entry = self.classes.get(class_name)
        return () if entry is None else tuple(entry.get("patient", ()))

    def primitive(self, kind: Type) -> str | None:
        """`System.String`, … when `kind` is a FHIR primitive (a class with a System-typed `value`)."""
        if not isinstance(kind, Named) or not kind.name.startswith("FHIR."):
            return None
        value = self.element(kind.name[5:], "value")
        if isinstance(value, Named) and value.name.startswith("System."):
            return value.name
        return None

    def _parse(self, text: str) -> Type:
        known = self._types.get(text)
        if known is None:
            known = self._types[text] = _parse_type(text)
        return known


def _parse_type(text: str) -> Type:
    if text.endswith("*"):
        return ListOf(_parse_type(text[:-1]))
    if "|" in text:
        return Choice(tuple(_parse_type(option) for option in text.split("|")))
    return Named(text if text.startswith("System.") else f"FHIR.{text}")


def choice_keys(element: str, kind: Type) -> tuple[tuple[str, str], ...]:
    """JSON keys an element of a choice type may lie under: (`valueQuantity`, `Quantity`), …"""
    options = kind.options if isinstance(kind, Choice) else ()
    names = [option.name.removeprefix("FHIR.") for option in options if isinstance(option, Named)]
    return tuple((element + name[0].upper() + name[1:], name) for name in names)


def typed(value: Any, fhir_type: str) -> Any:
    """`value`, remembering that it was read as `fhir_type`."""
    if isinstance(value, dict):
        return value if "resourceType" in value else Element(value, fhir_type)
    if isinstance(value, str):
        return Text(value, fhir_type)
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return Number(value, fhir_type) if fhir_type != "decimal" else Decimal(value)


def type_name(value: Any) -> str | None:
    """The FHIR type a value itself tells: of a resource, or of what was read from a choice."""
    if isinstance(value, Element | Text | Number):
        return value.fhir_type
    if isinstance(value, dict):
        name = value.get("resourceType")
        return name if isinstance(name, str) else None
    return None


@lru_cache(maxsize=16_384)
def parse_datetime(text: str, offset: int) -> DateTime | None:
    """A FHIR dateTime or instant as DateTime; None when malformed, for a chart is read as it comes."""
    return DateTime.parse(text, offset)


@lru_cache(maxsize=16_384)
def parse_date(text: str) -> Date | None:
    """A FHIR date as Date; None when malformed."""
    return Date.parse(text)


@lru_cache(maxsize=1024)
def parse_time(text: str) -> Time | None:
    """A FHIR time as Time; None when malformed."""
    return Time.parse(text)


def decimal(value: Any) -> Decimal | None:
    """A JSON number as Decimal, the digits it was written with; None of what is no number."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _string(value: Any, offset: int) -> Any:
    if isinstance(value, str):
        return str(value) if isinstance(value, Text) else value
    return None


def _boolean(value: Any, offset: int) -> Any:
    return value if isinstance(value, bool) else None


def _integer(value: Any, offset: int) -> Any:
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _decimal(value: Any, offset: int) -> Any:
    return decimal(value)


def _date(value: Any, offset: int) -> Any:
    return parse_date(str(value)) if isinstance(value, str) else None


def _datetime(value: Any, offset: int) -> Any:
    return parse_datetime(str(value), offset) if isinstance(value, str) else None


def _time(value: Any, offset: int) -> Any:
    return parse_time(str(value)) if isinstance(value, str) else None


SYSTEM_VALUE: Final[Mapping[str, Callable[[Any, int], Any]]] = MappingProxyType(
    {
        "System.String": _string,
        "System.Boolean": _boolean,
        "System.Integer": _integer,
        "System.Decimal": _decimal,
        "System.Date": _date,
        "System.DateTime": _datetime,
        "System.Time": _time,
    }
)
"""How the JSON value of a primitive becomes its System value: (value, offset in minutes) -> value."""


@lru_cache(maxsize=1)
def fhir() -> Model:
    """The FHIR 4.0.1 model, read once."""
    return Model(json.loads(TABLE.read_text(encoding="utf-8")))
