"""Tuples and instances: making structured values.

CQL logical specification, "Structured Values": Tuple, Instance. An instance of a FHIR type is FHIR JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from server.elm.code import Code, Frame, Scope, fold
from server.elm.compiler import Compiler, form
from server.elm.library import Node
from server.elm.model import type_name
from server.elm.types import Choice, Named, TupleOf, Type, named
from server.elm.values import Code as CodeValue
from server.elm.values import CodeSystem, Concept, Quantity, Ratio, ValueSet


@form("Tuple")
def tuple_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    parts = [(each["name"], compiler.compile(each["value"], scope)) for each in node.get("element") or ()]
    template = {name: code.run([None, None]) if code.constant else None for name, code in parts}
    moving = [(name, code.run) for name, code in parts if not code.constant]

    def make(frame: Frame) -> dict[str, Any]:
        made = template.copy()
        for name, thunk in moving:
            made[name] = thunk(frame)
        return made

    return Code(make, TupleOf(tuple((name, code.type) for name, code in parts)))


@form("Instance")
def instance(compiler: Compiler, node: Node, scope: Scope) -> Code:
    kind = named(node["classType"])
    parts = [(each["name"], compiler.compile(each["value"], scope)) for each in node.get("element") or ()]
    if kind.name.startswith("FHIR."):
        return _fhir_instance(compiler, kind, parts)
    make = _MAKERS.get(kind.name)
    if make is None:
        raise compiler.error(f"{kind} cannot be made by an instance selector", node, scope)
    thunks = [(name, code.run) for name, code in parts]
    code = Code(lambda frame: make({name: thunk(frame) for name, thunk in thunks}), kind)
    if all(part.constant for _, part in parts):
        return fold(code)
    elements = {name: part.element for name, part in parts if part.element is not None}
    slots = {slot for slot, _ in elements.values()}
    if len(elements) == len(parts) and len(slots) == 1:
        code.parts = slots.pop(), {name: key for name, (_, key) in elements.items()}
    return code


def _fhir_instance(compiler: Compiler, kind: Named, parts: list[tuple[str, Code]]) -> Code:
    model, name = compiler.model, kind.name[5:]
    if model.primitive(kind) is not None:
        value = next((code.run for element_name, code in parts if element_name == "value"), None)
        return Code(lambda frame: None if value is None else _json(value(frame)), kind)
    resource = {"resourceType": name} if model.extends(name, "Resource") else {}
    thunks = []
    for element_name, code in parts:
        declared = model.element(name, element_name)
        thunks.append((_key(element_name, declared, code.type), code.run))

    def make(frame: Frame) -> dict[str, Any]:
        made: dict[str, Any] = dict(resource)
        for key, thunk in thunks:
            value = thunk(frame)
            if value is not None:
                made[key(value)] = _json(value)
        return made

    return Code(make, kind)


def _key(name: str, declared: Type, given: Type) -> Callable[[Any], str]:
    if not isinstance(declared, Choice):
        return lambda value: name
    known = given.name.removeprefix("FHIR.") if isinstance(given, Named) else None

    def key(value: Any) -> str:
        kind = type_name(value) or known or "string"
        return name + kind[0].upper() + kind[1:]

    return key


def _json(value: Any) -> Any:
    """A System value put into a FHIR primitive, as FHIR JSON writes it."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _quantity(parts: dict[str, Any]) -> Any:
    value = parts.get("value")
    return None if value is None else Quantity(Decimal(value), parts.get("unit") or "1")


_MAKERS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "System.Quantity": _quantity,
    "System.Code": lambda parts: CodeValue(
        parts.get("code"), parts.get("system"), parts.get("version"), parts.get("display")
    ),
    "System.Concept": lambda parts: Concept(
        tuple(code for code in parts.get("codes") or () if code is not None), parts.get("display")
    ),
    "System.Ratio": lambda parts: (
        None
        if parts.get("numerator") is None or parts.get("denominator") is None
        else Ratio(parts["numerator"], parts["denominator"])
    ),
    "System.ValueSet": lambda parts: ValueSet(parts["id"], parts.get("version"), parts.get("name")),
    "System.CodeSystem": lambda parts: CodeSystem(parts["id"], parts.get("version"), parts.get("name")),
}
