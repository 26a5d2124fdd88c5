"""Evidence: which resources, and which elements in them, decided a value; and what was looked for in vain.

While a traced evaluation runs, expressions append entries to a log, and the ones that narrow (`and`, `or`,
`exists`, queries) take back what did not matter. An entry is one of

    (resource, path, found)   an element that was read; `found` is false when it is absent
    Found(items, search)      what a retrieve returned
    (Sought(…), "", False)    a retrieve that found nothing, or a query none of whose candidates qualified
    Only(entries)             of these entries only what is missing counts
    [entry, …]                the entries of another expression, shared, not copied

Referring to an expression costs one entry however much decided it; `Unfolded` unfolds a log when someone
reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec


class Evidence(msgspec.Struct, frozen=True):
    """A resource that decided a value: `reference` (`Procedure/p1`), the `paths` read in it, and itself."""

    reference: str
    paths: tuple[str, ...]
    resource: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.reference} ({', '.join(self.paths)})" if self.paths else self.reference


class Missing(msgspec.Struct, frozen=True):
    """What was looked for and not found.

    `kind` is `resource` (no `type` in value set or codes `named`, `url`, within `period`) or `element`
    (`path` absent in `reference`). `considered` are resources that were looked at and did not qualify.
    """

    kind: str
    type: str
    path: str | None = None
    named: str | None = None
    url: str | None = None
    period: str | None = None
    reference: str | None = None
    considered: tuple[Evidence, ...] = ()

    def __str__(self) -> str:
        if self.kind == "element":
            return f"{self.reference} has no {self.path}"
        text = f"no {self.type}"
        if self.named is not None:
            text += f" with {self.path} in {self.named}"
        if self.period is not None:
            text += f" during {self.period}"
        if self.considered:
            text += f" that qualifies ({', '.join(item.reference for item in self.considered)} considered)"
        return text


@dataclass(frozen=True, slots=True)
class Sought:
    """A search without result, with the logs of the candidates that did not qualify."""

    type: str
    path: str | None = None
    named: str | None = None
    url: str | None = None
    period: Any = None
    considered: list[Any] | None = None

    @property
    def entry(self) -> Leaf:
        """The log entry that says so."""
        return self, "", False


Leaf = tuple[Any, str, bool]


class Found:
    """Log entry: the resources a retrieve returned."""

    __slots__ = ("items", "search")

    def __init__(self, items: Sequence[Any], search: Sought) -> None:
        self.items = items
        self.search = search


class Only:
    """Log entry: of `entries`, what is missing counts and what was found does not."""

    __slots__ = ("entries",)

    def __init__(self, entries: list[Any]) -> None:
        self.entries = entries


class TracedList(list[Any]):
    """A list that knows, item by item, the log entry that led to it; `source` the log and list it is of."""

    __slots__ = ("source", "why")

    def __init__(
        self, items: Sequence[Any], why: list[Any], source: tuple[list[Any], list[Any]] | None = None
    ) -> None:
        list.__init__(self, items)
        self.why = why
        self.source = source


def told(log: list[Any]) -> Any:
    """The entry that says in another log what this one does: itself, or the one entry that is all it has."""
    return log[0] if len(log) == 1 else log


def reason(item: Any, otherwise: Any) -> Any:
    """The log entry for one item of a plain list: itself when it is a resource, else the list's own log."""
    if isinstance(item, dict) and "resourceType" in item:
        return (item, "", True)
    return otherwise


Leaves = dict[tuple[int, str, bool], Leaf]


ROOM = 100_000
"""Leaves that are handed from log to log, until it is quicker to go through what a log leads to: where each
of thousands of logs says what all say, handing on takes the square of them, of time and of memory."""


FEW = 50
"""Leaves that are handed on as quickly as a log is gone through, so they are not counted."""


class _NoRoom(Exception):
    """More leaves than ROOM would be handed on."""


class Unfolded:
    """What parts of the logs of one evaluation unfold to, for logs share parts; and resources' names."""

    __slots__ = ("_gathered", "_leaves", "_names", "_room")

    def __init__(self) -> None:
        self._leaves: dict[int, Leaves] = {}
        self._gathered: dict[int, Leaves] = {}
        self._names: dict[int, str] = {}
        self._room = ROOM

    def evidence(self, log: list[Any]) -> tuple[Evidence, ...]:
        """Resources by first mention, each with the paths read in it."""
        return self._found(self._unfold(log).values())

    def resources(self, log: list[Any]) -> tuple[dict[str, Any], ...]:
        """The resources of the evidence alone."""
        entries = self._unfold(log).values()
        return tuple({id(resource): resource for resource, _, found in entries if found}.values())

    def missing(self, log: list[Any]) -> tuple[Missing, ...]:
        """What was not there: resources sought in vain, and elements."""
        missing: dict[tuple[Any, ...], Missing] = {}
        for what, path, found in self._unfold(log).values():
            if found:
                continue
            if what.__class__ is Sought:
                lack = self._sought(what)
                missing.setdefault((lack.type, lack.path, lack.named, lack.url, lack.period), lack)
            else:
                kind, name = what["resourceType"], self._name(what)
                missing.setdefault((id(what), path), Missing("element", kind, path=path, reference=name))
        return tuple(missing.values())

    def _found(self, entries: Iterable[Leaf]) -> tuple[Evidence, ...]:
        read: dict[int, tuple[dict[str, Any], list[str]]] = {}
        last: Any = None
        paths: list[str] = []
        for resource, path, found in entries:
            if found:
                if resource is not last:
                    last, paths = read.setdefault(id(resource), (resource, []))
                if path:
                    paths.append(path)
        name = self._name
        return tuple([Evidence(name(resource), tuple(paths), resource) for resource, paths in read.values()])

    def _sought(self, entry: Sought) -> Missing:
        considered: tuple[Evidence, ...] = ()
        if entry.considered:
            found = self._found(self._unfold(entry.considered).values())
            considered = tuple(item for item in found if item.resource.get("resourceType") == entry.type)
        return Missing(
            "resource",
            entry.type,
            path=entry.path,
            named=entry.named,
            url=entry.url,
            period=None if entry.period is None else str(entry.period),
            considered=considered,
        )

    def _name(self, resource: dict[str, Any]) -> str:
        name = self._names.get(id(resource))
        if name is None:
            name = self._names[id(resource)] = reference(resource)
        return name

    def _unfold(self, log: list[Any]) -> Leaves:
        """Every leaf entry of a log, each once, in order."""
        if self._room > 0:
            try:
                return self._leaves_of(log)
            except (RecursionError, _NoRoom):
                self._leaves.clear()
                self._room = 0
        found = self._gathered.get(id(log))
        if found is None:
            found = self._gathered[id(log)] = _gathered(log)
        return found

    def _leaves_of(self, log: list[Any]) -> Leaves:
        """Leaves of one key are alike, so a later one may take the place of an earlier.

        Most logs say what one other says, and little more: then they have its leaves, not a copy.
        """
        if len(log) == 1 and log[0].__class__ is list:
            log = log[0]
        known = self._leaves
        found = known.get(id(log))
        if found is not None:
            return found
        leaves: Leaves = {}
        own = True
        for entry in log:
            kind = entry.__class__
            if kind is list:
                inner = known.get(id(entry)) or self._leaves_of(entry)
            elif kind is Only:
                inner = _absent(self._leaves_of(entry.entries))
            else:
                if not own:
                    leaves, own = leaves.copy(), True
                if kind is tuple:
                    what, path, there = entry
                    leaves[id(what), path, there] = entry
                else:
                    for item in entry.items:
                        leaves[id(item), "", True] = (item, "", True)
                continue
            if not leaves:
                leaves, own = inner, False
            elif inner and inner is not leaves:
                if own:
                    if len(inner) > FEW:
                        self._hand_on(len(inner))
                    leaves.update(inner)
                else:
                    self._hand_on(len(leaves))
                    joined = leaves | inner
                    if len(joined) > len(leaves):
                        leaves, own = joined, True
        known[id(log)] = leaves
        return leaves

    def _hand_on(self, leaves: int) -> None:
        self._room -= leaves
        if self._room < 0:
            raise _NoRoom


def _gathered(log: list[Any]) -> Leaves:
    """The leaves of a log by going through every log that it leads to, each once; however deep it nests."""
    leaves: Leaves = {}
    met: set[tuple[int, bool]] = set()
    stack = [(iter(log), False)]
    while stack:
        entries, only = stack[-1]
        for entry in entries:
            kind = entry.__class__
            if kind is list or kind is Only:
                inner, lacks = (entry, only) if kind is list else (entry.entries, True)
                if (id(inner), lacks) not in met:
                    met.add((id(inner), lacks))
                    stack.append((iter(inner), lacks))
                    break
            elif kind is Found:
                if not only:
                    leaves.update(((id(item), "", True), (item, "", True)) for item in entry.items)
            elif not (only and entry[2]):
                leaves[id(entry[0]), entry[1], entry[2]] = entry
        else:
            stack.pop()
    return leaves


def _absent(leaves: Leaves) -> Leaves:
    """Of leaves those that say what is missing."""
    return {key: leaf for key, leaf in leaves.items() if not leaf[2]}


def is_resource(value: Any) -> bool:
    """Whether a value is a FHIR resource."""
    return isinstance(value, dict) and "resourceType" in value


def reference(resource: dict[str, Any]) -> str:
    """`Procedure/p1`; the type alone when the resource has no id."""
    kind, own = resource.get("resourceType"), resource.get("id")
    return f"{kind}/{own}" if isinstance(own, str) else str(kind)
