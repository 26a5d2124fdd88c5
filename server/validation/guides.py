"""The validators of this server: one a guide version, over the folder that FHIR_PACKAGES names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from server.services import GUIDES, Version
from server.validation.packages import CORE, GUIDE, for_guides, found_in
from server.validation.validator import Validator


@cache
def validators(folder: Path) -> Mapping[Version, Validator]:
    """Reads every package, once a process. Raises OSError, ValueError for a package that is none."""
    available = found_in(folder)
    return {version: Validator(for_guides(available, guides)) for version, guides in GUIDES.items()}


def demand(folder: Path) -> None:
    """Reads the packages now. Raises ValueError where one of them is none, or where what PAS requests are
    held to is not among them."""
    available = found_in(folder)
    wanted = [(CORE, "4.0.1"), *((GUIDE.format("pas"), guides["PAS"]) for guides in GUIDES.values())]
    there = {(package.name, package.version) for package in available}
    if lacking := [f"{name} {version}" for name, version in wanted if (name, version) not in there]:
        raise ValueError(f"FHIR_PACKAGES lacks {', '.join(lacking)}, and PROFILES=refuse needs all of them")


@dataclass(frozen=True, slots=True)
class Lazily:
    """The validators of a folder, read when the first is asked for: most starts need none."""

    folder: Path | None

    def of(self, version: Version) -> Validator | None:
        """None where no packages are configured."""
        return validators(self.folder)[version] if self.folder is not None else None
