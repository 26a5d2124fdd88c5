"""The front door: `Validator(packages).check(resource)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.validation.compiler import Compiler
from server.validation.finding import WORST_FIRST, Finding, Run, indexed
from server.validation.packages import Packages

Resource = dict[str, Any]


class Validator:
    """Shared by threads; profiles are compiled as they are met."""

    def __init__(self, packages: Packages) -> None:
        self._compiler = Compiler(packages)

    @property
    def unchecked(self) -> list[str]:
        """What nobody can decide here, of the profiles met so far."""
        return sorted(self._compiler.unchecked)

    def knows(self, canonical: str) -> bool:
        return self._compiler.shape(canonical) is not None

    def check(self, resource: Resource, profiles: Sequence[str] = ()) -> list[Finding]:
        """What is wrong under these profiles and those the resource claims, worst first; each fault once."""
        run = Run(resource, indexed(resource))
        kind = str(resource.get("resourceType", "Resource"))
        found = self._compiler.whole(resource, kind, profiles, run)
        told: dict[tuple[str, str, str], Finding] = {}
        for finding in found:
            told.setdefault((finding.path, finding.rule, finding.words), finding)
        return sorted(told.values(), key=lambda finding: WORST_FIRST[finding.severity])
