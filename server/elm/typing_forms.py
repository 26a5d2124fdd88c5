"""Forms about types: Is, As, Convert, CanConvert.

CQL logical specification, "Type Operators". An element of a choice type read `as` one of its types is read
directly from the JSON key of that type; asking what it `is` looks for the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.elm.code import LOG, RUN, Code, Frame, Scope, Thunk
from server.elm.compiler import Compiler, form
from server.elm.errors import EvaluationError
from server.elm.library import Node
from server.elm.model import type_name, typed
from server.elm.operators.registry import OPERATORS
from server.elm.paths import narrowed
from server.elm.types import BOOLEAN, Choice, IntervalOf, ListOf, Named, TupleOf, Type, named, specifier
from server.elm.typetests import tester


def _wanted(compiler: Compiler, node: Node, simple: str, tree: str, scope: Scope) -> Type:
    name = node.get(simple)
    wanted = named(name) if isinstance(name, str) else specifier(node.get(tree))
    if wanted is None:
        raise compiler.error(f"{node['type']} names no type", node, scope)
    unknown = next((each for each in _named(wanted) if not _is_known(compiler, each)), None)
    if unknown is not None:
        raise compiler.error(
            f"{node['type']} {unknown}: neither System nor FHIR 4.0.1 has such a type", node, scope
        )
    return wanted


def _named(kind: Type) -> Iterator[str]:
    """The names in a type."""
    match kind:
        case Named(name):
            yield name
        case ListOf(inner) | IntervalOf(inner):
            yield from _named(inner)
        case Choice(options):
            for option in options:
                yield from _named(option)
        case TupleOf(elements):
            for _, element in elements:
                yield from _named(element)


def _is_known(compiler: Compiler, name: str) -> bool:
    return name.startswith("System.") or name.removeprefix("FHIR.") in compiler.model.classes


@form("As")
def as_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The value when it is of the type; else null, or an error when `strict`."""
    wanted = _wanted(compiler, node, "asType", "asTypeSpecifier", scope)
    operand = compiler.operand(node, scope)
    strict = bool(node.get("strict"))
    if operand.constant and operand.run([None, None]) is None:
        return Code(operand.run, wanted, constant=True)
    if isinstance(wanted, Named) and not strict:
        direct = narrowed(compiler, operand, wanted)
        if direct is not None:
            return direct
    test = tester(compiler.model, wanted, operand.type)
    source = operand.run
    if (
        isinstance(wanted, Choice)
        and isinstance(operand.type, Named)
        and operand.type.name.startswith("FHIR.")
    ):
        source = _telling(source, operand.type.name.removeprefix("FHIR."))

    def cast(frame: Frame) -> Any:
        value = source(frame)
        if value is None or test(value):
            return value
        if strict:
            raise EvaluationError(f"The value is not of type {wanted}.")
        return None

    return Code(cast, wanted)


def _telling(source: Thunk, kind: str) -> Thunk:
    """What is of one FHIR type, told of it: among several types no static one will."""

    def telling(frame: Frame) -> Any:
        value = source(frame)
        return value if value is None or type_name(value) is not None else typed(value, kind)

    return telling


@form("Is")
def is_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """False of null."""
    wanted = _wanted(compiler, node, "isType", "isTypeSpecifier", scope)
    operand = compiler.operand(node, scope)
    source = operand.run
    if isinstance(wanted, Named) and isinstance(operand.type, Choice):
        direct = narrowed(compiler, operand, wanted)
        if direct is not None:
            assert direct.trail is not None
            assert operand.trail is not None
            base, get, path = direct.trail.base, direct.trail.get, direct.trail.path
            whole = operand.trail.get
            if not compiler.tracing:
                return Code(lambda frame: get(base(frame), frame[RUN]) is not None, BOOLEAN)

            def present(frame: Frame) -> bool:
                root = base(frame)
                found = get(root, frame[RUN]) is not None
                if root.__class__ is dict and "resourceType" in root:
                    if found:
                        frame[LOG].append((root, path, True))
                    elif whole(root, frame[RUN]) is None:
                        frame[LOG].append((root, path, False))
                return found

            return Code(present, BOOLEAN)
    test = tester(compiler.model, wanted, operand.type)

    def check(frame: Frame) -> bool:
        value = source(frame)
        return value is not None and test(value)

    return Code(check, BOOLEAN)


_TO = {
    f"System.{name}": f"To{name}"
    for name in (
        "Boolean",
        "Integer",
        "Long",
        "Decimal",
        "String",
        "Date",
        "DateTime",
        "Time",
        "Quantity",
        "Ratio",
        "Concept",
    )
}


@form("Convert")
def convert(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """To a system type by its `ToX`; what is of the type already stays."""
    wanted = _wanted(compiler, node, "toType", "toTypeSpecifier", scope)
    operator = _TO.get(str(wanted))
    if operator is None:
        raise compiler.error(f"Convert to {wanted} is not supported", node, scope)
    converted = compiler.compile({"type": operator, "operand": node.get("operand")}, scope)
    operand = compiler.operand(node, scope)
    test = tester(compiler.model, wanted, operand.type)
    source, change = operand.run, converted.run

    def to(frame: Frame) -> Any:
        value = source(frame)
        return value if value is None or test(value) else change(frame)

    return Code(to, wanted)


@form("CanConvert")
def can_convert(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """Whether `Convert` would give a value."""
    wanted = _wanted(compiler, node, "toType", "toTypeSpecifier", scope)
    operator = _TO.get(str(wanted))
    if operator is None:
        return Code(lambda frame: False, BOOLEAN)
    check = f"ConvertsTo{operator.removeprefix('To')}"
    if check not in OPERATORS:
        raise compiler.error(f"CanConvert to {wanted} is not supported", node, scope)
    return compiler.compile({"type": check, "operand": node.get("operand")}, scope)
