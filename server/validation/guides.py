"""The validators of this server: one a guide version, over the folder that FHIR_PACKAGES names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from server.services import GUIDES, Version
from server.validation.packages import CORE, GUIDE, Package, for_guides, found_in
from server.validation.validator import Validator


@cache
def validators(folder: Path) -> Mapping[Version, Validator]:
    """Reads every package, once a process. Raises OSError, ValueError for a package that is none, and where
    FHIR itself is not there, without which every type is unknown."""
    available = _available(folder)
    if all(package.name != CORE for package in available):
        raise ValueError(f"FHIR_PACKAGES lacks {CORE} 4.0.1, and no profile is checked without it")
    return {version: Validator(for_guides(available, guides)) for version, guides in GUIDES.items()}


@cache
def _available(folder: Path) -> list[Package]:
    return found_in(folder)


def demand(folder: Path, refusing: bool) -> None:
    """Reads the packages now. Raises as `validators`, and where PAS requests are refused by profiles that are
    not among them."""
    pas = ((GUIDE.format("pas"), guides["PAS"]) for guides in GUIDES.values())
    there = {(package.name, package.version) for package in _available(folder)}
    lacking = [
        f"{name} {version}" for name, version in [(CORE, "4.0.1"), *pas] if (name, version) not in there
    ]
    if refusing and lacking:
        raise ValueError(f"FHIR_PACKAGES lacks {', '.join(lacking)}, and PROFILES=refuse needs all of them")
    validators(folder)


def validator_of(folder: Path | None, version: Version) -> Validator | None:
    """None where no packages are configured. They are read when first asked for: most starts need none."""
    return validators(folder)[version] if folder is not None else None
