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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.elm.values import to_json


@dataclass(frozen=True, slots=True)
class Evidence:
    """A resource that decided a value: `reference` (`Procedure/p1`), the `paths` read in it, and itself."""

    reference: str
    paths: tuple[str, ...]
    resource: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.reference} ({', '.join(self.paths)})" if self.paths else self.reference


@dataclass(frozen=True, slots=True)
class Missing:
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
    considered: tuple[Any, ...] = ()


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
    """A list that knows, item by item, the log entry that led to it; `source` is the log and list before it."""

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


def summary(log: Sequence[Any]) -> tuple[tuple[Evidence, ...], tuple[Missing, ...]]:
    """A log unfolded: resources by first mention with the paths read in them, and what is missing."""
    paths: dict[int, dict[str, None]] = {}
    resources: dict[int, dict[str, Any]] = {}
    missing: dict[tuple[Any, ...], Missing] = {}
    for entry in _unfold(log):
        if isinstance(entry, Sought):
            lack = _sought(entry)
            missing.setdefault((lack.type, lack.path, lack.named, lack.url, lack.period), lack)
            continue
        resource, path, found = entry
        if found is False:
            lack = Missing("element", resource["resourceType"], path=path, reference=reference(resource))
            missing.setdefault((id(resource), path), lack)
            continue
        seen = paths.setdefault(id(resource), {})
        resources[id(resource)] = resource
        if path:
            seen[path] = None
    evidence = tuple(
        Evidence(reference(resource), tuple(paths[key]), resource) for key, resource in resources.items()
    )
    return evidence, tuple(missing.values())


def _sought(entry: Sought) -> Missing:
    considered: tuple[Evidence, ...] = ()
    if entry.considered:
        considered, _ = summary(list(entry.considered))
        considered = tuple(item for item in considered if item.resource.get("resourceType") == entry.type)
    return Missing(
        "resource",
        entry.type,
        path=entry.path,
        named=entry.named,
        url=entry.url,
        period=None if entry.period is None else str(to_json(entry.period)),
        considered=considered,
    )


def _unfold(log: Sequence[Any]) -> Iterator[Any]:
    """Every leaf entry, each shared part once; a stack, for logs may nest deeper than Python does."""
    seen: set[tuple[int, bool]] = set()
    stack: list[tuple[Any, bool]] = [(log, False)]
    while stack:
        entry, only_missing = stack.pop()
        if isinstance(entry, list):
            if (id(entry), only_missing) in seen:
                continue
            seen.add((id(entry), only_missing))
            stack.extend((part, only_missing) for part in reversed(entry))
        elif isinstance(entry, Only):
            stack.append((entry.entries, True))
        elif isinstance(entry, Found):
            if not only_missing:
                stack.extend(((item, "", True), False) for item in reversed(entry.items) if is_resource(item))
        elif isinstance(entry, Sought) or not only_missing or entry[2] is False:
            yield entry


def is_resource(value: Any) -> bool:
    """Whether a value is a FHIR resource."""
    return isinstance(value, dict) and "resourceType" in value


def reference(resource: dict[str, Any]) -> str:
    """`Procedure/p1`; the type alone when the resource has no id."""
    kind, own = resource.get("resourceType"), resource.get("id")
    return f"{kind}/{own}" if own is not None else str(kind)
