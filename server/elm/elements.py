"""Elements: how one is read off a value, by the value's static type.

CQL logical specification, "Structured Values". A `Getter` takes the value and the evaluation, and answers
null for what is not there or is not what the type says: a chart is read as it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from server.elm.code import Getter
from server.elm.model import SYSTEM_VALUE, Model, choice_keys, type_name, typed
from server.elm.types import BOOLEAN as BOOLEAN_TYPE
from server.elm.types import CODE, DECIMAL, STRING, Choice, IntervalOf, ListOf, Named, TupleOf, Type
from server.elm.values import Code as CodeValue
from server.elm.values import CodeSystem, Concept, Interval, Quantity, Ratio, ValueSet

_ATTRIBUTES: Final[Mapping[type[Any], Mapping[str, str]]] = {
    Quantity: {"value": "value", "unit": "unit"},
    CodeValue: {"code": "code", "system": "system", "version": "version", "display": "display"},
    Concept: {"codes": "codes", "display": "display"},
    Interval: {"low": "low", "high": "high", "lowClosed": "low_closed", "highClosed": "high_closed"},
    Ratio: {"numerator": "numerator", "denominator": "denominator"},
    ValueSet: {"id": "id", "version": "version", "name": "name", "codesystems": "code_systems"},
    CodeSystem: {"id": "id", "version": "version", "name": "name"},
}
SYSTEM_ELEMENTS: Final[Mapping[str, Mapping[str, Type]]] = {
    "System.Quantity": {"value": DECIMAL, "unit": STRING},
    "System.Ratio": {"numerator": Named("System.Quantity"), "denominator": Named("System.Quantity")},
    "System.Code": {"code": STRING, "system": STRING, "version": STRING, "display": STRING},
    "System.Concept": {"codes": ListOf(CODE), "display": STRING},
    "System.ValueSet": {"id": STRING, "version": STRING, "name": STRING},
    "System.CodeSystem": {"id": STRING, "version": STRING, "name": STRING},
}


def element(model: Model, source: Type, name: str) -> tuple[Getter, Type, tuple[tuple[str, str], ...]]:
    """How an element is read off a value of a static type: getter, type, and JSON keys it may be under."""
    if isinstance(source, TupleOf):
        return plain_element(name), source.element(name), ((name, ""),)
    if isinstance(source, IntervalOf):
        kind = source.point if name in ("low", "high") else BOOLEAN_TYPE
        return _any_element(model, name), kind, ()
    if isinstance(source, Named) and source.name in SYSTEM_ELEMENTS:
        return _attribute(model, name), SYSTEM_ELEMENTS[source.name].get(name), ()
    if not isinstance(source, Named) or not source.name.startswith("FHIR."):
        return _any_element(model, name), None, ()
    primitive = model.primitive(source)
    if primitive is not None and name == "value":
        return _system_value(primitive), Named(primitive), ()
    kind = model.element(source.name[5:], name)
    if isinstance(kind, Choice):
        keys = choice_keys(name, kind)
        return _choice_element(keys), kind, keys
    if isinstance(kind, ListOf):
        return _list_element(name), kind, ((name, ""),)
    if kind is None:
        return _any_element(model, name), None, ()
    return plain_element(name), kind, ((name, ""),)


def plain_element(name: str) -> Getter:
    def get(value: Any, run: Any) -> Any:
        return value.get(name) if isinstance(value, dict) else None

    return get


def _list_element(name: str) -> Getter:
    def get(value: Any, run: Any) -> Any:
        if not isinstance(value, dict):
            return None
        found = value.get(name)
        return found if found is None or isinstance(found, list) else [found]

    return get


def _choice_element(keys: tuple[tuple[str, str], ...]) -> Getter:
    def get(value: Any, run: Any) -> Any:
        if isinstance(value, dict):
            for key, kind in keys:
                found = value.get(key)
                if found is not None:
                    return typed(found, kind)
        return None

    return get


def _system_value(primitive: str) -> Getter:
    convert = SYSTEM_VALUE[primitive]

    if primitive == "System.String":

        def string(value: Any, run: Any) -> Any:
            return value if value.__class__ is str else convert(value, 0)

        return string

    def get(value: Any, run: Any) -> Any:
        return None if value is None else convert(value, run.offset)

    return get


def _attribute(model: Model, name: str) -> Getter:
    otherwise = _any_element(model, name)

    def get(value: Any, run: Any) -> Any:
        if value is None:
            return None
        return otherwise(value, run)

    return get


def _any_element(model: Model, name: str) -> Getter:
    """An element of a value whose type only the value tells."""

    def get(value: Any, run: Any) -> Any:
        if value is None:
            return None
        attributes = _ATTRIBUTES.get(type(value))
        if attributes is not None:
            attribute = attributes.get(name)
            found = None if attribute is None else getattr(value, attribute)
            return list(found) if isinstance(found, tuple) else found
        if isinstance(value, list):
            return _of_each(value, run)
        told = type_name(value)
        declared = None if told is None else model.element(told, name)
        if declared is not None:
            return _telling(element(model, Named(f"FHIR.{told}"), name)[0](value, run), declared)
        if isinstance(value, dict):
            return value[name] if name in value else _by_prefix(model, value, name)
        return value if name == "value" and isinstance(value, str | int | Decimal) else None

    def _of_each(values: list[Any], run: Any) -> list[Any]:
        found: list[Any] = []
        for each in values:
            part = get(each, run)
            if isinstance(part, list):
                found.extend(part)
            elif part is not None:
                found.append(part)
        return found

    return get


def _telling(found: Any, kind: Type) -> Any:
    """What was read off a value that tells its type: it tells its own, for no static type will."""
    if isinstance(kind, ListOf):
        return [_telling(each, kind.element) for each in found] if isinstance(found, list) else found
    if isinstance(kind, Named) and kind.name.startswith("FHIR."):
        return typed(found, kind.name.removeprefix("FHIR."))
    return found


def _by_prefix(model: Model, value: dict[str, Any], name: str) -> Any:
    """A choice element of an untyped dict: `value` finds `valueQuantity`."""
    for key, found in value.items():
        kind = key[len(name) :]
        if key.startswith(name) and kind[:1].isupper():
            lower = kind[0].lower() + kind[1:]
            if kind in model.classes or lower in model.classes:
                return typed(found, lower if lower in model.classes else kind)
    return None
