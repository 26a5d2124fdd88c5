"""Property access and instances: reading and making structured values.

CQL logical specification, "Structured Values". A path of properties is one closure from its root (an alias, a
parameter, a definition) to the value; where it is traced it logs the root resource and the whole path, so
evidence says `Procedure/p1 (performed.start)` and not each step.

`Code.trail` is what makes that possible: how the value is read off its root. It also lets `x.value as
Quantity` read `valueQuantity` directly, and `birthDate.extension` find the extensions FHIR JSON keeps beside
a primitive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from server.elm.compiler import (
    LOG,
    RUN,
    Code,
    Compiler,
    Frame,
    Getter,
    Scope,
    Thunk,
    Trail,
    Variable,
    fold,
    form,
)
from server.elm.library import Node
from server.elm.model import SYSTEM_VALUE, Model, choice_keys, type_name, typed
from server.elm.types import BOOLEAN as BOOLEAN_TYPE
from server.elm.types import CODE, DECIMAL, STRING, Choice, IntervalOf, ListOf, Named, TupleOf, Type, named
from server.elm.values import Code as CodeValue
from server.elm.values import CodeSystem, Concept, Interval, Quantity, Ratio, ValueSet

_PART = re.compile(r"([^.\[\]]+)(?:\[(\d+)\])?")

_ATTRIBUTES: Final[Mapping[type[Any], Mapping[str, str]]] = {
    Quantity: {"value": "value", "unit": "unit"},
    CodeValue: {"code": "code", "system": "system", "version": "version", "display": "display"},
    Concept: {"codes": "codes", "display": "display"},
    Interval: {"low": "low", "high": "high", "lowClosed": "low_closed", "highClosed": "high_closed"},
    Ratio: {"numerator": "numerator", "denominator": "denominator"},
    ValueSet: {"id": "id", "version": "version", "name": "name", "codesystems": "code_systems"},
    CodeSystem: {"id": "id", "version": "version", "name": "name"},
}
_SYSTEM_ELEMENTS: Final[Mapping[str, Mapping[str, Type]]] = {
    "System.Quantity": {"value": DECIMAL, "unit": STRING},
    "System.Ratio": {"numerator": Named("System.Quantity"), "denominator": Named("System.Quantity")},
    "System.Code": {"code": STRING, "system": STRING, "version": STRING, "display": STRING},
    "System.Concept": {"codes": ListOf(CODE), "display": STRING},
    "System.ValueSet": {"id": STRING, "version": STRING, "name": STRING},
    "System.CodeSystem": {"id": STRING, "version": STRING, "name": STRING},
}


@form("Property")
def property_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    name = node.get("scope")
    if name is not None:
        found = scope.names.get(name) or (scope.this if name == "$this" else None)
        if found is None:
            raise compiler.error(f"Nothing in scope is called {name}", node, scope)
        source = of_variable(found)
    else:
        source = compiler.compile(node.get("source"), scope)
    path = node.get("path")
    if not isinstance(path, str) or not path:
        raise compiler.error("Property names no path", node, scope)
    return along(compiler, source, path)


def of_variable(variable: Variable) -> Code:
    """The code of a variable, and the beginning of paths from it."""
    if variable.fixed is not None:
        return replace(variable.fixed, type=variable.type)
    return at_slot(variable.slot, variable.type)


def at_slot(slot: int, kind: Type) -> Code:
    """The code of what is in a slot, and the beginning of paths from it."""
    thunk: Thunk = lambda frame: frame[slot]  # noqa: E731
    return Code(thunk, kind, trail=Trail(thunk, itself, "", kind, slot), slot=slot)


def along(compiler: Compiler, source: Code, path: str) -> Code:
    """The code of a path read off `source`."""
    code = source
    for match in _PART.finditer(path):
        code = _step(compiler.model, code, match[1])
        if match[2] is not None:
            code = _indexed(code, int(match[2]))
    return reading(compiler, code)


def reading(compiler: Compiler, code: Code) -> Code:
    """`code` with the closure that reads its trail, recording it when traced.

    The commonest trails, plain elements of a variable and their `.value`, have closures of their own: they
    are most of what an evaluation does.
    """
    trail = code.trail
    assert trail is not None
    code.run = _plain(trail)
    if compiler.tracing and _tells(compiler.model, trail.root):
        code.run = _recorded(trail)
    elif trail.slot is not None and len(trail.direct) == 1 and trail.convert in _AS_IT_STANDS:
        code.element = trail.slot, trail.direct[0]
    return code


_AS_IT_STANDS: Final = (None, SYSTEM_VALUE["System.String"])


def _tells(model: Model, root: Type) -> bool:
    """Whether a path from such a root is worth recording: only a resource says whose element was read."""
    if isinstance(root, TupleOf | ListOf | IntervalOf):
        return False
    if isinstance(root, Named) and root.name.startswith("FHIR.") and root.name[5:] in model.classes:
        return model.extends(root.name[5:], "Resource")
    return not (isinstance(root, Named) and root.name in _SYSTEM_ELEMENTS)


def _recorded(trail: Trail) -> Thunk:
    base, path, read = trail.base, trail.path, _from_root(trail)

    def recorded(frame: Frame) -> Any:
        root = base(frame)
        value = read(root, frame[RUN])
        if root.__class__ is dict and "resourceType" in root:
            frame[LOG].append((root, path, value is not None))
        return value

    return recorded


def _from_root(trail: Trail) -> Getter:
    """The trail's getter, or a faster one for plain elements."""
    get, keys, convert = trail.get, trail.direct, trail.convert
    if len(keys) != 1 or convert is not None:
        return get if len(keys) < 2 or convert is not None else _chain(keys)
    key = keys[0]
    return lambda root, run: root.get(key) if root.__class__ is dict else get(root, run)


def _chain(keys: tuple[str, ...]) -> Getter:
    def get(value: Any, run: Any) -> Any:
        for key in keys:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    return get


def _plain(trail: Trail) -> Thunk:
    if trail.slot is not None and len(trail.direct) == 1:
        return _of_variable(trail, trail.slot, trail.direct[0])
    base, get = trail.base, _from_root(trail)
    return lambda frame: get(base(frame), frame[RUN])


def _of_variable(trail: Trail, slot: int, key: str) -> Thunk:
    get, convert = trail.get, trail.convert

    def direct(frame: Frame) -> Any:
        root = frame[slot]
        return root.get(key) if root.__class__ is dict else get(root, frame[RUN])

    def converted(frame: Frame) -> Any:
        root = frame[slot]
        if root.__class__ is not dict:
            return get(root, frame[RUN])
        value = root.get(key)
        return None if value is None else convert(value, frame[RUN].offset)  # type: ignore[misc]

    def string(frame: Frame) -> Any:
        root = frame[slot]
        if root.__class__ is dict:
            value = root.get(key)
            if value is None or value.__class__ is str:
                return value
        return get(root, frame[RUN])

    if convert is None:
        return direct
    return string if convert is SYSTEM_VALUE["System.String"] else converted


def itself(value: Any, run: Any) -> Any:
    """The getter of a path without elements."""
    return value


def _step(model: Model, source: Code, name: str) -> Code:
    """One more element on a trail."""
    trail = source.trail or Trail(source.run, itself, "", source.type)
    if name in ("extension", "id") and trail.keys and model.primitive(source.type) is not None:
        return _beside(trail, name)
    get, kind, keys = element(model, source.type, name)
    before = trail.get
    whole: Getter = get if before is itself else lambda value, run: get(before(value, run), run)
    primitive = model.primitive(source.type) if name == "value" else None
    if primitive is not None and trail.path:
        # `.value` of a primitive is the primitive itself to a reader: it is not named in the path.
        convert = None if trail.convert is not None else SYSTEM_VALUE[primitive]
        kept = trail.direct if convert is not None else ()
        longer = replace(trail, get=whole, parent=None, keys=(), direct=kept, convert=convert)
        return Code(source.run, kind, trail=longer)
    direct: tuple[str, ...] = ()
    onward = before is itself or (trail.direct and trail.convert is None)
    if onward and len(keys) == 1 and not isinstance(kind, ListOf):
        direct = (*trail.direct, keys[0][0])
    path = f"{trail.path}.{name}" if trail.path else name
    longer = Trail(trail.base, whole, path, trail.root, trail.slot, before, keys, direct)
    return Code(source.run, kind, trail=longer)


def _beside(trail: Trail, name: str) -> Code:
    """`extension` or `id` of a primitive: FHIR JSON keeps them in `_element` beside it."""
    parent, keys = trail.parent or itself, tuple(f"_{key}" for key, _ in trail.keys)

    def get(root: Any, run: Any) -> Any:
        holder = parent(root, run)
        for key in keys:
            beside = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(beside, dict):
                return beside.get(name)
        return None

    kind = ListOf(Named("FHIR.Extension")) if name == "extension" else STRING
    return Code(
        trail.base, kind, trail=Trail(trail.base, get, f"{trail.path}.{name}", trail.root, trail.slot)
    )


def _indexed(source: Code, index: int) -> Code:
    assert source.trail is not None
    trail = source.trail
    before = trail.get

    def get(root: Any, run: Any) -> Any:
        value = before(root, run)
        return value[index] if isinstance(value, list) and index < len(value) else None

    kind = source.type.element if isinstance(source.type, ListOf) else source.type
    longer = Trail(trail.base, get, f"{trail.path}[{index}]", trail.root, trail.slot)
    return Code(source.run, kind, trail=longer)


def narrowed(compiler: Compiler, source: Code, wanted: Named) -> Code | None:
    """`source as wanted` read directly, where `source` is an element of a choice type; else None."""
    trail = source.trail
    if trail is None or not isinstance(source.type, Choice) or not trail.keys:
        return None
    name = wanted.name.removeprefix("FHIR.")
    keys = tuple((key, kind) for key, kind in trail.keys if compiler.model.extends(kind, name))
    if len(keys) != 1:
        return None
    (key, _), parent = keys[0], trail.parent or itself
    read = _plain_element(key)
    get: Getter = read if parent is itself else lambda root, run: read(parent(root, run), run)
    direct = (key,) if parent is itself else ()
    longer = Trail(trail.base, get, trail.path, trail.root, trail.slot, parent, keys, direct)
    return reading(compiler, Code(trail.base, wanted, trail=longer))


# Elements


def element(model: Model, source: Type, name: str) -> tuple[Getter, Type, tuple[tuple[str, str], ...]]:
    """How an element is read off a value of a static type: getter, type, and JSON keys it may be under."""
    if isinstance(source, TupleOf):
        return _plain_element(name), source.element(name), ((name, ""),)
    if isinstance(source, IntervalOf):
        kind = source.point if name in ("low", "high") else BOOLEAN_TYPE
        return _any_element(model, name), kind, ()
    if isinstance(source, Named) and source.name in _SYSTEM_ELEMENTS:
        return _attribute(model, name), _SYSTEM_ELEMENTS[source.name].get(name), ()
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
    return _plain_element(name), kind, ((name, ""),)


def _plain_element(name: str) -> Getter:
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
        if told is not None and (model.element(told, name) is not None):
            return element(model, Named(f"FHIR.{told}"), name)[0](value, run)
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


def _by_prefix(model: Model, value: dict[str, Any], name: str) -> Any:
    """A choice element of an untyped dict: `value` finds `valueQuantity`."""
    for key, found in value.items():
        kind = key[len(name) :]
        if key.startswith(name) and kind[:1].isupper():
            lower = kind[0].lower() + kind[1:]
            if kind in model.classes or lower in model.classes:
                return typed(found, lower if lower in model.classes else kind)
    return None


# Instances


@form("Tuple")
def tuple_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    parts = [(each["name"], compiler.compile(each["value"], scope)) for each in node.get("element") or ()]
    thunks = [(name, code.run) for name, code in parts]
    kind = TupleOf(tuple((name, code.type) for name, code in parts))
    return Code(lambda frame: {name: thunk(frame) for name, thunk in thunks}, kind)


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
