"""An Inferno preset: the inputs of one suite, filled in.

Values are text; a payload is a resource, or several, as JSON in that text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.fhir import json

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a suite's form. `comment` says what the value provokes, and why."""

    name: str
    title: str
    value: str
    kind: str = "text"
    comment: str = ""

    @classmethod
    def payload(cls, name: str, title: str, content: Resource | list[Resource], comment: str) -> Input:
        """A field that takes a resource, or a list of them."""
        return cls(name, title, json.encode(content).decode(), "textarea", comment)

    @property
    def element(self) -> Resource:
        """As the preset file has it."""
        return {
            "name": self.name,
            "type": self.kind,
            "title": self.title,
            **({"description": self.comment} if self.comment else {}),
            "value": self.value,
        }


@dataclass(frozen=True, slots=True)
class Preset:
    """One preset file: `name` is the file's, without its ending; `suite` the kit's own id."""

    name: str
    title: str
    suite: str
    inputs: tuple[Input, ...]

    @property
    def content(self) -> Resource:
        return {
            "title": self.title,
            "id": self.name,
            "test_suite_id": self.suite,
            "inputs": [each.element for each in self.inputs],
        }

    def value(self, name: str) -> str:
        """The value of one input. KeyError where the preset has none of that name."""
        return {each.name: each.value for each in self.inputs}[name]

    def payloads(self, name: str) -> list[Resource]:
        """The resources of that input, one by one."""
        content = json.decode(self.value(name).encode())
        return content if isinstance(content, list) else [content]
