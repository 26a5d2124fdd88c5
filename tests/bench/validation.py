"""Published PAS request bundles held to their profiles, in steady state: every profile was met before.

Needs FHIR_PACKAGES.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from server.fhir import json
from server.validation.guides import validators
from tests.bench import Line, below, times
from tests.validation.comparison import GUIDES, examples_of

BAR = 0.005
GROUPS = {"2.0": "pas-2.0.1", "2.2": "pas-2.2.1"}


def lines() -> Iterator[Line]:
    folder = os.environ.get("FHIR_PACKAGES")
    if not folder:
        yield Line("a PAS bundle against its profiles", "FHIR_PACKAGES is not set")
        return
    for version, validator in validators(Path(folder)).items():
        examples = examples_of(Path(folder), GUIDES[GROUPS[version]][0])
        requests = [
            bundle
            for bundle in examples.values()
            if bundle["resourceType"] == "Bundle"
            and bundle["entry"][0]["resource"]["resourceType"] == "Claim"
        ]
        spent = [times(partial(validator.check, bundle), repeat=100) for bundle in requests]
        medians = [each.median for each in spent]
        name = f"PAS {version}, {len(requests)} request bundles"
        yield below(f"{name}: the median of medians", statistics.median(medians), BAR)
        yield below(f"{name}: the slowest bundle's median", max(medians), BAR)
        size = max(len(json.encode(bundle)) for bundle in requests)
        yield Line(f"{name}: the largest has", f"{size / 1000:.0f} kB")
