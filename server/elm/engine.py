"""The engine: ELM libraries and value sets in, defines evaluated for a patient out.

    engine = Engine(libraries=[elm, ...], value_sets=[value_set, ...])
    run = engine.evaluate("MRIShoulder", data=resources, parameters={"Weeks": 6}, now=now, evidence=True)
    result = run["Conservative care long enough"]
    result.value, result.evidence, result.missing
    run.assume({"CC-DUR": True})["Decision"].value

An engine is made once: every library is linked and compiled then, and whatever is wrong with one is a
LoadError. It is shared between threads. A `Run` belongs to one evaluation: it evaluates a define at first
asking and remembers it; an assumption re-evaluates only what rests on it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import server.elm.forms
import server.elm.operators  # noqa: F401  (both fill the compiler's tables)
from server.elm.chart import Chart
from server.elm.code import UNSET, Body, CompiledDefinition, Frame, Scope
from server.elm.compiler import Compiler, Observer
from server.elm.errors import BudgetExceeded, ElmError, EvaluationError, LoadError
from server.elm.evidence import Evidence, Missing, TracedList, Unfolded, told
from server.elm.explain import Step, observe
from server.elm.library import Definition, Library, Node, Program
from server.elm.linking import dependents, reached, with_included
from server.elm.model import fhir
from server.elm.references import parameter_type
from server.elm.terminology import Terminology
from server.elm.types import DATE, DATETIME, DECIMAL, TIME, ListOf, Type
from server.elm.values import Date, DateTime, Time

DEFAULT_STEPS: Final = 20_000_000
DEFAULT_SECONDS: Final = 30.0
_SLICE: Final = 20_000


class Result:
    """What a define came to."""

    __slots__ = ("_evidence", "_log", "_unfolded", "value")

    def __init__(self, value: Any, log: list[Any], unfolded: Unfolded) -> None:
        self.value = list(value) if type(value) is TracedList else value
        self._log = log
        self._unfolded = unfolded
        self._evidence: tuple[Evidence, ...] | None = None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The resources that decided the value, with the elements read in them; empty unless asked for."""
        if self._evidence is None:
            self._evidence = self._unfolded.evidence(self._log)
        return self._evidence

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What was looked for in vain: resources of a kind, and elements where the value is not settled.

        An element that is absent in what made a value true says nothing. Empty unless evidence was asked for.
        """
        missing = self._unfolded.missing(self._log)
        if self.value is None or self.value is False or self.value == []:
            return missing
        return tuple(each for each in missing if each.kind == "resource")

    def __repr__(self) -> str:
        return f"Result({self.value!r})"


class _Manner:
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


class Engine:
    """Compiled libraries with their value sets. Immutable; share it.

    `libraries` are ELM documents as parsed JSON, `value_sets` FHIR ValueSets. Raises LoadError for anything
    that is not ELM, not supported, or not there.
    """

    def __init__(self, libraries: Iterable[Node], value_sets: Iterable[Mapping[str, Any]] = ()) -> None:
        self._model = fhir()
        try:
            self._program = Program(libraries)
            self._terminology = Terminology(value_sets)
            self._check_value_sets()
            self._plain = self._manner()
            self._traced = self._manner(tracing=True)
            self._observed = self._manner(tracing=True, observer=observe)
            self._dependents = self._load()
        except ElmError:
            raise
        except Exception as error:
            raise LoadError(f"Not well-formed ELM ({type(error).__name__}: {error}).") from error
        self._parameters = {id(library): self._taken(library) for library in self._program.libraries.values()}

    @property
    def libraries(self) -> tuple[str, ...]:
        """Every library as `id|version`."""
        return tuple(str(library) for library in self._program.libraries.values())

    def defines(self, library: str) -> tuple[str, ...]:
        """Names of a library's defines, in the order of its ELM."""
        return tuple(self._program.find(library).definitions)

    def parameters(self, library: str) -> tuple[str, ...]:
        """Names of the parameters a library, or one it includes, takes."""
        return tuple(self._parameters[id(self._program.find(library))])

    def chart(self, data: Iterable[Mapping[str, Any]]) -> Chart:
        """A patient's resources, to be evaluated more than once: their indexes are then shared."""
        return Chart(data, self._model)

    def evaluate(
        self,
        library: str,
        data: Chart | Iterable[Mapping[str, Any]] = (),
        parameters: Mapping[str, Any] | None = None,
        now: datetime | None = None,
        assuming: Mapping[str, Any] | None = None,
        evidence: bool = False,
        patient: str | None = None,
        steps: int = DEFAULT_STEPS,
        seconds: float = DEFAULT_SECONDS,
    ) -> Run:
        """A run over one patient's `data`: defines of `library` (`id` or `id|version`) by subscript, lazily.

        `now` is the only clock (default: this moment); its offset is that of dates written without one.
        `assuming` gives defines a value instead of evaluating them. `patient` is an id: with it, retrieves in
        the Patient context see that patient's resources only. `steps` and `seconds` are the budget; when it
        is spent, the define being evaluated raises BudgetExceeded.
        """
        found = self._program.find(library)
        chart = data if isinstance(data, Chart) else Chart(data, self._model)
        run = Run(
            self,
            found,
            chart if patient is None else Chart(chart.resources, self._model, patient),
            chart,
            self._given(found, parameters or {}),
            DateTime.of_python(now or datetime.now().astimezone()),
            self._traced if evidence else self._plain,
            (steps, seconds),
        )
        return run if not assuming else run.assume(assuming)

    # Loading

    def _manner(self, *, tracing: bool = False, observer: Observer | None = None) -> _Manner:
        compiler = Compiler(self._program, self._terminology, self._model, tracing=tracing, observer=observer)
        return _Manner(compiler, len(self._program.definitions))

    def _check_value_sets(self) -> None:
        for library in self._program.libraries.values():
            for name, declared in library.value_sets.items():
                try:
                    self._terminology.find(declared["id"], declared.get("version"))
                except LoadError as error:
                    raise LoadError(error.message, place=f'{library}, value set "{name}"') from None

    def _load(self) -> tuple[tuple[int, ...], ...]:
        """Compile everything plainly; for each definition, which definitions rest on it."""
        compiled = [self._plain.definition(definition) for definition in self._program.definitions]
        for library in self._program.libraries.values():
            for overloads in library.functions.values():
                for function in overloads:
                    if function.body is not None:
                        self._plain.compiler.function(function)
            for name in library.parameters:
                self._plain.default(library, name)
        functions = self._plain.compiler.functions
        self._in_functions = frozenset[int]().union(*(each.definitions for each in functions))
        return dependents(self._program.definitions, [reached(each, functions) for each in compiled])

    def _given(self, library: Library, parameters: Mapping[str, Any]) -> list[Any]:
        """Parameter values, each at the place of every library that declares it."""
        values = [UNSET] * len(self._program.parameters)
        taken = self._parameters[id(library)]
        for name, value in parameters.items():
            if name not in taken:
                known = ", ".join(taken) or "none"
                raise EvaluationError(f'"{name}" is not a parameter here; there are: {known}.', str(library))
            for index, kind in taken[name]:
                values[index] = to_cql(value, kind)
        return values

    def _taken(self, library: Library) -> dict[str, list[tuple[int, Type]]]:
        """The parameters of a library and of those it includes: by name, place and type of each."""
        taken: dict[str, list[tuple[int, Type]]] = {}
        for home in with_included(library):
            for name, declared in home.parameters.items():
                place = self._program.parameters[(id(home), name)]
                taken.setdefault(name, []).append((place, parameter_type(declared)))
        return taken


class Run:
    """One evaluation. `run["Define"]` evaluates a define of the library, or answers from memory."""

    def __init__(
        self,
        engine: Engine,
        library: Library,
        chart: Chart,
        whole: Chart,
        parameters: list[Any],
        now: DateTime,
        manner: _Manner,
        budget: tuple[int, float],
        known: Run | None = None,
    ) -> None:
        self.engine = engine
        self.library = library
        self.chart = chart
        self.whole = whole
        self.parameters = parameters
        self.now = now
        self.offset = now.offset
        self.terminology = engine._terminology
        self.messages: list[tuple[str, str | None, str | None]] = []
        self.steps: list[Step] = []
        self.calls: dict[tuple[Any, ...], tuple[Any, list[Any] | None, Any]] = {}
        size = len(engine._program.definitions)
        self.memo: list[Any] = [UNSET] * size if known is None else list(known.memo)
        self.logs: list[list[Any]] = [[]] * size if known is None else list(known.logs)
        self._unfolded = Unfolded()
        self._manner = manner
        self._base: Run | None = None
        self._own: frozenset[int] = frozenset()
        self._assumed: dict[int, Any] = {}
        self._budget = budget
        self._used = 0
        self._deadline = time.monotonic() + budget[1]
        self._slice = self.left = min(_SLICE, budget[0])

    # For callers

    def __getitem__(self, name: str) -> Result:
        """The result of a define; `Library.Define` reaches one of an included library.

        Raises EvaluationError where CQL makes the evaluation an error, BudgetExceeded when it took too much.
        """
        index = self._find(name).index
        value = self.value_of(index)
        return Result(value, self.logs[index], self._unfolded)

    def __contains__(self, name: object) -> bool:
        return name in self.library.definitions

    def assume(self, values: Mapping[str, Any], *, evidence: bool = True) -> Run:
        """This run as if the named defines had these values; what does not rest on them is shared.

        Without `evidence`, what does rest on them is evaluated for its value alone.
        """
        assumed = {self._find(name).index: to_cql(value, None) for name, value in values.items()}
        run = self._again(self._manner if evidence else self.engine._plain, self)
        run._base = self
        run._assumed = {**self._assumed, **assumed}
        run._own = frozenset(assumed).union(*(self.engine._dependents[index] for index in assumed))
        for index in run._own:
            run.memo[index] = run._assumed.get(index, UNSET)
            run.logs[index] = []
        if run._manner is self._manner and run._own.isdisjoint(self.engine._in_functions):
            # No function sees what is assumed but as an operand: what calls came to stays.
            run.calls = self.calls
        return run

    def plain(self) -> Run:
        """This run, from here on without evidence: what is known stays, the rest is only valued."""
        return self._again(self.engine._plain, self)

    def beside(self, library: str) -> Run:
        """The same question put to another library: what both rest on is evaluated once.

        A parameter that neither this library nor one it includes declares is not given.
        """
        run = self._again(self._manner, self)
        run.library = self.engine._program.find(library)
        run.calls = self.calls
        return run

    def explain(self, name: str) -> Step:
        """A define as a tree of its sub-expressions."""
        definition = self._find(name)
        run = self._observed()
        root = Step("define", definition.name, str(definition.library), None, None, str(definition))
        run.steps.append(root)
        root.value = run.value_of(definition.index)
        root.log = run.logs[definition.index]
        return root

    # For compiled code

    @property
    def today(self) -> Date:
        """The day of `now`."""
        return self.now.date

    def message(self, severity: str, code: str | None, text: str | None, source: Any) -> None:
        """Keeps what the Message operator says."""
        self.messages.append((severity, code, text))

    def value_of(self, index: int) -> Any:
        """The value of a definition, evaluated at first asking."""
        value = self.memo[index]
        return self.evaluate(index) if value is UNSET else value

    def default(self, library: Library, name: str, index: int) -> Any:
        """The default of a parameter that was not given."""
        thunk, size = self._manner.default(library, name)
        value = self.parameters[index] = thunk([self, [], *[None] * (size - 2)])
        return value

    def check(self) -> None:
        """Called when a slice of the step budget is spent: counts it and looks at the time."""
        self._used += self._slice - self.left
        steps, seconds = self._budget
        if self._used >= steps:
            raise BudgetExceeded(f"The evaluation took more than {steps} steps.")
        if time.monotonic() > self._deadline:
            raise BudgetExceeded(f"The evaluation took more than {seconds} seconds.")
        self._slice = self.left = min(_SLICE, steps - self._used)

    def _find(self, name: str) -> Definition:
        found = self.library.definitions.get(name)
        if found is not None:
            return found
        home, _, inner = name.partition(".")
        for library in with_included(self.library):
            if library.id == home and inner in library.definitions:
                return library.definitions[inner]
        raise EvaluationError(f'There is no define "{name}".', place=str(self.library))

    def _again(self, manner: _Manner, known: Run | None = None) -> Run:
        """A run of the same question, to which what another run knows is known."""
        run = Run(
            self.engine,
            self.library,
            self.chart,
            self.whole,
            self.parameters,
            self.now,
            manner,
            self._budget,
            known,
        )
        run._assumed = self._assumed
        return run

    def _observed(self) -> Run:
        """A fresh run of the same question that leaves steps behind."""
        run = self._again(self.engine._observed)
        for index, value in self._assumed.items():
            run.memo[index] = value
        return run

    def evaluate(self, index: int) -> Any:
        """Evaluate a definition and remember its value and log."""
        if self._base is not None and index not in self._own:
            # Not touched by what is assumed: the run underneath has it, or computes it once for all.
            self.memo[index] = value = self._base.value_of(index)
            self.logs[index] = self._base.logs[index]
            return value
        definition = self.engine._program.definitions[index]
        log: list[Any] = []
        try:
            self.left -= 1
            if self.left < 0:
                self.check()
            compiled = self._manner.definitions[index] or self._manner.definition(definition)
            value = compiled.run([self, log, *compiled.extra])
        except BudgetExceeded as error:
            error.place = error.place or str(definition)
            raise
        except ElmError as error:
            error.place = error.place or self._place(definition)
            raise
        except RecursionError:
            raise EvaluationError("The evaluation is nested too deeply.", str(definition)) from None
        except Exception as error:
            # Operators meet values no well-typed expression gives them only when data or ELM are malformed.
            raise EvaluationError(
                f"The operands do not fit the expression ({type(error).__name__}: {error}).",
                place=self._place(definition),
            ) from error
        self.memo[index] = value
        self.logs[index] = told(log)
        return value

    def _place(self, definition: Definition) -> str:
        """Where a definition fails: the innermost expression open when it does so again, observed."""
        if self._manner is self.engine._observed:
            return self.steps[-1].place if self.steps else str(definition)
        try:
            self._observed().value_of(definition.index)
        except ElmError as error:
            return error.place or str(definition)
        return str(definition)


def to_cql(value: Any, kind: Type) -> Any:
    """A Python value as CQL has it: float and int as the type asks, datetime and ISO text as CQL dates."""
    match value:
        case bool() | None | Decimal() | dict():
            return value
        case float():
            return Decimal(str(value))
        case int():
            return Decimal(value) if kind == DECIMAL else value
        case datetime():
            moment = DateTime.of_python(value)
            return moment.date if kind == DATE else moment
        case date():
            return Date.of(value.year, value.month, value.day)
        case str() if kind == DATE:
            return Date.parse(value)
        case str() if kind == DATETIME:
            return DateTime.parse(value, 0)
        case str() if kind == TIME:
            return Time.parse(value)
        case list() | tuple():
            inner = kind.element if isinstance(kind, ListOf) else None
            return [to_cql(item, inner) for item in value]
    return value
