"""Libraries compiled: the program in each manner it can run, and what in it rests on what."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from server.elm.code import Body, CompiledDefinition, Frame, Scope
from server.elm.compiler import Compiler, Observer
from server.elm.errors import LoadError
from server.elm.explain import observe
from server.elm.library import Definition, Library, Node, Program
from server.elm.linking import dependents, reached
from server.elm.model import Model
from server.elm.terminology import Spellings, Terminology


class Manner:
    """The program compiled one way (plain, traced, observed), definition by definition."""

    def __init__(self, compiler: Compiler, size: int) -> None:
        self.compiler = compiler
        self.definitions: list[CompiledDefinition | None] = [None] * size
        self._defaults: dict[tuple[int, str], tuple[Callable[[Frame], Any], int]] = {}
        self._lock = threading.RLock()

    def definition(self, source: Definition) -> CompiledDefinition:
        """The code of a definition, compiled by whichever thread wants it first."""
        found = self.definitions[source.index]
        if found is None:
            with self._lock:
                found = self.definitions[source.index] = self.compiler.definition(source)
        return found

    def default(self, library: Library, name: str) -> tuple[Callable[[Frame], Any], int]:
        """The code of a parameter's default and its frame size."""
        key = (id(library), name)
        found = self._defaults.get(key)
        if found is None:
            with self._lock:
                body = Body(library, name, "Unfiltered")
                code = self.compiler.optional(library.parameters[name].get("default"), Scope(body))
                found = self._defaults[key] = (code.run, body.size)
        return found


class Compiled:
    """Libraries with their value sets, linked and compiled. Immutable; every run shares it.

    `dependents` are, for each definition, the definitions that rest on it; `in_functions` those that some
    function reads. Raises LoadError for what is not supported or not there, and whatever comes of a document
    that is no ELM.
    """

    def __init__(
        self,
        libraries: Iterable[Node],
        value_sets: Iterable[Mapping[str, Any]],
        model: Model,
        spellings: Spellings,
    ) -> None:
        self.program = Program(libraries)
        self.terminology = Terminology(value_sets, spellings)
        self._check_value_sets()
        self.plain = self._manner(model)
        self.traced = self._manner(model, tracing=True)
        self.observed = self._manner(model, tracing=True, observer=observe)
        self._load()

    def _manner(self, model: Model, *, tracing: bool = False, observer: Observer | None = None) -> Manner:
        compiler = Compiler(self.program, self.terminology, model, tracing=tracing, observer=observer)
        return Manner(compiler, len(self.program.definitions))

    def _check_value_sets(self) -> None:
        for library in self.program.libraries.values():
            for name, declared in library.value_sets.items():
                try:
                    self.terminology.find(declared["id"], declared.get("version"))
                except LoadError as error:
                    raise LoadError(error.message, place=f'{library}, value set "{name}"') from None

    def _load(self) -> None:
        """Compiles everything plainly, and finds out what rests on what."""
        compiled = [self.plain.definition(definition) for definition in self.program.definitions]
        for library in self.program.libraries.values():
            for overloads in library.functions.values():
                for function in overloads:
                    if function.body is not None:
                        self.plain.compiler.function(function)
            for name in library.parameters:
                self.plain.default(library, name)
        functions = self.plain.compiler.functions
        self.in_functions = frozenset[int]().union(*(each.definitions for each in functions))
        self.dependents = dependents(
            self.program.definitions, [reached(each, functions) for each in compiled]
        )
