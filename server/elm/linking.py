"""How definitions rest on each other: what a library reaches, what an assumption touches, no circles."""

from __future__ import annotations

from collections.abc import Sequence

from server.elm.code import CompiledDefinition, CompiledFunction
from server.elm.errors import LoadError
from server.elm.library import Definition, Library


def with_included(library: Library) -> list[Library]:
    """A library and all it includes, nearest first."""
    found = [library]
    for each in found:
        found.extend(inner for inner in each.includes.values() if inner not in found)
    return found


def reached(compiled: CompiledDefinition, functions: Sequence[CompiledFunction]) -> frozenset[int]:
    """Definitions that one uses directly, or through functions however deep."""
    found, seen, stack = set(compiled.definitions), set(compiled.functions), list(compiled.functions)
    while stack:
        function = functions[stack.pop()]
        found |= function.definitions
        fresh = function.functions - seen
        seen |= fresh
        stack.extend(fresh)
    return frozenset(found)


def dependents(
    definitions: Sequence[Definition], uses: Sequence[frozenset[int]]
) -> tuple[tuple[int, ...], ...]:
    """For each definition those that rest on it, however indirectly; LoadError when one rests on itself."""
    users: list[set[int]] = [set() for _ in definitions]
    for index, used in enumerate(uses):
        for each in used:
            users[each].add(index)
    found = []
    for index, definition in enumerate(definitions):
        seen: set[int] = set()
        stack = list(users[index])
        while stack:
            each = stack.pop()
            if each not in seen:
                seen.add(each)
                stack.extend(users[each])
        if index in seen:
            raise LoadError(f"{definition} refers to itself, directly or through others.")
        found.append(tuple(sorted(seen)))
    return tuple(found)
