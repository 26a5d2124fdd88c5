"""The order of lists: `sort by` and the Sort operator.

Author's guide, "Sorting"; nulls come before anything else, items that compare as unknown keep their order.
A FHIR primitive is sorted by its value, and a FHIR Quantity by what FHIRHelpers makes of it: CQL converts
them, and translators forget to. Any other FHIR element has no order, and sorting by one is refused when the
library is compiled; of a choice it is seen when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cmp_to_key
from typing import Any, Final

from server.elm.code import RUN, Code, Frame, Scope, Thunk, Variable
from server.elm.compiler import Compiler, form
from server.elm.errors import EvaluationError
from server.elm.evidence import TracedList
from server.elm.library import Node
from server.elm.model import SYSTEM_VALUE, Model, type_name
from server.elm.operators.comparison import order
from server.elm.paths import along, at_slot
from server.elm.references import call_of
from server.elm.types import Choice, ListOf, Named, Type
from server.elm.values import Date, DateTime, Time

Sorter = Callable[[list[Any], Frame], list[Any]]
_DESCENDING: Final = ("desc", "descending")
_NATIVE: Final = (int, str, Decimal)


def sorter(compiler: Compiler, node: Node, scope: Scope, kind: Type) -> Sorter:
    """A function sorting items of a type by the clauses of a sort node."""
    slot = scope.slot()
    keys = [_key(compiler, each, scope, slot, kind) for each in node.get("by") or ()]

    def sort(items: list[Any], frame: Frame) -> list[Any]:
        places = list(range(len(items)))
        # Stable sorts from the last key to the first.
        for key, descending in reversed(keys):
            values = [_keyed(key, slot, item, frame) for item in items]
            places = _ordered(places, values, descending)
        ordered = [items[place] for place in places]
        if isinstance(items, TracedList):
            return TracedList(ordered, [items.why[place] for place in places], items.source)
        return ordered

    return sort


def _keyed(key: Thunk | None, slot: int, item: Any, frame: Frame) -> Any:
    if key is None:
        return item
    frame[slot] = item
    return key(frame)


def _key(compiler: Compiler, node: Node, scope: Scope, slot: int, kind: Type) -> tuple[Thunk | None, bool]:
    descending = node.get("direction") in _DESCENDING
    this = Variable(slot, kind)
    item = at_slot(slot, kind)
    match node.get("type"):
        case "ByDirection":
            by = item
            key: Thunk | None = None
        case "ByColumn":
            by = along(compiler, item, node["path"])
            key = by.run
        case "ByExpression":
            by = compiler.compile(node["expression"], Scope(scope.body, {**scope.names, "$this": this}, this))
            key = by.run
        case other:
            raise compiler.error(f"Sort {other} is not supported", node, scope)
    if isinstance(by.type, Choice):
        return _told(compiler.model, by.run), descending
    if not isinstance(by.type, Named) or not by.type.name.startswith("FHIR."):
        return key, descending
    if compiler.model.primitive(by.type) is not None:
        return along(compiler, by, "value").run, descending
    helpers = next((each for each in scope.body.library.includes.values() if each.id == "FHIRHelpers"), None)
    if helpers is None or not compiler.model.extends(by.type.name.removeprefix("FHIR."), "Quantity"):
        raise compiler.error(f"{by.type} has no order: sort by its value", node, scope)
    return call_of(compiler, helpers, [by], {**node, "name": "ToQuantity"}, scope).run, descending


def _told(model: Model, run: Thunk) -> Thunk:
    """What a choice holds: of a primitive its value, anything else as it is."""

    def key(frame: Frame) -> Any:
        found = run(frame)
        primitive = model.primitive(Named(f"FHIR.{type_name(found)}"))
        return found if primitive is None else SYSTEM_VALUE[primitive](found, frame[RUN].offset)

    return key


def _ordered(places: list[int], values: list[Any], descending: bool) -> list[int]:
    """`places` ordered by the values they stand for, nulls lowest."""
    nulls = [place for place in places if values[place] is None]
    known = [place for place in places if values[place] is not None]
    kinds = {type(values[place]) for place in known}
    native: Callable[[int], Any]
    if len(kinds) == 1 and next(iter(kinds)) in _NATIVE:
        native = values.__getitem__
    else:
        native = cmp_to_key(lambda a, b: _compared(values[a], values[b]))
    # `reverse` would keep equal items in order too, which is what a stable descending sort is.
    known.sort(key=native, reverse=descending)
    return known + nulls if descending else nulls + known


def _compared(a: Any, b: Any) -> int:
    try:
        found = order(a, b)
    except TypeError:
        kinds = " and ".join(type_name(each) or type(each).__name__ for each in (a, b))
        raise EvaluationError(f"The items cannot be sorted: {kinds} have no order.") from None
    if found is None and isinstance(a, DateTime | Date | Time) and type(a) is type(b):
        # Not to be told apart by CQL (a day and an hour of it): where it begins, and the coarser first.
        return -1 if (a.low, a.precision) < (b.low, b.precision) else 1
    return found or 0


@form("Sort")
def sort_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The Sort operator: a list, ordered."""
    source = compiler.compile(node["source"], scope)
    kind = source.type.element if isinstance(source.type, ListOf) else source.type
    sort = sorter(compiler, node, scope, kind)
    fetch = source.run

    def run(frame: Frame) -> Any:
        values = fetch(frame)
        if values is None:
            return None
        frame[RUN].left -= len(values)
        return sort(values, frame)

    return Code(run, source.type)
