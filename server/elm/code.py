"""What the compiler makes: code, and what it needs to know of names, bodies and paths.

Every expression becomes a `Code`: a function of the frame, its static type, whether it is constant. A frame
is a list: the evaluation (`run`), the evidence log, then one slot for each operand, alias and let of the
definition being evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from server.elm.library import Definition, Function, Library
from server.elm.types import ListOf, Type

Frame = list[Any]
Thunk = Callable[[Frame], Any]
Getter = Callable[[Any, Any], Any]

RUN: Final = 0
LOG: Final = 1
FIRST_SLOT: Final = 2

UNSET: Final[Any] = object()
"""In an evaluation's memo: not evaluated yet."""


@dataclass(slots=True)
class Trail:
    """How a path is read off a root: `base` gives the root, `get(root, run)` the value, `path` names it.

    `root` is the root's static type, and `slot` where it is when it is a variable. `parent` reads what holds
    the last element, and `keys` are the JSON keys (with their FHIR types) it may be under: several for a
    choice. `direct` are the JSON keys of a path of plain elements, `convert` what `.value` then makes of the
    last.
    """

    base: Thunk
    get: Getter
    path: str
    root: Type = None
    slot: int | None = None
    parent: Getter | None = None
    keys: tuple[tuple[str, str], ...] = ()
    direct: tuple[str, ...] = ()
    convert: Callable[[Any, int], Any] | None = None


@dataclass(slots=True)
class Code:
    """A compiled expression."""

    run: Thunk
    type: Type = None
    constant: bool = False
    trail: Trail | None = None
    exists: Thunk | None = None
    """For a list: whether it has an item, without making all of it."""
    first: Thunk | None = None
    """For a list: its first item, without making all of it."""
    slot: int | None = None
    """For a variable, read as it stands and not recorded: its slot."""
    element: tuple[int, str] | None = None
    """For an element of a variable, read as it stands and not recorded: the slot and the JSON key."""
    parts: tuple[int, Mapping[str, str]] | None = None
    """For a value made of strings that are such elements of one variable: its slot, the JSON key of each."""


@dataclass(slots=True)
class Variable:
    """A name in scope: the frame slot that holds it, and its static type.

    `held` is the slot of what the log said when it was made. A list is evidence where it is used and as far
    as it is used, not where it is handed over. `uses` counts where it was mentioned so far. `fixed` is its
    code where that is a constant: then it has no slot.
    """

    slot: int
    type: Type
    held: int | None = None
    uses: int = 0
    fixed: Code | None = None


@dataclass(slots=True)
class Body:
    """A definition or function body being compiled: frame size so far, and what it depends on."""

    library: Library
    name: str
    context: str
    size: int = FIRST_SLOT
    definitions: set[int] = field(default_factory=set)
    functions: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Scope:
    """The names an expression can see."""

    body: Body
    names: Mapping[str, Variable] = field(default_factory=dict)
    this: Variable | None = None

    def declare(self, name: str, kind: Type) -> tuple[Scope, Variable]:
        """A scope with one more name, and its variable."""
        variable = Variable(self.body.size, kind)
        self.body.size += 1
        return Scope(self.body, {**self.names, name: variable}, self.this), variable

    def hold(self, name: str) -> int | None:
        """A slot for the log of a variable, if it is a list."""
        variable = self.names[name]
        if isinstance(variable.type, ListOf):
            variable.held = self.slot()
        return variable.held

    def slot(self) -> int:
        """A frame slot without a name."""
        self.body.size += 1
        return self.body.size - 1


class CompiledFunction:
    """A function's code. Filled in after it is registered, so that a function may call itself."""

    __slots__ = (
        "definitions",
        "extra",
        "functions",
        "held",
        "index",
        "memoised",
        "run",
        "small",
        "source",
        "structures",
        "tracing",
        "type",
    )

    def __init__(self, source: Function, index: int) -> None:
        self.source = source
        self.index = index
        self.run: Thunk = _unfinished
        self.extra: list[None] = []
        self.type: Type = None
        self.memoised = False
        self.small: bool | None = None
        self.structures: frozenset[int] = frozenset()
        self.tracing = False
        self.held: list[tuple[int, int]] = []
        self.definitions: frozenset[int] = frozenset()
        self.functions: frozenset[int] = frozenset()


@dataclass(slots=True)
class CompiledDefinition:
    """A definition's code, and the slots it wants in its frame."""

    source: Definition
    run: Thunk
    extra: list[None]
    type: Type
    definitions: frozenset[int]
    functions: frozenset[int]


def fold(code: Code) -> Code:
    """A constant expression evaluated now; left to run time when it cannot be (its error belongs there)."""
    try:
        value = code.run([None, None])
    except Exception:
        return code
    return constant(value, code.type)


def constant(value: Any, kind: Type) -> Code:
    """Code that is a value."""
    return Code(lambda frame: value, kind, constant=True)


def NULL() -> Code:
    """Code of null; a fresh one, for its type is filled in by its node."""
    return constant(None, None)


def _unfinished(frame: Frame) -> Any:
    raise AssertionError("a function ran before it was compiled")
