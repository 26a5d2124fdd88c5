"""ELM expressions compiled to Python closures, once.

Every expression becomes a `Code` (`server.elm.code`). Names are resolved to slots, definitions and overloads
here, so that running looks nothing up.

An expression's kind is either a *form*, registered by `@form("Query")` in one of the form modules (it needs
laziness, names, the model or the trace), or an operator from the `operators` table. The same compiler makes
the traced code: `tracing` says whether evidence is recorded, and forms that record or narrow compile to other
closures then. Without it there is nothing to pay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from server.elm.code import (
    FIRST_SLOT,
    NULL,
    RUN,
    Body,
    Code,
    CompiledDefinition,
    CompiledFunction,
    Frame,
    Scope,
    Thunk,
    fold,
)
from server.elm.errors import ElmError, LoadError
from server.elm.evidence import TracedList, is_resource
from server.elm.library import Definition, Function, Library, Node, Program
from server.elm.model import Model
from server.elm.operators.registry import OPERATORS, Operator
from server.elm.specialise import fused
from server.elm.terminology import Terminology
from server.elm.types import (
    BOOLEAN,
    DATE,
    DATETIME,
    INTEGER,
    STRING,
    TIME,
    ListOf,
    Named,
    TupleOf,
    Type,
    either,
    element_of,
    result_type,
)

Form = Callable[["Compiler", Node, Scope], Code]
Observer = Callable[["Compiler", Node, Scope, Code], Code]

_forms: dict[str, Form] = {}


def form(*kinds: str) -> Callable[[Form], Form]:
    """Register the decorated function as the compiler of these expression kinds."""

    def register(function: Form) -> Form:
        for kind in kinds:
            if kind in _forms:
                raise ValueError(f"Form {kind} is already registered.")
            _forms[kind] = function
        return function

    return register


class Compiler:
    """Compiles one program in one manner: plain, traced, or traced and observed."""

    def __init__(
        self,
        program: Program,
        terminology: Terminology,
        model: Model,
        *,
        tracing: bool = False,
        observer: Observer | None = None,
    ) -> None:
        self.program = program
        self.terminology = terminology
        self.model = model
        self.tracing = tracing
        self.observer = observer
        self.functions: list[CompiledFunction] = []
        self._by_function: dict[int, CompiledFunction] = {}
        self._by_definition: dict[int, CompiledDefinition] = {}
        self._types_underway: set[int] = set()
        self._tokens: dict[tuple[Any, ...], int] = {}

    # Definitions and functions

    def definition(self, source: Definition) -> CompiledDefinition:
        """The code of a definition, compiled at first use."""
        known = self._by_definition.get(source.index)
        if known is None:
            body = Body(source.library, source.name, source.context)
            code = self._whole(source.node, Scope(body), body)
            known = self._by_definition[source.index] = CompiledDefinition(
                source,
                code.run,
                [None] * (body.size - FIRST_SLOT),
                code.type,
                frozenset(body.definitions),
                frozenset(body.functions),
            )
        return known

    def definition_type(self, source: Definition) -> Type:
        """The type of a definition: as noted, else as inferred; None within its own definition."""
        noted = result_type(source.node)
        if noted is not None:
            return noted
        if source.index in self._types_underway:
            raise LoadError(f"{source} refers to itself.")
        self._types_underway.add(source.index)
        try:
            return self.definition(source).type
        finally:
            self._types_underway.discard(source.index)

    def function(self, source: Function) -> CompiledFunction:
        """The code of a function overload, compiled at first use."""
        known = self._by_function.get(id(source))
        if known is None:
            known = CompiledFunction(source, len(self.functions))
            self.functions.append(known)
            self._by_function[id(source)] = known
            known.type = result_type(source.node) or result_type(source.body or {})
            body = Body(source.library, source.name, source.node.get("context") or "Patient")
            scope = Scope(body)
            for name, kind in source.operands:
                scope, _ = scope.declare(name, kind)
            if self.tracing:
                known.held = [
                    (place, held)
                    for place, (name, _) in enumerate(source.operands)
                    if (held := scope.hold(name)) is not None
                ]
            structures = self._structures(source)
            known.memoised, known.structures = structures is not None, structures or frozenset()
            known.tracing = self.tracing
            if source.body is None:
                raise LoadError(f"{source} is external: no body is given.", place=str(source.library))
            code = self._whole(source.body, scope, body)
            known.run = code.run
            known.type = known.type or code.type
            known.extra = [None] * (body.size - FIRST_SLOT - len(source.operands))
            known.definitions = frozenset(body.definitions)
            known.functions = frozenset(body.functions)
        return known

    def token(self, call: tuple[Any, ...]) -> int:
        """A number for a function with some operands fixed: the same for the same."""
        return self._tokens.setdefault(call, len(self._tokens))

    def _structures(self, source: Function) -> frozenset[int] | None:
        """Operands that are structures, known by identity; None if there are none, or others than words."""
        found = set()
        for place, (_, kind) in enumerate(source.operands):
            if isinstance(kind, ListOf | TupleOf):
                found.add(place)
            elif not isinstance(kind, Named):
                return None
            elif kind.name.startswith("FHIR."):
                if self.model.primitive(kind) is None:
                    found.add(place)
            elif kind not in (STRING, INTEGER, BOOLEAN):
                return None
        return frozenset(found) if found else None

    def _whole(self, node: Node, scope: Scope, body: Body) -> Code:
        try:
            return self.compile(node, scope)
        except RecursionError:
            raise LoadError(
                "The expression is nested too deeply to compile.", place=f'{body.library} "{body.name}"'
            ) from None

    # Expressions

    def compile(self, node: Any, scope: Scope) -> Code:
        """The code of one expression."""
        kind = node.get("type") if isinstance(node, Mapping) else None
        if not isinstance(kind, str):
            raise self.error("An expression is missing or is not an ELM node", node, scope)
        make = _forms.get(kind)
        try:
            if make is not None:
                code = make(self, node, scope)
            elif kind in OPERATORS:
                code = self.operation(OPERATORS[kind], node, scope)
            else:
                raise self.error(f"{kind} is not supported", node, scope)
            noted = result_type(node)
        except (ElmError, RecursionError):
            raise
        except Exception as error:
            raise self.error(f"{kind} is malformed ({type(error).__name__}: {error})", node, scope) from error
        if noted is not None:
            code.type = noted
        return code if self.observer is None else self.observer(self, node, scope, code)

    def optional(self, node: Any, scope: Scope) -> Code:
        """The code of an expression that may be absent: then it is null."""
        return NULL() if node is None else self.compile(node, scope)

    def operand(self, node: Node, scope: Scope) -> Code:
        """The one operand of a unary node."""
        operands = self.operands(node, scope)
        if len(operands) != 1:
            raise self.error(f"{node.get('type')} wants one operand and has {len(operands)}", node, scope)
        return operands[0]

    def operands(self, node: Node, scope: Scope) -> list[Code]:
        """The operands of a node, one or a list."""
        operand = node.get("operand")
        if operand is None:
            return []
        nodes = operand if isinstance(operand, list) else [operand]
        return [self.compile(each, scope) for each in nodes]

    def error(self, problem: str, node: Any, scope: Scope) -> LoadError:
        """A LoadError at this node of this definition."""
        return LoadError(f"{problem}.", place=place(node, scope.body.library, scope.body.name))

    def operation(self, operator: Operator, node: Node, scope: Scope) -> Code:
        """The code of an operator applied to a node's operands."""
        if operator.operands:
            operands = [self.optional(_one(node.get(name)), scope) for name in operator.operands]
        else:
            operands = self.operands(node, scope)
        for operand in operands:
            if isinstance(operand.type, ListOf) and not operand.constant:
                operand.run = _counted(operand.run)
        function = operator.function
        options = {
            name: node[name] for name in operator.options if name != "context" and node.get(name) is not None
        }
        if options:
            function = partial(function, **options)
        context = "context" in operator.options
        thunk = None if context else fused(operator.name, function, operands, options)
        if thunk is None:
            thunk = call(function, operands, propagate=operator.nulls == "propagate", context=context)
        code = Code(thunk, _KINDS.get(operator.name, _unknown)([operand.type for operand in operands]))
        if not context and all(operand.constant for operand in operands):
            return fold(code)
        noted = result_type(node)
        lists = noted is None or isinstance(noted, ListOf)
        if self.tracing and lists and any(isinstance(operand.type, ListOf) for operand in operands):
            code.run = _keep_reasons(function, operands, operator.nulls == "propagate", context)
        return code


def _counted(items: Thunk) -> Thunk:
    """A list of which an operator looks at every item: each is a step."""

    def run(frame: Frame) -> Any:
        value = items(frame)
        if value:
            frame[RUN].spend(len(value))
        return value

    return run


def _unknown(kinds: list[Type]) -> Type:
    return None


_KINDS: Final[Mapping[str, Callable[[list[Type]], Type]]] = {
    **dict.fromkeys(("Intersect", "Except", "Distinct", "Slice", "Message"), lambda kinds: kinds[0]),
    "Union": either,
    "Flatten": lambda kinds: element_of(kinds[0]),
    "ToList": lambda kinds: ListOf(kinds[0]),
    "Date": lambda kinds: DATE,
    "DateTime": lambda kinds: DATETIME,
    "Time": lambda kinds: TIME,
}
"""The type of what an operator gives, where ELM may not note it and more than the value hangs on it."""


def _one(operand: Any) -> Any:
    """A field that holds one expression; some translators write a list of one."""
    return operand[0] if isinstance(operand, list) and len(operand) == 1 else operand


def call(function: Callable[..., Any], operands: Sequence[Code], *, propagate: bool, context: bool) -> Thunk:
    """A closure applying `function` to operands; null operands make null when `propagate`."""
    if context:
        return _call_in_context(function, [operand.run for operand in operands], propagate)
    if len(operands) == 1:
        first = operands[0].run
        if not propagate:
            return lambda frame: function(first(frame))

        def unary(frame: Frame) -> Any:
            a = first(frame)
            return None if a is None else function(a)

        return unary
    if len(operands) == 2:
        first, second = operands[0].run, operands[1].run
        if not propagate:
            return lambda frame: function(first(frame), second(frame))

        def binary(frame: Frame) -> Any:
            a = first(frame)
            if a is None:
                return None
            b = second(frame)
            return None if b is None else function(a, b)

        return binary
    thunks = [operand.run for operand in operands]
    if not propagate:
        return lambda frame: function(*[thunk(frame) for thunk in thunks])

    def several(frame: Frame) -> Any:
        values = []
        for thunk in thunks:
            value = thunk(frame)
            if value is None:
                return None
            values.append(value)
        return function(*values)

    return several


def _call_in_context(function: Callable[..., Any], thunks: list[Thunk], propagate: bool) -> Thunk:
    def contextual(frame: Frame) -> Any:
        values = []
        for thunk in thunks:
            value = thunk(frame)
            if value is None and propagate:
                return None
            values.append(value)
        return function(*values, context=frame[RUN])

    return contextual


def _keep_reasons(
    function: Callable[..., Any], operands: Sequence[Code], propagate: bool, context: bool
) -> Thunk:
    """As `call`, for operators over lists: items that pass through keep the log entries they came with."""
    thunks = [operand.run for operand in operands]

    def traced(frame: Frame) -> Any:
        values = []
        for thunk in thunks:
            value = thunk(frame)
            if value is None and propagate:
                return None
            values.append(value)
        result = function(*values, context=frame[RUN]) if context else function(*values)
        if type(result) is not list or not result:
            return result
        reasons: dict[int, Any] = {}
        for value in values:
            if isinstance(value, TracedList):
                reasons.update(zip(map(id, value), value.why, strict=True))
            elif isinstance(value, list):
                for inner in value:
                    if inner.__class__ is TracedList:
                        reasons.update(zip(map(id, inner), inner.why, strict=True))
        if not reasons:
            return result
        why = []
        for item in result:
            because = reasons.get(id(item))
            if because is None:
                if not is_resource(item):
                    return result
                because = (item, "", True)
            why.append(because)
        return TracedList(result, why)

    return traced


def place(node: Any, library: Library, name: str) -> str:
    """`Shoulder|1.0.0 "Enough weeks", localId 45, at 12:3-12:40`, as far as the node tells."""
    text = f'{library} "{name}"'
    if isinstance(node, Mapping):
        if node.get("localId") is not None:
            text += f", localId {node['localId']}"
        if node.get("locator") is not None:
            text += f", at {node['locator']}"
    return text
