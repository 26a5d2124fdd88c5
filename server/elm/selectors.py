"""Forms that make values: literals, null, lists, intervals, quantities, ratios, codes, concepts.

CQL logical specification, "Simple Values", "Clinical Values", "Structured Values". What can be known when the
library is compiled is made then, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from server.elm.code import Code, Frame, Scope, constant, fold
from server.elm.compiler import Compiler, form
from server.elm.errors import EvaluationError
from server.elm.library import Node
from server.elm.operators.comparison import equal, greater
from server.elm.operators.registry import OPERATORS
from server.elm.references import code_value
from server.elm.temporal import DAY
from server.elm.types import (
    BOOLEAN,
    CODE,
    CONCEPT,
    DECIMAL,
    INTEGER,
    LONG,
    QUANTITY,
    STRING,
    IntervalOf,
    ListOf,
    Named,
    named,
)
from server.elm.values import Code as CodeValue
from server.elm.values import (
    Concept,
    Date,
    Interval,
    Quantity,
    Ratio,
    bounded_decimal,
    bounded_integer,
    bounded_long,
)


@form("Literal")
def literal(compiler: Compiler, node: Node, scope: Scope) -> Code:
    kind = named(node["valueType"])
    text = node.get("value", "")
    value: Any
    if kind == STRING:
        value = text
    elif kind == INTEGER:
        value = bounded_integer(int(text))
    elif kind == LONG:
        value = bounded_long(int(str(text).removesuffix("L")))
    elif kind == DECIMAL:
        number = Decimal(text)
        value = bounded_decimal(number)
        if value != number:  # a literal is exact: one with more than eight places is none
            value = None
    elif kind == BOOLEAN:
        value = str(text).lower() == "true"
    else:
        raise compiler.error(f"A literal of type {kind} is not supported", node, scope)
    if value is None:
        raise compiler.error(f"{text} is out of the range of {kind}", node, scope)
    return constant(value, kind)


@form("Negate")
def negate(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """Minus; of a literal, the literal with its sign: -2147483648 is an Integer, 2147483648 is not."""
    operand = node.get("operand")
    if isinstance(operand, Mapping) and operand.get("type") == "Literal":
        text = str(operand.get("value"))
        if named(operand["valueType"]) in (INTEGER, LONG, DECIMAL) and not text.startswith("-"):
            return literal(compiler, {**operand, "value": f"-{text}"}, scope)
    return compiler.operation(OPERATORS["Negate"], node, scope)


@form("Null")
def null(compiler: Compiler, node: Node, scope: Scope) -> Code:
    return constant(None, None)


@form("List")
def list_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    elements = [compiler.compile(each, scope) for each in node.get("element") or ()]
    kind = next((each.type for each in elements if each.type is not None), None)
    thunks = [each.run for each in elements]
    code = Code(lambda frame: [thunk(frame) for thunk in thunks], ListOf(kind))
    return fold(code) if all(each.constant for each in elements) else code


@form("Interval")
def interval(compiler: Compiler, node: Node, scope: Scope) -> Code:
    low = compiler.optional(node.get("low"), scope)
    high = compiler.optional(node.get("high"), scope)
    low_closed = _closed(compiler, node, "lowClosed", scope)
    high_closed = _closed(compiler, node, "highClosed", scope)
    first, last, opens, closes = low.run, high.run, low_closed.run, high_closed.run

    def ends(frame: Frame) -> tuple[bool, bool]:
        return opens(frame) is not False, closes(frame) is not False

    known = ends([None, None]) if low_closed.constant and high_closed.constant else None

    def make(frame: Frame) -> Interval:
        a, b = first(frame), last(frame)
        made = Interval(a, b, *(known or ends(frame)))
        if a is not None and b is not None and is_empty(made):
            raise EvaluationError(f"{made} is no interval: it ends before it begins.")
        return made

    code = Code(make, IntervalOf(low.type or high.type))
    parts = (low, high, low_closed, high_closed)
    return fold(code) if all(part.constant for part in parts) else code


def is_empty(made: Interval) -> bool:
    """Whether an interval ends before it begins, as far as both are known."""
    low, high = made.low, made.high
    if low.__class__ is Date and high.__class__ is Date and low.precision == DAY == high.precision:
        return bool(
            low.low > high.low or (low.low == high.low and not (made.low_closed and made.high_closed))
        )
    if made.low_closed and made.high_closed:
        return greater(made.low, made.high) is True
    return greater(made.low, made.high) is True or equal(made.low, made.high) is True


def _closed(compiler: Compiler, node: Node, name: str, scope: Scope) -> Code:
    expression = node.get(f"{name}Expression")
    if expression is not None:
        return compiler.compile(expression, scope)
    return constant(node.get(name, True), BOOLEAN)


@form("Quantity")
def quantity(compiler: Compiler, node: Node, scope: Scope) -> Code:
    return constant(_quantity(node), QUANTITY)


def _quantity(node: Node) -> Quantity | None:
    value = node.get("value")
    if value is None:
        return None
    number = bounded_decimal(Decimal(str(value)))
    return None if number is None else Quantity(number, node.get("unit") or "1")


@form("Ratio")
def ratio(compiler: Compiler, node: Node, scope: Scope) -> Code:
    above, below = _quantity(node["numerator"]), _quantity(node["denominator"])
    value = None if above is None or below is None else Ratio(above, below)
    return constant(value, Named("System.Ratio"))


@form("Code")
def code(compiler: Compiler, node: Node, scope: Scope) -> Code:
    return constant(_code(compiler, node, scope), CODE)


def _code(compiler: Compiler, node: Node, scope: Scope) -> CodeValue:
    """A code written out, or one in a concept that only names a declared code."""
    if "code" not in node:
        return code_value(compiler, scope.body.library, node["name"], node, scope)
    reference = node.get("system") or {}
    alias = reference.get("libraryName")
    library = scope.body.library if alias is None else scope.body.library.includes.get(alias)
    declared = None if library is None else library.code_systems.get(reference.get("name", ""))
    if reference and declared is None:
        raise compiler.error(f'No code system "{reference.get("name")}" is declared', node, scope)
    system, version = (None, None) if declared is None else (declared["id"], declared.get("version"))
    return CodeValue(node["code"], system, version, node.get("display"))


@form("Concept")
def concept(compiler: Compiler, node: Node, scope: Scope) -> Code:
    codes = tuple(_code(compiler, each, scope) for each in node.get("code") or ())
    return constant(Concept(codes, node.get("display")), CONCEPT)
