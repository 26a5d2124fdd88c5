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

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import server.elm.forms
import server.elm.operators  # noqa: F401  (both fill the compiler's tables)
from server.elm.chart import Chart
from server.elm.code import UNSET
from server.elm.compiled import Compiled
from server.elm.errors import ElmError, EvaluationError, LoadError
from server.elm.library import Library, Node
from server.elm.linking import with_included
from server.elm.model import fhir
from server.elm.references import parameter_type
from server.elm.run import Run, to_cql
from server.elm.selectors import is_empty
from server.elm.terminology import Spellings
from server.elm.types import Type
from server.elm.typetests import Test, tester
from server.elm.values import DateTime, Interval

DEFAULT_STEPS: Final = 20_000_000
DEFAULT_SECONDS: Final = 30.0


class Engine:
    """Compiled libraries with their value sets. Immutable; share it.

    `libraries` are ELM documents as parsed JSON, `value_sets` FHIR ValueSets; `spellings` gives other keys,
    (system, code), that data may have for the codes of one. Raises LoadError for anything that is not ELM,
    not supported, or not there.
    """

    def __init__(
        self,
        libraries: Iterable[Node],
        value_sets: Iterable[Mapping[str, Any]] = (),
        spellings: Spellings = lambda codes: (),
    ) -> None:
        self._model = fhir()
        try:
            self.compiled = Compiled(libraries, value_sets, self._model, spellings)
        except ElmError:
            raise
        except Exception as error:
            raise LoadError(f"Not well-formed ELM ({type(error).__name__}: {error}).") from error
        self._program = self.compiled.program
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
        is spent, the define being evaluated raises BudgetExceeded. A run that assumes something has steps of
        its own, and no more time.
        """
        if isinstance(data, Mapping):
            raise EvaluationError(
                "The data are a list of resources, not one: of a Bundle, those in its entries."
            )
        found = self._program.find(library)
        clock = DateTime.of_python(now or datetime.now().astimezone())
        chart = data if isinstance(data, Chart) else Chart(data, self._model)
        run = Run(
            self.compiled,
            found,
            chart if patient is None else Chart(chart.resources, self._model, patient),
            chart,
            self._given(found, parameters or {}, clock.offset),
            clock,
            self.compiled.traced if evidence else self.compiled.plain,
            (steps, seconds),
        )
        return run if not assuming else run.assume(assuming)

    # Parameters

    def _given(self, library: Library, parameters: Mapping[str, Any], offset: int) -> list[Any]:
        """Parameter values, each at the place of every library that declares it."""
        values = [UNSET] * len(self._program.parameters)
        taken = self._parameters[id(library)]
        for name, value in parameters.items():
            if name not in taken:
                known = ", ".join(taken) or "none"
                raise EvaluationError(f'"{name}" is not a parameter here; there are: {known}.', str(library))
            for index, kind, fits in taken[name]:
                values[index] = given = to_cql(value, kind, offset)
                if value is not None and (given is None or not fits(given)):
                    shown = f"{type(value).__name__} as it was given"
                    raise EvaluationError(f'"{name}" takes {kind}, not the {shown}.', str(library))
                if isinstance(given, Interval) and is_empty(given):
                    raise EvaluationError(f'"{name}", {given}, ends before it begins.', str(library))
        return values

    def _taken(self, library: Library) -> dict[str, list[tuple[int, Type, Test]]]:
        """The parameters of a library and of those it includes: by name, place and type of each."""
        taken: dict[str, list[tuple[int, Type, Test]]] = {}
        for home in with_included(library):
            for name in home.parameters:
                place = self._program.parameters[(id(home), name)]
                kind = parameter_type(self.compiled.plain.compiler, home, name)
                taken.setdefault(name, []).append((place, kind, tester(self._model, kind, None)))
        return taken
