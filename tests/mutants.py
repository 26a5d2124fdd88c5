"""Do the cases notice when a policy says something else? Mutants of the rules, each one changed node of ELM.

    python -m tests.mutants                     # all of them
    python -m tests.mutants --sample 300        # a random part, the same for the same --seed
    python -m tests.mutants --only MRICare

A comparison is loosened or tightened, a number moved by one, a value set exchanged for another of its
library, `and` for `or`, a negation taken away, an interval opened or closed. The cases of `tests/vignettes`
(and of `EXAMPLE_CASES`) are replayed on the changed rules, as `determine` had asked them; a mutant is caught
where one comes out otherwise. `mutants-equivalent.yaml` lists those that no case could tell, with the
reason. At least 95 of 100 of the others must be caught; survivors are printed with their line of CQL.
"""

from __future__ import annotations

import argparse
import copy
import datetime as dt
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import Progress

from server.elm import Engine
from server.elm.errors import ElmError
from server.fhir.elements import nodes
from server.policy.cases import case_of, read
from server.policy.catalog import Catalog
from server.policy.determine import determine

HERE = Path(__file__).parent
DAY_ZERO = dt.date(2026, 6, 15)
ENOUGH = 0.95
NOT_OURS = frozenset({"FHIRHelpers"})
ASKED_BY_FORMS_ONLY = frozenset({"MRIPlan", "MRICoverage"})
"""The server hands in what these look up; `policy check` and tests/dtr hold them to the manifests."""
DECIDE = ("Decision", "Unmet", "Unknown", "Gate")

Node = dict[str, Any]
Outcome = tuple[Any, ...]

COMPARISONS = {
    "Greater": "GreaterOrEqual",
    "GreaterOrEqual": "Greater",
    "Less": "LessOrEqual",
    "LessOrEqual": "Less",
    "SameOrBefore": "Before",
    "SameOrAfter": "After",
    "Before": "SameOrBefore",
    "After": "SameOrAfter",
}
CONNECTIVES = {"And": "Or", "Or": "And"}


@dataclass(frozen=True)
class Place:
    """A definition of a library; `function` where it takes operands."""

    library: str
    define: str
    function: bool


@dataclass
class Mutant:
    """`apply` changes the node in place and gives back what undoes it."""

    place: Place
    line: str
    change: str
    number: int
    apply: Callable[[], Callable[[], None]]

    @property
    def key(self) -> str:
        return f"{self.place.library}.{self.place.define}: {self.change} #{self.number}"


@dataclass
class Question:
    """One case as `determine` asked it of the engine, and what came out of the rules as they are."""

    case: str
    library: str
    chart: Any
    parameters: Mapping[str, Any]
    now: dt.datetime
    expected: Outcome = ()
    kills: int = field(default=0, compare=False)

    def ask(self, engine: Engine) -> Outcome:
        run = engine.evaluate(self.library, data=self.chart, parameters=self.parameters, now=self.now)
        values = [run[name].value for name in DECIDE]
        return tuple(tuple(sorted(v)) if isinstance(v, list) else v for v in values)


class Recorder:
    """Stands before the engine and keeps the last question."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.last: tuple[str, dict[str, Any]] | None = None

    def evaluate(self, library: str, **asked: Any) -> Any:
        self.last = (library, asked)
        return self.engine.evaluate(library, **asked)


def questions(catalog: Catalog) -> list[Question]:
    """Every case, laid out once."""
    files = sorted((HERE / "vignettes").glob("*.json"))
    examples = Path(os.environ.get("EXAMPLE_CASES", ""))
    engine = catalog.engine
    recorder = Recorder(engine)
    catalog.engine = recorder  # type: ignore[assignment]
    asked: list[Question] = []
    for file in [*files, *([examples] if examples.is_file() else [])]:
        for vignette in read(file):
            case = case_of(vignette, DAY_ZERO, catalog.payer)
            recorder.last = None
            plan = catalog.plan(case.plan)
            determine(case.order, case.member, case.chart, plan, case.now, hints=False)
            if recorder.last is not None:
                library, given = recorder.last
                chart = engine.chart(list(given["data"]))
                asked.append(Question(vignette.id, library, chart, given["parameters"], given["now"]))
    catalog.engine = engine
    for question in asked:
        question.expected = question.ask(engine)
    return asked


def mutants(libraries: Mapping[str, Any], policies: set[str]) -> Iterator[Mutant]:
    """Every changed node of what the decisions of the policies rest on."""
    reached = _reached(libraries, policies)
    for name, document in sorted(libraries.items()):
        if name in NOT_OURS | ASKED_BY_FORMS_ONLY:
            continue
        library = document["library"]
        sets = [each["name"] for each in library.get("valueSets", {}).get("def", [])]
        for statement in library.get("statements", {}).get("def", []):
            if (name, statement["name"]) not in reached or "expression" not in statement:
                continue
            place = Place(name, statement["name"], statement.get("type") == "FunctionDef")
            seen: dict[str, int] = {}
            for line, change, apply in _changes(statement["expression"], sets, ""):
                seen[change] = seen.get(change, 0) + 1
                yield Mutant(place, f"cql/{name}.cql:{line}", change, seen[change], apply)


def _changes(
    node: Any, sets: list[str], line: str
) -> Iterator[tuple[str, str, Callable[[], Callable[[], None]]]]:
    if isinstance(node, list):
        for part in node:
            yield from _changes(part, sets, line)
    if not isinstance(node, dict):
        return
    line = str(node.get("locator", line)).partition(":")[0] or line
    kind = node.get("type")
    if kind in COMPARISONS:
        yield line, f"{kind} to {COMPARISONS[kind]}", _set(node, "type", COMPARISONS[kind])
    if kind in CONNECTIVES:
        yield line, f"{kind} to {CONNECTIVES[kind]}", _set(node, "type", CONNECTIVES[kind])
    if kind == "Not":
        yield line, "negation removed", _replace(node, node["operand"])
    if kind == "Exists":
        yield line, "exists negated", _replace(node, {"type": "Not", "operand": copy.copy(node)})
    if kind == "Literal" and str(node.get("valueType", "")).endswith(("}Integer", "}Decimal")):
        moved = str(node["value"])
        up = str(int(moved) + 1) if moved.lstrip("-").isdigit() else str(float(moved) + 1)
        yield line, f"{moved} to {up}", _set(node, "value", up)
    if kind == "Quantity" and "value" in node:
        yield line, f"{node['value']} to {node['value'] + 1}", _set(node, "value", node["value"] + 1)
    for bound in ("lowClosed", "highClosed"):
        if kind == "Interval" and isinstance(node.get(bound), bool):
            yield line, f"{bound} {node[bound]} to {not node[bound]}", _set(node, bound, not node[bound])
    for reference in (node, node.get("valueset")):
        own = isinstance(reference, dict) and "libraryName" not in reference and reference.get("name") in sets
        if own and (reference is not node or kind == "ValueSetRef") and len(sets) > 1:
            other = sets[(sets.index(reference["name"]) + 1) % len(sets)]
            yield line, f'"{reference["name"]}" to "{other}"', _set(reference, "name", other)
    for name, part in node.items():
        if name not in ("signature", "resultTypeSpecifier", "annotation", "valueset"):
            yield from _changes(part, sets, line)


def _set(node: Node, name: str, value: Any) -> Callable[[], Callable[[], None]]:
    def apply() -> Callable[[], None]:
        before = node[name]
        node[name] = value
        return lambda: node.__setitem__(name, before)

    return apply


def _replace(node: Node, other: Node) -> Callable[[], Callable[[], None]]:
    def apply() -> Callable[[], None]:
        before = dict(node)
        content = dict(other)
        node.clear()
        node.update(content)

        def undo() -> None:
            node.clear()
            node.update(before)

        return undo

    return apply


def _reached(libraries: Mapping[str, Any], policies: set[str]) -> set[tuple[str, str]]:
    """Definitions and functions, by library and name, that the outcome of some policy rests on."""
    statements = {
        (name, statement["name"]): []
        for name, document in libraries.items()
        for statement in document["library"].get("statements", {}).get("def", [])
    }
    for name, document in libraries.items():
        aliases = {
            each["localIdentifier"]: each["path"]
            for each in document["library"].get("includes", {}).get("def", [])
        }
        for statement in document["library"].get("statements", {}).get("def", []):
            statements[name, statement["name"]].extend(
                (aliases.get(node.get("libraryName", ""), name), node["name"])
                for node in nodes(statement)
                if node.get("type") in ("ExpressionRef", "FunctionRef")
            )
    open_places = [(policy, name) for policy in policies for name in DECIDE]
    found: set[tuple[str, str]] = set()
    while open_places:
        place = open_places.pop()
        if place not in found and place in statements:
            found.add(place)
            open_places.extend(statements[place])
    return found


def _included(libraries: Mapping[str, Any], name: str) -> Iterator[str]:
    """The library itself and all it includes; some more than once."""
    yield name
    for each in libraries[name]["library"].get("includes", {}).get("def", []):
        yield from _included(libraries, each["path"])


class Court:
    """Puts the cases to one mutant after the other; those that have caught one are asked first."""

    def __init__(self, catalog: Catalog) -> None:
        self._engine = catalog.engine
        self._questions = questions(catalog)
        self._within = {
            policy.library: set(_included(catalog.libraries, policy.library)) for policy in catalog.policies
        }
        self._best: dict[tuple[str, str], list[Question]] = {}

    def caught(self, mutant: Mutant) -> bool:
        undo = mutant.apply()
        try:
            with _Recompiled(self._engine, mutant.place):
                return self._tried(mutant)
        except ElmError:
            return True  # The engine refuses what it has become.
        finally:
            undo()

    def _tried(self, mutant: Mutant) -> bool:
        place = (mutant.place.library, mutant.place.define)
        best = self._best.setdefault(place, [])
        concerned = [q for q in self._questions if mutant.place.library in self._within[q.library]]
        rest = sorted((q for q in concerned if q not in best), key=lambda q: -q.kills)
        for question in [*best, *rest]:
            try:
                same = question.ask(self._engine) == question.expected
            except ElmError:
                same = False
            if not same:
                question.kills += 1
                if question not in best:
                    best.insert(0, question)
                return True
        return False


class _Recompiled:
    """While open, the engine runs the changed definition, or the changed functions of that name."""

    def __init__(self, engine: Engine, place: Place) -> None:
        self._manner = engine.compiled.plain
        self._compiler = engine.compiled.plain.compiler
        program = engine.compiled.program
        library = program.find(place.library)
        self._definition = library.definitions.get(place.define)
        self._functions = library.functions.get(place.define, [])
        self._kept: list[tuple[Any, Any, list[None]]] = []

    def __enter__(self) -> None:
        if self._definition is not None:
            index = self._definition.index
            self._sound = self._compiler._by_definition.pop(index)
            self._manner.definitions[index] = self._compiler.definition(self._definition)
        for function in self._functions:
            known = self._compiler._by_function.pop(id(function))
            try:
                changed = self._compiler.function(function)
            finally:
                self._compiler._by_function[id(function)] = known
            self._kept.append((known, known.run, known.extra))
            known.run, known.extra = changed.run, changed.extra

    def __exit__(self, *_: object) -> None:
        if self._definition is not None:
            self._compiler._by_definition[self._definition.index] = self._sound
            self._manner.definitions[self._definition.index] = self._sound
        for known, run, extra in self._kept:
            known.run, known.extra = run, extra


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sample", type=int, default=0, help="only so many, at random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only this library")
    parser.add_argument("--json", type=Path, help="write the survivors' keys there")
    given = parser.parse_args()
    catalog = Catalog.load()
    equivalent = yaml.safe_load((HERE / "mutants-equivalent.yaml").read_text(encoding="utf-8")) or {}
    made = list(mutants(catalog.libraries, {policy.library for policy in catalog.policies}))
    unknown = sorted(set(equivalent) - {mutant.key for mutant in made})
    chosen = [m for m in made if given.only in ("", m.place.library) and m.key not in equivalent]
    if given.sample and given.sample < len(chosen):
        chosen = random.Random(given.seed).sample(chosen, given.sample)
    court = Court(catalog)
    survivors = []
    progress = Progress(console=Console(stderr=True), disable=not sys.stderr.isatty())
    with progress:
        for mutant in progress.track(chosen, description="Mutants"):
            if not court.caught(mutant):
                survivors.append(mutant)
                print(f"{mutant.line}  {mutant.key}", flush=True)
    for key in unknown:
        print(f"mutants-equivalent.yaml: there is no mutant {key}")
    missed = Counter(mutant.place.library for mutant in survivors)
    for library, many in sorted(Counter(mutant.place.library for mutant in chosen).items()):
        print(f"{library}: {many - missed[library]} of {many} caught")
    caught = len(chosen) - len(survivors)
    share = caught / len(chosen) if chosen else 1.0
    print(f"{len(made)} mutants in all, {len(equivalent)} of them equivalent")
    print(f"{caught} of {len(chosen)} mutants caught, {share:.1%}")
    if given.json:
        given.json.write_text(json.dumps([m.key for m in survivors], indent=1))
    return 0 if share >= ENOUGH and not unknown else 1


if __name__ == "__main__":
    sys.exit(main())
