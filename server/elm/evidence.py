"""Evidence: which resources, and which elements in them, decided a value; and what was looked for in vain.

While a traced evaluation runs, expressions append entries to a log, and the ones that narrow (`and`, `or`,
`exists`, queries) take back what did not matter. An entry is one of

    (resource, path, found)   an element that was read; `found` is false when it is absent
    Found(items, search)      what a retrieve returned
    Sought(…)                 a retrieve that found nothing, or a query none of whose candidates qualified
    Only(entries)             of these entries only what is missing counts
    [entry, …]                the entries of another expression, shared, not copied

Referring to an expression costs one entry however much decided it; `summary` unfolds a log when someone reads
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
    """Log entry: a search without result, with the logs of the candidates that did not qualify."""

    type: str
    path: str | None = None
    named: str | None = None
    url: str | None = None
    period: Any = None
    considered: list[Any] | None = None


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
        super().__init__(items)
        self.why = why
        self.source = source


Log = list[Any]
NOTHING: Final[Sequence[Any]] = ()


def reason(item: Any, otherwise: Any) -> Any:
    """The log entry for one item of a plain list: itself when it is a resource, else the list's own log."""
    if isinstance(item, dict) and "resourceType" in item:
        return (item, "", True)
    return otherwise


Leaves = dict[tuple[Any, ...], Any]


def summary(
    log: list[Any], known: dict[int, Leaves] | None = None
) -> tuple[tuple[Evidence, ...], tuple[Missing, ...]]:
    """A log unfolded: resources by first mention with the paths read in them, and what is missing.

    `known` remembers what parts of logs unfold to, for logs of one evaluation share parts.
    """
    known = {} if known is None else known
    found, missing = _told(_unfold(log, known).values(), known)
    return found, tuple(missing.values())


def _told(
    entries: Iterable[Any], known: dict[int, Leaves]
) -> tuple[tuple[Evidence, ...], dict[tuple[Any, ...], Missing]]:
    paths: dict[int, dict[str, None]] = {}
    resources: dict[int, dict[str, Any]] = {}
    missing: dict[tuple[Any, ...], Missing] = {}
    for entry in entries:
        if entry.__class__ is Sought:
            lack = _sought(entry, known)
            missing.setdefault((lack.type, lack.path, lack.named, lack.url, lack.period), lack)
            continue
        resource, path, found = entry
        key = id(resource)
        if found is False:
            lack = Missing("element", resource["resourceType"], path=path, reference=reference(resource))
            missing.setdefault((key, path), lack)
            continue
        if key not in paths:
            paths[key] = {}
            resources[key] = resource
        if path:
            paths[key][path] = None
    evidence = tuple(
        Evidence(reference(resource), tuple(paths[key]), resource) for key, resource in resources.items()
    )
    return evidence, missing


def _sought(entry: Sought, known: dict[int, Leaves]) -> Missing:
    considered: tuple[Evidence, ...] = ()
    if entry.considered:
        entries = _unfold(entry.considered, known).values()
        found, _ = _told((leaf for leaf in entries if leaf.__class__ is tuple and leaf[2]), known)
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


def _unfold(log: list[Any], known: dict[int, Leaves]) -> Leaves:
    """Every leaf entry of a log, each once, in order; with a stack, for logs nest deeper than calls may."""
    stack = [log]
    while stack:
        top = stack[-1]
        if id(top) in known:
            stack.pop()
            continue
        ahead = []
        for each in top:
            nested = each.entries if each.__class__ is Only else each
            if nested.__class__ is list and id(nested) not in known:
                ahead.append(nested)
        if ahead:
            stack.extend(ahead)
        else:
            stack.pop()
            known[id(top)] = _merged(top, known)
    return known[id(log)]


def _merged(log: list[Any], known: dict[int, Leaves]) -> Leaves:
    """The leaves of the entries, those of nested logs among them; shared where there is nothing to add.

    Leaves of one key are alike, so a later one may take the place of an earlier.
    """
    if len(log) == 1 and log[0].__class__ is list:
        return known[id(log[0])]
    leaves: Leaves = {}
    for entry in log:
        kind = entry.__class__
        if kind is tuple:
            leaves[id(entry[0]), entry[1], entry[2]] = entry
        elif kind is list:
            leaves.update(known[id(entry)])
        elif kind is Found:
            for item in entry.items:
                leaves[id(item), "", True] = (item, "", True)
        elif kind is Only:
            for key, leaf in known[id(entry.entries)].items():
                if leaf.__class__ is Sought or leaf[2] is False:
                    leaves[key] = leaf
        else:
            leaves[(id(entry),)] = entry
    return leaves


def is_resource(value: Any) -> bool:
    """Whether a value is a FHIR resource."""
    return isinstance(value, dict) and "resourceType" in value


def reference(resource: dict[str, Any]) -> str:
    """`Procedure/p1`; the type alone when the resource has no id."""
    kind, own = resource.get("resourceType"), resource.get("id")
    return f"{kind}/{own}" if isinstance(own, str) else str(kind)
