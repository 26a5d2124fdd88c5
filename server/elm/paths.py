"""Property access: reading structured values.

CQL logical specification, "Structured Values". A path of properties is one closure from its root (an alias, a
parameter, a definition) to the value; where it is traced it logs the root resource and the whole path, so
evidence says `Procedure/p1 (performed.start)` and not each step.

`Code.trail` is what makes that possible: how the value is read off its root. It also lets `x.value as
Quantity` read `valueQuantity` directly, and `birthDate.extension` find the extensions FHIR JSON keeps beside
a primitive.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from server.elm.code import Code, Getter, Scope, Thunk, Trail, Variable
from server.elm.compiler import Compiler, form
from server.elm.elements import SYSTEM_ELEMENTS, element, plain_element
from server.elm.library import Node
from server.elm.model import SYSTEM_VALUE, Model
from server.elm.trails import STRING_VALUE, itself, listed, plain, recorded
from server.elm.types import STRING, Choice, IntervalOf, ListOf, Named, TupleOf, Type

_PART = re.compile(r"([^.\[\]]+)(?:\[(\d+)\])?")


@form("Property")
def property_(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """An element of `source`, or of what `scope` names.

    Translators up to 3.18 forget the scope where a retrieve by code follows references as well (from a
    MedicationRequest to its Medication): the innermost alias is meant.
    """
    name = node.get("scope")
    if name is None and node.get("source") is None:
        if not scope.names:
            raise compiler.error("Property has neither a source nor a scope", node, scope)
        *_, name = scope.names
    if name is not None:
        found = scope.names.get(name) or (scope.this if name == "$this" else None)
        if found is None:
            raise compiler.error(f"Nothing in scope is called {name}", node, scope)
        source = of_variable(found)
    else:
        source = compiler.compile(node.get("source"), scope)
    path = node.get("path")
    if not isinstance(path, str) or not path:
        raise compiler.error("Property names no path", node, scope)
    return along(compiler, source, path)


def of_variable(variable: Variable) -> Code:
    """The code of a variable, and the beginning of paths from it."""
    if variable.fixed is not None:
        return replace(variable.fixed, type=variable.type)
    return at_slot(variable.slot, variable.type)


def at_slot(slot: int, kind: Type) -> Code:
    """The code of what is in a slot, and the beginning of paths from it."""
    thunk: Thunk = lambda frame: frame[slot]  # noqa: E731
    return Code(thunk, kind, trail=Trail(thunk, itself, "", kind, slot), slot=slot)


def along(compiler: Compiler, source: Code, path: str) -> Code:
    """The code of a path read off `source`."""
    code = source
    for match in _PART.finditer(path):
        code = _step(compiler.model, code, match[1])
        if match[2] is not None:
            code = _indexed(code, int(match[2]))
    return reading(compiler, code)


def reading(compiler: Compiler, code: Code) -> Code:
    """`code` with the closure that reads its trail, recording it when traced."""
    trail = code.trail
    assert trail is not None
    if compiler.tracing and _tells(compiler.model, trail.root):
        code.run = recorded(trail)
        return code
    code.run = plain(trail)
    if trail.slot is not None and len(trail.direct) == 1 and trail.convert in _AS_IT_STANDS:
        code.element = trail.slot, trail.direct[0]
    return code


_AS_IT_STANDS: Final = (None, STRING_VALUE)


def _tells(model: Model, root: Type) -> bool:
    """Whether a path from such a root is worth recording: only a resource says whose element was read."""
    if isinstance(root, TupleOf | ListOf | IntervalOf):
        return False
    if isinstance(root, Named) and root.name.startswith("FHIR.") and root.name[5:] in model.classes:
        return model.extends(root.name[5:], "Resource")
    return not (isinstance(root, Named) and root.name in SYSTEM_ELEMENTS)


def _step(model: Model, source: Code, name: str) -> Code:
    """One more element on a trail."""
    trail = source.trail or Trail(source.run, itself, "", source.type)
    if name in ("extension", "id") and trail.keys and model.primitive(source.type) is not None:
        return _beside(trail, name)
    get, kind, keys = element(model, source.type, name)
    before = trail.get
    whole: Getter = get if before is itself else lambda value, run: get(before(value, run), run)
    primitive = model.primitive(source.type) if name == "value" else None
    if primitive is not None and trail.path:
        # `.value` of a primitive is the primitive itself to a reader: it is not named in the path.
        convert = None if trail.convert is not None else SYSTEM_VALUE[primitive]
        kept = trail.direct if convert is not None else ()
        longer = replace(trail, get=whole, parent=None, keys=(), direct=kept, convert=convert)
        return Code(source.run, kind, trail=longer)
    direct: tuple[str, ...] = ()
    onward = before is itself or (trail.direct and trail.convert is None)
    if onward and len(keys) == 1:
        direct = (*trail.direct, keys[0][0])
    path = f"{trail.path}.{name}" if trail.path else name
    longer = Trail(trail.base, whole, path, trail.root, trail.slot, before, keys, direct)
    if direct and isinstance(kind, ListOf) and not isinstance(source.type, TupleOf):
        longer.convert = listed
    return Code(source.run, kind, trail=longer)


def _beside(trail: Trail, name: str) -> Code:
    """`extension` or `id` of a primitive: FHIR JSON keeps them in `_element` beside it."""
    parent, keys = trail.parent or itself, tuple(f"_{key}" for key, _ in trail.keys)

    def get(root: Any, run: Any) -> Any:
        holder = parent(root, run)
        for key in keys:
            beside = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(beside, dict):
                return beside.get(name)
        return None

    kind = ListOf(Named("FHIR.Extension")) if name == "extension" else STRING
    return Code(
        trail.base, kind, trail=Trail(trail.base, get, f"{trail.path}.{name}", trail.root, trail.slot)
    )


def _indexed(source: Code, index: int) -> Code:
    assert source.trail is not None
    trail = source.trail
    before = trail.get

    def get(root: Any, run: Any) -> Any:
        value = before(root, run)
        return value[index] if isinstance(value, list) and index < len(value) else None

    kind = source.type.element if isinstance(source.type, ListOf) else source.type
    longer = Trail(trail.base, get, f"{trail.path}[{index}]", trail.root, trail.slot)
    return Code(source.run, kind, trail=longer)


def narrowed(compiler: Compiler, source: Code, wanted: Named) -> Code | None:
    """`source as wanted` read directly, where `source` is an element of a choice type; else None."""
    trail = source.trail
    if trail is None or not isinstance(source.type, Choice) or not trail.keys:
        return None
    name = wanted.name.removeprefix("FHIR.")
    keys = tuple((key, kind) for key, kind in trail.keys if compiler.model.extends(kind, name))
    if len(keys) != 1:
        return None
    (key, _), parent = keys[0], trail.parent or itself
    read = plain_element(key)
    get: Getter = read if parent is itself else lambda root, run: read(parent(root, run), run)
    direct = (key,) if parent is itself else ()
    longer = Trail(trail.base, get, trail.path, trail.root, trail.slot, parent, keys, direct)
    return reading(compiler, Code(trail.base, wanted, trail=longer))
