"""Forms that pick from a list: First, Last, SingletonFrom, Indexer.

CQL logical specification, "List Operators" and "String Operators" (an Indexer also reads a string). They are
here and not in the operator table because, traced, they narrow: picking the last treatment means that one
treatment decided.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.elm.code import LOG, Code, Frame, Scope, Thunk
from server.elm.compiler import Compiler, form
from server.elm.errors import EvaluationError
from server.elm.evidence import TracedList, reason
from server.elm.library import Node
from server.elm.types import STRING, element_of

Pick = Callable[[list[Any]], int | None]


@form("First")
def first(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The first item, null of an empty list."""
    source = compiler.compile(_source(node), scope)
    if source.first is not None:
        return Code(source.first, element_of(source.type))
    return _picking(compiler, source, the_first)


def the_first(items: list[Any]) -> int | None:
    """Where the first item is."""
    return 0 if items else None


@form("Last")
def last(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The last item, null of an empty list."""
    return _picking(
        compiler, compiler.compile(_source(node), scope), lambda items: len(items) - 1 if items else None
    )


@form("SingletonFrom")
def singleton_from(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The one item, null of an empty list, an error of more."""

    def only(items: list[Any]) -> int | None:
        if len(items) > 1:
            raise EvaluationError(f"Expected at most one item and found {len(items)}.")
        return 0 if items else None

    return _picking(compiler, compiler.operand(node, scope), only)


@form("Indexer")
def indexer(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The item (of a string, the character) at a position from 0; null outside."""
    operands = compiler.operands(node, scope)
    if len(operands) != 2:
        raise compiler.error("Indexer wants a list and a position", node, scope)
    source, position = operands[0].run, operands[1].run

    def at(frame: Frame) -> Any:
        log = frame[LOG]
        start = len(log) if compiler.tracing else 0
        items = source(frame)
        index = position(frame)
        if items is None or index is None or not 0 <= index < len(items):
            return None
        if compiler.tracing and isinstance(items, list):
            _narrow(log, start, items, index)
        return items[index]

    return Code(at, STRING if operands[0].type == STRING else element_of(operands[0].type))


def _source(node: Node) -> Any:
    return node["source"] if node.get("source") is not None else node.get("operand")


def _picking(compiler: Compiler, source: Code, pick: Pick) -> Code:
    fetch: Thunk = source.run

    def plain(frame: Frame) -> Any:
        items = fetch(frame)
        if not isinstance(items, list):
            return items
        index = pick(items)
        return None if index is None else items[index]

    return Code(picked(fetch, pick) if compiler.tracing else plain, element_of(source.type))


def picked(fetch: Thunk, pick: Pick) -> Thunk:
    """One item of a list, traced: of what the list's log says, what led to it."""

    def traced(frame: Frame) -> Any:
        log = frame[LOG]
        start = len(log)
        items = fetch(frame)
        if not isinstance(items, list):
            return items
        index = pick(items)
        if index is None:
            return None
        _narrow(log, start, items, index)
        return items[index]

    return traced


def _narrow(log: list[Any], start: int, items: list[Any], index: int) -> None:
    """Of what a list's log says, keep what led to one item."""
    whole = log[start:]
    del log[start:]
    log.append(items.why[index] if isinstance(items, TracedList) else reason(items[index], whole))
