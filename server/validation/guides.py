"""The validators of this server: one a guide version, over the folder that FHIR_PACKAGES names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from server.services import GUIDES, Version
from server.validation.packages import for_guides, found_in
from server.validation.validator import Validator


def validators(folder: Path) -> Mapping[Version, Validator]:
    """Reads every package once. Raises OSError, ValueError for a package that is none."""
    available = found_in(folder)
    return {version: Validator(for_guides(available, guides)) for version, guides in GUIDES.items()}


class Lazily:
    """The validators, read when the first is asked for: most starts need none."""

    def __init__(self, folder: Path | None) -> None:
        self._read = cache(lambda: validators(folder) if folder is not None else {})

    def of(self, version: Version) -> Validator | None:
        """None where no packages are configured."""
        return self._read().get(version)
