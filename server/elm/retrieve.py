"""Retrieves and membership in value sets and code systems.

CQL logical specification, "External Data" and "Clinical Operators". A retrieve is answered from the chart's
indexes: by type, by codes in an element, then by a date range. What it filters by is worked out when the
library is compiled wherever that does not depend on the patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from server.elm.chart import codes_of
from server.elm.code import LOG, RUN, Code, Frame, Scope, Thunk
from server.elm.compiler import Compiler, form
from server.elm.elements import element
from server.elm.errors import EvaluationError
from server.elm.evidence import Found, Sought
from server.elm.library import Node
from server.elm.model import choice_keys, parse_datetime
from server.elm.operators.registry import OPERATORS
from server.elm.references import library_of, value_set_value
from server.elm.terminology import Expansion, Key
from server.elm.types import BOOLEAN, Choice, ListOf, named
from server.elm.types import CODE as CODE_TYPE
from server.elm.values import Code as CodeValue
from server.elm.values import CodeSystem, Concept, Interval, ValueSet

_COMPARATORS = (None, "in", "=", "~", "~=")


@form("Retrieve")
def retrieve(compiler: Compiler, node: Node, scope: Scope) -> Code:
    kind = named(node["dataType"])
    name = kind.name.removeprefix("FHIR.")
    if name not in compiler.model.classes:
        raise compiler.error(f"Retrieve of {kind}: FHIR 4.0.1 has no such type", node, scope)
    for unsupported in ("otherFilter", "include"):
        if node.get(unsupported):
            raise compiler.error(f"Retrieve with {unsupported} is not supported", node, scope)
    filters = [
        _code_filter(compiler, each, name, scope) for each in _code_filters(compiler, node, name, scope)
    ]
    dates = [_date_filter(compiler, each, name, scope) for each in _date_filters(compiler, node, scope)]
    select = _selection(name, filters)
    unfiltered = scope.body.context == "Unfiltered"

    def find(frame: Frame) -> tuple[list[Any], Any]:
        run = frame[RUN]
        chart = run.whole if unfiltered else run.chart
        found = select(chart, frame)
        run.spend(len(found))
        period = None
        for dated in dates:
            found, period = dated(found, frame)
        return found, period

    if not compiler.tracing:
        return Code(lambda frame: find(frame)[0], ListOf(kind))
    sought = filters[0].sought if filters else Sought(name)

    def traced(frame: Frame) -> list[Any]:
        found, period = find(frame)
        search = sought
        if period is not None:
            search = Sought(name, sought.path, sought.named, sought.url, period)
        frame[LOG].append(Found(found, search) if found else search.entry)
        return found

    return Code(traced, ListOf(kind))


class _CodeFilter:
    """What a retrieve asks of one element's codes: fixed (`keys`), or found when it runs (`dynamic`)."""

    __slots__ = ("dynamic", "fixed", "keys", "sought")

    def __init__(
        self, keys: tuple[str, ...], fixed: frozenset[Key] | None, dynamic: Thunk | None, sought: Sought
    ) -> None:
        self.keys = keys
        self.fixed = fixed
        self.dynamic = dynamic
        self.sought = sought


def _selection(name: str, filters: list[_CodeFilter]) -> Callable[[Any, Frame], list[Any]]:
    if not filters:
        return lambda chart, frame: chart.of_type(name)
    first, rest = filters[0], filters[1:]
    if first.fixed is not None and not rest:
        keys, fixed, title = first.keys, first.fixed, first.sought.named
        return lambda chart, frame: chart.coded(name, keys, fixed, title)

    def select(chart: Any, frame: Frame) -> list[Any]:
        found: list[Any] = chart.coded(name, first.keys, _codes(first, frame))
        for other in rest:
            passing = {id(each) for each in chart.coded(name, other.keys, _codes(other, frame))}
            found = [each for each in found if id(each) in passing]
        return found

    return select


def _codes(wanted: _CodeFilter, frame: Frame) -> frozenset[Key]:
    if wanted.fixed is not None:
        return wanted.fixed
    assert wanted.dynamic is not None
    return keys_of(wanted.dynamic(frame), frame[RUN].terminology)


def _code_filters(compiler: Compiler, node: Node, name: str, scope: Scope) -> list[Node]:
    listed: list[Node] = list(node.get("codeFilter") or ())
    if node.get("codes") is not None:
        path = node.get("codeProperty") or compiler.model.code_path(name)
        listed.insert(0, {"property": path, "comparator": node.get("codeComparator"), "value": node["codes"]})
    if node.get("idProperty") is not None or node.get("id") is not None:
        raise compiler.error("Retrieve by id is not supported", node, scope)
    return listed


def _code_filter(compiler: Compiler, node: Node, name: str, scope: Scope) -> _CodeFilter:
    path = node.get("property")
    comparator = node.get("comparator")
    if not isinstance(path, str):
        raise compiler.error(f"Retrieve of {name} filters by codes but names no element", node, scope)
    if comparator not in _COMPARATORS:
        raise compiler.error(f"Retrieve with code comparator {comparator} is not supported", node, scope)
    declared = compiler.model.element(name, path)
    if "." not in path and declared is None:
        raise compiler.error(f"Retrieve by {path}: {name} has no such element", node, scope)
    keys = tuple(key for key, _ in choice_keys(path, declared)) if isinstance(declared, Choice) else (path,)
    value = node["value"]
    if value.get("type") == "ValueSetRef":
        value_set = value_set_value(compiler, value, scope)
        expansion = compiler.terminology.find(value_set.id, value_set.version)
        return _CodeFilter(keys, expansion.sought, None, Sought(name, path, expansion.name, expansion.url))
    code = compiler.compile(value, scope)
    if not code.constant:
        return _CodeFilter(keys, None, code.run, Sought(name, path, "the codes asked for"))
    given = code.run([None, None])
    return _CodeFilter(
        keys, keys_of(given, compiler.terminology), None, Sought(name, path, _title(given), _system(given))
    )


def keys_of(value: Any, terminology: Any) -> frozenset[Key]:
    """(system, code) keys of a code, concept, value set, string, or a list of them."""
    if value is None:
        return frozenset()
    if isinstance(value, ValueSet):
        found: Expansion = terminology.find(value.id, value.version)
        return found.sought
    if isinstance(value, CodeValue):
        return frozenset({(value.system or "", value.code), (None, value.code)})
    if isinstance(value, Concept):
        return frozenset().union(*(keys_of(code, terminology) for code in value.codes))
    if isinstance(value, str):
        return frozenset({(None, str(value))})
    if isinstance(value, list):
        return frozenset().union(*(keys_of(each, terminology) for each in value))
    if isinstance(value, dict):
        return frozenset(codes_of(value))
    raise EvaluationError(f"Codes cannot be found in a {type(value).__name__}.")


def _title(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_title(each) for each in value)
    if isinstance(value, CodeValue):
        return value.display or value.code or ""
    return getattr(value, "display", None) or getattr(value, "name", None) or str(value)


def _system(value: Any) -> str | None:
    first = value[0] if isinstance(value, list) and value else value
    return first.system if isinstance(first, CodeValue) else None


# Dates


def _date_filters(compiler: Compiler, node: Node, scope: Scope) -> list[Node]:
    listed: list[Node] = list(node.get("dateFilter") or ())
    if node.get("dateRange") is not None:
        listed.insert(0, {**{key: node.get(key) for key in _DATE_FIELDS}, "value": node["dateRange"]})
    return listed


_DATE_FIELDS = ("dateProperty", "dateLowProperty", "dateHighProperty")


def _date_filter(
    compiler: Compiler, node: Node, name: str, scope: Scope
) -> Callable[[list[Any], Frame], tuple[list[Any], Any]]:
    """Keeps resources whose date, or whole period, lies in the range."""
    path = node.get("dateProperty") or node.get("property")
    if not isinstance(path, str):
        raise compiler.error("Retrieve by a date range names no date element", node, scope)
    get, kind, _ = element(compiler.model, named(f"{{http://hl7.org/fhir}}{name}"), path.split(".")[0])
    if kind is None:
        raise compiler.error(f"Retrieve by {path}: {name} has no such element", node, scope)
    wanted = compiler.compile(node["value"], scope).run
    within, included = OPERATORS["In"].function, OPERATORS["IncludedIn"].function

    def keep(found: list[Any], frame: Frame) -> tuple[list[Any], Any]:
        period = wanted(frame)
        if period is None:
            return [], None
        run = frame[RUN]
        passing = []
        for resource in found:
            when = _moment(get(resource, run), run.offset)
            if when is None:
                continue
            inside = included(when, period) if isinstance(when, Interval) else within(when, period)
            if inside is True:
                passing.append(resource)
        return passing, period

    return keep


def _moment(value: Any, offset: int) -> Any:
    """A date element as a System value: DateTime, or the Interval of a Period."""
    if isinstance(value, str):
        return parse_datetime(str(value), offset)
    if isinstance(value, dict) and ("start" in value or "end" in value):
        start, end = value.get("start"), value.get("end")
        return Interval(
            parse_datetime(start, offset) if isinstance(start, str) else None,
            parse_datetime(end, offset) if isinstance(end, str) else None,
        )
    return None


# Membership


@form("InValueSet", "AnyInValueSet")
def in_value_set(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """Whether a code, concept or string, or any of a list, is in a value set; a null is in none."""
    code = compiler.compile(node["codes"] if node["type"] == "AnyInValueSet" else node["code"], scope)
    operand = code.run
    if node.get("valueset") is not None:
        value_set = value_set_value(compiler, node["valueset"], scope)
        expansion = compiler.terminology.find(value_set.id, value_set.version)
        whole = _member(expansion, operand)
        return Code(whole if code.parts is None else _made_member(expansion, whole, *code.parts), BOOLEAN)
    dynamic = compiler.compile(node["valuesetExpression"], scope).run

    def member(frame: Frame) -> Any:
        wanted = dynamic(frame)
        if wanted is None:
            return False
        found = frame[RUN].terminology.find(wanted.id, wanted.version)
        return contains(found, operand(frame))

    return Code(member, BOOLEAN)


def _member(expansion: Expansion, operand: Thunk) -> Thunk:
    keys = expansion.keys

    def member(frame: Frame) -> Any:
        value = operand(frame)
        if value.__class__ is CodeValue:
            return (value.system, value.code) in keys
        return contains(expansion, value)

    return member


def _made_member(expansion: Expansion, otherwise: Thunk, slot: int, parts: Mapping[str, str]) -> Thunk:
    """Membership of a code made of elements of a variable, as FHIRHelpers makes one: without making it."""
    keys, system_key, code_key = expansion.keys, parts.get("system", ""), parts.get("code", "")

    def member(frame: Frame) -> Any:
        root = frame[slot]
        if root.__class__ is dict:
            system, word = root.get(system_key), root.get(code_key)
            if system.__class__ is str and word.__class__ is str:
                return (system, word) in keys
        return otherwise(frame)

    return member


def contains(expansion: Expansion, value: Any) -> bool:
    """Membership of one value; of a list, of any of its items."""
    if value is None:
        return False
    if isinstance(value, CodeValue):
        return (value.system, value.code) in expansion.keys
    if isinstance(value, Concept):
        return any(contains(expansion, code) for code in value.codes)
    if isinstance(value, str):
        return str(value) in expansion.words
    if isinstance(value, list):
        return any(contains(expansion, each) for each in value)
    if isinstance(value, dict):
        return any(key in expansion.keys for key in codes_of(value))
    raise EvaluationError(f"A {type(value).__name__} cannot be in a value set.")


@form("InCodeSystem", "AnyInCodeSystem")
def in_code_system(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """Whether a code names the system; null names none. Its content is not at hand, so every code counts."""
    operand = compiler.compile(
        node["codes"] if node["type"] == "AnyInCodeSystem" else node["code"], scope
    ).run
    reference = node.get("codesystem")
    if reference is None:
        dynamic = compiler.compile(node["codesystemExpression"], scope).run
        return Code(lambda frame: _names_system(operand(frame), dynamic(frame)), BOOLEAN)
    library = library_of(compiler, reference, scope)
    declared = library.code_systems.get(reference["name"])
    if declared is None:
        raise compiler.error(f'Library {library} has no code system "{reference["name"]}"', node, scope)
    system = CodeSystem(declared["id"], declared.get("version"), declared["name"])
    return Code(lambda frame: _names_system(operand(frame), system), BOOLEAN)


def _names_system(value: Any, system: CodeSystem | None) -> bool:
    if value is None or system is None:
        return False
    values: Iterable[Any] = value if isinstance(value, list) else (value,)
    return any((system.id, code) in keys_of(each, None) for each in values for _, code in keys_of(each, None))


@form("ExpandValueSet")
def expand_value_set(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The codes of a value set, as a list."""
    operand = compiler.operand(node, scope).run

    def expand(frame: Frame) -> Any:
        value = operand(frame)
        if not isinstance(value, ValueSet):
            return value
        return list(frame[RUN].terminology.find(value.id, value.version).codes)

    return Code(expand, ListOf(CODE_TYPE))
