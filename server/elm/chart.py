"""One patient's resources, indexed as far as an evaluation asks.

By type, by code in an element (`Procedure.code` in a value set), and by reference. Indexes are built at first
use and kept, so evaluations that share a `Chart` share them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from server.elm.model import Model
from server.elm.terminology import Key

_SUBJECTS: Final = ("subject", "patient", "beneficiary", "individual")


class Chart:
    """Resources in the order given. What is not a JSON object with a `resourceType` is left out."""

    def __init__(
        self, resources: Iterable[Mapping[str, Any]], model: Model, patient: str | None = None
    ) -> None:
        self.model = model
        self.resources = [
            resource
            for resource in resources
            if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)
        ]
        if patient is not None:
            self.resources = [each for each in self.resources if self._belongs(each, patient)]
        self._by_type: dict[str, list[dict[str, Any]]] | None = None
        self._whole: dict[str, list[dict[str, Any]]] = {}
        self._coded: dict[tuple[str, str], dict[Key, list[int]]] = {}
        self._selected: dict[tuple[str, str, Any, str | None], list[dict[str, Any]]] = {}

    def _belongs(self, resource: dict[str, Any], patient: str) -> bool:
        kind = resource["resourceType"]
        if kind == "Patient":
            return resource.get("id") == patient
        named = [
            resource[path].get("reference")
            for path in dict.fromkeys((*_SUBJECTS, *self.model.subject_paths(kind)))
            if isinstance(resource.get(path), dict)
        ]
        # What names no patient (a location, an organization) is everybody's.
        return not named or any(
            isinstance(text, str) and text.rsplit("Patient/", 1)[-1] == patient for text in named
        )

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Resources of a type, or of any type extending it (`Resource`, `DomainResource`)."""
        found = self._whole.get(kind)
        if found is None:
            if self._by_type is None:
                grouped: dict[str, list[dict[str, Any]]] = {}
                for resource in self.resources:
                    grouped.setdefault(resource["resourceType"], []).append(resource)
                self._by_type = grouped
            if kind in ("Resource", "DomainResource"):
                found = [each for each in self.resources if self.model.extends(each["resourceType"], kind)]
            else:
                found = self._by_type.get(kind, [])
            self._whole[kind] = found
        return found

    def coded(
        self, kind: str, keys: tuple[str, ...], codes: frozenset[Key], named: str | None = None
    ) -> list[dict[str, Any]]:
        """Resources of a type with one of `codes` under one of the JSON `keys`, in the order given.

        Value sets of different names have a list each, even with the same codes: what was found, or not, is
        told by the name under which it was sought.
        """
        signature = (kind, keys[0], codes, named)
        found = self._selected.get(signature)
        if found is None:
            resources = self.of_type(kind)
            positions: set[int] = set()
            for key in keys:
                index = self._index(kind, key)
                for code in codes.intersection(index):
                    positions.update(index[code])
            found = self._selected[signature] = [resources[each] for each in sorted(positions)]
        return found

    def _index(self, kind: str, key: str) -> dict[Key, list[int]]:
        index = self._coded.get((kind, key))
        if index is None:
            index = {}
            for position, resource in enumerate(self.of_type(kind)):
                for code in codes_of(_at(resource, key)):
                    where = index.setdefault(code, [])
                    if not where or where[-1] != position:
                        where.append(position)
            self._coded[(kind, key)] = index
        return index


def _at(resource: Any, key: str) -> Any:
    """The value at a JSON key, or at a dotted path, lists taken together."""
    if "." not in key:
        return resource.get(key)
    values = [resource]
    for part in key.split("."):
        step: list[Any] = []
        for value in values:
            found = value.get(part) if isinstance(value, dict) else None
            step.extend(found if isinstance(found, list) else [found])
        values = step
    return values


def codes_of(value: Any) -> list[Key]:
    """(system, code) pairs in a CodeableConcept, Coding, code, or a list of them.

    A bare code is of the system that its element is bound to: its key is (None, code), which is sought with a
    value set's. A Coding that names no system means nothing outside its clinic: its key is ("", code).
    """
    if isinstance(value, str):
        return [(None, str(value))]
    if isinstance(value, list):
        return [code for item in value for code in codes_of(item)]
    if not isinstance(value, dict):
        return []
    codings = value.get("coding") if "coding" in value else [value]
    if not isinstance(codings, list):
        return []
    return [
        (system if isinstance(system := coding.get("system"), str) else "", coding["code"])
        for coding in codings
        if isinstance(coding, dict) and isinstance(coding.get("code"), str)
    ]
