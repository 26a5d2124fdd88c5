"""A define as a tree: each sub-expression with its place in the CQL source, its value, its evidence.

The observer below wraps every expression when the program is compiled for explaining; it is also how an
error is traced to the expression that raised it: the plain code has no bookkeeping, so a failing define is
evaluated once more, observed, and the innermost step still open is the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from server.elm.code import LOG, RUN, Code, Frame, Scope, Thunk
from server.elm.compiler import Compiler, place
from server.elm.errors import BudgetExceeded
from server.elm.evidence import Evidence, Missing, Unfolded
from server.elm.library import Node
from server.elm.lists import picked, the_first
from server.elm.loops import has_item
from server.elm.values import literal

_WIDTH: Final = 100


@dataclass(slots=True)
class Step:
    """One evaluation of one expression. `name` is the definition or function it refers to, if any."""

    kind: str
    name: str | None
    library: str
    local_id: str | None
    locator: str | None
    place: str
    value: Any = None
    log: list[Any] = field(default_factory=list)
    children: list[Step] = field(default_factory=list)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The resources that decided the value."""
        return Unfolded().evidence(self.log)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What was looked for in vain."""
        return Unfolded().missing(self.log)

    def lines(self, depth: int = 40, width: int = 20) -> Iterator[str]:
        """The tree as text, at most `depth` levels deep and `width` children wide."""
        stack = [(self, 0)]
        while stack:
            step, level = stack.pop()
            yield "  " * level + step._line()
            if level < depth:
                shown = step.children[:width]
                if len(step.children) > width:
                    more = Step(f"… {len(step.children) - width} more", None, "", None, None, "")
                    stack.append((more, level + 1))
                stack.extend((child, level + 1) for child in reversed(shown))

    def _line(self) -> str:
        if not self.place:
            return self.kind
        title = self.kind if self.name is None else f'{self.kind} "{self.name}"'
        text = f"{title} = {shown(self.value)}"
        if self.locator is not None:
            text += f"  [{self.library} {self.locator}]"
        evidence = ", ".join(map(str, self.evidence))
        missing = "; ".join(map(str, self.missing))
        return text + (f"  <- {evidence}" if evidence else "") + (f"  ({missing})" if missing else "")


def shown(value: Any) -> str:
    """A value as a short CQL-like text; a resource by its type and id."""
    if isinstance(value, dict) and "resourceType" in value:
        return f"{value['resourceType']}/{value.get('id', '?')}"
    if isinstance(value, list):
        text = "{" + ", ".join(shown(item) for item in value[:20]) + (", …}" if len(value) > 20 else "}")
    else:
        text = literal(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def observe(compiler: Compiler, node: Node, scope: Scope, code: Code) -> Code:
    """`code`, leaving a `Step` behind whenever it runs."""
    if code.constant:
        return code
    kind, name = node["type"], node.get("name") or node.get("path")
    library, local_id, locator = str(scope.body.library), node.get("localId"), node.get("locator")
    where = place(node, scope.body.library, scope.body.name)

    def stepped(run: Thunk) -> Thunk:
        def observed(frame: Frame) -> Any:
            open_steps = frame[RUN].steps
            step = Step(kind, name, library, local_id, locator, where)
            if open_steps:
                open_steps[-1].children.append(step)
            open_steps.append(step)
            log = frame[LOG]
            start = len(log)
            step.value = run(frame)
            step.log = log[start:]
            open_steps.pop()
            return step.value

        return observed

    whole = stepped(code.run)
    made = Code(whole, code.type, code.constant, code.trail)
    # Who asks for the first item, or whether there is one, is shown them all, where they are not an error.
    if code.first is not None:
        made.first = _or_else(picked(whole, the_first), stepped(code.first))
    if code.exists is not None:
        made.exists = _or_else(lambda frame: has_item(whole(frame)), stepped(code.exists))
    return made


def _or_else(run: Thunk, instead: Thunk) -> Thunk:
    """What one gives, or where that is an error the other, as if it had not been tried."""

    def either(frame: Frame) -> Any:
        open_steps, log = frame[RUN].steps, frame[LOG]
        depth, start = len(open_steps), len(log)
        shown = len(open_steps[-1].children) if open_steps else 0
        try:
            return run(frame)
        except BudgetExceeded:
            raise
        except Exception:
            frame[LOG] = log
            del log[start:], open_steps[depth:]
            if open_steps:
                del open_steps[-1].children[shown:]
            return instead(frame)

    return either
