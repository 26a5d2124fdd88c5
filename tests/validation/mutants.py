"""Resources with one planted fault each, drawn from a seed: what a validator must notice.

for mutant in mutants(examples, 500, seed=1): mutant.kind, mutant.origin, mutant.resource
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Resource = dict[str, Any]
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mutant:
    kind: str
    origin: str
    path: str
    resource: Resource


def walked(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value inside with its path, the narrative left out."""
    if isinstance(value, dict):
        for key, content in value.items():
            if key not in ("text", "resourceType"):
                yield (*path, key), content
                yield from walked(content, (*path, key))
    elif isinstance(value, list):
        for number, content in enumerate(value):
            yield (*path, number), content
            yield from walked(content, (*path, number))


def holder_of(resource: Resource, path: Path) -> Any:
    found: Any = resource
    for step in path[:-1]:
        found = found[step]
    return found


def _removed(resource: Resource, path: Path, value: Any, dice: random.Random) -> bool:
    """An element is left out; the last of a list takes the list with it."""
    holder = holder_of(resource, path)
    if isinstance(holder, list) and len(holder) == 1:
        del holder_of(resource, path[:-1])[path[-2]]
        return True
    del holder[path[-1]]
    return bool(holder)


def _recoded(resource: Resource, path: Path, value: Any, dice: random.Random) -> bool:
    """Another code, or a status that does not exist."""
    if path[-1] not in ("code", "status", "use", "intent", "type") or not isinstance(value, str):
        return False
    holder_of(resource, path)[path[-1]] = "no-such-code"
    return True


def _wrong_type(resource: Resource, path: Path, value: Any, dice: random.Random) -> bool:
    """A number where a text is due, an object where a list is, a text where an object is."""
    if isinstance(value, bool):
        wrong: Any = "yes"
    elif isinstance(value, str):
        wrong = dice.choice([7, {"value": value}])
    elif isinstance(value, dict):
        wrong = "text"
    elif isinstance(value, list):
        wrong = value[0]
    else:
        wrong = "many"
    holder_of(resource, path)[path[-1]] = wrong
    return True


def _broken_slice(resource: Resource, path: Path, value: Any, dice: random.Random) -> bool:
    """What tells a slice is changed: an extension's url, a coding's system, an identifier's system."""
    if (
        path[-1] not in ("url", "system")
        or not isinstance(value, str)
        or not {"extension", "coding", "identifier"} & set(path)
    ):
        return False
    holder_of(resource, path)[path[-1]] = f"{value}-other"
    return True


def _cut_reference(resource: Resource, path: Path, value: Any, dice: random.Random) -> bool:
    """A reference to another type of resource, or to nothing that is there."""
    if path[-1] != "reference" or not isinstance(value, str):
        return False
    holder_of(resource, path)[path[-1]] = dice.choice(["Medication/none", "#none", "Substance/1"])
    return True


def _unknown(resource: Resource, path: Path, value: Any, dice: random.Random) -> bool:
    """A property that the definitions do not have."""
    if not isinstance(value, dict):
        return False
    value["invented"] = "x"
    return True


def _twice(resource: Resource, path: Path, value: Any, dice: random.Random) -> bool:
    """One more of what may be there once."""
    if not isinstance(value, list) or not value:
        return False
    value.append(copy.deepcopy(value[0]))
    return True


def _malformed(resource: Resource, path: Path, value: Any, dice: random.Random) -> bool:
    """A date that is none, a text that is empty."""
    if not isinstance(value, str):
        return False
    is_date = len(value) >= 10 and value[:4].isdigit() and value[4] == "-"
    holder_of(resource, path)[path[-1]] = "2026-13-45" if is_date else ""
    return True


Change = Callable[[Resource, Path, Any, random.Random], bool]

KINDS: Mapping[str, Change] = {
    "element removed": _removed,
    "code changed": _recoded,
    "slice broken": _broken_slice,
    "type wrong": _wrong_type,
    "reference cut": _cut_reference,
    "unknown property": _unknown,
    "one too many": _twice,
    "value malformed": _malformed,
}


def mutants(examples: Mapping[str, Resource], count: int, seed: int | str) -> Iterator[Mutant]:
    """`count` of them, kinds in turn, always the same for a seed."""
    dice = random.Random(seed)
    names = sorted(examples)
    made = 0
    while made < count:
        kind = list(KINDS)[made % len(KINDS)]
        name = dice.choice(names)
        resource = copy.deepcopy(examples[name])
        path, value = dice.choice(list(walked(resource)))
        if KINDS[kind](resource, path, value, dice):
            made += 1
            yield Mutant(kind, name, ".".join(map(str, path)), resource)
