"""Whether a value is of a type, and how well one static type fits another.

A value tells its type by its Python class, by its `resourceType`, or because it was read from a choice
element. A FHIR element read from an element of one known type does not carry it; there the static type
decides, which is why every test is made for a static type (None when that is unknown).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from server.elm.model import Model, type_name
from server.elm.types import ANY, Choice, IntervalOf, ListOf, Named, TupleOf, Type
from server.elm.values import (
    Code,
    CodeSystem,
    Concept,
    Date,
    DateTime,
    Interval,
    Long,
    Quantity,
    Ratio,
    Time,
    ValueSet,
)

Test = Callable[[Any], bool]

NO_MATCH: Final = 1_000

_PYTHON: Final[dict[str, type[Any] | tuple[type[Any], ...]]] = {
    "System.Boolean": bool,
    "System.Decimal": Decimal,
    "System.Long": Long,
    "System.Quantity": Quantity,
    "System.Ratio": Ratio,
    "System.Code": Code,
    "System.Concept": Concept,
    "System.CodeSystem": CodeSystem,
    "System.ValueSet": ValueSet,
    "System.Vocabulary": (CodeSystem, ValueSet),
    "System.Date": Date,
    "System.DateTime": DateTime,
    "System.Time": Time,
}


def tester(model: Model, wanted: Type, static: Type) -> Test:
    """A test of values of static type `static` for being a `wanted`; null is for the caller."""
    match wanted:
        case None:
            return lambda value: True
        case Choice(options):
            tests = [tester(model, option, static) for option in options]
            return lambda value: any(test(value) for test in tests)
        case ListOf(element):
            inner = tester(model, element, static.element if isinstance(static, ListOf) else None)
            return lambda value: (
                isinstance(value, list) and all(item is None or inner(item) for item in value)
            )
        case IntervalOf(point):
            inner = tester(model, point, None)
            return lambda value: (
                isinstance(value, Interval)
                and all(bound is None or inner(bound) for bound in (value.low, value.high))
            )
        case TupleOf(elements):
            known = dict(static.elements) if isinstance(static, TupleOf) else {}
            parts = {name: tester(model, kind, known.get(name)) for name, kind in elements}
            return lambda value: (
                isinstance(value, dict)
                and type_name(value) is None
                and all(name in parts and (part is None or parts[name](part)) for name, part in value.items())
            )
        case Named("System.Any"):
            return lambda value: True
        case Named(name) if name.startswith("System."):
            return _system(name, static)
        case Named(name):
            return _fhir(model, name.removeprefix("FHIR."), static)


def _system(name: str, static: Type) -> Test:
    if isinstance(static, Named) and static.name.startswith("FHIR."):
        # A FHIR primitive is never a System value, though JSON writes it as one.
        return lambda value: False
    if name == "System.Integer":
        return lambda value: type(value) is int
    if name == "System.String":
        return lambda value: type(value) is str
    python = _PYTHON.get(name)
    if python is None:
        return lambda value: False
    return lambda value: isinstance(value, python)


def _fhir(model: Model, name: str, static: Type) -> Test:
    known = static.name[5:] if isinstance(static, Named) and static.name.startswith("FHIR.") else None

    def test(value: Any) -> bool:
        told = type_name(value)
        if told is None:
            if known is not None:
                return model.extends(known, name)
            if isinstance(value, bool):
                return name == "boolean"
            if isinstance(value, dict):
                return not value or model.element(name, next(iter(value))) is not None
            return (
                isinstance(value, str | int | Decimal) and model.primitive(Named(f"FHIR.{name}")) is not None
            )
        return model.extends(told, name)

    return test


def fit(model: Model, given: Type, wanted: Type) -> int:
    """How far `given` is from `wanted`: 0 the same, more for base types, `NO_MATCH` when it cannot be one."""
    if given == wanted:
        return 0
    if wanted is None or given is None:
        return 20
    if wanted == ANY:
        return 15
    if given == ANY:
        return 18
    if isinstance(wanted, Choice):
        return min((fit(model, given, option) for option in wanted.options), default=NO_MATCH) + 5
    if isinstance(given, Choice):
        return min((fit(model, option, wanted) for option in given.options), default=NO_MATCH) + 10
    if isinstance(given, ListOf) and isinstance(wanted, ListOf):
        return fit(model, given.element, wanted.element)
    if isinstance(given, IntervalOf) and isinstance(wanted, IntervalOf):
        return fit(model, given.point, wanted.point)
    if isinstance(given, TupleOf) and isinstance(wanted, TupleOf):
        kinds = dict(wanted.elements)
        if set(kinds) != {name for name, _ in given.elements}:
            return NO_MATCH
        return sum(fit(model, kind, kinds[name]) for name, kind in given.elements)
    if isinstance(given, Named) and isinstance(wanted, Named):
        return _distance(model, given.name, wanted.name)
    return NO_MATCH


def _distance(model: Model, given: str, wanted: str) -> int:
    if not given.startswith("FHIR.") or not wanted.startswith("FHIR."):
        return NO_MATCH
    current, steps, target = given[5:], 0, wanted[5:]
    while current != target:
        base = model.base(current)
        if base is None:
            return NO_MATCH
        current, steps = base, steps + 1
    return steps
