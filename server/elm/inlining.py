"""Small functions, compiled where they are called instead of being called.

Most conversions of FHIRHelpers, and the little questions a rule library asks again and again, cost more to
call (or to remember) than to answer. Their operands are evaluated first, as in a call, each into a slot of
the caller's frame; a variable of the caller stays where it is, and what is known when the library is compiled
is known in the body too. An observed program shows calls as they are written; and the plain one, all of which
is compiled when the engine is made, calls all but those that only read an element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from server.elm.code import Body, Code, CompiledFunction, Frame, Scope, Thunk, Variable
from server.elm.compiler import Compiler
from server.elm.library import Function, Node
from server.elm.paths import along
from server.elm.types import ListOf

SMALL: Final = 20
"""The most expressions of a body that is compiled where it is called."""

_PLAIN: Final = frozenset(
    (
        *("And", "Or", "Not", "If", "Case", "Coalesce", "IsNull", "IsTrue", "IsFalse", "As", "Is"),
        *("Equal", "Equivalent", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "In"),
        *(
            "Null",
            "Literal",
            "Interval",
            "Instance",
            "CodeRef",
            "OperandRef",
            "ParameterRef",
            "ExpressionRef",
        ),
        *("Property", "InValueSet", "ValueSetRef", "List"),
        *("DateFrom", "DifferenceBetween", "DurationBetween", "Before", "After", "SameOrBefore"),
        *("SameOrAfter", "Start", "End"),
    )
)
"""Kinds of expressions that neither loop nor call: to evaluate such a body twice costs little."""


def inlined(
    compiler: Compiler, compiled: CompiledFunction, operands: Sequence[Code], scope: Scope
) -> Code | None:
    """The code of a call as the function's own body; None where it is better called."""
    source = compiled.source
    body = source.body or {}
    if compiler.observer is not None:
        return None
    if _reads_only(body, source):
        operand = Code(operands[0].run, source.operands[0][1], trail=operands[0].trail)
        return along(compiler, operand, body["path"])
    if not compiler.tracing:
        return None
    if compiled.small is None:
        compiled.small = not any(isinstance(kind, ListOf) for _, kind in source.operands) and _is_small(body)
    if not compiled.small:
        return None
    code = _here(compiler, source, body, operands, scope)
    code.type = compiled.type or code.type
    return code


def _reads_only(body: Node, source: Function) -> bool:
    """Whether a body is a path from its one operand: then it goes on with the path it is called with."""
    if len(source.operands) != 1 or body.get("type") != "Property":
        return False
    name, inner = source.operands[0][0], body.get("source") or {}
    return body.get("scope") == name or (inner.get("type") == "OperandRef" and inner.get("name") == name)


def _is_small(body: Node) -> bool:
    count = 0
    ahead: list[Any] = [body]
    while ahead:
        part = ahead.pop()
        if isinstance(part, list):
            ahead.extend(part)
        elif isinstance(part, Mapping):
            kind = part.get("type")
            if isinstance(kind, str) and not kind.endswith("TypeSpecifier"):
                count += 1
                if count > SMALL or kind not in _PLAIN:
                    return False
            ahead.extend(value for key, value in part.items() if key != "annotation")
    return True


def _here(compiler: Compiler, source: Function, body: Node, operands: Sequence[Code], scope: Scope) -> Code:
    """The body with its operands in the caller's frame."""
    caller = scope.body
    home = Body(source.library, source.name, caller.context, caller.size)
    names: dict[str, Variable] = {}
    taken: list[tuple[int, Thunk]] = []
    inner = Scope(home, names)
    for (name, kind), operand in zip(source.operands, operands, strict=True):
        if operand.constant:
            names[name] = Variable(0, kind, fixed=operand)
        elif operand.slot is not None:
            names[name] = Variable(operand.slot, kind)
        else:
            names[name] = Variable(inner.slot(), kind)
            taken.append((names[name].slot, operand.run))
    code = compiler.compile(body, inner)
    caller.size = home.size
    caller.definitions |= home.definitions
    caller.functions |= home.functions
    return _taking(taken, code) if taken else code


def _taking(operands: list[tuple[int, Thunk]], code: Code) -> Code:
    run = code.run
    (slot, operand), *others = operands

    def one(frame: Frame) -> Any:
        frame[slot] = operand(frame)
        return run(frame)

    def several(frame: Frame) -> Any:
        for place, thunk in operands:
            frame[place] = thunk(frame)
        return run(frame)

    return Code(several if others else one, code.type)
