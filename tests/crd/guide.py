"""The guide's published definitions, read from its packages (FHIR_PACKAGES)."""

import os
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from server.fhir import json

PACKAGES = Path(os.environ.get("FHIR_PACKAGES", Path(__file__).parents[3] / "shared" / "igs"))
PATTERNS = {"2.0": "hl7.fhir.us.davinci-crd-2.0.1.tgz", "2.2": "hl7.fhir.us.davinci-crd-2.2*.tgz"}


@cache
def definition(version: str, name: str) -> dict[str, Any]:
    """A StructureDefinition of the guide's version; without the package the test is skipped, and in CI it
    fails."""
    package = next(iter(sorted(PACKAGES.glob(PATTERNS[version]))), None)
    if package is None:
        reason = "FHIR_PACKAGES lacks the CRD package"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with tarfile.open(package) as archive:
        member = archive.extractfile(f"package/StructureDefinition-{name}.json")
        assert member is not None
        return json.decode_object(member.read())
