"""Forms that name something: definitions, functions, parameters, operands, aliases, codes, value sets.

CQL logical specification, "Reusing Logic" and "External Data"; author's guide, "Using Terminology".
Overloads are chosen here, at compile time, by the signature the translator noted or by the operands' static
types; only where neither tells, the values choose when the call runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.elm.calls import calling
from server.elm.code import (
    LOG,
    RUN,
    UNSET,
    Body,
    Code,
    CompiledFunction,
    Frame,
    Scope,
    Thunk,
    Variable,
    constant,
)
from server.elm.compiler import Compiler, form
from server.elm.errors import EvaluationError
from server.elm.inlining import inlined
from server.elm.library import Function, Library, Node
from server.elm.paths import along, at_slot, of_variable
from server.elm.types import CODE, CONCEPT, ListOf, Named, Type, specifier
from server.elm.types import result_type as noted_type
from server.elm.typetests import NO_MATCH, fit, tester
from server.elm.values import Code as CodeValue
from server.elm.values import CodeSystem, Concept, ValueSet


def library_of(compiler: Compiler, node: Node, scope: Scope) -> Library:
    """The library a reference points into: its own, or an included one by alias."""
    alias = node.get("libraryName")
    if alias is None:
        return scope.body.library
    library = scope.body.library.includes.get(alias)
    if library is None:
        raise compiler.error(f"No library is included as {alias}", node, scope)
    return library


# Definitions and parameters


@form("ExpressionRef")
def expression_ref(compiler: Compiler, node: Node, scope: Scope) -> Code:
    library = library_of(compiler, node, scope)
    definition = library.definitions.get(node["name"])
    if definition is None:
        raise compiler.error(f'Library {library} has no definition "{node["name"]}"', node, scope)
    index = definition.index
    scope.body.definitions.add(index)
    kind = noted_type(node) or compiler.definition_type(definition)

    if compiler.tracing:

        def traced(frame: Frame) -> Any:
            run = frame[RUN]
            value = run.memo[index]
            if value is UNSET:
                value = run.evaluate(index)
            log = run.logs[index]
            if log:
                frame[LOG].append(log)
            return value

        return Code(traced, kind)

    def reference(frame: Frame) -> Any:
        run = frame[RUN]
        value = run.memo[index]
        return run.evaluate(index) if value is UNSET else value

    return Code(reference, kind)


@form("ParameterRef")
def parameter_ref(compiler: Compiler, node: Node, scope: Scope) -> Code:
    library = library_of(compiler, node, scope)
    declared = library.parameters.get(node["name"])
    if declared is None:
        raise compiler.error(f'Library {library} has no parameter "{node["name"]}"', node, scope)
    name = node["name"]
    index = compiler.program.parameters[(id(library), name)]
    kind = parameter_type(compiler, library, name)

    def parameter(frame: Frame) -> Any:
        value = frame[RUN].parameters[index]
        return frame[RUN].default(library, name, index) if value is UNSET else value

    return Code(parameter, kind)


def parameter_type(compiler: Compiler, library: Library, name: str) -> Type:
    """The type a parameter is declared with; where it is not, that of its default."""
    declared = library.parameters[name]
    simple = declared.get("parameterType")
    if isinstance(simple, str):
        return noted_type({"resultTypeName": simple})
    kind = specifier(declared.get("parameterTypeSpecifier")) or noted_type(declared)
    if kind is not None or declared.get("default") is None:
        return kind
    return compiler.compile(declared["default"], Scope(Body(library, name, "Unfiltered"))).type


# Names in scope


def variable(compiler: Compiler, name: Any, node: Node, scope: Scope) -> Variable:
    """The variable of a name in scope."""
    found = scope.names.get(name)
    if found is None and name == "$this":
        found = scope.this
    if found is None:
        raise compiler.error(f"Nothing in scope is called {name}", node, scope)
    found.uses += 1
    return found


@form("AliasRef", "QueryLetRef", "OperandRef")
def local_ref(compiler: Compiler, node: Node, scope: Scope) -> Code:
    found = variable(compiler, node.get("name"), node, scope)
    code = of_variable(found)
    if compiler.tracing and found.held is not None:
        return Code(_mentioned(found.slot, found.held), found.type)
    return code


def _mentioned(slot: int, held: int) -> Thunk:
    """A variable read where what led to it counts as evidence."""

    def mentioned(frame: Frame) -> Any:
        log = frame[held]
        if log:
            frame[LOG].append(log)
        return frame[slot]

    return mentioned


@form("IdentifierRef")
def identifier_ref(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """A name not resolved by the translator: in scope, or an element of what is being sorted."""
    name = node["name"]
    if name in scope.names:
        return local_ref(compiler, node, scope)
    if scope.this is not None:
        return along(compiler, at_slot(scope.this.slot, scope.this.type), name)
    if name in scope.body.library.definitions:
        return expression_ref(compiler, node, scope)
    if name in scope.body.library.parameters:
        return parameter_ref(compiler, node, scope)
    raise compiler.error(f"Nothing in scope is called {name}", node, scope)


# Functions


@form("FunctionRef")
def function_ref(compiler: Compiler, node: Node, scope: Scope) -> Code:
    library = library_of(compiler, node, scope)
    return call_of(compiler, library, compiler.operands(node, scope), node, scope)


def call_of(compiler: Compiler, library: Library, operands: Sequence[Code], node: Node, scope: Scope) -> Code:
    """The call of the function of a library that a node names."""
    candidates = [
        each for each in library.functions.get(node["name"], ()) if len(each.operands) == len(operands)
    ]
    if not candidates:
        raise compiler.error(
            f'Library {library} has no function "{node["name"]}" of {len(operands)} operands', node, scope
        )
    chosen = _overloads(compiler, candidates, node, operands)
    if not chosen:
        given = ", ".join(str(operand.type) for operand in operands)
        raise compiler.error(f'No overload of "{node["name"]}" takes ({given})', node, scope)
    if len(chosen) == 1:
        return _call(compiler, chosen[0], operands, scope)
    return _dispatch(compiler, chosen, operands, scope)


def _overloads(
    compiler: Compiler, candidates: list[Function], node: Node, operands: Sequence[Code]
) -> list[Function]:
    """The overloads that fit best; more than one where only the values can tell."""
    if len(candidates) == 1:
        return candidates
    signature = node.get("signature")
    if isinstance(signature, list) and len(signature) == len(operands):
        given: list[Type] = [specifier(each) for each in signature]
    else:
        given = [operand.type for operand in operands]
    exact = [each for each in candidates if [kind for _, kind in each.operands] == given]
    if exact:
        return exact
    costs = [
        (
            sum(
                fit(compiler.model, kind, wanted)
                for kind, (_, wanted) in zip(given, each.operands, strict=True)
            ),
            each,
        )
        for each in candidates
    ]
    best = min(cost for cost, _ in costs)
    if best >= NO_MATCH:
        return []
    if best > 0 and any(kind is None for kind in given):
        return [each for cost, each in sorted(costs, key=lambda pair: pair[0]) if cost < NO_MATCH]
    return [each for cost, each in costs if cost == best]


def _call(compiler: Compiler, source: Function, operands: Sequence[Code], scope: Scope) -> Code:
    compiled = compiler.function(source)
    here = inlined(compiler, compiled, operands, scope)
    if here is not None:
        return here
    scope.body.functions.add(compiled.index)
    return Code(calling(compiler, compiled, operands), compiled.type)


def _dispatch(compiler: Compiler, choices: list[Function], operands: Sequence[Code], scope: Scope) -> Code:
    """Overloads chosen by the values: the first whose operand types they have."""
    table: list[tuple[list[Any], CompiledFunction]] = []
    for each in choices:
        compiled = compiler.function(each)
        scope.body.functions.add(compiled.index)
        tests = [tester(compiler.model, kind, None) for _, kind in each.operands]
        table.append((tests, compiled))
    thunks = [operand.run for operand in operands]
    name = choices[0].name

    def dispatched(frame: Frame) -> Any:
        run = frame[RUN]
        run.left -= 1
        if run.left < 0:
            run.check()
        values = [thunk(frame) for thunk in thunks]
        for tests, compiled in table:
            if all(value is None or test(value) for test, value in zip(tests, values, strict=True)):
                return compiled.run([run, frame[LOG], *values, *compiled.extra])
        raise EvaluationError(f'No overload of "{name}" takes these operands.')

    return Code(dispatched, table[0][1].type)


# Terminology


def code_value(compiler: Compiler, library: Library, name: str, node: Node, scope: Scope) -> CodeValue:
    """A code a library declares."""
    declared = library.codes.get(name)
    if declared is None:
        raise compiler.error(f'Library {library} has no code "{name}"', node, scope)
    system = version = None
    reference = declared.get("codeSystem")
    if reference is not None:
        made = _code_system(compiler, library, reference, scope)
        system, version = made.id, made.version
    return CodeValue(declared["id"], system, version, declared.get("display"))


def _code_system(compiler: Compiler, library: Library, reference: Node, scope: Scope) -> CodeSystem:
    alias = reference.get("libraryName")
    home = library if alias is None else library.includes.get(alias)
    declared = None if home is None else home.code_systems.get(reference["name"])
    if declared is None:
        raise compiler.error(
            f'Library {library} has no code system "{reference.get("name")}"', reference, scope
        )
    return CodeSystem(declared["id"], declared.get("version"), declared["name"])


@form("CodeRef")
def code_ref(compiler: Compiler, node: Node, scope: Scope) -> Code:
    library = library_of(compiler, node, scope)
    return constant(code_value(compiler, library, node["name"], node, scope), CODE)


@form("ConceptRef")
def concept_ref(compiler: Compiler, node: Node, scope: Scope) -> Code:
    library = library_of(compiler, node, scope)
    declared = library.concepts.get(node["name"])
    if declared is None:
        raise compiler.error(f'Library {library} has no concept "{node["name"]}"', node, scope)
    codes = []
    for reference in declared.get("code") or ():
        alias = reference.get("libraryName")
        home = library if alias is None else library.includes[alias]
        codes.append(code_value(compiler, home, reference["name"], node, scope))
    return constant(Concept(tuple(codes), declared.get("display")), CONCEPT)


@form("CodeSystemRef")
def code_system_ref(compiler: Compiler, node: Node, scope: Scope) -> Code:
    library = library_of(compiler, node, scope)
    return constant(
        _code_system(compiler, library, {"name": node["name"]}, scope), Named("System.CodeSystem")
    )


def value_set_value(compiler: Compiler, node: Node, scope: Scope) -> ValueSet:
    """The value set a reference names."""
    library = library_of(compiler, node, scope)
    declared = library.value_sets.get(node["name"])
    if declared is None:
        raise compiler.error(f'Library {library} has no value set "{node["name"]}"', node, scope)
    return ValueSet(declared["id"], declared.get("version"), declared["name"])


@form("ValueSetRef")
def value_set_ref(compiler: Compiler, node: Node, scope: Scope) -> Code:
    """The value set itself where `preserve` is set (CQL 1.5), its codes otherwise (CQL 1.4)."""
    value_set = value_set_value(compiler, node, scope)
    if node.get("preserve"):
        return constant(value_set, Named("System.ValueSet"))
    expansion = compiler.terminology.find(value_set.id, value_set.version)
    return constant(list(expansion.codes), ListOf(CODE))
