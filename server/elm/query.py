"""Queries: sources, let, with and without, where, return, aggregate, sort.

Author's guide, "Queries"; CQL logical specification, "Query Expressions". A query over one list runs as one
loop; over several, over their product. A source that is not a list is a list of one, and if all are, so is
the result.

Traced, a query keeps for each item of its result what let it through, and leaves out what let the others
fall. When none is left, the log says what was looked for, which candidates there were, and what was not known
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from server.elm.compiler import LOG, RUN, Code, Compiler, Frame, Scope, Thunk, form
from server.elm.evidence import Found, Only, Sought, TracedList, reason
from server.elm.library import Node
from server.elm.operators.distinct import distinct
from server.elm.sorting import Sorter, sorter
from server.elm.types import ListOf, Named, TupleOf, Type

Test = Callable[[Frame], bool | None]


@dataclass(slots=True)
class Source:
    """One source: its expression and the slot of its alias."""

    run: Thunk
    slot: int


@dataclass(slots=True)
class Clauses:
    """What is done with each item: lets in order, then the conditions it must meet, then its result."""

    lets: list[tuple[int, Thunk]]
    tests: list[Test]
    result: Thunk | None
    distinct: bool
    sort: Sorter | None
    aggregate: Aggregate | None


@dataclass(slots=True)
class Aggregate:
    """`aggregate A starting s: e`."""

    slot: int
    starting: Thunk
    step: Thunk
    distinct: bool


@form("Query")
def query(compiler: Compiler, node: Node, scope: Scope) -> Code:
    sources: list[Source] = []
    plural = False
    kinds: list[tuple[str, Type]] = []
    for each in node.get("source") or ():
        code = compiler.compile(each["expression"], scope)
        plural = plural or isinstance(code.type, ListOf)
        kind = code.type.element if isinstance(code.type, ListOf) else code.type
        scope, variable = scope.declare(each["alias"], kind)
        kinds.append((each["alias"], kind))
        sources.append(Source(code.run, variable.slot))
    if not sources:
        raise compiler.error("A query has no source", node, scope)
    clauses, kind = _clauses(compiler, node, scope, kinds, bool(plural))
    if len(sources) == 1:
        make = _traced_one if compiler.tracing else _one
        run = make(sources[0], clauses)
    else:
        run = _several(sources, clauses, compiler.tracing)
    if clauses.aggregate is not None:
        return Code(run, kind)
    code = Code(run, ListOf(kind) if plural else kind)
    if len(sources) == 1 and clauses.result is None and compiler.observer is None:
        code.exists = _existence(compiler, sources[0], clauses, kind)
    return code


def _existence(compiler: Compiler, source: Source, clauses: Clauses, kind: Type) -> Thunk | None:
    """Whether any item passes, looking no further than the first; None where evidence wants them all.

    Traced, that is so for resources and what is made of them. Parts of one resource do not tell themselves
    apart in the evidence.
    """
    if not compiler.tracing:
        return _any_plain(source, clauses)
    part = (
        isinstance(kind, Named) and kind.name.startswith("FHIR.") and kind.name[5:] in compiler.model.classes
    )
    assert not part or isinstance(kind, Named)
    if not part or compiler.model.extends(str(kind)[5:], "Resource"):
        return None
    return _any_traced(source, clauses)


def _any_plain(source: Source, clauses: Clauses) -> Thunk:
    fetch, slot, lets, tests = source.run, source.slot, clauses.lets, clauses.tests

    def some(frame: Frame) -> bool:
        values = _items(fetch(frame))
        frame[RUN].left -= len(values)
        if frame[RUN].left < 0:
            frame[RUN].check()
        for item in values:
            frame[slot] = item
            for place, value in lets:
                frame[place] = value(frame)
            if _all(tests, frame) and item is not None:
                return True
        return False

    return some


def _any_traced(source: Source, clauses: Clauses) -> Thunk:
    fetch, slot, lets, tests = source.run, source.slot, clauses.lets, clauses.tests

    def some(frame: Frame) -> bool:
        values = _items(fetch(frame))
        frame[RUN].left -= len(values)
        if frame[RUN].left < 0:
            frame[RUN].check()
        log = frame[LOG]
        start = len(log)
        for item in values:
            frame[slot] = item
            mark = len(log)
            for place, value in lets:
                frame[place] = value(frame)
            if _all(tests, frame) and item is not None:
                del log[start:mark]
                return True
        return False

    return some


def _clauses(
    compiler: Compiler, node: Node, scope: Scope, kinds: list[tuple[str, Type]], plural: bool
) -> tuple[Clauses, Type]:
    lets = []
    for each in node.get("let") or ():
        code = compiler.compile(each["expression"], scope)
        scope, variable = scope.declare(each["identifier"], code.type)
        held = scope.hold(each["identifier"]) if compiler.tracing else None
        lets.append((variable.slot, code.run if held is None else _held(code.run, held)))
    tests: list[Test] = [_relation(compiler, each, scope) for each in node.get("relationship") or ()]
    if node.get("where") is not None:
        tests.append(compiler.compile(node["where"], scope).run)
    returned, aggregate = node.get("return"), node.get("aggregate")
    result: Thunk | None = None
    kind: Type
    unique = False
    if aggregate is not None:
        made, kind = _aggregate(compiler, aggregate, scope)
        return Clauses(lets, tests, None, False, None, made), kind
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
    return Clauses(lets, tests, result, unique and plural, sort, None), kind


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
        for item in _items(related(frame)):
            frame[slot] = item
            if condition(frame) is True:
                return wanted
        return not wanted

    return relation


def _traced_relation(related: Thunk, slot: int, condition: Thunk, wanted: bool) -> Test:
    def relation(frame: Frame) -> bool:
        log = frame[LOG]
        start = len(log)
        items = related(frame)
        whole = log[start:]
        why = items.why if isinstance(items, TracedList) else None
        for index, item in enumerate(_items(items)):
            frame[slot] = item
            mark = len(log)
            if condition(frame) is True:
                kept = log[mark:]
                del log[start:]
                log.append(why[index] if why is not None else reason(item, whole))
                log.extend(kept)
                return wanted
            del log[mark:]
        return not wanted

    return relation


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _one(source: Source, clauses: Clauses) -> Thunk:
    """A query over one source, plain."""
    fetch, slot = source.run, source.slot
    lets, tests, result = clauses.lets, clauses.tests, clauses.result
    aggregate, unique, sort = clauses.aggregate, clauses.distinct, clauses.sort
    only = tests[0] if len(tests) == 1 else None

    def items(frame: Frame, values: list[Any]) -> Iterator[Any]:
        for item in values:
            frame[slot] = item
            for place, value in lets:
                frame[place] = value(frame)
            if only is not None:
                if only(frame) is not True:
                    continue
            elif tests and not _all(tests, frame):
                continue
            yield item

    def run(frame: Frame) -> Any:
        values = fetch(frame)
        if values is None:
            return None
        singular = not isinstance(values, list)
        if singular:
            values = [values]
        evaluation = frame[RUN]
        evaluation.left -= len(values)
        if evaluation.left < 0:
            evaluation.check()
        if aggregate is not None:
            return _accumulate(aggregate, items(frame, values), frame, slot)
        if result is not None:
            found = [result(frame) for _ in items(frame, values)]
        else:
            found = list(items(frame, values))
        if singular:
            return found[0] if found else None
        if unique:
            found = distinct(found)
        return found if sort is None else sort(found, frame)

    return run


def _all(tests: list[Test], frame: Frame) -> bool:
    for test in tests:  # noqa: SIM110  (a generator costs more than most tests)
        if test(frame) is not True:
            return False
    return True


def _accumulate(aggregate: Aggregate, items: Iterator[Any], frame: Frame, slot: int) -> Any:
    total = aggregate.starting(frame)
    if aggregate.distinct:
        items = iter(distinct(list(items)))
    for item in items:
        frame[slot] = item
        frame[aggregate.slot] = total
        total = aggregate.step(frame)
    return total


def _traced_one(source: Source, clauses: Clauses) -> Thunk:
    """A query over one source, recording what let each item through."""
    fetch, slot = source.run, source.slot
    lets, tests, result = clauses.lets, clauses.tests, clauses.result
    aggregate, unique, sort = clauses.aggregate, clauses.distinct, clauses.sort
    only = tests[0] if len(tests) == 1 else None

    def run(frame: Frame) -> Any:
        log = frame[LOG]
        start = len(log)
        values = fetch(frame)
        if values is None:
            return None
        kind = values.__class__
        singular = kind is not list and kind is not TracedList
        if singular:
            values = [values]
        elif not values and aggregate is None:
            return []
        evaluation = frame[RUN]
        evaluation.left -= len(values)
        if evaluation.left < 0:
            evaluation.check()
        whole = log[start:]
        reasons = values.why if kind is TracedList else None
        del log[start:]
        found: list[Any] = []
        why: list[Any] = []
        fallen: list[Any] = []
        total = aggregate.starting(frame) if aggregate is not None else None
        begin = len(log)
        for index, item in enumerate(values):
            frame[slot] = item
            if lets:
                for place, value in lets:
                    frame[place] = value(frame)
            passes = _all(tests, frame) if only is None else only(frame) is True
            if passes:
                if aggregate is not None:
                    frame[aggregate.slot] = total
                    total = aggregate.step(frame)
                else:
                    found.append(item if result is None else result(frame))
            if reasons is not None:
                because = reasons[index]
            elif item.__class__ is dict and "resourceType" in item:
                because = (item, "", True)
            else:
                because = whole
            if len(log) > begin:
                because = [because, *log[begin:]]
                del log[begin:]
            (why if passes else fallen).append(because)
        if why:
            log.extend(why)
        else:
            _nothing_found(log, whole, values, fallen)
        if aggregate is not None:
            return total
        if singular:
            return found[0] if found else None
        if unique and result is not None:
            found, why = _distinct_with(found, why)
        traced = TracedList(found, why, (whole, values))
        return traced if sort is None else sort(traced, frame)

    return run


def _nothing_found(log: list[Any], whole: list[Any], values: list[Any], fallen: list[Any]) -> None:
    """The log of an empty result: the source's own when it was empty, else the search and its candidates."""
    if not fallen:
        log.extend(whole)
        return
    search = _search(whole, values)
    if search is None:
        # Not resources but parts of something, or tuples: the candidates say themselves what was read.
        log.extend(fallen)
        return
    log.append(Sought(search.type, search.path, search.named, search.url, search.period, considered=fallen))
    log.extend(Only(entries) for entries in fallen if entries.__class__ is list)


def _search(whole: list[Any], values: list[Any]) -> Sought | None:
    """What a source was looking for: as the retrieve underneath noted, or as the resources in it show."""
    while isinstance(values, TracedList) and values.source is not None:
        whole, values = values.source
    for entry in reversed(whole):
        if isinstance(entry, Found):
            return entry.search
    first = values[0] if values else None
    if isinstance(first, dict) and isinstance(first.get("resourceType"), str):
        return Sought(first["resourceType"])
    return None


def _distinct_with(found: list[Any], why: list[Any]) -> tuple[list[Any], list[Any]]:
    """Distinct items; an item's reasons are those of every one it stands for that is the same object."""
    kept = distinct(found)
    if len(kept) == len(found):
        return found, why
    places = {id(item): index for index, item in reversed(list(enumerate(found)))}
    return kept, [why[places[id(item)]] for item in kept]


def _several(sources: list[Source], clauses: Clauses, tracing: bool) -> Thunk:
    """A query over the product of several sources."""
    lets, tests, result, aggregate = clauses.lets, clauses.tests, clauses.result, clauses.aggregate
    slots = [source.slot for source in sources]

    def rows(frame: Frame, lists: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
        """Combinations that pass, each with its items and lets in the frame."""
        evaluation, log = frame[RUN], frame[LOG]
        for row in product(*lists):
            evaluation.left -= 1
            if evaluation.left < 0:
                evaluation.check()
            mark = len(log) if tracing else 0
            for slot, item in zip(slots, row, strict=True):
                frame[slot] = item
            for place, value in lets:
                frame[place] = value(frame)
            if _all(tests, frame):
                yield row
            if tracing:
                del log[mark:]

    def unique_rows(frame: Frame, lists: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
        for kept in distinct([dict(enumerate(row)) for row in rows(frame, lists)]):
            for place, item in kept.items():
                frame[slots[place]] = item
            yield tuple(kept.values())

    passing = unique_rows if aggregate is not None and aggregate.distinct else rows

    def run(frame: Frame) -> Any:
        log = frame[LOG]
        start = len(log) if tracing else 0
        values = [source.run(frame) for source in sources]
        if any(value is None for value in values):
            return None
        whole = log[start:] if tracing else []
        begin = len(log) if tracing else 0
        found: list[Any] = []
        why: list[Any] = []
        total = aggregate.starting(frame) if aggregate is not None else None
        for row in passing(frame, [_items(value) for value in values]):
            if aggregate is not None:
                frame[aggregate.slot] = total
                total = aggregate.step(frame)
            elif result is not None:
                found.append(result(frame))
            if tracing:
                why.append([*(reason(item, whole) for item in row), *log[begin:]])
        if tracing and why:
            del log[start:]
            log.extend(why)
        if aggregate is not None:
            return total
        if not any(isinstance(value, list) for value in values):
            return found[0] if found else None
        if tracing:
            kept = _distinct_with(found, why) if clauses.distinct else (found, why)
            found = TracedList(*kept)
        elif clauses.distinct:
            found = distinct(found)
        return found if clauses.sort is None else clauses.sort(found, frame)

    return run


# Operations over a list with an expression for each item


@form("Filter")
def filter_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """Items for which the condition is true."""
    source, inner, slot = _each(compiler, node, scope)
    condition = compiler.compile(node["condition"], inner).run
    clauses = Clauses([], [condition], None, False, None, None)
    make = _traced_one if compiler.tracing else _one
    return Code(make(Source(source.run, slot), clauses), source.type)


@form("ForEach")
def for_each(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The value of an expression for each item."""
    source, inner, slot = _each(compiler, node, scope)
    element = compiler.compile(node["element"], inner)
    clauses = Clauses([], [], element.run, False, None, None)
    make = _traced_one if compiler.tracing else _one
    return Code(make(Source(source.run, slot), clauses), ListOf(element.type))


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
        queue = list(_items(values))
        while queue:
            frame[RUN].left -= 1
            if frame[RUN].left < 0:
                frame[RUN].check()
            frame[slot] = queue.pop(0)
            fresh = [item for item in _items(step(frame)) if item is not None]
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
