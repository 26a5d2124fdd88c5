"""Queries: sources, let, with and without, where, return, aggregate, sort.

Author's guide, "Queries"; CQL logical specification, "Query Expressions". A source that is not a list is a
list of one, and if all are, so is the result. How a query runs is told in `loops`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.elm.code import LOG, RUN, Code, Frame, Scope, Thunk, Variable
from server.elm.compiler import Compiler, form
from server.elm.errors import BudgetExceeded
from server.elm.evidence import TracedList, reason
from server.elm.library import Node
from server.elm.loops import (
    Aggregate,
    Assignment,
    Clauses,
    Source,
    Test,
    any_of,
    has_item,
    items_of,
    one,
    several,
)
from server.elm.sorting import sorter
from server.elm.types import ANY, ListOf, Named, TupleOf, Type


@form("Query")
def query(compiler: Compiler, node: Node, scope: Scope) -> Code:
    sources: list[Source] = []
    plural, known = False, True
    kinds: list[tuple[str, Type]] = []
    for each in node.get("source") or ():
        code = compiler.compile(each["expression"], scope)
        plural = plural or isinstance(code.type, ListOf)
        known = known and code.type not in (None, ANY)
        kind = code.type.element if isinstance(code.type, ListOf) else code.type
        scope, variable = scope.declare(each["alias"], kind)
        kinds.append((each["alias"], kind))
        sources.append(Source(code.run, variable.slot))
    if not sources:
        raise compiler.error("A query has no source", node, scope)
    clauses, kind = _clauses(compiler, node, scope, kinds)
    if len(sources) == 1:
        run = one(sources[0], clauses, compiler.tracing)
    else:
        run = several(sources, clauses, compiler.tracing)
    if clauses.aggregate is not None:
        return Code(run, kind)
    # What a source of unknown type makes of the result is seen when it runs.
    code = Code(run, ListOf(kind) if plural else kind if known else None)
    if len(sources) == 1:
        first = one(sources[0], clauses, compiler.tracing, first=True)
        if clauses.sort is None:
            code.first = first
        if clauses.result is None:
            code.exists = _existence(compiler, sources[0], clauses, code, first)
    return code


def _existence(compiler: Compiler, source: Source, clauses: Clauses, code: Code, first: Thunk) -> Thunk:
    """Whether any item passes.

    Traced, evidence wants all resources, and all that was made of them. Parts of one resource do not tell
    themselves apart in the evidence, so the first that passes will do.
    """
    kind = code.type.element if isinstance(code.type, ListOf) else code.type
    name = kind.name[5:] if isinstance(kind, Named) and kind.name.startswith("FHIR.") else ""
    part = name in compiler.model.classes and not compiler.model.extends(name, "Resource")
    if part or not compiler.tracing:
        return any_of(source, clauses, compiler.tracing)
    return _every(code.run, first)


def _every(run: Thunk, first: Thunk) -> Thunk:
    """Whether any item passes, by all that do; where one is an error, by the first before it, as untraced."""

    def exists(frame: Frame) -> bool:
        log = frame[LOG]
        start = len(log)
        try:
            found = run(frame)
        except BudgetExceeded:
            raise
        except Exception:
            # It may have come while a list was handed over, of which is told in a log of its own.
            frame[LOG] = log
            del log[start:]
            return first(frame) is not None
        return has_item(found)

    return exists


def _clauses(
    compiler: Compiler, node: Node, scope: Scope, kinds: list[tuple[str, Type]]
) -> tuple[Clauses, Type]:
    lets: list[Let] = []
    for each in node.get("let") or ():
        uses = _uses(lets)
        code = compiler.compile(each["expression"], scope)
        mentions = _mentioned(lets, uses)
        scope, variable = scope.declare(each["identifier"], code.type)
        held = scope.hold(each["identifier"]) if compiler.tracing else None
        lets.append(Let(variable, code.run if held is None else _held(code.run, held), mentions))
    uses = _uses(lets)
    tests: list[Test] = [_relation(compiler, each, scope) for each in node.get("relationship") or ()]
    if node.get("where") is not None:
        tests.append(compiler.compile(node["where"], scope).run)
    before, after = _parted(lets, _mentioned(lets, uses))
    returned, aggregate = node.get("return"), node.get("aggregate")
    result: Thunk | None = None
    kind: Type
    unique = False
    if aggregate is not None:
        made, kind = _aggregate(compiler, aggregate, scope)
        return Clauses(before, tests, after, None, False, None, made), kind
    if returned is not None:
        code = compiler.compile(returned["expression"], scope)
        kind, unique = code.type, returned.get("distinct", True) is not False
        # `return C` of the one alias is the item itself.
        same = len(kinds) == 1 and returned["expression"].get("type") == "AliasRef"
        result = None if same and returned["expression"].get("name") == kinds[0][0] else code.run
    elif len(kinds) == 1:
        kind = kinds[0][1]
    else:
        # Without a return, an item of the product is a tuple of the aliases.
        kind = TupleOf(tuple(kinds))
        named = [(name, scope.names[name].slot) for name, _ in kinds]
        result = lambda frame: {name: frame[slot] for name, slot in named}  # noqa: E731
        unique = True
    sort = sorter(compiler, node["sort"], scope, kind) if node.get("sort") is not None else None
    return Clauses(before, tests, after, result, unique, sort, None), kind


@dataclass(slots=True)
class Let:
    """A name let, its expression, and which lets before it that mentions (by place)."""

    variable: Variable
    run: Thunk
    mentions: list[int]


def _uses(lets: list[Let]) -> list[int]:
    """How often each name was mentioned so far."""
    return [each.variable.uses for each in lets]


def _mentioned(lets: list[Let], since: list[int]) -> list[int]:
    """Which were mentioned since."""
    return [place for place, count in enumerate(_uses(lets)) if count > since[place]]


def _parted(lets: list[Let], tested: list[int]) -> tuple[list[Assignment], list[Assignment]]:
    """The lets that the conditions need, and those that only items which pass them do; both in order."""
    needed: set[int] = set()
    ahead = list(tested)
    while ahead:
        place = ahead.pop()
        if place not in needed:
            needed.add(place)
            ahead.extend(lets[place].mentions)
    parts: tuple[list[Assignment], list[Assignment]] = ([], [])
    for place, each in enumerate(lets):
        parts[place not in needed].append((each.variable.slot, each.run))
    return parts


def _held(value: Thunk, slot: int) -> Thunk:
    """A list let: what the log says of it is kept for where the name is used."""

    def hold(frame: Frame) -> Any:
        log = frame[LOG]
        start = len(log)
        found = value(frame)
        frame[slot] = log[start:]
        del log[start:]
        return found

    return hold


def _aggregate(compiler: Compiler, node: Node, scope: Scope) -> tuple[Aggregate, Type]:
    starting = compiler.optional(node.get("starting"), scope)
    inner, variable = scope.declare(node["identifier"], starting.type)
    step = compiler.compile(node["expression"], inner)
    return Aggregate(variable.slot, starting.run, step.run, bool(node.get("distinct"))), step.type


def _relation(compiler: Compiler, node: Node, scope: Scope) -> Test:
    """`with X such that`: some related item makes the condition true; `without`: none does."""
    source = compiler.compile(node["expression"], scope)
    kind = source.type.element if isinstance(source.type, ListOf) else source.type
    inner, variable = scope.declare(node["alias"], kind)
    condition = compiler.compile(node["suchThat"], inner).run
    slot, related = variable.slot, source.run
    if node["type"] not in ("With", "Without"):
        raise compiler.error(f"Relationship {node['type']} is not supported", node, scope)
    wanted: bool = node["type"] == "With"
    if compiler.tracing:
        return _traced_relation(related, slot, condition, wanted)

    def relation(frame: Frame) -> bool:
        seen = 0  # Those after the one that settles it cost no step.
        for seen, item in enumerate(items_of(related(frame)), 1):
            frame[slot] = item
            if condition(frame) is True:
                frame[RUN].spend(seen)
                return wanted
        frame[RUN].spend(seen)
        return not wanted

    return relation


def _traced_relation(related: Thunk, slot: int, condition: Thunk, wanted: bool) -> Test:
    def relation(frame: Frame) -> bool:
        log = frame[LOG]
        start = len(log)
        items = related(frame)
        whole = log[start:]
        why = items.why if isinstance(items, TracedList) else None
        seen = 0
        for seen, item in enumerate(items_of(items), 1):
            frame[slot] = item
            mark = len(log)
            if condition(frame) is True:
                frame[RUN].spend(seen)
                kept = log[mark:]
                del log[start:]
                log.append(why[seen - 1] if why is not None else reason(item, whole))
                log.extend(kept)
                return wanted
            del log[mark:]
        frame[RUN].spend(seen)
        return not wanted

    return relation
