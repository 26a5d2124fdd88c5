"""A run: the defines of a library evaluated for one patient, each at first asking, and remembered.

An assumption makes another run, which evaluates again only what rests on it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from server.elm.chart import Chart
from server.elm.code import UNSET
from server.elm.compiled import Compiled, Manner
from server.elm.errors import BudgetExceeded, ElmError, EvaluationError
from server.elm.evidence import Evidence, Missing, TracedList, Unfolded, told
from server.elm.explain import Step
from server.elm.library import Definition, Library
from server.elm.linking import with_included
from server.elm.types import DATE, DATETIME, DECIMAL, TIME, IntervalOf, ListOf, Type
from server.elm.values import Date, DateTime, Interval, Time

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
    def resources(self) -> tuple[dict[str, Any], ...]:
        """The resources of the evidence alone, in its order."""
        return self._unfolded.resources(self._log)

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


class Run:
    """One evaluation. `run["Define"]` evaluates a define of the library, or answers from memory."""

    def __init__(
        self,
        compiled: Compiled,
        library: Library,
        chart: Chart,
        whole: Chart,
        parameters: list[Any],
        now: DateTime,
        manner: Manner,
        budget: tuple[int, float],
        known: Run | None = None,
    ) -> None:
        self.compiled = compiled
        self.library = library
        self.chart = chart
        self.whole = whole
        self.parameters = parameters
        self.now = now
        self.offset = now.offset
        self.terminology = compiled.terminology
        self.messages: list[tuple[str, str | None, str | None]] = []
        self.steps: list[Step] = []
        self.calls: dict[tuple[Any, ...], tuple[Any, list[Any] | None, Any]] = {}
        size = len(compiled.program.definitions)
        self.memo: list[Any] = [UNSET] * size if known is None else list(known.memo)
        self.logs: list[Any] = [[]] * size if known is None else list(known.logs)
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
        return Result(value, self._log(index), self._unfolded)

    def __contains__(self, name: object) -> bool:
        return name in self.library.definitions

    def assume(self, values: Mapping[str, Any], *, evidence: bool = True) -> Run:
        """This run as if the named defines had these values; what does not rest on them is shared.

        Without `evidence`, what does rest on them is evaluated for its value alone.
        """
        assumed = {self._find(name).index: to_cql(value, None) for name, value in values.items()}
        run = self._again(self._manner if evidence else self.compiled.plain, self)
        run._base = self
        run._assumed = {**self._assumed, **assumed}
        run._own = frozenset(assumed).union(*(self.compiled.dependents[index] for index in assumed))
        for index in run._own:
            run.memo[index] = run._assumed.get(index, UNSET)
            run.logs[index] = []
        if run._manner is self._manner and run._own.isdisjoint(self.compiled.in_functions):
            # No function sees what is assumed but as an operand: what calls came to stays.
            run.calls = self.calls
        return run

    def plain(self) -> Run:
        """This run, from here on without evidence: what is known stays, the rest is only valued."""
        return self._again(self.compiled.plain, self)

    def beside(self, library: str) -> Run:
        """The same question put to another library: what both rest on is evaluated once.

        A parameter that neither this library nor one it includes declares is not given.
        """
        run = self._again(self._manner, self)
        run.library = self.compiled.program.find(library)
        run.calls = self.calls
        return run

    def explain(self, name: str) -> Step:
        """A define as a tree of its sub-expressions."""
        definition = self._find(name)
        run = self._observed()
        root = Step("define", definition.name, str(definition.library), None, None, str(definition))
        run.steps.append(root)
        root.value = run.value_of(definition.index)
        root.log = run._log(definition.index)
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

    def spend(self, steps: int) -> None:
        """Takes so many steps from the budget, one for each item that was gone through."""
        self.left -= steps
        if self.left < 0:
            self.check()

    def check(self) -> None:
        """Called when a slice of the step budget is spent: counts it and looks at the time."""
        self._used += self._slice - self.left
        steps, seconds = self._budget
        if self._used >= steps:
            raise BudgetExceeded(f"The evaluation took more than {steps} steps.")
        if time.monotonic() > self._deadline:
            raise BudgetExceeded(f"The evaluation took more than {seconds} seconds.")
        self._slice = self.left = min(_SLICE, steps - self._used)

    def _log(self, index: int) -> list[Any]:
        """The log of a definition that was evaluated, which may be told by the one entry that it has."""
        log = self.logs[index]
        if log.__class__ is not list:
            log = self.logs[index] = [log]
        return log

    def _find(self, name: str) -> Definition:
        found = self.library.definitions.get(name)
        if found is not None:
            return found
        home, _, inner = name.partition(".")
        for library in with_included(self.library):
            if library.id == home and inner in library.definitions:
                return library.definitions[inner]
        raise EvaluationError(f'There is no define "{name}".', place=str(self.library))

    def _again(self, manner: Manner, known: Run | None = None) -> Run:
        """A run of the same question, to which what another run knows is known: and with it the time left."""
        run = Run(
            self.compiled,
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
        if known is not None:
            run._deadline = known._deadline
        return run

    def _observed(self) -> Run:
        """A fresh run of the same question that leaves steps behind."""
        run = self._again(self.compiled.observed)
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
        definition = self.compiled.program.definitions[index]
        log: list[Any] = []
        try:
            self.left -= 1
            if self.left < 0:
                self.check()
            code = self._manner.definitions[index] or self._manner.definition(definition)
            value = code.run([self, log, *code.extra])
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
        if self._manner is self.compiled.observed:
            return self.steps[-1].place if self.steps else str(definition)
        try:
            self._observed().value_of(definition.index)
        except ElmError as error:
            return error.place or str(definition)
        return str(definition)


def to_cql(value: Any, kind: Type, offset: int = 0) -> Any:
    """A Python value as CQL has it: float and int as the type asks, datetime, date and ISO text as CQL dates.
    `offset`, in minutes from UTC, is that of moments which name none."""
    match value:
        case bool() | None | Decimal() | dict():
            return value
        case float():
            return Decimal(str(value))
        case int():
            return Decimal(value) if kind == DECIMAL else value
        case datetime():
            here = timezone(timedelta(minutes=offset))
            moment = DateTime.of_python(value if value.tzinfo else value.replace(tzinfo=here))
            return moment.date if kind == DATE else moment
        case date():
            day = value.year, value.month, value.day
            return DateTime.of(*day, offset=offset) if kind == DATETIME else Date.of(*day)
        case str() if kind == DATE:
            return Date.parse(value)
        case str() if kind == DATETIME:
            return DateTime.parse(value, offset)
        case str() if kind == TIME:
            return Time.parse(value)
        case list() | tuple():
            inner = kind.element if isinstance(kind, ListOf) else None
            return [to_cql(item, inner, offset) for item in value]
        case Interval():
            point = kind.point if isinstance(kind, IntervalOf) else None
            low, high = to_cql(value.low, point, offset), to_cql(value.high, point, offset)
            # A bound that is no such point must not become one that is not known.
            lost = (low is None and value.low is not None) or (high is None and value.high is not None)
            return None if lost else replace(value, low=low, high=high)
    return value
