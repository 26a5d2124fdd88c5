"""What a reference leads to: of a type that is allowed there, and fitting its profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.fhir.errors import Severity
from server.validation.addresses import BASE
from server.validation.finding import Finding, Findings, Run
from server.validation.slicing import Occurrence

if TYPE_CHECKING:
    from server.validation.compiler import Compiler


@dataclass(frozen=True, slots=True)
class Target:
    """The profiles that an element's references may lead to; anything, where there are none."""

    profiles: list[str]
    profile: str
    compiler: Compiler

    def check(self, occurrence: Occurrence, run: Run, out: Findings) -> None:
        reference = occurrence.value.get("reference")
        if not isinstance(reference, str) or not self.profiles:
            return
        place = run.target(reference)
        if place is None:
            kind = _kind_in(reference)
            # Nobody sees what is not sent along: its type by the text alone is a hint, no proof.
            if kind and not self._of_kind(kind):
                self._wrong(occurrence, out, "warning")
            return
        kind = str(place.resource.get("resourceType"))
        fitting = self._of_kind(kind)
        if not fitting:
            self._wrong(occurrence, out)
            return
        profiled = [url for url in fitting if not url.startswith(BASE)]
        target = Occurrence(place.resource, None, kind, place.path)
        if len(profiled) == len(fitting) and not any(
            self.compiler.conforms(target, url, run) for url in profiled
        ):
            words = f"What it refers to ({place.path}) does not fit {' or '.join(profiled)}."
            out.append(Finding("structure", occurrence.path, words, "reference", self.profile))

    def _of_kind(self, kind: str) -> list[str]:
        return [url for url in self.profiles if self.compiler.is_kind(kind, url)]

    def _wrong(self, occurrence: Occurrence, out: Findings, severity: Severity = "error") -> None:
        kinds = sorted({self.compiler.kind_of(url) or url for url in self.profiles})
        words = f"It must refer to a {' or '.join(kinds)}."
        out.append(Finding("structure", occurrence.path, words, "reference", self.profile, severity))


def _kind_in(reference: str) -> str:
    steps = reference.partition("/_history/")[0].rsplit("/", 2)
    return steps[-2] if len(steps) > 1 and steps[-2][:1].isupper() and steps[-2].isalpha() else ""
