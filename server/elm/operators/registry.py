"""The operator table: every ELM operator that is a function of its evaluated operands.

A chapter module registers each operator by decorator, with its null rule, the node fields that hold
its operands, and the static options it reads:

    @operator("Add", nulls="propagate")
    def add(a, b): ...

The compiler looks a node's `type` up in `OPERATORS`, compiles the operand fields in order, and calls
the function with operands by position and options by keyword. Walking the ELM, laziness (`And`, `If`,
`Coalesce`, queries) and property access belong to the compiler, not to this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

from server.elm.temporal import Date, DateTime

F = TypeVar("F", bound=Callable[..., Any])


class Context(Protocol):
    """What an operator may ask of the running evaluation: its one clock, and where messages go.

    `offset` is the evaluation's offset from UTC in minutes; `message` receives what `Message` emits
    (severity is Trace, Message or Warning: an Error is raised by the operator itself).
    """

    @property
    def now(self) -> DateTime: ...
    @property
    def today(self) -> Date: ...
    @property
    def offset(self) -> int: ...
    def message(self, severity: str, code: str | None, text: str | None, source: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table.

    `operands` names the node's operand fields in order, empty when they are in `operand`; an absent
    field is passed as None. `options` names static node fields passed by keyword when present;
    the option `context` asks for the evaluation's `Context` instead.
    """

    name: str
    function: Callable[..., Any]
    nulls: Literal["propagate", "handle"]
    operands: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


_registered: dict[str, Operator] = {}
OPERATORS: Mapping[str, Operator] = MappingProxyType(_registered)
"""ELM operator name to its row; complete once `server.elm.operators` is imported."""


def operator(
    name: str,
    *,
    nulls: Literal["propagate", "handle"],
    operands: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Register the decorated function as ELM operator `name`; raises ValueError on a second registration."""

    def register(function: F) -> F:
        if name in _registered:
            raise ValueError(f"Operator {name} is already registered; an operator has one home.")
        _registered[name] = Operator(name, function, nulls, operands, options)
        return function

    return register
