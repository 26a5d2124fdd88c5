"""How a query runs: one loop over one source, or over the product of several.

Traced, a query keeps for each item of its result what let it through, and leaves out what let the others
fall. When none is left, the log says what was looked for, which candidates there were, and what was not known
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from server.elm.code import LOG, RUN, Frame, Thunk
from server.elm.evidence import Found, Only, Sought, TracedList, reason
from server.elm.operators.distinct import distinct
from server.elm.sorting import Sorter

Test = Callable[[Frame], bool | None]
Assignment = tuple[int, Thunk]
"""The frame slot of a name let, and its expression."""


@dataclass(slots=True)
class Source:
    """One source: its expression and the slot of its alias."""

    run: Thunk
    slot: int


@dataclass(slots=True)
class Clauses:
    """What is done with each item: lets in order, then the conditions it must meet, and if it does, the lets
    that no condition needs, then its result."""

    lets: list[Assignment]
    tests: list[Test]
    late: list[Assignment]
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


def one(source: Source, clauses: Clauses, tracing: bool, *, first: bool = False) -> Thunk:
    """A query over one source; of what it finds, that is not sorted, the `first` alone."""
    return (_traced if tracing else _plain)(source, clauses, first)


def items_of(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def has_item(value: Any) -> bool:
    """Whether a list has an item that is not null; false of a null list, true of what is none."""
    if not value:
        return False
    if not isinstance(value, list):
        return True
    return value[0] is not None or any(item is not None for item in value)


def _plain(source: Source, clauses: Clauses, first: bool) -> Thunk:
    """A query over one source, plain."""
    fetch, slot = source.run, source.slot
    lets, tests, late, result = clauses.lets, clauses.tests, clauses.late, clauses.result
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
            for place, value in late:
                frame[place] = value(frame)
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
            values = distinct(values) if aggregate.distinct else values
            return _accumulate(aggregate, items(frame, values), frame, slot)
        if first:
            return next((item if result is None else result(frame) for item in items(frame, values)), None)
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
    for item in items:
        frame[slot] = item
        frame[aggregate.slot] = total
        total = aggregate.step(frame)
    return total


def _traced(source: Source, clauses: Clauses, first: bool) -> Thunk:
    """A query over one source, recording what let each item through."""
    fetch, slot = source.run, source.slot
    lets, tests, late, result = clauses.lets, clauses.tests, clauses.late, clauses.result
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
            return None if first else []
        evaluation = frame[RUN]
        evaluation.left -= len(values)
        if evaluation.left < 0:
            evaluation.check()
        whole = log[start:]
        reasons = values.why if kind is TracedList else None
        if aggregate is not None and aggregate.distinct:
            values, reasons = _distinct_with(values, reasons) if reasons else (distinct(values), None)
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
                if late:
                    for place, value in late:
                        frame[place] = value(frame)
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
                because = whole if len(whole) != 1 else whole[0]
            if len(log) > begin:
                because = [because, *log[begin:]]
                del log[begin:]
            if not passes:
                fallen.append(because)
            elif first:
                log.append(because)
                return found[0]
            else:
                why.append(because)
        if why:
            log.extend(why)
        else:
            _nothing_found(log, whole, values, fallen)
        if aggregate is not None:
            return total
        if singular or first:
            return found[0] if found else None
        if unique:
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
    lack = Sought(search.type, search.path, search.named, search.url, search.period, considered=fallen)
    log.append(lack.entry)
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


def several(sources: list[Source], clauses: Clauses, tracing: bool) -> Thunk:
    """A query over the product of several sources."""
    lets, tests, late = clauses.lets, clauses.tests, clauses.late
    result, aggregate = clauses.result, clauses.aggregate
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
                for place, value in late:
                    frame[place] = value(frame)
                yield row
            if tracing:
                del log[mark:]

    unique = aggregate is not None and aggregate.distinct

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
        lists = [distinct(items_of(value)) if unique else items_of(value) for value in values]
        for row in rows(frame, lists):
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


def any_of(source: Source, clauses: Clauses, tracing: bool) -> Thunk:
    """Whether any item passes, looking no further than the first. Of those before it the log says nothing."""
    fetch, slot, lets, tests = source.run, source.slot, clauses.lets, clauses.tests
    only = tests[0] if len(tests) == 1 else None

    def some(frame: Frame) -> bool:
        values = fetch(frame)
        if values is None:
            return False
        kind = values.__class__
        if kind is not list and kind is not TracedList:
            values = [values]
        run, log = frame[RUN], frame[LOG]
        run.left -= len(values)
        if run.left < 0:
            run.check()
        start = len(log)
        for item in values:
            frame[slot] = item
            mark = len(log)
            if lets:
                for place, value in lets:
                    frame[place] = value(frame)
            passes = _all(tests, frame) if only is None else only(frame) is True
            if passes and item is not None:
                if tracing:
                    del log[start:mark]
                return True
        return False

    return some
