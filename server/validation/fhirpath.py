"""FHIRPath as invariants use it most, made into Python functions: whether something is there, equals a word,
or is there so many times.

    condition("extension.where(url = 'a' and value = 'b').exists()")(element)    -> True, False or None

That is nearly all of what resources meet, and evaluated a hundred times as fast as by fhirpathpy, which reads
the expressions and is left the rest: whatever comes out as something else than true, false or nothing (None).
Nothing is what a comparison with an element that is absent comes to. Both mean the same, save where
fhirpathpy errs: where truth is wanted one thing that is there is true (FHIRPath, "Singleton Evaluation of
Collections"), and a choice of types is found in repeated parts too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from fhirpathpy.models import models
from fhirpathpy.parser import parse

Condition = Callable[[Any], bool | None]
Collection = Callable[[Any], list[Any]]
Node = Mapping[str, Any]

_COMPARED: Mapping[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def _names_of_choices() -> Mapping[str, frozenset[str]]:
    names: dict[str, set[str]] = {}
    for path, kinds in models["r4"]["choiceTypePaths"].items():
        name = path.rpartition(".")[2]
        names.setdefault(name, set()).update(f"{name}{kind}" for kind in kinds)
    return {name: frozenset(typed) for name, typed in names.items()}


_CHOICES = _names_of_choices()
"""What JSON calls an element of a choice of types: `value` is `valueCode`, `valueString` or another."""


class _Left(Exception):
    """An expression, or a part of one, that is left to fhirpathpy."""


def condition(expression: str) -> Condition | None:
    """The expression as a function of the element it is asked of; None where it is none of these. Raises what
    fhirpathpy raises for what is no FHIRPath."""
    try:
        return _condition(parse(expression)["children"][0])  # type: ignore[no-untyped-call]
    except _Left:
        return None


def _condition(node: Node) -> Condition:
    match _kind(node):
        case "EntireExpression" | "TermExpression" | "ParenthesizedTerm":
            return _condition(_only(node))
        case "AndExpression" | "OrExpression" | "ImpliesExpression":
            return _logic(node)
        case "EqualityExpression" | "InequalityExpression":
            return _comparison(node)
        case "InvocationExpression":
            return _asked(node)
    raise _Left


def _logic(node: Node) -> Condition:
    left, right = map(_truth, node["children"])
    match node["terminalNodeText"][0]:
        case "and":
            return _denied(_either(_denied(left), _denied(right)))
        case "or":
            return _either(left, right)
        case "implies":
            return _either(_denied(left), right)
    raise _Left


def _truth(node: Node) -> Condition:
    """A condition, or elements of which one stands for true."""
    try:
        return _condition(node)
    except _Left:
        found = _path(node)
        return lambda item: True if len(found(item)) == 1 else None


def _either(left: Condition, right: Condition) -> Condition:
    def either(item: Any) -> bool | None:
        first = left(item)
        if first is True:
            return True
        second = right(item)
        return True if second is True else None if first is None or second is None else False

    return either


def _denied(condition: Condition) -> Condition:
    def denied(item: Any) -> bool | None:
        told = condition(item)
        return None if told is None else not told

    return denied


def _comparison(node: Node) -> Condition:
    (left, right), sign = node["children"], node["terminalNodeText"][0]
    compared = _COMPARED.get(sign)
    if compared is None:
        raise _Left
    number = _number(right)
    if number is not None:
        counted = _called(left, "count")
        if counted is None:
            raise _Left
        several = _path(counted)
        return lambda item: compared(len(several(item)), number)
    if sign not in ("=", "!="):
        raise _Left
    word = _word(right)
    if word is not None:
        values, wanted = _path(left), sign == "="
        return lambda item: ((found == [word]) is wanted) if (found := values(item)) else None
    first, second = _condition(left), _condition(right)

    def alike(item: Any) -> bool | None:
        one, other = first(item), second(item)
        return None if one is None or other is None else (one is other) is (sign == "=")

    return alike


def _asked(node: Node) -> Condition:
    """A function that says yes or no of what stands before it."""
    of, name = node["children"][0], _name(node)
    if name in ("all", "exists") and _called(node, name) is None:
        items, holds = _collection(of), _condition(_argument(node))
        every_or_some = all if name == "all" else any
        return lambda item: every_or_some(holds(each) is True for each in items(item))
    if _called(node, name) is None:
        raise _Left
    if name == "not":
        return _denied(_condition(of))
    if name == "allTrue":
        chosen, holding = _select(of)
        return lambda item: all(holding(each) is not False for each in chosen(item))
    if name == "isDistinct":
        listed = _path(of)
        return lambda item: _distinct(listed(item))
    found = _collection(of)
    if name == "exists":
        return lambda item: bool(found(item))
    if name == "empty":
        return lambda item: not found(item)
    raise _Left


def _distinct(values: list[Any]) -> bool:
    return not any(value in values[:place] for place, value in enumerate(values))


def _select(node: Node) -> tuple[Collection, Condition]:
    """`items.select(condition)`."""
    if _kind(node) != "InvocationExpression" or _name(node) != "select":
        raise _Left
    return _collection(node["children"][0]), _condition(_argument(node))


def _collection(node: Node) -> Collection:
    """What is only asked for being there, so that it does not matter if a part of it is there twice."""
    if _kind(node) in ("TermExpression", "ParenthesizedTerm") and _kind(_only(node)) != "InvocationTerm":
        return _collection(_only(node))
    if _kind(node) == "UnionExpression":
        first, second = (_collection(each) for each in node["children"])
        return lambda item: [*first(item), *second(item)]
    term = _within_term(node)
    if term is not None and _name_of_function(term) == "repeat":
        step = _collection(term["children"][0]["children"][1]["children"][0])
        return lambda item: _repeated(step, item)
    return _path(node)


def _repeated(step: Collection, item: Any) -> list[Any]:
    found: list[Any] = []
    ahead = step(item)
    while ahead:
        found += ahead
        ahead = [below for each in ahead for below in step(each)]
    return found


def _path(node: Node) -> Collection:
    """Elements below, each as often as it is there."""
    match _kind(node):
        case "TermExpression" | "ParenthesizedTerm" | "InvocationTerm":
            return _path(_only(node))
        case "ThisInvocation":
            return lambda item: [item]
        case "MemberInvocation":
            return _member(str(_only(node)["text"]))
        case "InvocationExpression":
            before, step = _path(node["children"][0]), node["children"][1]
            if _kind(step) == "MemberInvocation":
                below = _path(step)
                return lambda item: [each for holder in before(item) for each in below(holder)]
            if _name(node) == "where":
                holds = _condition(_argument(node))
                return lambda item: [each for each in before(item) if holds(each) is True]
    raise _Left


def _member(name: str) -> Collection:
    if not name.isalpha():
        raise _Left
    if name[0].isupper():
        return lambda item: [item] if isinstance(item, dict) and item.get("resourceType") == name else []
    typed = _CHOICES.get(name)
    if typed is None:
        return lambda item: _below(item, name)
    return lambda item: _below(item, name) or _below(item, _chosen(item, typed))


def _chosen(item: Any, typed: frozenset[str]) -> str:
    """Under which of these names an element is there."""
    names = [key.removeprefix("_") for key in item] if isinstance(item, dict) else []
    return next((name for name in names if name in typed), "")


def _below(item: Any, key: str) -> list[Any]:
    """What JSON has under a key, and beside it."""
    if not isinstance(item, dict):
        return []
    found: list[Any] = []
    for content in (item.get(key), item.get(f"_{key}")):
        found += content if isinstance(content, list) else [] if content is None else [content]
    return found


def _kind(node: Node) -> str:
    return str(node.get("type"))


def _only(node: Node) -> Node:
    (child,) = node["children"]
    return child  # type: ignore[no-any-return]


def _name(node: Node) -> str:
    """The function at the end of an invocation."""
    return _name_of_function(node["children"][1])


def _name_of_function(node: Node) -> str:
    if _kind(node) != "FunctionInvocation":
        return ""
    return str(_only(node)["children"][0]["text"])


def _argument(node: Node) -> Node:
    """The one argument of the function at the end of an invocation."""
    parts = _only(node["children"][1])["children"]
    if len(parts) != 2 or len(parts[1]["children"]) != 1:
        raise _Left
    return parts[1]["children"][0]  # type: ignore[no-any-return]


def _called(node: Node, name: str) -> Node | None:
    """What a function of that name, without arguments, is called on."""
    if _kind(node) != "InvocationExpression" or not name or _name(node) != name:
        return None
    return node["children"][0] if len(_only(node["children"][1])["children"]) == 1 else None


def _within_term(node: Node) -> Node | None:
    """The invocation that a term is."""
    if _kind(node) == "TermExpression" and _kind(_only(node)) == "InvocationTerm":
        return _only(_only(node))
    return None


def _literal(node: Node, kind: str) -> str | None:
    while _kind(node) in ("TermExpression", "LiteralTerm") and len(node["children"]) == 1:
        node = _only(node)
    return str(node["text"]) if _kind(node) == kind else None


def _word(node: Node) -> str | None:
    text = _literal(node, "StringLiteral")
    if text is not None and "\\" in text:
        raise _Left
    return None if text is None else text[1:-1]


def _number(node: Node) -> int | None:
    text = _literal(node, "NumberLiteral")
    if text is None:
        return None
    if not text.isdigit():
        raise _Left
    return int(text)
