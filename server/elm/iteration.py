"""Operations over a list with an expression for each item: Filter, ForEach, Repeat, Aggregate.

ELM logical specification, "List Operators" and "Aggregate Operators".
"""

from __future__ import annotations

from typing import Any

from server.elm.code import RUN, Code, Frame, Scope
from server.elm.compiler import Compiler, form
from server.elm.library import Node
from server.elm.loops import Clauses, Source, items_of, one
from server.elm.operators.distinct import distinct
from server.elm.types import ListOf, Named


@form("Filter")
def filter_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """Items for which the condition is true."""
    source, inner, slot = _each(compiler, node, scope)
    condition = compiler.compile(node["condition"], inner).run
    clauses = Clauses([], [condition], [], None, False, None, None)
    return Code(one(Source(source.run, slot), clauses, compiler.tracing), source.type)


@form("ForEach")
def for_each(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The value of an expression for each item."""
    source, inner, slot = _each(compiler, node, scope)
    element = compiler.compile(node["element"], inner)
    clauses = Clauses([], [], [], element.run, False, None, None)
    return Code(one(Source(source.run, slot), clauses, compiler.tracing), ListOf(element.type))


@form("Repeat")
def repeat(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The expression applied to each item, and to what that gives, until nothing new turns up."""
    source, inner, slot = _each(compiler, node, scope)
    element = compiler.compile(node["element"], inner)
    start, step = source.run, element.run

    def run(frame: Frame) -> Any:
        values = start(frame)
        if values is None:
            return None
        found: list[Any] = []
        queue = list(items_of(values))
        while queue:
            frame[RUN].left -= 1
            if frame[RUN].left < 0:
                frame[RUN].check()
            frame[slot] = queue.pop(0)
            fresh = [item for item in items_of(step(frame)) if item is not None]
            grown = distinct(found + fresh)
            queue.extend(grown[len(found) :])
            found = grown
        return found

    return Code(run, ListOf(element.type))


@form("Current")
def current(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The item at hand in Filter, ForEach, Repeat or Aggregate."""
    found = scope.names.get(node.get("scope") or "$this") or scope.this
    if found is None:
        raise compiler.error("Current is outside of an iteration", node, scope)
    slot = found.slot
    return Code(lambda frame: frame[slot], found.type)


@form("Total")
def total(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """What an Aggregate has accumulated."""
    found = scope.names.get("$total")
    if found is None:
        raise compiler.error("Total is outside of an Aggregate", node, scope)
    slot = found.slot
    return Code(lambda frame: frame[slot], found.type)


@form("Iteration")
def iteration(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The index of the item at hand."""
    found = scope.names.get("$index")
    if found is None:
        raise compiler.error("Iteration is outside of an Aggregate", node, scope)
    slot = found.slot
    return Code(lambda frame: frame[slot], Named("System.Integer"))


@form("Aggregate")
def aggregate(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """A fold over a list: `iteration` for each item, from `initialValue`."""
    source, inner, slot = _each(compiler, node, scope)
    initial = compiler.optional(node.get("initialValue"), scope)
    inner, sum_slot = inner.declare("$total", initial.type)
    inner, count = inner.declare("$index", Named("System.Integer"))
    step = compiler.compile(node["iteration"], inner)
    fetch, begin, iterate = source.run, initial.run, step.run

    def run(frame: Frame) -> Any:
        values = fetch(frame)
        if values is None:
            return None
        value = begin(frame)
        for index, item in enumerate(values):
            frame[RUN].left -= 1
            if frame[RUN].left < 0:
                frame[RUN].check()
            frame[slot], frame[sum_slot.slot], frame[count.slot] = item, value, index
            value = iterate(frame)
        return value

    return Code(run, step.type)


def _each(compiler: Compiler, node: Node, scope: Scope) -> tuple[Code, Scope, int]:
    source = compiler.compile(node["source"], scope)
    kind = source.type.element if isinstance(source.type, ListOf) else source.type
    inner, variable = scope.declare(node.get("scope") or "$this", kind)
    return source, Scope(inner.body, inner.names, variable), variable.slot
