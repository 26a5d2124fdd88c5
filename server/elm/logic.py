"""Forms that do not evaluate all they are given: three-valued logic, conditionals, Coalesce, Exists.

CQL logical specification, "Logical Operators", "Conditional Operators", "Nullological Operators". Null means
"not known": `false and null` is false, `true and null` is null. Traced, they keep what decided: of a false
`and` the operand that was false, of a true `or` the one that was true, of an unknown the ones not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from server.elm.code import LOG, Code, Frame, Scope, Thunk
from server.elm.compiler import Compiler, form
from server.elm.library import Node
from server.elm.loops import has_item
from server.elm.operators.registry import OPERATORS
from server.elm.types import BOOLEAN, either, element_of

VARIABLES: Final = ("AliasRef", "QueryLetRef", "OperandRef")


@form("And")
def and_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """False as soon as one operand is."""
    operands = _chain(compiler, node, scope)
    if len(operands) > 2:
        return Code(_long(compiler, operands, False), BOOLEAN)
    left, right = operands
    thunk = _traced_junction(left, right, False) if compiler.tracing else _and(left, right)
    return Code(thunk, BOOLEAN)


@form("Or")
def or_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """True as soon as one operand is."""
    operands = _chain(compiler, node, scope)
    if len(operands) > 2:
        return Code(_long(compiler, operands, True), BOOLEAN)
    left, right = operands
    thunk = _traced_junction(left, right, True) if compiler.tracing else _or(left, right)
    return Code(thunk, BOOLEAN)


@form("Implies")
def implies(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """`not a or b`."""
    left, right = _two(compiler, node, scope)

    def denied(frame: Frame) -> Any:
        value = left(frame)
        return None if value is None else not value

    thunk = _traced_junction(denied, right, True) if compiler.tracing else _or(denied, right)
    return Code(thunk, BOOLEAN)


def _chain(compiler: Compiler, node: Node, scope: Scope) -> list[Thunk]:
    """The operands of `a and b and c`, which ELM nests to the left, in order."""
    kind, parts = node["type"], []
    while compiler.observer is None:
        operands = node.get("operand")
        if not isinstance(operands, list) or len(operands) != 2:
            break
        inner = operands[0]
        if not isinstance(inner, Mapping) or inner.get("type") != kind:
            break
        parts.append(compiler.compile(operands[1], scope).run)
        node = inner
    return [*_two(compiler, node, scope), *reversed(parts)]


def _long(compiler: Compiler, operands: list[Thunk], decisive: bool) -> Thunk:
    """Three operands or more: decided by the first that is `decisive`."""

    def plain(frame: Frame) -> Any:
        unknown = False
        for operand in operands:
            value = operand(frame)
            if value is decisive:
                return decisive
            if value is None:
                unknown = True
        return None if unknown else not decisive

    def traced(frame: Frame) -> Any:
        log = frame[LOG]
        start = len(log)
        unknown: list[Any] | None = None
        for operand in operands:
            mark = len(log)
            value = operand(frame)
            if value is decisive:
                del log[start:mark]
                return decisive
            if value is None:
                unknown = [*(unknown or ()), *log[mark:]]
        if unknown is None:
            return not decisive
        log[start:] = unknown
        return None

    return traced if compiler.tracing else plain


def _two(compiler: Compiler, node: Node, scope: Scope) -> tuple[Thunk, Thunk]:
    operands = compiler.operands(node, scope)
    if len(operands) != 2:
        raise compiler.error(f"{node['type']} wants two operands and has {len(operands)}", node, scope)
    return operands[0].run, operands[1].run


def _and(left: Thunk, right: Thunk) -> Thunk:
    def conjunction(frame: Frame) -> Any:
        first = left(frame)
        if first is False:
            return False
        second = right(frame)
        if second is False:
            return False
        return None if first is None or second is None else True

    return conjunction


def _or(left: Thunk, right: Thunk) -> Thunk:
    def disjunction(frame: Frame) -> Any:
        first = left(frame)
        if first is True:
            return True
        second = right(frame)
        if second is True:
            return True
        return None if first is None or second is None else False

    return disjunction


def _traced_junction(left: Thunk, right: Thunk, decisive: bool) -> Thunk:
    """`and` (decided by a false operand) or `or` (by a true one), keeping only what decided in the log."""

    def junction(frame: Frame) -> Any:
        log = frame[LOG]
        start = len(log)
        first = left(frame)
        if first is decisive:
            return decisive
        middle = len(log)
        second = right(frame)
        if second is decisive:
            del log[start:middle]
            return decisive
        if first is None:
            if second is not None:
                del log[middle:]
            return None
        if second is None:
            del log[start:middle]
            return None
        return not decisive

    return junction


@form("If")
def if_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """A condition that is not known counts as false."""
    condition = compiler.compile(node.get("condition"), scope).run
    then = compiler.compile(node.get("then"), scope)
    otherwise = compiler.optional(node.get("else"), scope)
    first, second = then.run, otherwise.run
    code = Code(
        lambda frame: first(frame) if condition(frame) is True else second(frame),
        either((then.type, otherwise.type)),
    )
    if otherwise.parts is not None and _asks_null(node["condition"], scope) == otherwise.parts[0]:
        # Where the variable is there, its parts are those of what is made of it.
        code.parts = otherwise.parts
    return code


def _asks_null(condition: Node, scope: Scope) -> int | None:
    """The slot of the variable that a condition of `x is null` asks about."""
    operand = condition.get("operand")
    if condition.get("type") != "IsNull" or not isinstance(operand, Mapping):
        return None
    found = scope.names.get(operand["name"]) if operand.get("type") in VARIABLES else None
    return None if found is None else found.slot


@form("Case")
def case(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The first item whose condition is true, or which equals the comparand."""
    items = [
        (compiler.compile(item.get("when"), scope), compiler.compile(item.get("then"), scope))
        for item in node.get("caseItem") or ()
    ]
    otherwise = compiler.optional(node.get("else"), scope)
    kind = either([*(then.type for _, then in items), otherwise.type])
    last = otherwise.run
    if node.get("comparand") is not None:
        return Code(_matching(compiler.compile(node["comparand"], scope).run, items, last), kind)
    table = [(when.run, then.run) for when, then in items]

    def choose(frame: Frame) -> Any:
        for when, then in table:
            if when(frame) is True:
                return then(frame)
        return last(frame)

    return Code(choose, kind)


def _matching(comparand: Thunk, items: list[tuple[Code, Code]], last: Thunk) -> Thunk:
    table = [(when.run, then.run) for when, then in items]
    equal = OPERATORS["Equal"].function

    def chosen(wanted: Any, frame: Frame) -> Thunk:
        if wanted is not None:
            for when, then in table:
                value = when(frame)
                if value is not None and equal(wanted, value) is True:
                    return then
        return last

    words = [when.run([None, None]) if when.constant else None for when, _ in items]
    if not all(type(word) is str for word in words):
        return lambda frame: chosen(comparand(frame), frame)(frame)
    by_word = {word: then for word, (_, then) in reversed(list(zip(words, table, strict=True)))}

    def choose(frame: Frame) -> Any:
        wanted = comparand(frame)
        then = by_word.get(wanted, last) if wanted.__class__ is str else chosen(wanted, frame)
        return then(frame)

    return choose


@form("Coalesce")
def coalesce(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The first operand, or the first item of a single list operand, that is not null."""
    operands = compiler.operands(node, scope)
    kind = either(operand.type for operand in operands)
    thunks = [operand.run for operand in operands]
    if len(thunks) == 1:
        only = thunks[0]

        def of_list(frame: Frame) -> Any:
            value = only(frame)
            if isinstance(value, list):
                return next((item for item in value if item is not None), None)
            return value

        return Code(of_list, element_of(kind))

    def first_known(frame: Frame) -> Any:
        for thunk in thunks:
            value = thunk(frame)
            if value is not None:
                return value
        return None

    if not compiler.tracing:
        return Code(first_known, kind)

    def traced(frame: Frame) -> Any:
        log = frame[LOG]
        start = len(log)
        for thunk in thunks:
            before = len(log)
            value = thunk(frame)
            if value is not None:
                del log[start:before]
                return value
        return None

    return Code(traced, kind)


@form("Exists")
def exists(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """Whether a list has an item that is not null; false of a null list."""
    code = compiler.operand(node, scope)
    operand = code.run
    if code.exists is not None:
        return Code(code.exists, BOOLEAN)

    return Code(lambda frame: has_item(operand(frame)), BOOLEAN)
